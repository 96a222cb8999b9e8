"""Run a pipeline, and run it again whenever its files, code or YAML change; Ctrl-C ends it.

One line per turn: what changed, what ran, what that did not reach, which metrics moved. Exit code 0, or 130
when a run was going on.

  treadle watch pipelines/surge_pricing.yaml
  treadle watch pipelines/surge_pricing.yaml train
"""

import argparse
import sys
import time
from contextlib import closing

from msgspec import json

from treadle.api.watch import Turn, watch
from treadle.cli import problems
from treadle.cli.options import add_request, coloured, request, retyped
from treadle.cli.progress import Progress
from treadle.cli.summary import failures
from treadle.domain import event as events
from treadle.domain.event import TurnFinished
from treadle.quantity import format_duration

NAMES = 4  # how many names a line spells out


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_request(parser)
    parser.add_argument("-j", "--jobs", type=int, default=0, metavar="N", help="steps at a time (default: all cores)")
    parser.add_argument("--executor", metavar="NAME", help="where steps run: process or inline")
    parser.add_argument("--poll", type=float, metavar="SECONDS", help="look every so often, ask the system for nothing")
    parser.add_argument("--json", action="store_true", help="write one event per turn")


def run(args: argparse.Namespace) -> int:
    shown = _Shown(retyped(args), args.json)
    try:
        with closing(watch(args.pipeline, request(args), shown.notify, args.poll)) as turns:  # type: ignore[type-var]
            for turn in turns:
                shown.tell(turn)
    except KeyboardInterrupt:
        return shown.stop()
    return 0


class _Shown:
    """Writes a turn's line; while steps run, their progress, on a terminal only."""

    def __init__(self, pipeline: str, as_json: bool) -> None:
        self._pipeline = pipeline
        self._json = as_json
        self._progress: Progress | None = None
        self._running = True
        self._said = ""

    def notify(self, event: events.Event) -> None:
        if isinstance(event, events.RunStarted):
            self._running = True
            self._progress = Progress(sys.stderr, quiet=self._json, brief=True)
        if self._progress is not None:
            self._progress.notify(event)
        if isinstance(event, events.RunFinished):
            self._close()

    def tell(self, turn: Turn) -> None:
        self._running = False
        self._close()
        if turn.notice:
            sys.stderr.write(f"note  {turn.notice}\n")
        if self._json:
            sys.stdout.write(json.encode(turn.event).decode() + "\n")
        else:
            sys.stdout.write(self._text(turn))
        sys.stdout.flush()

    def stop(self) -> int:
        """Say that it is over."""
        self._close()
        if self._running:
            sys.stderr.write("interrupted; what finished is kept\n")
            return 130
        sys.stderr.write("stopped watching\n" if not self._json else "")
        return 0

    def _text(self, turn: Turn) -> str:
        """The line, under it whatever is new about problems and failures."""
        blocks = []
        if turn.problems:
            blocks.append(problems.text(turn.problems, coloured()))
        if turn.run is not None:
            blocks += failures(turn.run, self._pipeline)
        more = "\n\n".join(blocks)
        if turn.problems and more == self._said:
            more = ""  # an edit that mended nothing: once is enough
        elif turn.problems:
            self._said = more
        else:
            self._said = ""
        return line(turn.event) + "\n" + (more + "\n" if more else "")

    def _close(self) -> None:
        if self._progress is not None:
            self._progress.close()
            self._progress = None


def line(event: TurnFinished) -> str:
    """A turn in one line."""
    at = time.strftime("%H:%M:%S", time.localtime(event.at))
    what = f"{_some(event.changed)} changed" if event.changed else "start"
    return f"{at}  {what}: {'; '.join(_parts(event))}"


def _parts(event: TurnFinished) -> list[str]:
    if event.status == "invalid":
        count = len(event.problems)
        return [
            f"{count} problem{'' if count == 1 else 's'}, waiting for {'it' if count == 1 else 'them'} to be mended"
        ]
    if event.status == "superseded":
        return ["stopped, since more changed meanwhile; what finished is kept"]
    parts = []
    if event.ran:
        parts.append(f"ran {_some(event.ran)} in {format_duration(event.seconds)}")
    if event.failed:
        parts.append(f"failed {_some(event.failed)}")
    if event.skipped:
        parts.append(f"skipped {_some(event.skipped)}")
    if event.cut_off:
        parts.append(f"cut off {_some(event.cut_off)}")
    if not parts:
        parts.append(f"nothing to do, {event.unchanged} unchanged")
    moved = [(step, name, pair) for step, pairs in event.metrics.items() for name, pair in pairs.items()]
    several = len({name for _, name, _ in moved}) < len(moved)
    for step, name, (old, new) in moved[:NAMES]:
        parts.append(f"{f'{step}.' if several else ''}{name} {_figure(old)} -> {_figure(new)}")
    if len(moved) > NAMES:
        parts.append(f"{len(moved) - NAMES} more metrics moved")
    return parts


def _some(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:NAMES])
    return shown if len(names) <= NAMES else f"{shown} and {len(names) - NAMES} more"


def _figure(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"
