"""Find every mistake in pipeline files and table schemas, each with its place and a hint.

Nothing of yours is run or imported. Exit code 0 without errors, 2 with.

  treadle check pipelines/
  treadle check pipelines/a.yaml pipelines/b.yaml --format github
"""

import argparse
import sys

from treadle.api import check as checking
from treadle.cli import problems
from treadle.cli.options import coloured
from treadle.cli.progress import Work

FORMATS = ("text", "json", "github", "sarif")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="*", default=["."], metavar="PATH", help="files and folders (default: here)")
    parser.add_argument("--format", choices=FORMATS, default="text", help="how problems are written")
    parser.add_argument("--json", dest="format", action="store_const", const="json", help="the same as --format json")


def run(args: argparse.Namespace) -> int:
    work = Work(sys.stderr)
    try:
        found = checking.check(args.paths, work.tell)
    finally:
        work.close()
    if args.format == "json":
        print(problems.as_json(found.problems, found.files))
    elif args.format == "sarif":
        print(problems.sarif(found.problems))
    elif args.format == "github":
        if found.problems:
            print(problems.github(found.problems))
    else:
        if found.problems:
            print(problems.text(found.problems, coloured()), end="\n\n")
        print(_verdict(found))
    sys.stdout.flush()
    return 0 if found.ok else 2


def _verdict(found: checking.Checked) -> str:
    errors = sum(problem.severity == "error" for problem in found.problems)
    warnings = len(found.problems) - errors
    files = f"{len(found.files)} file{'' if len(found.files) == 1 else 's'}"
    if not found.problems:
        return f"{files} checked: no problems"
    counts = [f"{n} {word}{'' if n == 1 else 's'}" for n, word in ((errors, "error"), (warnings, "warning")) if n]
    return f"{files} checked: {' and '.join(counts)}"
