"""The end of a run: tables of fates, times, metrics and gates, each failure in full, and a last line."""

import shlex
from collections.abc import Mapping

from treadle.cli import table
from treadle.domain.run import RunRecord, StepRecord
from treadle.run.ending import last_line
from treadle.run.rows import tables

FULL = 10  # failures that are shown with their tracebacks


def summary(
    run: RunRecord, path: str, colour: bool, quiet: bool = False, stages: Mapping[str, str] | None = None
) -> str:
    """The table, each failure in full, and a last line with the counts; many steps are shown by groups."""
    blocks = [] if quiet else [table.render(head, rows, colour) for head, rows in tables(run, stages or {})]
    blocks += failures(run, path)
    blocks.append(last_line(run.status, run.fates, run.finished - run.started, run.run_id))
    return "\n\n".join(blocks)


def failures(run: RunRecord, path: str) -> list[str]:
    """The failed steps, the first ones in full: the message, the traceback, the log and how to run it again."""
    failed = [step for step in run.steps.values() if step.failure is not None]
    blocks = [_failure(step, path) for step in failed[:FULL]]
    if len(failed) > FULL:
        names = ", ".join(step.id for step in failed[FULL:])
        blocks.append(f"failed as well: {names}\n  why:   treadle show {run.run_id} STEP")
    return blocks


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
