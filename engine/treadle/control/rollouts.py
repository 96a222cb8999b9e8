"""Rollouts in the store: begun when a challenger waits, moved on by evidence, ended when a person steps in.

Each change is one transaction: the entries of the ledger, the state of the rollout, the traffic row, the aliases and
the quarantine become durable together or not at all. A controller that is killed leaves nothing half done, and the
next one goes on from the state that it finds.
"""

import time
from typing import Any

from msgspec import structs

from treadle.document.rollout import mistakes, resolve
from treadle.domain import model as registry
from treadle.domain.loop import KeptRollout
from treadle.domain.model import CHALLENGER, CHAMPION, ModelVersion
from treadle.domain.rollout import (
    Action,
    Evidence,
    Journal,
    Promote,
    Quarantine,
    Restore,
    Rollout,
    RolloutState,
    SetTraffic,
)
from treadle.domain.serving import Switchback, Traffic
from treadle.rollout import machine, record
from treadle.store import Move, Store

NOTE_EVERY = 300.0  # seconds between entries of evaluations that say nothing new: their sums are in the next one
ACTOR = "rollout"


def begin(store: Store, name: str, floor: float, now: float) -> KeptRollout | None:
    """Begin the rollout of the version that waits as challenger, if one waits and may; `floor` as in KeptRollout.

    One that may not is refused in the ledger, once for each move of the alias.
    """
    with store.database.transaction():
        version = waiting(store, name)
        if version is None:
            return None
        new = _new(store, version, now)
        entries = store.models.quarantined(name, now)
        barred = [_barred(store, entry) for entry in entries.values()]
        others = [kept.rollout for kept in store.rollouts.of(name)]
        begun = machine.begin(new, others, barred, now)
        if reason := _incompatible(store.models.get(name, new.champion), version):
            begun = machine.Refusal(reason)
        if isinstance(begun, machine.Refusal):
            _note(store, "rollout.refuse", name, version.version, {"reason": begun.reason}, now)
            return None
        kept = KeptRollout(rollout=begun, floor=floor)
        evidence = {"rollout": begun.rollout_id, "champion": begun.champion, "terms": structs.asdict(begun.spec)}
        evidence["reason"] = f"version {begun.challenger} waits as challenger of version {begun.champion}"
        _note(store, "rollout.begin", name, version.version, evidence, now)
        store.rollouts.put(kept)
        return kept


def waiting(store: Store, name: str) -> ModelVersion | None:
    """The challenger that no rollout has tried since it was named so; None while one goes on, or without terms."""
    if store.rollouts.active(name) is not None:
        return None
    aliases = store.models.aliases(name)
    number, champion = aliases.get(CHALLENGER), aliases.get(CHAMPION)
    if number is None or champion is None or number == champion:
        return None
    moves = store.models.events(name, CHALLENGER)
    named = moves[-1].at if moves else 0.0
    tried = any(k.rollout.challenger == number and k.rollout.state.started >= named for k in store.rollouts.of(name))
    refused = store.ledger.entries("rollout.refuse", f"{name}/{number}", 1)
    if tried or (refused and refused[-1].at >= named):
        return None
    version = store.models.get(name, number)
    terms = version.card.get("rollout") if version is not None else None
    return version if terms and not mistakes(terms) else None


def turn(store: Store, kept: KeptRollout, evidence: Evidence, now: float) -> KeptRollout:
    """Move a rollout on by what is new; returns it as it is now, moved by whomever."""
    with store.database.transaction():
        current = store.rollouts.active(kept.rollout.model)
        if current is None or current.rollout.rollout_id != kept.rollout.rollout_id:
            return _ended(store, kept)
        stopped = _overruled(store, current.rollout, now)
        if stopped:
            return _step_aside(store, current, stopped, "treadle", now)
        return _advance(store, current, evidence, now)


def command(store: Store, name: str, word: str, now: float) -> KeptRollout | None:
    """Approve, pause, resume or abort by hand, at once, whether or not a controller runs; None without a rollout."""
    with store.database.transaction():
        current = store.rollouts.active(name)
        if current is None:
            return None
        return _advance(store, current, Evidence(commands=(word,)), now, actor="user")


def step_aside(store: Store, name: str, reason: str, now: float) -> KeptRollout | None:
    """End the rollout of a model because a person moved its alias; part of the caller's transaction."""
    current = store.rollouts.active(name)
    return None if current is None else _step_aside(store, current, reason, "user", now)


def _advance(store: Store, current: KeptRollout, evidence: Evidence, now: float, actor: str = "treadle") -> KeptRollout:
    before = current.rollout
    moved, actions = machine.advance(before, evidence, now)
    journal, *rest = actions
    assert isinstance(journal, Journal)
    noted = rest or evidence.commands or journal.decision != current.decision or journal.before != journal.after
    if not noted and now - current.noted < NOTE_EVERY:
        if moved == before or _only_clock(before, moved):
            return current  # nothing new: nothing is written
        kept = structs.replace(current, rollout=moved, figures=journal.figures)
        store.rollouts.put(kept)
        return kept
    for kind, subject, found in record.entries(moved, actions):
        store.ledger.append(kind, subject, found, at=now, actor=actor)
    kept = structs.replace(current, rollout=moved, noted=now, decision=journal.decision, figures=journal.figures)
    store.rollouts.put(kept)
    for action in rest:
        _do(store, moved, action, now)
    if not moved.active:
        store.traffic.clear(moved.model)
    return kept


