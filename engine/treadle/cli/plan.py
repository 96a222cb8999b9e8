"""Show what a run would do with each step, and why, without doing it.

treadle plan pipelines/surge_pricing.yaml
treadle plan pipelines/surge_pricing.yaml -p max_iter=50 --detailed-exitcode
"""

import argparse

from msgspec import json

from treadle.api import pipelines
from treadle.cli import table
from treadle.cli.options import add_request, coloured, request
from treadle.quantity import format_duration


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_request(parser)
    parser.add_argument("--json", action="store_true", help="write the plan as JSON")
    parser.add_argument("--detailed-exitcode", action="store_true", help="exit with 3 if anything would run")


def run(args: argparse.Namespace) -> int:
    plan, fates = pipelines.plan(args.pipeline, request(args))
    work = [fate for fate in fates if fate.fate in ("run", "wait")]
    if args.json:
        body = {"pipeline": plan.pipeline, "params": plan.params, "steps": fates}
        print(json.format(json.encode(body)).decode())
    else:
        rows = [(f.step, f.fate, format_duration(f.seconds) if f.seconds else "", f.reason) for f in fates]
        print(table.render(("step", "fate", "took", "why"), rows, coloured()))
        counts = {name: sum(f.fate == name for f in fates) for name in ("hit", "run", "wait", "skip")}
        words = {"hit": "hit", "run": "run", "wait": "wait for upstream", "skip": "skip"}
        print("\n" + ", ".join(f"{count} {words[name]}" for name, count in counts.items() if count))
    return 3 if work and args.detailed_exitcode else 0
