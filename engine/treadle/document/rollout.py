"""The `rollout:` block of a deploy step as a grammar, and the terms that it means with every default filled in."""

from collections.abc import Iterator
from typing import Any

from treadle import quantity
from treadle.document.grammar import (
    BOOL,
    DURATION,
    NUMBER,
    SHARE,
    TEXT,
    Field,
    ListOf,
    Map,
    MapOf,
    OneOf,
    Scalar,
)
from treadle.document.mistakes import Path, find
from treadle.domain.rollout import (
    After,
    Enrolment,
    Guardrail,
    Limits,
    RolloutSpec,
    Shadow,
    Success,
    Switchback,
    Undo,
)
from treadle.errors import Mistake

COUNT = Scalar(("integer",), least=0)
UNBOUNDED = 1e300  # a range for outcomes without one
ALMOST_LATENCY = (
    r"(?!latency_(p\d{1,2}(\.\d+)?|mean)_ms$)(p[\d.]+_?)?latency(_(p[\d.]+|mean|avg|max))?(_(ms|s|seconds))?"
)
APPROVE = Field(Scalar(("string",), choices=("manual", "automatic")), "manual: a person must agree.", "manual")
SCALE = {
    "kind": Field(
        Scalar(("string",), choices=("bernoulli", "bounded", "continuous")),
        "What outcomes are; without it they lie in `range`, and that is 0 to 1.",
        "continuous",
    ),
    "range": Field(ListOf(NUMBER, 2), "The least and greatest outcome.", [0, 5]),
    "better": Field(Scalar(("string",), choices=("higher", "lower")), "Which outcomes are better.", "lower"),
}
ALPHA = Field(Scalar(("number",), least=1e-9, most=0.5), "The chance of a wrong decision.", 0.05)
METRIC = Field(TEXT, "The outcome that decides.", "trip_completed")
SUCCESS = {
    "metric": METRIC,
    "goal": Field(Scalar(("string",), choices=("superior", "non_inferior")), "What must be shown.", "superior"),
    "margin": Field(Scalar(("number",), least=0), "How much worse still counts as not inferior.", 0.005),
    "alpha": ALPHA,
    "maturity": Field(DURATION, "How long after its assignment a unit's outcome is final.", "2h"),
    "blocks": Field(DURATION, "Judge counts of windows of this length instead of single units.", "10m"),
    **SCALE,
}
SWITCHBACK = Map(
    {
        "by": Field(TEXT, "The column whose values are the clusters.", "zone", True),
        "window": Field(DURATION, "How long a cluster keeps its arm.", "30m", True),
        "burn_in": Field(DURATION, "Dropped at the start of each window.", "5m"),
    }
)
STEP = Map(
    {
        "enrol": Field(SHARE, "The share of units in the test; inside it the split is one half.", "10%", True),
        "hold": Field(DURATION, "How long the step lasts.", "2h"),
        "until": Field(Scalar(("string",), choices=("decided",)), "decided: until the evidence decides.", "decided"),
        "check": Field(ListOf(Scalar(("string",), choices=("guardrails",))), "What is watched.", ["guardrails"]),
        "approve": APPROVE,
    }
)
GUARDRAIL = Map(
    {
        "metric": Field(TEXT, "What must not get worse.", "error_rate", True),
        "max": Field(NUMBER, "Its greatest value in a window.", 0.01),
        "min": Field(NUMBER, "Its least value in a window.", 0.9),
        "max_ratio": Field(Scalar(("number",), least=0), "Its greatest ratio to the champion's.", 1.2),
        "harm": Field(Scalar(("number",), least=0), "Worse by more than this, by a sequential test.", 0.02),
        "alpha": ALPHA,
        "min_requests": Field(COUNT, "A window with fewer is not judged.", 500),
        "consecutive": Field(Scalar(("integer",), least=1), "How many windows in a row.", 2),
        **SCALE,
    }
)
SHADOW = Map(
    {
        "share": Field(SHARE, "The share of requests that is copied.", 1.0),
        "for": Field(DURATION, "How long.", "1h"),
        "max_error_rate": Field(SHARE, "The greatest share of failed requests.", 0.001),
        "max_disagreement": Field(MapOf(NUMBER), "The greatest difference between the models.", {"mae": 0.25}),
        "min_requests": Field(COUNT, "With fewer the shadow goes on.", 100),
    }
)
LIMITS = Map(
    {
        "min_duration": Field(DURATION, "No decision before.", "1d"),
        "max_duration": Field(DURATION, "No decision awaited after.", "14d"),
        "min_units": Field(COUNT, "No decision with fewer.", 1000),
        "max_units": Field(COUNT, "No decision awaited with more.", 200000),
    }
)
UNDO = Map(
    {
        "automatic": Field(BOOL, "false: pause and tell people instead.", True),
        "keep_warm": Field(DURATION, "How long the challenger stays loaded.", "24h"),
        "quarantine": Field(DURATION, "How long it may not be tried again unchanged.", "7d"),
    }
)
AFTER = Map(
    {
        "bake": Field(DURATION, "How long each share of the ramp holds.", "2h"),
        "holdback": Field(SHARE, "The share that keeps the old champion.", "2%"),
        "holdback_for": Field(DURATION, "How long.", "7d"),
    }
)
ROLLOUT = Map(
    {
        **SUCCESS,
        "success": Field(Map(SUCCESS), "The metric that decides and the goal.", {"metric": "trip_completed"}),
        "champion": Field(TEXT, "The alias that serves.", "champion"),
        "challenger": Field(TEXT, "The alias that is tried.", "challenger"),
        "unit": Field(
            OneOf(scalar=TEXT, map=Map({"switchback": Field(SWITCHBACK, "Cluster and window.", {"by": "zone"}, True)})),
            "What is randomised: a column, request, or a switchback.",
            "rider_id",
        ),
        "shadow": Field(SHADOW, "Answers copies of requests first.", {"for": "1h"}),
        "steps": Field(ListOf(STEP, 1), "The shares enrolled, one after the other.", [{"enrol": "2%", "hold": "30m"}]),
        "ramp": Field(ListOf(SHARE), "The challenger's shares after the decision.", ["75%", "100%"]),
        "guardrails": Field(ListOf(GUARDRAIL), "What must not get worse.", [{"metric": "error_rate", "max": 0.01}]),
        "limits": Field(LIMITS, "When to decide at the earliest and latest.", {"max_duration": "14d"}),
        "on_inconclusive": Field(
            Scalar(("string",), choices=("keep_champion", "promote", "extend")), "What then.", "keep_champion"
        ),
        "rollback": Field(UNDO, "What follows a rollback.", {"quarantine": "7d"}),
        "after": Field(AFTER, "What follows a decision.", {"bake": "2h"}),
        "target": Field(
            Scalar(("string",), choices=("local", "sagemaker", "kserve", "argo")), "Where traffic is moved.", "local"
        ),
        "approve": APPROVE,
    }
)


