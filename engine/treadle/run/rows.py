"""What became of each step, as the rows of a table: step, fate, time and what else there is to say."""

from treadle.domain.run import RunRecord, StepRecord
from treadle.quantity import format_duration


def rows(run: RunRecord) -> list[tuple[str, str, str, str]]:
    """A row per step, in the order of the run."""
    return [(name, s.fate, format_duration(s.seconds) if s.seconds else "", _what(s)) for name, s in run.steps.items()]


def metrics(step: StepRecord, most: int = 4) -> str:
    """The first metrics of a step in one line."""
    shown = [f"{name} {value:.4g}" for name, value in list(step.metrics.items())[:most]]
    return ", ".join(shown) + (" …" if len(step.metrics) > most else "")


def _what(step: StepRecord) -> str:
    gates = [f"gate {'held' if gate.passed else 'did not hold'}: {gate.text}{_note(gate.note)}" for gate in step.gates]
    parts = [metrics(step), *gates]
    if step.fate in ("skip", "failed", "cancelled") or not any(parts):
        parts.append(step.reason)
    return "; ".join(part for part in parts if part)


def _note(note: str) -> str:
    return f" ({note})" if note else ""
