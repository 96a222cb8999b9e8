"""The state machine: pending → shadow → step → deciding → ramp → baked → done, or out by another door.

begin      a new rollout, or the reason why there cannot be one
advance    (rollout, evidence, now) → (rollout, actions)
├── absorb.absorb        evidence into sums
├── verdict.safety       what may end it at any time
└── _by_phase            what time and success allow
traffic    the shares that a state asks for
"""

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct, structs

from treadle.domain.rollout import (
    ENDED,
    Action,
    Alert,
    AskApproval,
    Evidence,
    Journal,
    Promote,
    Quarantine,
    Restore,
    Rollout,
    RolloutSpec,
    RolloutState,
    SetTraffic,
    ShadowSeen,
)
from treadle.rollout import verdict
from treadle.rollout.absorb import absorb
from treadle.rollout.verdict import GO, Verdict

RULE = "rollout/2"  # goes into every journal entry; a change of what is decided changes it
Turn = tuple[RolloutState, tuple[Action, ...]]


class Refusal(Struct, frozen=True):
    """Why a rollout cannot begin."""

    reason: str


def begin(new: Rollout, others: Iterable[Rollout], quarantined: Sequence[Quarantine], now: float) -> Rollout | Refusal:
    """The rollout at its start, or why not: one at a time for a model, and none of a version in quarantine."""
    for other in others:
        if other.model == new.model and other.active:
            return Refusal(f"rollout {other.rollout_id} of {other.model} is still going on")
    if new.champion == new.challenger:
        return Refusal(f"version {new.challenger} is the champion already")
    for entry in quarantined:
        same = entry.version == new.challenger or entry.digest == new.challenger_digest
        if same and now < entry.until:
            return Refusal(f"version {new.challenger} was rolled back and is in quarantine")
    return structs.replace(new, state=RolloutState(started=now, since=now, clock=now))


def advance(rollout: Rollout, evidence: Evidence, now: float) -> tuple[Rollout, tuple[Action, ...]]:
    """The rollout after this evidence, and what is to be done; the first action is the record of the evaluation.

    O(1) per unit. A rollout that has ended does nothing any more. Store the new rollout together with its record
    before acting; `traffic` says at any time what the arms should get.
    """
    if not rollout.active:
        return rollout, ()
    spec, before = rollout.spec, rollout.state
    state = _commands(absorb(spec, before, evidence, now), evidence.commands)
    judged = _judge(spec, state, evidence)
    state, actions = _apply(rollout, state, judged)
    moved = structs.replace(rollout, state=state)
    if traffic(moved) != traffic(rollout):
        actions = (traffic(moved), *actions)
    return moved, (_journal(moved, before, evidence, judged), *actions)


def traffic(rollout: Rollout) -> SetTraffic:
    """The shares that this state asks for: what servers follow."""
    spec, state = rollout.spec, rollout.state
    if state.phase == "shadow" and spec.shadow is not None:
        return SetTraffic(0.0, 0.0, spec.shadow.share)
    if state.phase in verdict.TESTING and spec.steps:
        return SetTraffic(spec.steps[state.index].enrol, 0.5)
    if state.phase == "ramp":
        return SetTraffic(1.0, spec.ramp[state.index])
    if state.phase == "baked":
        return SetTraffic(1.0, 1.0 - spec.after.holdback)
    if state.phase == "done":
        return SetTraffic(1.0, 1.0)
    return SetTraffic(0.0, 0.0)


def _commands(state: RolloutState, commands: Sequence[str]) -> RolloutState:
    for command in commands:
        if command in ("pause", "resume"):
            state = structs.replace(state, paused=command == "pause")
        elif command == "approve" and state.asked:
            state = structs.replace(state, approved=(*state.approved, state.asked), asked="")
    return state


def _judge(spec: RolloutSpec, state: RolloutState, evidence: Evidence) -> Verdict:
    if "abort" in evidence.commands:
        return Verdict("rollback", "aborted by hand")
    found = verdict.safety(spec, state)
    if found.kind == "rollback" and not spec.rollback.automatic:
        found = Verdict("pause", found.reason)
    if found.kind not in ("go", "pause"):
        return found
    ended = _overdue(spec, state, blocked=state.paused or bool(evidence.broken))
    if ended is not GO:
        return ended
    if found.kind == "pause":
        return found if not state.paused else Verdict("hold", found.reason)
    if evidence.broken:
        return Verdict("hold", f"data quality: {evidence.broken}")
    if state.paused:
        return Verdict("hold", "paused by hand")
    return _by_phase(spec, state, evidence)


