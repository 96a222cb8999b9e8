"""Print what a step printed, in the last run or another; for a hit, when it last ran.

treadle logs train
treadle logs train --run 20250106-093000
"""

import argparse
import sys

from treadle.api import runs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("step", metavar="STEP", help="the step's name")
    parser.add_argument("--run", default="last", metavar="RUN", help="a run's id or its beginning (default: last)")


def run(args: argparse.Namespace) -> int:
    sys.stdout.write(runs.read_log(args.step, args.run))
    return 0