def _do(store: Store, rollout: Rollout, action: Action, now: float) -> None:
    """One action; alerts and questions are in the ledger, and `status` shows them."""
    if isinstance(action, SetTraffic):
        if rollout.active:
            store.traffic.put(row(rollout))
    elif isinstance(action, Promote | Restore):
        moves = Move(
            name=rollout.model,
            alias=CHAMPION,
            version=action.version,
            at=now,
            actor=f"{ACTOR} {rollout.rollout_id}",
            reason=action.reason,
            kind=registry.SET if isinstance(action, Promote) else registry.ROLLBACK,
        )
        store.models.move(moves)
    elif isinstance(action, Quarantine):
        entry = registry.Quarantine(
            name=rollout.model,
            version=action.version,
            until=action.until,
            at=now,
            actor=f"{ACTOR} {rollout.rollout_id}",
            reason=rollout.state.reason,
        )
        store.models.quarantine(entry)


def row(rollout: Rollout) -> Traffic:
    """The traffic row of a rollout as it stands. Its salts are its own: no arm is carried over from a test before."""
    shares, terms = machine.traffic(rollout), rollout.spec.switchback
    return Traffic(
        name=rollout.model,
        enrolled=shares.coverage,
        split=shares.split,
        shadow=shares.shadow,
        salt_enrol=f"{rollout.rollout_id}:enrol",
        salt_arm=f"{rollout.rollout_id}:arm",
        unit="" if terms is not None or rollout.spec.unit == "request" else rollout.spec.unit,
        switchback=None if terms is None else Switchback(terms.by, terms.window),
        champion=rollout.champion,
        challenger=rollout.challenger,
        rollout=rollout.rollout_id,
    )


def _overruled(store: Store, rollout: Rollout, now: float) -> str:
    """What a person did that makes the rollout pointless, in words, or ""."""
    serving = store.models.aliases(rollout.model).get(CHAMPION)
    expected = rollout.challenger if rollout.state.promoted else rollout.champion
    if serving != expected:
        return f"the champion is version {serving} now, moved by hand"
    if rollout.challenger in store.models.quarantined(rollout.model, now):
        return f"version {rollout.challenger} was put in quarantine by hand"
    return ""


def _step_aside(store: Store, current: KeptRollout, reason: str, actor: str, now: float) -> KeptRollout:
    """End without moving aliases: they are where a person wants them."""
    rollout = current.rollout
    state = structs.replace(
        rollout.state, phase="inconclusive", index=0, since=now, asked="", promoted=False, reason=f"aborted: {reason}"
    )
    ended = structs.replace(rollout, state=state)
    evidence = {"rollout": rollout.rollout_id, "reason": state.reason, "before": rollout.state.phase}
    _note(store, "rollout.abort", rollout.model, rollout.challenger, evidence, now, actor)
    kept = structs.replace(current, rollout=ended, noted=now, decision=state.reason)
    store.rollouts.put(kept)
    store.traffic.clear(rollout.model)
    return kept


def _ended(store: Store, kept: KeptRollout) -> KeptRollout:
    same = (one for one in store.rollouts.of(kept.rollout.model) if one.rollout.rollout_id == kept.rollout.rollout_id)
    return next(same, kept)


def _new(store: Store, version: ModelVersion, now: float) -> Rollout:
    champion = store.models.aliases(version.name)[CHAMPION]
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now))
    return Rollout(
        rollout_id=f"{version.name}-{version.version}-{stamp}",
        model=version.name,
        champion=champion,
        challenger=version.version,
        challenger_digest=version.artifact.digest,
        spec=resolve(version.card["rollout"]),
        state=RolloutState(),
    )


def _incompatible(champion: ModelVersion | None, challenger: ModelVersion) -> str:
    """Why requests to the champion cannot be answered by the challenger, in words, or ""."""
    if champion is None or not champion.signature.inputs:
        return ""
    known = {field.name: field for field in champion.signature.inputs}
    for field in challenger.signature.inputs:
        before = known.get(field.name)
        if before is None and field.required:
            return f"version {challenger.version} needs '{field.name}', which requests to the champion do not carry"
        if before is not None and before.dtype != field.dtype:
            return (
                f"'{field.name}' is {field.dtype} for version {challenger.version} and {before.dtype} for the champion"
            )
    return ""


def _barred(store: Store, entry: registry.Quarantine) -> Quarantine:
    """An entry of the registry's quarantine as the decider reads it: by version and by bytes."""
    version = store.models.get(entry.name, entry.version)
    digest = version.artifact.digest if version is not None else ""
    return Quarantine(entry.version, digest, entry.until, entry.until)


def _note(
    store: Store, kind: str, name: str, version: int, evidence: dict[str, Any], now: float, actor: str = "treadle"
) -> None:
    store.ledger.append(kind, f"{name}/{version}", evidence, at=now, actor=actor)


def _only_clock(before: Rollout, after: Rollout) -> bool:
    return structs.replace(after.state, clock=before.state.clock) == before.state
