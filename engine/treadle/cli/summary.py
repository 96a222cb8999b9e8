"""The end of a run in one table: fates, times, metrics, gates and failures."""

from treadle.cli import table
from treadle.domain.run import RunRecord, StepRecord
from treadle.quantity import format_duration


def summary(run: RunRecord, path: str, colour: bool, quiet: bool = False) -> str:
    """The table, each failure in full, and a last line with the counts."""
    blocks = [] if quiet else [table.render(("step", "fate", "time", "what"), _rows(run), colour)]
    blocks += [_failure(step, path) for step in run.steps.values() if step.failure is not None]
    blocks.append(_last_line(run))
    return "\n\n".join(blocks)


def metrics(step: StepRecord, most: int = 4) -> str:
    """The first metrics of a step in one line."""
    shown = [f"{name} {value:.4g}" for name, value in list(step.metrics.items())[:most]]
    return ", ".join(shown) + (" …" if len(step.metrics) > most else "")


def _rows(run: RunRecord) -> list[tuple[str, str, str, str]]:
    return [(name, s.fate, format_duration(s.seconds) if s.seconds else "", _what(s)) for name, s in run.steps.items()]


def _what(step: StepRecord) -> str:
    gates = [f"gate {'held' if gate.passed else 'did not hold'}: {gate.text}{_note(gate.note)}" for gate in step.gates]
    parts = [metrics(step), *gates]
    if step.saved:
        parts.append(f"cut off here: {step.saved} step{'' if step.saved == 1 else 's'} saved")
    if step.fate in ("skip", "failed", "cancelled") or not any(parts):
        parts.append(step.reason)
    return "; ".join(part for part in parts if part)


def _note(note: str) -> str:
    return f" ({note})" if note else ""


def _failure(step: StepRecord, path: str) -> str:
    assert step.failure is not None
    lines = [f"failed: {step.id}: {step.failure.message}"]
    if step.failure.traceback:
        lines += [f"  {line}" for line in step.failure.traceback.rstrip().splitlines()]
    if step.log:
        lines.append(f"  log:   {step.log}")
    lines.append(f"  again: treadle run {path} --only '{step.id}'")
    return "\n".join(lines)


def _last_line(run: RunRecord) -> str:
    fates: dict[str, int] = {}
    for step in run.steps.values():
        fates[step.fate] = fates.get(step.fate, 0) + 1
    words = {"run": "ran", "hit": "unchanged", "skip": "skipped", "failed": "failed", "cancelled": "cancelled"}
    counts = ", ".join(f"{fates[fate]} {word}" for fate, word in words.items() if fate in fates)
    took = format_duration(run.finished - run.started)
    if set(fates) == {"hit"}:
        return f"nothing to do: {counts} ({took})"
    return f"{run.status}: {counts} in {took}  [run {run.run_id}]"
