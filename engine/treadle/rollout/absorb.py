"""Evidence into sums: each unit once, mature, in the order of assignment; each guardrail window once."""

from collections.abc import Iterable
from math import isfinite
from operator import attrgetter

from msgspec import structs

from treadle.domain.rollout import Evidence, Guardrail, GuardWindow, RolloutSpec, RolloutState, Success, Trial, Unit
from treadle.rollout import betting, blocks, switchback
from treadle.rollout.betting import Null, Outcome

PRIMARY = "(primary)"  # among the names of guardrails
ORDER = attrgetter("order")
SUPERIOR, NON_INFERIOR, HARM = "superior", "non_inferior", "harm"


def absorb(spec: RolloutSpec, state: RolloutState, evidence: Evidence, now: float) -> RolloutState:
    """The state with everything new counted once; the clock never runs back, repeated evidence changes nothing."""
    state = structs.replace(state, clock=max(state.clock, now))
    if evidence.assigned is not None and sum(evidence.assigned) >= sum(state.assigned):
        state = structs.replace(state, assigned=evidence.assigned)
    state = _units(spec, state, evidence.units)
    for window in sorted(evidence.windows, key=lambda one: one.end):
        state = _window(spec, state, window)
    return state


def nulls(terms: Success) -> dict[str, Null]:
    """The hypotheses to bet against: Δ ≤ 0, Δ ≤ −margin, and Δ ≥ −margin for harm; none where blocks are counted."""
    if terms.blocks:
        return {}
    margin = terms.margin / (terms.high - terms.low)
    found = {SUPERIOR: (1, 0.0), HARM: (-1, -margin)}
    return {**found, NON_INFERIOR: (1, -margin)} if terms.goal == NON_INFERIOR else found


def harm_null(guard: Guardrail) -> dict[str, Null]:
    """H0: the challenger is worse by no more than `harm`."""
    assert guard.harm is not None
    return {HARM: (-1, -guard.harm / (guard.high - guard.low))}


def _units(spec: RolloutSpec, state: RolloutState, units: Iterable[Unit]) -> RolloutState:
    fresh: list[Unit] = []
    cursor, repeated = state.cursor, state.repeated
    maturity, clock = spec.success.maturity, state.clock
    for unit in sorted(units, key=ORDER):
        if unit.order <= cursor:
            repeated += 1
        elif unit.assigned + maturity > clock:
            break  # judging those behind it first would favour outcomes that come fast
        else:
            fresh.append(unit)
            cursor = unit.order
    missing = [unit.arm for unit in fresh if unit.outcome is None]
    lost = (state.unlabelled[0] + missing.count(0), state.unlabelled[1] + missing.count(1))
    state = structs.replace(state, cursor=cursor, repeated=repeated, unlabelled=lost)
    randomised = [unit for unit in fresh if 0.0 < unit.propensity < 1.0]
    primary = [(unit, unit.outcome) for unit in randomised if unit.outcome is not None]
    state = _judge(state, PRIMARY, spec.success, nulls(spec.success), primary)
    if not state.unfit:
        state = _beside(spec, state, primary)
    for guard in spec.guardrails:
        if guard.harm is not None:
            seen = [(unit, unit.guards[guard.metric]) for unit in randomised if guard.metric in unit.guards]
            state = _judge(state, guard.metric, guard, harm_null(guard), seen)
    return state


def _beside(spec: RolloutSpec, state: RolloutState, seen: list[tuple[Unit, float]]) -> RolloutState:
    """What is counted beside the sums: blocks, and how windows of a switchback resemble each other."""
    terms = spec.success
    if terms.blocks:
        scaled = zip(seen, _scaled(seen, terms), strict=True)
        placed = ((unit.assigned, arm, outcome) for (unit, _), (arm, _, outcome) in scaled)
        trial = state.trials[PRIMARY]
        trial = structs.replace(trial, blocks=blocks.take(trial.blocks, terms.blocks, placed))
        state = structs.replace(state, trials={**state.trials, PRIMARY: trial})
    if spec.switchback is not None:
        state = structs.replace(state, echo=switchback.follow(state.echo, seen, spec.switchback))
    return state


def _judge(
    state: RolloutState,
    name: str,
    terms: Success | Guardrail,
    against: dict[str, Null],
    seen: list[tuple[Unit, float]],
) -> RolloutState:
    low, high = terms.low, terms.high
    wrong = [value for _, value in seen if not (isfinite(value) if terms.continuous else low <= value <= high)]
    if wrong:
        text = f"{terms.metric} of a unit is {wrong[0]:g}, outside [{terms.low:g}, {terms.high:g}]"
        return structs.replace(state, unfit=f"{text}: declare its `range`, or `kind: continuous`")
    outcomes = _scaled(seen, terms)
    trial = betting.judge(state.trials.get(name, Trial()), against, outcomes, bounded=not terms.continuous)
    return structs.replace(state, trials={**state.trials, name: trial})


def _scaled(seen: Iterable[tuple[Unit, float]], terms: Success | Guardrail) -> list[Outcome]:
    """Outcomes on the scale of the test: [low, high] becomes [0, 1], continuous ones are clipped; more is better."""
    low, high, width = terms.low, terms.high, terms.high - terms.low
    if terms.continuous:
        sign = 1 if terms.higher_is_better else -1
        return [(unit.arm, unit.propensity, sign * min(max(value, low), high)) for unit, value in seen]
    if terms.higher_is_better:
        return [(unit.arm, unit.propensity, (value - low) / width) for unit, value in seen]
    return [(unit.arm, unit.propensity, 1.0 - (value - low) / width) for unit, value in seen]


def _window(spec: RolloutSpec, state: RolloutState, window: GuardWindow) -> RolloutState:
    """Strikes of one window; one that is too thin, or without a figure, is no success and no failure."""
    for guard in spec.guardrails:
        name = guard.metric
        if name != window.metric or guard.harm is not None or window.end <= state.judged.get(name, float("-inf")):
            continue
        breach = breached(guard, window)
        if breach is None:
            continue
        strikes = state.strikes.get(name, 0) + 1 if breach else 0
        state = structs.replace(
            state,
            strikes={**state.strikes, name: strikes},
            judged={**state.judged, name: window.end},
            watched=tuple(sorted({*state.watched, name})),
        )
    return state


def breached(guard: Guardrail, window: GuardWindow) -> bool | None:
    """Whether a limit is passed in this window; None when it holds too little to say."""
    now, before = window.challenger, window.champion
    if now.requests < guard.min_requests or not isfinite(now.value):
        return None
    if guard.max_ratio is not None and (before.requests < guard.min_requests or not isfinite(before.value)):
        return None
    return bool(
        (guard.max is not None and now.value > guard.max)
        or (guard.min is not None and now.value < guard.min)
        or (guard.max_ratio is not None and now.value > guard.max_ratio * before.value)
    )