def _overdue(spec: RolloutSpec, state: RolloutState, blocked: bool) -> Verdict:
    """What ends a rollout that nothing else ends: labels never come, traffic stops, nobody approves or resumes."""
    if state.phase == "ramp":
        late = state.clock - state.since >= spec.after.bake + spec.limits.max_duration
        return Verdict("expired", "the ramp saw no traffic to judge by") if late else GO
    if state.phase == "baked":
        late = state.clock - state.since >= spec.after.holdback_for + spec.limits.max_duration
        return Verdict("finish", "the champion was held back for longer than asked") if late else GO
    if state.phase == "deciding" and not blocked and not state.asked:
        return GO  # here `verdict.success` sees to it
    passed = state.clock - (state.started if state.opened is None else state.opened)
    late = passed >= (2 if state.extended else 1) * spec.limits.max_duration
    return Verdict("expired", "the longest duration passed before it could decide") if late else GO


def _by_phase(spec: RolloutSpec, state: RolloutState, evidence: Evidence) -> Verdict:
    held = state.clock - state.since
    if state.phase == "pending":
        return Verdict("next", "begins")
    if state.phase == "shadow":
        return _shadow(spec, evidence.shadow, held)
    if state.phase == "step":
        step = spec.steps[state.index]
        if held < step.hold:
            return Verdict("hold", "the step holds")
        return _alive(spec, state, "step")
    if state.phase == "deciding":
        found = verdict.success(spec, state)
        return Verdict("hold", "more evidence is needed") if found is GO else found
    if state.phase == "ramp":
        return Verdict("hold", "the ramp bakes") if held < spec.after.bake else _alive(spec, state, "ramp")
    if held < spec.after.holdback_for and spec.after.holdback > 0:
        return Verdict("hold", "the champion is held back")
    return Verdict("finish", "nothing went wrong while the champion was held back")


def _shadow(spec: RolloutSpec, seen: ShadowSeen | None, held: float) -> Verdict:
    terms = spec.shadow
    assert terms is not None
    if seen is None or seen.requests < terms.min_requests:
        return Verdict("hold", "the shadow has seen too few requests")
    if seen.errors / seen.requests > terms.max_error_rate:
        return Verdict("rollback", f"{seen.errors:,} of {seen.requests:,} requests failed in the shadow")
    for metric, limit in terms.max_disagreement.items():
        value = seen.disagreement.get(metric)
        if value is None or not value <= limit:
            if value is None or value != value:
                return Verdict("hold", f"the shadow has no figure for {metric}")
            return Verdict("rollback", f"{metric} between the models is {value:g} in the shadow, above {limit:g}")
    return Verdict("next", "the shadow agrees") if held >= terms.seconds else Verdict("hold", "the shadow holds")


def _alive(spec: RolloutSpec, state: RolloutState, what: str) -> Verdict:
    """Missing data is never success: the challenger must have had units, each limit a window full enough to judge."""
    alone = state.phase == "ramp" and spec.ramp[state.index] >= 1  # nobody is left to compare with
    due = [g for g in spec.guardrails if g.harm is None and not (alone and g.max_ratio is not None)]
    unseen = [g.metric for g in due if g.metric not in state.watched]
    if unseen:
        return Verdict("hold", f"this {what} has seen too few requests to judge {unseen[0]}")
    if what == "step" and state.assigned[1] <= state.assigned_before:
        return Verdict("hold", "the challenger has had no units in this step")
    return Verdict("next", f"the {what} held")


def _apply(rollout: Rollout, state: RolloutState, found: Verdict) -> Turn:
    spec = rollout.spec
    if found.kind == "hold":
        return structs.replace(state, reason=found.reason), ()
    if found.kind == "pause":
        held = structs.replace(state, paused=True, reason=found.reason)
        return held, (Alert(f"{found.reason}; paused, since rollback.automatic is false"),)
    if found.kind == "next":
        return _enter(rollout, state, found.reason)
    if found.kind == "succeed":
        return _to_ramp(rollout, state, found.reason)
    if found.kind == "finish":
        return _end(state, "done", found.reason), ()
    if found.kind == "inconclusive":
        return _inconclusive(rollout, state, found.reason)
    if found.kind in ("invalid", "expired"):
        return _leave(rollout, state, "invalid" if found.kind == "invalid" else "inconclusive", found.reason, ())
    until = state.clock + spec.rollback.quarantine
    warm = state.clock + spec.rollback.keep_warm
    shut = Quarantine(rollout.challenger, rollout.challenger_digest, until, warm)
    return _leave(rollout, state, "rolled_back", found.reason, (shut,))


