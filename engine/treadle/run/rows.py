"""What became of the steps of a run, as tables: a row per step, or per group of them where there are many."""

from collections.abc import Iterable, Mapping

from treadle.domain.run import RunRecord, StepRecord
from treadle.quantity import format_duration, format_figure
from treadle.run.ending import WORDS
from treadle.run.groups import Group, group_of, largest

MANY = 60  # steps from which on the table has a row per group
GROUPS, NAMED, SLOWEST = 20, 20, 5  # how many groups, failures and slow steps the short table names
STEPS = ("step", "fate", "time", "what")
GROUPED = ("group", "steps", "time", "what")

Row = tuple[str, str, str, str]
Table = tuple[Row, list[Row]]  # its head and its rows


def tables(run: RunRecord, stages: Mapping[str, str]) -> list[Table]:
    """One table of all steps; of many steps one of their groups, and one of those that matter by themselves."""
    if len(run.steps) <= MANY:
        return [(STEPS, _rows(run.steps.values()))]
    return _grouped(run, stages)


def metrics(step: StepRecord, most: int = 4) -> str:
    """The first metrics of a step in one line."""
    shown = [f"{name} {format_figure(value)}" for name, value in list(step.metrics.items())[:most]]
    return ", ".join(shown) + (" …" if len(step.metrics) > most else "")


def _rows(steps: Iterable[StepRecord]) -> list[Row]:
    return [(s.id, s.fate, format_duration(s.seconds) if s.seconds else "", _what(s)) for s in steps]


def _grouped(run: RunRecord, stages: Mapping[str, str]) -> list[Table]:
    """A row per group; then the steps that matter by themselves: failures, gates that did not hold, the slowest."""
    groups: dict[str, Group] = {}
    for step in run.steps.values():
        name = group_of(step.id, stages)
        group = groups.get(name)
        if group is None:
            groups[name] = group = Group(name)
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
    found: list[Table] = [(GROUPED, rows)]
    alone = {group.name for group in groups.values() if group.fates.total() == 1}
    telling = [s for s in run.steps.values() if s.failure or s.gates or (s.metrics and group_of(s.id, stages) in alone)]
    named = sorted(telling, key=lambda step: (step.failure is None, all(gate.passed for gate in step.gates)))[:NAMED]
    slowest = sorted(run.steps.values(), key=lambda step: -step.seconds)[:SLOWEST]
    named += [step for step in slowest if step.seconds and step not in named]
    if named:
        found.append((STEPS, _rows(named)))
    return found


def _group_row(group: Group) -> Row:
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
