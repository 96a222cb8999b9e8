"""Run a pipeline: what changed runs, the rest comes from the cache, and every step says why.

treadle run pipelines/surge_pricing.yaml
treadle run pipelines/surge_pricing.yaml train -p max_iter=50 -j 4
"""

import argparse
import sys

from msgspec import json

from treadle.api import pipelines
from treadle.cli.options import add_request, coloured, request, retyped
from treadle.cli.progress import Progress
from treadle.cli.summary import summary
from treadle.domain.event import Event
from treadle.errors import LockDiffers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_request(parser)
    parser.add_argument("-j", "--jobs", type=int, default=0, metavar="N", help="steps at a time (default: all cores)")
    parser.add_argument("--executor", metavar="NAME", help="where steps run: process or inline")
    parser.add_argument("--id", default="", metavar="ID", help="name the run, for what must know its name before")
    parser.add_argument("--locked", action="store_true", help="run only what is as locked; exit with 3 if it differs")
    parser.add_argument("--json", action="store_true", help="write one event per line")
    parser.add_argument("-q", "--quiet", action="store_true", help="print only failures and the last line")


def run(args: argparse.Namespace) -> int:
    try:
        return _run(args)
    except LockDiffers as found:
        if found.record is not None and not args.json:
            print(summary(found.record, args.pipeline, coloured(), args.quiet))
        when = "nothing was run" if found.record is None else "what the run made is kept"
        differences = "".join(f"  {one.text}\n" for one in found.differences)
        sys.stderr.write(f"error: {found.path} differs; {when}\n{differences}")
        sys.stderr.write(f"  = hint: if it is meant: treadle run {args.pipeline} && treadle lock {args.pipeline}\n")
        return 3
    finally:
        if args.nursery is not None:
            args.nursery.close()


def _run(args: argparse.Namespace) -> int:
    if args.json:
        record = pipelines.run(args.pipeline, request(args), _Lines().tell, args.words, args.id, args.nursery)
        return 1 if record.status == "failed" else 0
    progress = Progress(sys.stderr, quiet=args.quiet)
    try:
        record = pipelines.run(args.pipeline, request(args), progress.notify, args.words, args.id, args.nursery)
    finally:
        progress.close()
    print(summary(record, retyped(args), coloured(), args.quiet, progress.stages))
    return 1 if record.status == "failed" else 0


class _Lines:
    """Events as lines, as long as somebody reads them: a reader that has read enough ends no run."""

    def __init__(self) -> None:
        self._read = True

    def tell(self, event: Event) -> None:
        try:
            if self._read:
                sys.stdout.write(json.encode(event).decode() + "\n")
                sys.stdout.flush()
        except BrokenPipeError:
            self._read = False
