"""Explain why a step would be a hit or run now: each part of its key that differs, and what would undo it.

treadle explain pipelines/surge_pricing.yaml train
treadle explain pipelines/surge_pricing.yaml train --against last
"""

import argparse
import time

from msgspec import json

from treadle.api.explain import explain
from treadle.cli.options import add_params, coloured, params
from treadle.quantity import format_duration
from treadle.run.changes import Change
from treadle.run.explain import Compared, Explanation

TONES = {"+": "\033[32m", "-": "\033[31m", "@": "\033[36m"}
PLAIN = "\033[0m"
FATES = {
    "hit": "is a hit",
    "run": "would run",
    "wait": "is decided when what it needs has run",
    "skip": "would be skipped",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pipeline", metavar="PIPELINE", help="the pipeline's YAML file")
    parser.add_argument("step", metavar="STEP", help="the step")
    add_params(parser)
    parser.add_argument("--against", metavar="RUN", help="compare with this run: its id, its beginning, or last")
    parser.add_argument("--json", action="store_true", help="write it as JSON")


def run(args: argparse.Namespace) -> int:
    found = explain(args.pipeline, args.step, params(args.param), args.against)
    print(json.format(json.encode(found)).decode() if args.json else text(found, args.against, coloured()))
    return 0


def text(found: Explanation, against: str | None, colour: bool) -> str:
    """The explanation for people."""
    blocks = [f"{found.step} {FATES[found.fate]}: {found.reason}"]
    if found.upstream:
        blocks.append("must run first: " + ", ".join(found.upstream))
    if found.unknown:
        blocks.append("not known until then: " + ", ".join(f"input {port}" for port in found.unknown))
    if found.compared is not None:
        blocks.append(_compared(found, found.compared, against))
    elif found.fate in ("run", "wait") and (found.key or found.unknown):  # else nothing can be compared
        blocks.append("there is no earlier result of this step")
    aim = "to have that again" if found.fate == "hit" else "to make it a hit"
    blocks += [_change(change, aim, colour) for change in found.changes]
    if found.notes:
        blocks.append("\n".join(["what the key cannot follow:", *(f"  {note}" for note in found.notes)]))
    return "\n\n".join(blocks)


def _compared(found: Explanation, earlier: Compared, against: str | None) -> str:
    ago = format_duration(max(0.0, time.time() - earlier.created))
    name = "run" if against else "the result of run" if not found.changes else "nearest earlier result: run"
    count = len(found.changes)
    every = "every other part" if found.unknown else "every part"
    parts = f"{count} of {earlier.parts} parts of its key differ" if count else f"{every} of its key is the same"
    return f"{name} {earlier.run_id}, {ago} ago: {parts}"


def _change(change: Change, aim: str, colour: bool) -> str:
    lines = [change.text]
    lines += [f"  {file.how:8} {file.name}" for file in change.files]
    lines += [f"  because {cause}" for cause in change.because]
    lines += [f"  {_tinted(line, colour)}" for line in change.diff.splitlines()]
    lines.append(f"  {aim}: {change.remedy}")
    return "\n".join(lines)


def _tinted(line: str, colour: bool) -> str:
    tone = TONES.get(line[:1], "") if colour else ""
    return f"{tone}{line}{PLAIN}" if tone else line
