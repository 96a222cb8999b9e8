"""The end of a run in one table: fates, times, metrics, gates and failures."""

from treadle.cli import table
from treadle.cli.ending import HEAD, last_line
from treadle.domain.run import RunRecord, StepRecord
from treadle.run.rows import rows


def summary(run: RunRecord, path: str, colour: bool, quiet: bool = False) -> str:
    """The table, each failure in full, and a last line with the counts."""
    blocks = [] if quiet else [table.render(HEAD, rows(run), colour)]
    blocks += [_failure(step, path) for step in run.steps.values() if step.failure is not None]
    blocks.append(last_line(run.status, run.fates, run.finished - run.started, run.run_id))
    return "\n\n".join(blocks)


def _failure(step: StepRecord, path: str) -> str:
    assert step.failure is not None
    lines = [f"failed: {step.id}: {step.failure.message}"]
    if step.failure.traceback:
        lines += [f"  {line}" for line in step.failure.traceback.rstrip().splitlines()]
    if step.log:
        lines.append(f"  log:   {step.log}")
    lines.append(f"  again: treadle run {path} --only '{step.id}'")
    return "\n".join(lines)
