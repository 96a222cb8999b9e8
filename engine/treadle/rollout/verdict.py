"""What the evidence says: one verdict per evaluation, in a fixed order of precedence."""

from math import log
from typing import Any

from msgspec import Struct

from treadle.domain.rollout import Guardrail, RolloutSpec, RolloutState, Success, Trial
from treadle.rollout import confidence, srm, switchback
from treadle.rollout.absorb import HARM, NON_INFERIOR, PRIMARY

DIFFERENT = "different"  # the only hypothesis that blocks test: both arms succeed alike
TESTING = ("step", "deciding")
WATCHED = ("step", "deciding", "ramp", "baked")  # phases in which people see the challenger's answers


class Verdict(Struct, frozen=True):
    """go on, hold, roll back, invalid, succeed or inconclusive, and why in a sentence."""

    kind: str
    reason: str = ""


GO = Verdict("go")


def safety(spec: RolloutSpec, state: RolloutState) -> Verdict:
    """Limits, then sample ratio, then sequential harm: what may end a rollout at any time."""
    if state.phase not in WATCHED:
        return GO
    for guard in spec.guardrails:
        strikes = state.strikes.get(guard.metric, 0)
        if guard.harm is None and strikes >= guard.consecutive:
            return Verdict("rollback", f"{guard.metric} passed its limit in {_times(strikes, 'window')}")
    if state.unfit:
        return Verdict("invalid", state.unfit)
    if state.phase in TESTING and (reason := mismatch(state)):
        return Verdict("invalid", reason)
    for guard in spec.guardrails:
        if guard.harm is not None and rejects(guard, state.trials.get(guard.metric, Trial()), HARM, spec):
            return Verdict("rollback", f"{guard.metric} is worse by more than {guard.harm:g}")
    if rejects(spec.success, state.trials.get(PRIMARY, Trial()), HARM, spec):
        margin = spec.success.margin
        return Verdict("rollback", f"{spec.success.metric} is worse{f' by more than {margin:g}' if margin else ''}")
    return GO


def mismatch(state: RolloutState) -> str:
    """The sample ratio e-process over the units assigned, safe at every look."""
    if sum(state.assigned) and srm.log_e(state.assigned, (0.5, 0.5)) >= srm.LIMIT:
        champion, challenger = state.assigned
        return (
            f"the arms got {champion:,} and {challenger:,} units where halves were due: a crash of one arm, bots or "
            "lost logs"
        )
    return ""


def success(spec: RolloutSpec, state: RolloutState) -> Verdict:
    """Whether the goal is reached, or waiting is over; GO means more evidence is needed."""
    goal, limits = spec.success, spec.limits
    trial = state.trials.get(PRIMARY, Trial())
    passed = state.clock - (state.started if state.opened is None else state.opened)
    enough = trial.sums.n >= limits.min_units and passed >= limits.min_duration and min(trial.sums.units) > 0
    if enough and rejects(goal, trial, goal.goal, spec):
        if reason := _uneven(state, trial):
            return Verdict("invalid", reason)
        return Verdict("succeed", f"{goal.metric} is {goal.goal.replace('_', '-')} at α = {goal.alpha:g}")
    twice = 2 if state.extended else 1
    if passed >= twice * limits.max_duration:
        return Verdict("inconclusive", f"no decision within the longest duration, after {trial.sums.n:,} units")
    if trial.sums.n >= twice * limits.max_units:
        return Verdict("inconclusive", f"no decision within {trial.sums.n:,} units")
    return GO


def _uneven(state: RolloutState, trial: Trial) -> str:
    """The look at the decision: units assigned, and units whose outcome is known."""
    for what, (champion, challenger) in (("assigned", state.assigned), ("with an outcome", trial.sums.units)):
        if srm.p_value(champion, challenger, 0.5) < srm.CHI2_P:
            return f"units {what}: {champion:,} and {challenger:,} where halves were due"
    return ""


def rejects(terms: Success | Guardrail, trial: Trial, null: str, spec: RolloutSpec) -> bool:
    """Whether the hypothesis of that name has fallen."""
    if isinstance(terms, Success) and terms.blocks:
        fell = trial.blocks.peak >= log(1 / terms.alpha)
        return fell and (trial.sums.sum_psi < 0 if null == HARM else trial.sums.sum_psi > 0)
    if not terms.continuous:
        wager = trial.wagers.get(null)
        return wager is not None and wager.peak >= log(1 / terms.alpha)
    low, high = confidence.bounds(trial.sums, terms.alpha, spec.limits.max_units / 2)
    margin = terms.margin if isinstance(terms, Success) else terms.harm or 0.0
    if null == HARM:
        return high < -margin
    return low > (-margin if null == NON_INFERIOR else 0.0)


def figures(spec: RolloutSpec, state: RolloutState) -> dict[str, Any]:
    """Every figure that the verdict came from, as plain data; None where there is no figure yet."""
    found: dict[str, Any] = {
        "assigned": list(state.assigned),
        "unlabelled": list(state.unlabelled),
        "srm_log_e": srm.log_e(state.assigned, (0.5, 0.5)) if sum(state.assigned) else 0.0,
        "strikes": dict(state.strikes),
        "metrics": {},
    }
    if spec.switchback is not None:
        found["switchback"] = {"correlation": switchback.correlation(state.echo), "pairs": state.echo.pairs}
    guards = {guard.metric: guard for guard in spec.guardrails if guard.harm is not None}
    for name, trial in state.trials.items():
        terms = spec.success if name == PRIMARY else guards[name]
        found["metrics"][terms.metric if name == PRIMARY else name] = _metric(terms, trial, spec)
    return found


def _metric(terms: Success | Guardrail, trial: Trial, spec: RolloutSpec) -> dict[str, Any]:
    sums, scale = trial.sums, 1.0 if terms.continuous else terms.high - terms.low
    now = {name: wager.log_e for name, wager in trial.wagers.items()}
    best = {name: wager.peak for name, wager in trial.wagers.items()}
    if isinstance(terms, Success) and terms.blocks:
        now, best = {DIFFERENT: trial.blocks.log_e}, {DIFFERENT: trial.blocks.peak}
    shown = confidence.interval(sums, terms.alpha, spec.limits.max_units / 2)
    return {
        "units": list(sums.units),
        "sums": [sums.sum_y, sums.sum_psi, sums.sum_psi2],
        "effect": sums.sum_psi / sums.n * scale if sums.n else None,
        "interval": [bound * scale for bound in shown] if shown else None,
        "log_e": now,
        "log_e_best": best,
        "needed": log(1 / terms.alpha),
    }


def _times(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s in a row"
