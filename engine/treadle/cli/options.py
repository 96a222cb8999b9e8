"""Options that several commands share."""

import argparse
import shlex
import sys
from typing import Any

from treadle.api.compiled import Request
from treadle.environment import variable
from treadle.errors import input_error


def add_request(parser: argparse.ArgumentParser) -> None:
    """The pipeline, its parameters and the selection of steps."""
    parser.add_argument("pipeline", metavar="PIPELINE", help="the pipeline's YAML file")
    parser.add_argument("steps", nargs="*", default=[], metavar="STEP", help="only these steps and what they need")
    add_params(parser)
    parser.add_argument(
        "--from", dest="start", action="append", default=[], metavar="STEP", help="only this step and what follows"
    )
    parser.add_argument("--only", action="append", default=[], metavar="STEP", help="only this step, on cached inputs")
    parser.add_argument(
        "--force", action="append", default=[], metavar="STEP", help="run this step even if it is a hit"
    )


def add_params(parser: argparse.ArgumentParser) -> None:
    """The pipeline's parameters."""
    parser.add_argument("-p", "--param", action="append", default=[], metavar="NAME=VALUE", help="set a parameter")


def request(args: argparse.Namespace) -> Request:
    """The request that the options make; raises InputError for a parameter without a value."""
    return Request(
        params=params(args.param),
        targets=tuple(args.steps),
        start=tuple(args.start),
        only=tuple(args.only),
        force=tuple(args.force),
        jobs=getattr(args, "jobs", 0),
        executor=getattr(args, "executor", "") or "",
        locked=getattr(args, "locked", False),
    )


def retyped(args: argparse.Namespace) -> str:
    """The pipeline and its parameters, as they are typed again to run one step of it."""
    return " ".join([shlex.quote(args.pipeline), *(f"-p {shlex.quote(text)}" for text in args.param)])


def coloured(stream: Any = None) -> bool:
    """Whether to colour: on a terminal, unless NO_COLOR is set (https://no-color.org)."""
    return bool((stream or sys.stdout).isatty()) and not variable("NO_COLOR")


def params(given: list[str]) -> dict[str, str]:
    """The parameters given as NAME=VALUE; raises InputError for one without a value."""
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise input_error("bad-parameter", f"'{text}' is not of the form NAME=VALUE", None, "-p max_iter=50")
        found[name] = value
    return found