def _leave(rollout: Rollout, state: RolloutState, phase: str, reason: str, more: tuple[Action, ...]) -> Turn:
    """End without the challenger; one that was promoted already gives its place back."""
    back: tuple[Action, ...] = (Restore(rollout.champion, reason),) if state.promoted else ()
    return structs.replace(_end(state, phase, reason), promoted=False), (*back, *more, Alert(f"{phase}: {reason}"))


def _inconclusive(rollout: Rollout, state: RolloutState, reason: str) -> Turn:
    choice = rollout.spec.on_inconclusive
    if choice == "extend" and not state.extended:
        return structs.replace(state, extended=True, reason=f"{reason}; extended once"), (Alert(f"extended: {reason}"),)
    if choice == "promote":
        return _to_ramp(rollout, state, f"{reason}; promoted, as on_inconclusive says")
    return _leave(rollout, state, "inconclusive", reason, ())


def _enter(rollout: Rollout, state: RolloutState, reason: str) -> Turn:
    """The next phase or step, or a wait for approval before it."""
    spec = rollout.spec
    if state.phase == "pending" and spec.shadow is not None:
        return _move(state, "shadow", 0, reason), ()
    if state.phase == "ramp":
        if state.index + 1 < len(spec.ramp):
            return _move(state, "ramp", state.index + 1, reason), ()
        return _promote(rollout, state, reason)
    index = state.index + 1 if state.phase == "step" else 0
    if index >= len(spec.steps):
        return _move(state, "deciding", len(spec.steps) - 1, reason), ()
    if spec.steps[index].approve and f"step {index}" not in state.approved:
        return _ask(state, f"step {index}")
    opened = state.clock if state.opened is None else state.opened
    phase = "deciding" if spec.steps[index].until_decided else "step"
    return structs.replace(_move(state, phase, index, reason), opened=opened), ()


def _to_ramp(rollout: Rollout, state: RolloutState, reason: str) -> Turn:
    if rollout.spec.approve and "promote" not in state.approved:
        return _ask(state, "promote")
    if rollout.spec.ramp:
        return _move(state, "ramp", 0, reason), ()
    return _promote(rollout, state, reason)


def _promote(rollout: Rollout, state: RolloutState, reason: str) -> Turn:
    moved = structs.replace(_move(state, "baked", 0, reason), promoted=True)
    return moved, (Promote(rollout.challenger, reason),)


def _ask(state: RolloutState, gate: str) -> Turn:
    waiting = structs.replace(state, asked=gate, reason=f"waits for approval of {gate}")
    return waiting, () if state.asked == gate else (AskApproval(gate),)


def _move(state: RolloutState, phase: str, index: int, reason: str) -> RolloutState:
    return structs.replace(
        state,
        phase=phase,
        index=index,
        since=state.clock,
        assigned_before=state.assigned[1],
        watched=(),
        strikes={},
        reason=reason,
    )


def _end(state: RolloutState, phase: str, reason: str) -> RolloutState:
    assert phase in ENDED
    return structs.replace(state, phase=phase, index=0, since=state.clock, asked="", reason=reason)


def _journal(rollout: Rollout, before: RolloutState, evidence: Evidence, found: Verdict) -> Journal:
    state = rollout.state
    inputs: dict[str, Any] = {
        "units": len(evidence.units),
        "cursor": [before.cursor, state.cursor],
        "windows": [[w.metric, w.end, w.champion.value, w.challenger.value] for w in evidence.windows],
        "commands": list(evidence.commands),
        "broken": evidence.broken,
    }
    if evidence.shadow is not None:
        inputs["shadow"] = structs.asdict(evidence.shadow)
    return Journal(
        rollout_id=rollout.rollout_id,
        at=state.clock,
        rule=RULE,
        before=_name(before),
        after=_name(state),
        decision=f"{found.kind}: {found.reason}",
        inputs=inputs,
        figures=verdict.figures(rollout.spec, state),
    )


def _name(state: RolloutState) -> str:
    return f"{state.phase}[{state.index}]" if state.phase in ("step", "ramp") else state.phase