def mistakes(block: Any) -> list[Mistake]:
    """Everything that is wrong with a block, each with its place in it; [] when it can be resolved."""
    found = find(block, ROLLOUT, "rollout")
    return found or list(_meaning(block))


def resolve(block: dict[str, Any]) -> RolloutSpec:
    """The terms of a block without `problems`: durations in seconds, shares as numbers, defaults filled in."""
    unit = block.get("unit", "request")
    switchback = None
    if isinstance(unit, dict):
        given = unit["switchback"]
        switchback = Switchback(given["by"], _seconds(given["window"]), _seconds(given.get("burn_in", 0)))
    plain: dict[str, Any] = {key: block[key] for key in ("on_inconclusive", "target") if key in block}
    if "steps" in block:
        plain["steps"] = tuple(
            Enrolment(quantity.share(s["enrol"]), _seconds(s.get("hold", 0)), "until" in s, _manual(s))
            for s in block["steps"]
        )
    if "guardrails" in block:
        plain["guardrails"] = tuple(Guardrail(**_scale(guard)) for guard in block["guardrails"])
    if "ramp" in block:
        plain["ramp"] = tuple(quantity.share(share) for share in block["ramp"])
    return RolloutSpec(
        success=_success(block),
        unit="switchback" if switchback else unit,
        switchback=switchback,
        shadow=Shadow(**_times(block["shadow"], "share", "max_error_rate")) if "shadow" in block else None,
        limits=Limits(**_times(block.get("limits", {}))),
        rollback=Undo(**_times(block.get("rollback", {}))),
        after=After(**_times(block.get("after", {}), "holdback")),
        approve=_manual(block),
        **plain,
    )


def _meaning(block: dict[str, Any]) -> Iterator[Mistake]:
    """What each part allows and all together does not."""
    inside: Path = ("success",) if "success" in block else ()
    goal = {**{key: block[key] for key in SUCCESS if key in block}, **block.get("success", {})}
    if "metric" not in goal:
        yield Mistake(inside, "rollout names no metric", "metric: the outcome that decides")
    if goal.get("goal") == "non_inferior" and not goal.get("margin"):
        where = (*inside, "goal") if "goal" in block.get("success", {}) else ("goal",)
        yield Mistake(where, "the goal non_inferior needs a margin above 0", "margin: how much worse is still good")
    if "blocks" in goal:
        where = (*inside, "blocks") if "blocks" in block.get("success", {}) else ("blocks",)
        yield from _blocks(goal, where)
    guards = block.get("guardrails", ())
    for path, part in ((inside, goal), *((("guardrails", at), guard) for at, guard in enumerate(guards))):
        yield from _range(path, part)
    for at, guard in enumerate(guards):
        if not {"max", "min", "max_ratio", "harm"} & set(guard):
            yield Mistake(("guardrails", at), f"the guardrail {guard['metric']} needs max, min, max_ratio or harm")
        yield from _latency(guard["metric"], ("guardrails", at, "metric"))
        if "harm" in guard and {"max", "min", "max_ratio"} & set(guard):
            text = f"the guardrail {guard['metric']} has harm and a limit"
            yield Mistake(("guardrails", at), text, "write two guardrails")
    yield from _orders(block)
    yield from _roles(block)


