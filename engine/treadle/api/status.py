"""What serves, what is tried, what drifted, what happens next: from the store, and asked of the server."""

import math
import os
import time
from collections.abc import Mapping
from typing import Any

from msgspec import DecodeError, Struct, json

from treadle.api.project import Project, open_project
from treadle.domain.loop import Beat, Desk, KeptRollout
from treadle.domain.model import CHALLENGER, CHAMPION
from treadle.domain.rollout import Rollout
from treadle.domain.serving import Traffic
from treadle.errors import CodecError, StoreError
from treadle.rollout import machine, switchback
from treadle.rollout.planning import rate_units
from treadle.rollout.verdict import DIFFERENT
from treadle.store.process import Process, alive

TOP = 5  # columns named
PATIENCE = 1.0  # seconds for the server to answer
COUNTERS = ("log_written_total", "log_dropped_total", "shadow_dropped_total", "requests_total", "workers")


class Need(Struct, frozen=True, kw_only=True):
    """What a decision still needs: the strength of the evidence, and how many units it may take, at today's pace."""

    metric: str
    units: tuple[int, int]
    unlabelled: tuple[int, int]
    log_e: dict[str, float]
    needed: float
    effect: float | None
    interval: list[float] | None
    least_units: int
    more_units: int | None
    warnings: tuple[str, ...] = ()


class ModelState(Struct, frozen=True, kw_only=True):
    """One model: who serves, with which share, and its rollout, or the last one."""

    name: str
    champion: int | None
    challenger: int | None
    versions: int
    shares: dict[str, float]  # of all units, by version
    traffic: Traffic | None
    rollout: Rollout | None
    active: bool
    decision: str
    need: Need | None
    quarantined: dict[int, str]


class TriggerState(Struct, frozen=True, kw_only=True):
    """One trigger: when it last fired, what was last said of it, and when it is due."""

    name: str
    fired: float | None
    runs: int
    said: str
    due: float | None


class MonitorState(Struct, frozen=True, kw_only=True):
    """One monitor step: its figures, why it failed if it did, and the columns with the greatest PSI."""

    step: str
    metrics: dict[str, float]
    failed: str
    top: tuple[tuple[str, float], ...]
    reason: str


class PipelineState(Struct, frozen=True, kw_only=True):
    """One pipeline that is, or was, up."""

    pipeline: str
    up: bool | None  # None: on another host, nobody here can tell
    beat: Beat
    server: dict[str, Any]  # ready, and counters; empty when it does not answer
    run: str  # that goes on, "" for none
    last_run: dict[str, Any]
    looked_at: float
    monitors: tuple[MonitorState, ...]
    triggers: tuple[TriggerState, ...]
    next: tuple[str, ...]


class Status(Struct, frozen=True, kw_only=True):
    """All of a project's loop at a moment."""

    at: float
    models: tuple[ModelState, ...]
    pipelines: tuple[PipelineState, ...]
    alerts: tuple[str, ...]


def status(path: str | os.PathLike[str] = ".") -> Status:
    """The state of the loop in the project that contains `path`."""
    project, now = open_project(path), time.time()
    store = project.store
    alerts = store.ledger.entries("rollout.alert", limit=3) + store.ledger.entries("rollout.ask-approval", limit=1)
    return Status(
        at=now,
        models=tuple(_model(project, name, now) for name in store.models.names()),
        pipelines=tuple(_pipeline(project, name, beat, now) for name, beat in store.desks.beats().items()),
        alerts=tuple(
            f"{time.strftime('%H:%M:%S', time.localtime(one.at))} {one.subject}: "
            f"{one.evidence.get('text') or 'waits for approval of ' + str(one.evidence.get('gate'))}"
            for one in alerts
            if now - one.at < 86400
        ),
    )


