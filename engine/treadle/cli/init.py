"""Start a project: a pipeline that runs, a CI workflow, a pre-commit hook and editor settings.

treadle init
treadle init demand --template shell
"""

import argparse
import os

from msgspec import json

from treadle.api import init


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", nargs="?", default=".", metavar="FOLDER", help="where (default: here)")
    words = "; ".join(f"{name}: {text}" for name, (_, text) in init.TEMPLATES.items())
    parser.add_argument("--template", default="tabular", metavar="NAME", help=words)
    parser.add_argument("--json", action="store_true", help="write what was made as JSON")


def run(args: argparse.Namespace) -> int:
    started = init.init(args.folder, args.template)
    if args.json:
        print(json.format(json.encode(started)).decode())
        return 0
    for name in started.made:
        print(f"made  {name}")
    for name in started.kept:
        print(f"kept  {name}")
    there = os.path.relpath(started.folder)
    enter = "" if there == "." else f"cd {there} && "
    print(f"\nnow:  {enter}treadle run {started.pipeline}")
    return 0
