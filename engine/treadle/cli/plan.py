"""Show what a run would do with each step, and why, without doing it.

treadle plan pipelines/surge_pricing.yaml
treadle plan pipelines/surge_pricing.yaml -p max_iter=50 --detailed-exitcode
treadle plan pipelines/surge_pricing.yaml --locked --json
"""

import argparse
from collections.abc import Sequence

from msgspec import json

from treadle.api import pipelines
from treadle.cli import table
from treadle.cli.options import add_request, coloured, request
from treadle.domain.lock import LockDifference
from treadle.quantity import format_duration
from treadle.run.preview import Preview

WORDS = {"hit": "hit", "run": "run", "wait": "wait for upstream", "skip": "skip"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_request(parser)
    parser.add_argument("--locked", action="store_true", help="decide by the lock alone; exit with 3 if it differs")
    parser.add_argument("--json", action="store_true", help="write the plan as JSON")
    parser.add_argument("--detailed-exitcode", action="store_true", help="exit with 3 if anything would run")


def run(args: argparse.Namespace) -> int:
    differences: Sequence[LockDifference] = ()
    if args.locked:
        plan, compared = pipelines.plan_locked(args.pipeline, request(args))
        fates, differences = compared.fates, compared.differences
    else:
        plan, fates = pipelines.plan(args.pipeline, request(args))
    if args.json:
        body = {"pipeline": plan.pipeline, "params": plan.params, "steps": fates}
        print(json.format(json.encode({**body, "differences": differences} if args.locked else body)).decode())
    else:
        print(_text(fates, differences))
    work = [fate for fate in fates if fate.fate in ("run", "wait")]
    return 3 if differences or (work and args.detailed_exitcode) else 0


def _text(fates: Sequence[Preview], differences: Sequence[LockDifference]) -> str:
    rows = [(f.step, f.fate, format_duration(f.seconds) if f.seconds else "", f.reason) for f in fates]
    counts = {name: sum(f.fate == name for f in fates) for name in WORDS}
    blocks = [table.render(("step", "fate", "took", "why"), rows, coloured())]
    if differences:
        blocks.append("\n".join(["not as locked:", *(f"  {found.text}" for found in differences)]))
    return "\n\n".join([*blocks, ", ".join(f"{count} {WORDS[name]}" for name, count in counts.items() if count)])