def _model(project: Project, name: str, now: float) -> ModelState:
    store = project.store
    aliases, traffic = store.models.aliases(name), store.traffic.get(name)
    active = store.rollouts.active(name)
    kept = active or next(iter(store.rollouts.of(name, 1)), None)
    champion = aliases.get(CHAMPION)
    return ModelState(
        name=name,
        champion=champion,
        challenger=aliases.get(CHALLENGER),
        versions=len(store.models.versions(name)),
        shares=_shares(active, champion),
        traffic=traffic,
        rollout=kept.rollout if kept is not None else None,
        active=active is not None,
        decision=kept.decision if kept is not None else "",
        need=_need(active) if active is not None else None,
        quarantined={number: entry.reason for number, entry in store.models.quarantined(name, now).items()},
    )


def _shares(active: KeptRollout | None, champion: int | None) -> dict[str, float]:
    if active is None:
        return {str(champion): 1.0} if champion is not None else {}
    shares = machine.traffic(active.rollout)
    part = shares.coverage * shares.split
    found = {str(active.rollout.champion): 1.0 - part, str(active.rollout.challenger): part}
    return {version: share for version, share in found.items() if share > 0}


def _need(kept: KeptRollout) -> Need | None:
    """How far the evidence on the deciding metric has come; log E grows about in proportion to the units."""
    spec, found = kept.rollout.spec, kept.figures.get("metrics", {}).get(kept.rollout.spec.success.metric)
    unlabelled = kept.rollout.state.unlabelled
    if found is None:
        found = {"units": [0, 0], "log_e_best": {}, "needed": math.log(1 / spec.success.alpha), "effect": None}
    units = tuple(found["units"])
    goal = DIFFERENT if spec.success.blocks else spec.success.goal
    strength = found["log_e_best"].get(goal, 0.0)
    more = None
    if strength >= found["needed"]:
        more = max(0, spec.limits.min_units - sum(units))
    elif strength > 0.5:
        more = int(sum(units) * (found["needed"] - strength) / strength)
    elif sum(units) >= 100 and found["effect"] and not spec.success.continuous:
        sums = kept.rollout.state.trials["(primary)"].sums
        rate = min(max(sums.sum_y / max(sums.n, 1), 0.01), 0.99)
        effect = abs(found["effect"]) / (spec.success.high - spec.success.low)
        more = max(0, rate_units(rate, min(effect, 0.99 - rate) or effect) - sum(units))
    return Need(
        metric=spec.success.metric,
        units=(units[0], units[1]),
        unlabelled=unlabelled,
        log_e=found["log_e_best"],
        needed=found["needed"],
        effect=found["effect"],
        interval=found.get("interval"),
        least_units=spec.limits.min_units,
        more_units=None if more is None else min(more, max(0, spec.limits.max_units - sum(units))),
        warnings=tuple(switchback.warnings(spec, kept.rollout.state)),
    )


def _pipeline(project: Project, name: str, beat: Beat, now: float) -> PipelineState:
    desk = project.store.desks.get(name)
    up = alive(Process(beat.host, beat.boot, beat.pid, beat.began))
    flight = desk.book.flight
    return PipelineState(
        pipeline=name,
        up=up,
        beat=beat,
        server=_ask(beat.server) if beat.server and up is not False else {},
        run=flight.run_id if flight is not None else "",
        last_run=desk.last,
        looked_at=desk.watched.at,
        monitors=tuple(_monitors(project, desk)),
        triggers=tuple(_triggers(desk)),
        next=tuple(_next(project, desk, now)),
    )


def _triggers(desk: Desk) -> list[TriggerState]:
    found = []
    for name, memory in desk.book.rules.items():
        said = memory.said
        if desk.book.flight is not None and name in desk.book.flight.triggers:
            said = "its run goes on"
        elif name in desk.book.queued:
            said = "shares the run after this one"
        fired = memory.fired[-1] if memory.fired else None
        due = memory.due or None
        found.append(TriggerState(name=name, fired=fired, runs=len(memory.fired), said=said, due=due))
    return found


