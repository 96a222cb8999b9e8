"""Show a run, or what became of one step in it: inputs of the decision, outputs, metrics, failure.

treadle show
treadle show last train
"""

import argparse

from msgspec import json

from treadle.api import runs
from treadle.cli.options import coloured
from treadle.cli.summary import summary
from treadle.domain.run import Items, StepRecord
from treadle.quantity import format_duration, format_size


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", nargs="?", default="last", metavar="RUN", help="a run's id or its beginning, or last")
    parser.add_argument("step", nargs="?", metavar="STEP", help="one step of it")
    parser.add_argument("--json", action="store_true", help="write the record as JSON")


def run(args: argparse.Namespace) -> int:
    if args.step is None:
        record = runs.get_run(args.run)
        whole = json.format(json.encode(record)).decode() if args.json else summary(record, record.path, coloured())
        print(whole)
        return 0
    step = runs.get_step(args.step, args.run)
    print(json.format(json.encode(step)).decode() if args.json else _step(step))
    return 0


def _items(items: Items) -> list[str]:
    lines = [f"  items    {items.total}: {items.hit} unchanged, {items.run} ran, {items.failed} failed"]
    for one in items.failures:
        lines.append(f"  item     {one.index} ({one.element}), attempt {one.attempts}: {one.failure.message}")
        lines += [f"    {line}" for line in one.failure.traceback.splitlines()]
    return lines


def _step(step: StepRecord) -> str:
    lines = [f"{step.id}: {step.fate} ({step.reason})"]
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
        lines += ["  failure  " + step.failure.message, *(f"    {x}" for x in step.failure.traceback.splitlines())]
    if step.log:
        lines.append(f"  log      {step.log}")
    return "\n".join(lines)