def _blocks(goal: dict[str, Any], where: Path) -> Iterator[Mistake]:
    """Counts of windows say whether two rates differ, and nothing of margins or of what is no rate."""
    if not _seconds(goal["blocks"]):
        yield Mistake(where, "blocks of no length hold nothing", "give a length, such as 10m")
    elif goal.get("goal") == "non_inferior" or goal.get("margin"):
        yield Mistake(where, "blocks test for any difference, not for a margin", "leave `blocks` out")
    elif goal.get("kind", "bernoulli") != "bernoulli" or goal.get("range", [0, 1]) != [0, 1]:
        yield Mistake(where, "blocks count what did or did not happen", "kind: bernoulli, or leave `blocks` out")


def _latency(metric: str, where: Path) -> Iterator[Mistake]:
    """A latency by another name would be taken for an outcome, which never comes."""
    import re  # lazy: 3 ms that a run with nothing to do spares

    if re.fullmatch(ALMOST_LATENCY, metric):
        yield Mistake(where, f"'{metric}' is no latency that is measured", "latency_p99_ms, or latency_mean_ms")


def _range(path: Path, part: dict[str, Any]) -> Iterator[Mistake]:
    span = part.get("range")
    if span is not None and (len(span) != 2 or not span[0] < span[1]):
        text = f"range of {part.get('metric')} is {span}"
        yield Mistake((*path, "range"), text, "write the least and the greatest outcome")
    if part.get("kind") == "bounded" and span is None:
        yield Mistake((*path, "kind"), f"{part.get('metric')} is bounded and has no range", "such as range: [0, 5]")


def _orders(block: dict[str, Any]) -> Iterator[Mistake]:
    metrics = [(guard["metric"], "harm" in guard) for guard in block.get("guardrails", ())]
    for metric, harm in sorted({pair for pair in metrics if metrics.count(pair) > 1}):
        again = len(metrics) - 1 - metrics[::-1].index((metric, harm))
        text = f"two guardrails {'test' if harm else 'limit'} {metric}"
        yield Mistake(("guardrails", again), text, "join them")
    for name, shares in (
        ("steps", [step["enrol"] for step in block.get("steps", ())]),
        ("ramp", block.get("ramp", ())),
    ):
        found = [quantity.share(share) for share in shares]
        if found != sorted(set(found)) or 0.0 in found:
            yield Mistake((name,), f"the shares of {name} must grow, from above 0", "units never go back")
    for at, step in enumerate(block.get("steps", ())[:-1]):
        if "until" in step:
            yield Mistake(("steps", at, "until"), "only the last step may wait `until: decided`")
    made = Limits(**_times(block.get("limits", {})))
    if made.min_duration > made.max_duration or made.min_units > made.max_units:
        hint = "min_duration is 1d, max_duration 14d, min_units 1000 and max_units 200000 unless given"
        yield Mistake(("limits",), "limits: a least value is above its greatest", hint)


def _roles(block: dict[str, Any]) -> Iterator[Mistake]:
    """The two aliases may be written down, and have one name each: gates, monitors and servers know them by it."""
    for role in ("champion", "challenger"):
        given = block.get(role, role)
        if given.rpartition("@")[2] != role:
            hint = f"write {role}: {role}, or leave it out; models promote NAME VERSION moves the alias"
            yield Mistake((role,), f"the {role} of a rollout is always the alias '{role}'", hint)
    if block.get("target", "local") != "local":
        text = f"`treadle up` moves no traffic on {block['target']}"
        yield Mistake(("target",), text, "target: local, or leave it out")


def _success(block: dict[str, Any]) -> Success:
    goal = {**{key: block[key] for key in SUCCESS if key in block}, **block.get("success", {})}
    return Success(**_scale(goal))


def _scale(part: dict[str, Any]) -> dict[str, Any]:
    """`kind`, `range` and `better` as the fields of the types."""
    found = {key: value for key, value in part.items() if key not in SCALE}
    for key in ("maturity", "blocks"):
        if key in found:
            found[key] = _seconds(found[key])
    continuous = part.get("kind") == "continuous"
    low, high = part.get("range", (-UNBOUNDED, UNBOUNDED) if continuous else (0.0, 1.0))
    better = part.get("better", "higher") == "higher"
    return {**found, "low": low, "high": high, "continuous": continuous, "higher_is_better": better}


def _times(part: dict[str, Any], *shares: str) -> dict[str, Any]:
    """Shares as numbers and durations as seconds; `for` is a word of Python."""
    found: dict[str, Any] = {}
    for key, value in part.items():
        if key in shares:
            found[key] = quantity.share(value)
        elif key in ("for", "min_duration", "max_duration", "keep_warm", "quarantine", "bake", "holdback_for"):
            found["seconds" if key == "for" else key] = _seconds(value)
        else:
            found[key] = value
    return found


def _manual(part: dict[str, Any]) -> bool:
    return part.get("approve") == "manual"


def _seconds(value: Any) -> float:
    return quantity.duration(value)