def _monitors(project: Project, desk: Desk) -> list[MonitorState]:
    seen = desk.watched
    run = project.store.history.get(seen.run_id) if seen.run_id else None
    found = []
    for step in sorted({*seen.metrics, *seen.failed}):
        record = run.steps.get(step) if run is not None else None
        report = _report(project, record.outputs if record is not None else {})
        columns = report.get("columns", {}) if isinstance(report.get("columns"), dict) else {}
        top = sorted(((name, float(one.get("psi", 0.0))) for name, one in columns.items()), key=lambda one: -one[1])
        reason = report.get("alarm", {}).get("reason", "") if isinstance(report.get("alarm"), dict) else ""
        reason = reason or str(report.get("reason", "")) or "; ".join(f["text"] for f in report.get("failures", []))
        found.append(
            MonitorState(
                step=step,
                metrics=seen.metrics.get(step, {}),
                failed=seen.failed.get(step, ""),
                top=tuple(top[:TOP]),
                reason=reason,
            )
        )
    return found


def _report(project: Project, outputs: Mapping[str, Any]) -> dict[str, Any]:
    """The report of a monitor step, {} when it is gone or of another kind."""
    artifact = outputs.get("report")
    if artifact is None or artifact.codec != "json":
        return {}
    try:
        found = json.decode(project.store.objects.read(artifact))
    except (StoreError, CodecError, DecodeError, OSError):
        return {}
    return found if isinstance(found, dict) else {}


def _next(project: Project, desk: Desk, now: float) -> list[str]:
    """Scheduled acts, the soonest first."""
    acts: list[tuple[float, str]] = []
    for name, memory in desk.book.rules.items():
        if memory.due:
            acts.append((memory.due, f"trigger {name}"))
    for name in project.store.rollouts.models():
        kept = project.store.rollouts.active(name)
        if kept is None:
            continue
        spec, state = kept.rollout.spec, kept.rollout.state
        if state.phase == "step":
            acts.append((state.since + spec.steps[state.index].hold, f"{name}: the step may end"))
        elif state.phase == "shadow" and spec.shadow is not None:
            acts.append((state.since + spec.shadow.seconds, f"{name}: the shadow may end"))
        elif state.phase == "deciding":
            opened = state.started if state.opened is None else state.opened
            if now < opened + spec.limits.min_duration:
                acts.append((opened + spec.limits.min_duration, f"{name}: may decide"))
            acts.append((opened + spec.limits.max_duration, f"{name}: decides at the latest"))
        elif state.phase == "ramp":
            acts.append((state.since + spec.after.bake, f"{name}: the ramp may go on"))
        elif state.phase == "baked":
            acts.append((state.since + spec.after.holdback_for, f"{name}: the holdback ends"))
    ahead = sorted(act for act in acts if act[0] >= now)
    return [f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(at))} {text}" for at, text in ahead]


def _ask(url: str) -> dict[str, Any]:
    """Whether the server is ready, and its counters; {} when it does not answer."""
    from urllib.error import URLError  # lazy: 20 ms that only a server's answer needs
    from urllib.request import urlopen  # lazy: likewise

    found: dict[str, Any] = {}
    try:
        with urlopen(f"{url}/metrics", timeout=PATIENCE) as answer:
            text = answer.read(1 << 20).decode()
        for line in text.splitlines():
            name, _, value = line.rpartition(" ")
            key = name.partition("{")[0].removeprefix("treadle_")
            if key in COUNTERS and not line.startswith("#"):
                found[key] = found.get(key, 0.0) + float(value)
        found["ready"] = _ready(url)
    except (URLError, OSError, ValueError):
        return {}
    return found


def _ready(url: str) -> bool:
    from urllib.error import URLError  # lazy: 20 ms that only a server's answer needs
    from urllib.request import urlopen  # lazy: likewise

    try:
        with urlopen(f"{url}/v2/health/ready", timeout=PATIENCE) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False
