"""List the latest runs of the project, newest first.

treadle runs
treadle runs --pipeline surge_pricing --limit 5
"""

import argparse
import time

from msgspec import json

from treadle.api import runs
from treadle.cli import table
from treadle.cli.options import coloured
from treadle.quantity import format_duration


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pipeline", metavar="NAME", help="only runs of this pipeline")
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="how many (default 20)")
    parser.add_argument("--json", action="store_true", help="write the runs as JSON")


def run(args: argparse.Namespace) -> int:
    found = runs.list_runs(".", args.limit, args.pipeline)
    if args.json:
        print(json.format(json.encode(found)).decode())
        return 0
    if not found:
        print("no run has been recorded here")
        return 0
    rows = []
    for one in found:
        fates = [step.fate for step in one.steps.values()]
        counts = ", ".join(f"{fates.count(f)} {f}" for f in ("run", "hit", "skip", "failed", "cancelled") if f in fates)
        took = format_duration(one.finished - one.started) if one.finished else ""
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(one.started))
        rows.append((one.run_id, one.pipeline, one.status, when, took, counts))
    print(table.render(("run", "pipeline", "status", "began", "took", "steps"), rows, coloured()))
    return 0
