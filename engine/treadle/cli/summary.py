"""The end of a run in one table: fates, times, metrics, gates and failures."""

import shlex
import time
from collections.abc import Iterable, Mapping

from treadle.cli import table
from treadle.cli.groups import Group, group_of, largest
from treadle.domain.run import RunRecord, StepRecord
from treadle.quantity import format_duration

MANY = 60  # steps from which on the table has a row per group
GROUPS, NAMED, SLOWEST = 20, 20, 5  # how many groups, failures and slow steps the short table names
FULL = 10  # failures that are shown with their tracebacks
HEAD = ("step", "fate", "time", "what")
WORDS = {"run": "ran", "hit": "unchanged", "skip": "skipped", "failed": "failed", "cancelled": "cancelled"}


def summary(
    run: RunRecord, path: str, colour: bool, quiet: bool = False, stages: Mapping[str, str] | None = None
) -> str:
    """The table, each failure in full, and a last line with the counts; many steps are shown by groups."""
    if quiet:
        blocks = []
    elif len(run.steps) > MANY:
        blocks = _grouped(run, colour, stages or {})
    else:
        blocks = [table.render(HEAD, _rows(run.steps.values()), colour)]
    blocks += failures(run, path)
    blocks.append(_last_line(run))
    return "\n\n".join(blocks)


def failures(run: RunRecord, path: str) -> list[str]:
    """The failed steps, the first ones in full: the message, the traceback, the log and how to run it again."""
    failed = [step for step in run.steps.values() if step.failure is not None]
    blocks = [_failure(step, path) for step in failed[:FULL]]
    if len(failed) > FULL:
        names = ", ".join(step.id for step in failed[FULL:])
        blocks.append(f"failed as well: {names}\n  why:   treadle show {run.run_id} STEP")
    return blocks


def metrics(step: StepRecord, most: int = 4) -> str:
    """The first metrics of a step in one line."""
    shown = [f"{name} {value:.4g}" for name, value in list(step.metrics.items())[:most]]
    return ", ".join(shown) + (" …" if len(step.metrics) > most else "")


def _rows(steps: Iterable[StepRecord]) -> list[tuple[str, str, str, str]]:
    return [(s.id, s.fate, format_duration(s.seconds) if s.seconds else "", _what(s)) for s in steps]


def _grouped(run: RunRecord, colour: bool, stages: Mapping[str, str]) -> list[str]:
    """A row per group; below it the steps that matter by themselves: failures, gates that did not hold, the slowest."""
    groups: dict[str, Group] = {}
    for step in run.steps.values():
        group = groups.setdefault(group_of(step.id, stages), Group(group_of(step.id, stages)))
        group.fates[step.fate] += 1
        group.seconds += step.seconds
    shown = largest(groups.values(), GROUPS)
    rows = [_group_row(group) for group in shown]
    if len(groups) > len(shown):
        rest = Group(f"{len(groups) - len(shown)} more groups")
        for group in groups.values():
            if group not in shown:
                rest.fates.update(group.fates)
                rest.seconds += group.seconds
        rows.append(_group_row(rest))
    blocks = [table.render(("group", "steps", "time", "what"), rows, colour)]
    alone = {group.name for group in groups.values() if group.fates.total() == 1}
    telling = [s for s in run.steps.values() if s.failure or s.gates or (s.metrics and group_of(s.id, stages) in alone)]
    named = sorted(telling, key=lambda step: (step.failure is None, all(gate.passed for gate in step.gates)))[:NAMED]
    slowest = sorted(run.steps.values(), key=lambda step: -step.seconds)[:SLOWEST]
    named += [step for step in slowest if step.seconds and step not in named]
    if named:
        blocks.append(table.render(HEAD, _rows(named), colour))
    return blocks


def _group_row(group: Group) -> tuple[str, str, str, str]:
    what = ", ".join(f"{group.fates[fate]} {word}" for fate, word in WORDS.items() if group.fates[fate])
    return group.name, str(group.fates.total()), format_duration(group.seconds) if group.seconds else "", what


def _what(step: StepRecord) -> str:
    gates = [f"gate {'held' if gate.passed else 'did not hold'}: {gate.text}{_note(gate.note)}" for gate in step.gates]
    parts = [metrics(step), *gates, _items(step)]
    if step.saved:
        parts.append(f"cut off here: {step.saved} step{'' if step.saved == 1 else 's'} saved")
    if step.fate in ("skip", "failed", "cancelled") or not any(parts):
        parts.append(step.reason)
    return "; ".join(part for part in parts if part)


def _items(step: StepRecord) -> str:
    return f"{step.items.run} of {step.items.total} items ran" if step.items else ""


def _note(note: str) -> str:
    return f" ({note})" if note else ""


def _failure(step: StepRecord, path: str) -> str:
    assert step.failure is not None
    lines = [f"failed: {step.id}: {step.failure.message}"]
    if step.failure.traceback:
        lines += [f"  {line}" for line in step.failure.traceback.rstrip().splitlines()]
    if step.log:
        lines.append(f"  log:   {step.log}")
    lines.append(f"  again: treadle run {path} --only {_quoted(step.id)}")
    return "\n".join(lines)


def _quoted(step: str) -> str:
    """A step's id for a shell; a matrix cell has brackets, so all are quoted alike."""
    return f"'{step}'" if "'" not in step else shlex.quote(step)


def _last_line(run: RunRecord) -> str:
    fates: dict[str, int] = {}
    for step in run.steps.values():
        fates[step.fate] = fates.get(step.fate, 0) + 1
    counts = ", ".join(f"{fates[fate]} {word}" for fate, word in WORDS.items() if fate in fates)
    took = format_duration((run.finished or time.time()) - run.started)
    if set(fates) == {"hit"}:
        return f"nothing to do: {counts} ({took})"
    return f"{run.status}: {counts or 'nothing yet'} in {took}  [run {run.run_id}]"
