"""Show a run, or what became of one step in it: inputs of the decision, outputs, metrics, failure.

treadle show
treadle show last train
"""

import argparse

from msgspec import json, to_builtins

from treadle.api import runs
from treadle.cli.heard import curve, figure, told
from treadle.cli.options import coloured
from treadle.cli.summary import summary
from treadle.domain.run import RUNNING, Items, StepRecord
from treadle.domain.track import Track
from treadle.quantity import format_duration, format_size


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", nargs="?", default="last", metavar="RUN", help="a run's id or its beginning, or last")
    parser.add_argument("step", nargs="?", metavar="STEP", help="one step of it")
    parser.add_argument("--json", action="store_true", help="write the record as JSON")


def run(args: argparse.Namespace) -> int:
    if args.step is None:
        print_run(args.run, args.json)
        return 0
    run = runs.get_run(args.run)
    found = runs.tracks(run)
    if args.step not in run.steps and args.step in found:  # it runs now
        track = found[args.step]
        lines = [f"{args.step}: running (attempt {track.attempt})", *_track(track)]
        print(json.format(json.encode(track)).decode() if args.json else "\n".join(lines))
        return 0
    step = runs.get_step(args.step, args.run)
    told = found.get(step.id)
    if args.json:
        plain = to_builtins(step) | ({"told": to_builtins(told)} if told else {})
        print(json.format(json.encode(plain)).decode())
    else:
        print("\n".join([_step(step), *(_track(told) if told else [])]))
    return 0


def print_run(run_id: str, as_json: bool) -> None:
    """A run as a table, or as JSON; of one that is going on, what its running steps tell."""
    record = runs.get_run(run_id)
    if as_json:
        print(json.format(json.encode(record)).decode())
        return
    lines = [summary(record, record.path, coloured())]
    if record.git:
        dirty = " with changes that were not committed" if record.git.endswith("+") else ""
        lines.append(f"commit {record.git[:12]}{dirty}")
    if record.status == RUNNING:
        going = {step: track for step, track in runs.tracks(record).items() if step not in record.steps}
        lines += [f"running: {step}  {told(track)}" for step, track in going.items()]
    print("\n".join(lines))


def _track(track: Track) -> list[str]:
    lines = []
    if track.progress is not None:
        lines.append(
            f"  progress {track.progress.done:g}" + (f" of {track.progress.total:g}" if track.progress.total else "")
        )
    for name, points in track.series.items():
        first, last = points[0], points[-1]
        shape = curve([point.value for point in points])
        lines.append(
            f"  curve    {name}: {figure(first.value)} at {first.step} → {figure(last.value)} at {last.step},"
            f" {last.index + 1} values {shape}"
        )
    lines += [f"  note     {note.text}" for note in track.notes]
    shown = [*(f"table {one.name}" for one in track.tables), *(f"plot {one.name}" for one in track.plots)]
    return [*lines, *([f"  report   {', '.join(shown)} (treadle runs report)"] if shown else [])]


def _items(items: Items) -> list[str]:
    lines = [f"  items    {items.total}: {items.hit} unchanged, {items.run} ran, {items.failed} failed"]
    for one in items.failures:
        lines.append(f"  item     {one.index} ({one.element}), attempt {one.attempts}: {one.failure.message}")
        lines += [f"    {line}" for line in one.failure.traceback.splitlines()]
    return lines


def _step(step: StepRecord) -> str:
    reason = step.reason.partition("\n")[0]  # of a failure: all of it is below
    lines = [f"{step.id}: {step.fate} ({reason})"]
    if step.seconds:
        lines.append(f"  took     {format_duration(step.seconds)}, attempt {step.attempts}")
    used = step.usage
    if used.cpu_seconds:
        limit = f" (limited by {used.limit})" if used.limit else ""
        lines.append(
            f"  used     {format_duration(used.cpu_seconds)} of CPU, {format_size(used.peak_memory)} at most{limit},"
            f" read {format_size(used.read)}, wrote {format_size(used.written)}"
        )
    lines += _items(step.items) if step.items else []
    lines += [f"  output   {n}: {a.codec}, {format_size(a.size)}, {a.digest[:16]}" for n, a in step.outputs.items()]
    lines += [f"  metric   {name} = {value:.6g}" for name, value in step.metrics.items()]
    lines += [f"  gate     {'held' if gate.passed else 'did not hold'}: {gate.text}" for gate in step.gates]
    if step.failure:
        told = step.failure.message.replace("\n", "\n           ")
        lines += ["  failure  " + told, *(f"    {x}" for x in step.failure.traceback.splitlines())]
    if step.log:
        lines.append(f"  log      {step.log}")
    return "\n".join(lines)
