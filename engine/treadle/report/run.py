"""A run → its page: the DAG, when each step ran, metrics, what changed, what the steps reported, lineage."""

import time
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from treadle.domain.plan import Plan
from treadle.domain.run import RUNNING, RunRecord, StepRecord
from treadle.domain.track import Track
from treadle.quantity import format_duration, format_size
from treadle.report import dag, gantt, intervals, plots, sections, tracks
from treadle.report.page import Page, Section
from treadle.report.sections import Block

MOST_STEPS = 200  # rows of the table of steps
MOST_BARS = 12


class Told(Struct, frozen=True, kw_only=True):
    """All that a page of a run tells; whoever asks has looked it up.

    `reports` maps a step to what it reported; `tracks` a step to what it told while it ran; `changes` are rows
    (name, before, after) against the run `before`, `earlier` its metrics by step; `code` are source diffs by
    definition; `lineage` rows (name, digest, first seen, run, made from).
    """

    run: RunRecord
    until: float  # its end, or now
    plan: Plan | None = None
    tags: tuple[str, ...] = ()
    before: str = ""
    changes: tuple[tuple[str, str, str], ...] = ()
    earlier: Mapping[str, Mapping[str, float]] = {}
    code: Mapping[str, str] = {}
    reports: Mapping[str, Mapping[str, Any]] = {}
    tracks: Mapping[str, Track] = {}
    lineage: tuple[tuple[str, str, str, str, str], ...] = ()


def page(told: Told) -> Page:
    """The page of one run."""
    run = told.run
    failed = [step for step in run.steps.values() if step.failure is not None]
    parts = (
        Section("Failures", tuple(_failure(step) for step in failed)),
        Section("Steps", _pictures(told), "a box is a step; hold the pointer on it for the reason"),
        Section("Metrics", _metrics(told)),
        Section(f"Changes since {told.before}" if told.before else "Changes", _changes(told)),
        *(Section(f"Report of {step}", tuple(sections.blocks(found))) for step, found in told.reports.items()),
        *(Section(f"Told by {step}", tracks.blocks(track)) for step, track in told.tracks.items()),
        Section("Every step", (_table(run),)),
        Section("Lineage", _lineage(told)),
    )
    began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(run.started))
    tags = f" · {' '.join(told.tags)}" if told.tags else ""
    return Page(f"{run.pipeline}: {run.status}", f"run {run.run_id} · {began} · {run.path}{tags}", _facts(told), parts)


def _facts(told: Told) -> tuple[tuple[str, str], ...]:
    run = told.run
    fates = [step.fate for step in run.steps.values()]
    counts = [(name, str(fates.count(name))) for name in ("run", "hit", "skip", "failed", "cancelled") if name in fates]
    used = sum(step.usage.cpu_seconds for step in run.steps.values())
    memory = max((step.usage.peak_memory for step in run.steps.values()), default=0)
    return (
        ("running for" if run.status == RUNNING else "took", format_duration(told.until - run.started)),
        *counts,
        *((("CPU", format_duration(used)),) if used else ()),
        *((("peak memory", format_size(memory)),) if memory else ()),
        *((("commit", run.git[:8] + (" and changes" if run.git.endswith("+") else "")),) if run.git else ()),
        *((name, str(value)) for name, value in list(run.params.items())[:8]),
    )


def _failure(step: StepRecord) -> Block:
    assert step.failure is not None
    text = step.failure.traceback or step.failure.message
    return Block(step.id, note=step.failure.message, text=text, summary="traceback", open=True)


def _pictures(told: Told) -> tuple[Block, ...]:
    if told.plan is None:
        return ()
    when = gantt.draw(told.plan, told.run.steps)
    path = gantt.critical_path(told.plan, told.run.steps)
    drawn = Block("", dag.draw(told.plan, told.run.steps))
    return (drawn, Block("Time", when, note=f"critical path: {' → '.join(path)}")) if when else (drawn,)


def _metrics(told: Told) -> tuple[Block, ...]:
    found = tracks.curves(told.tracks)
    compared = _matrix(told.run, told.plan)
    gates = tuple(
        (s.id, g.text, "held" if g.passed else "did not hold") for s in told.run.steps.values() for g in s.gates
    )
    found += [Block(f"{name} of each cell", plots.bars(values, name)) for name, values in compared.items()]
    found += [Block("Gates", head=("step", "rule", "verdict"), rows=gates)] if gates else []
    every = _all_metrics(told)
    return (*found, every) if every.rows else tuple(found)


def _all_metrics(told: Told) -> Block:
    """A row for each metric, with its interval and its change since the run before where there are such."""
    rows = []
    for step in told.run.steps.values():
        before = told.earlier.get(step.id, {})
        for name, value, interval in intervals.folded(step.metrics):
            change = value - before[name] if name in before else 0.0
            rows.append((step.id, name, f"{value:.6g}", interval, f"{change:+.4g}" if change else ""))
    head = ("step", "metric", "value", "interval", "change")
    kept = [n for n in range(len(head)) if n < 3 or any(row[n] for row in rows)]
    return Block(
        "All metrics",
        head=tuple(head[n] for n in kept),
        rows=tuple(tuple(row[n] for n in kept) for row in rows),
        note=f"change since {told.before}" if kept[-1] == 4 else "",
    )


def _matrix(run: RunRecord, plan: Plan | None) -> dict[str, list[tuple[str, float]]]:
    """For each matrix the metric that chooses one of its cells, else the first one, cell by cell."""
    chosen = {step.id: step.select.metric for step in plan.steps if step.select is not None} if plan else {}
    found: dict[str, list[tuple[str, float]]] = {}
    for step in run.steps.values():
        base, cell, _ = step.id.partition("[")
        if cell and step.metrics:
            name = chosen.get(base, "")
            name = name if name in step.metrics else next(iter(step.metrics))
            found.setdefault(f"{base}.{name}", []).append((step.id, step.metrics[name]))
    return {name: values[:MOST_BARS] for name, values in found.items() if len(values) > 1}


def _changes(told: Told) -> tuple[Block, ...]:
    table = Block("", head=("what", "before", "now"), rows=told.changes) if told.changes else None
    code = tuple(Block(name, text=diff, summary="source diff", open=True) for name, diff in told.code.items())
    return (*((table,) if table else ()), *code)


def _table(run: RunRecord) -> Block:
    rows = []
    for step in list(run.steps.values())[:MOST_STEPS]:
        took = format_duration(step.seconds) if step.seconds else ""
        memory = format_size(step.usage.peak_memory) if step.usage.peak_memory else ""
        rows.append((step.id, step.fate, took, memory, step.reason))
    left = len(run.steps) - len(rows)
    return Block(
        "", head=("step", "fate", "time", "memory", "why"), rows=tuple(rows), note=f"and {left} more" if left else ""
    )


def _lineage(told: Told) -> tuple[Block, ...]:
    if not told.lineage:
        return ()
    return (Block("", head=("data", "digest", "since", "first run", "made from"), rows=told.lineage),)
