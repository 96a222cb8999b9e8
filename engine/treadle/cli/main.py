"""`treadle COMMAND …`: choose the command's file, parse, run, turn errors into exit codes.

Exit codes: 0 done, 1 a step failed, 2 the input is wrong, 3 work was found or the lock differs, 130 interrupted.
"""

import os
import sys
from contextlib import suppress

from treadle.version import __version__

TYPE_CHECKING = False  # importing typing for it would take 3 ms
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from treadle.executors.start import Started

COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("treadle.cli.init", "start a project: pipeline, CI workflow, hook, editor settings"),
    "check": ("treadle.cli.check", "find every mistake in pipeline files, with place and fix"),
    "plan": ("treadle.cli.plan", "show what a run would do, and why"),
    "run": ("treadle.cli.run", "run a pipeline; only what changed"),
    "watch": ("treadle.cli.watch", "run again whenever something changes"),
    "explain": ("treadle.cli.explain", "why a step would run or not, and what would change that"),
    "lock": ("treadle.cli.lock", "write what the last accepted run used and made"),
    "cache": ("treadle.cli.cache", "what the store holds; sweep it, prove it"),
    "graph": ("treadle.cli.graph", "draw the DAG as a tree, Mermaid or DOT"),
    "runs": ("treadle.cli.runs", "list past runs"),
    "show": ("treadle.cli.show", "show a run, or what became of one step in it"),
    "logs": ("treadle.cli.logs", "print what a step printed"),
    "data": ("treadle.cli.data", "show data version by version, with lineage; compare two"),
    "models": ("treadle.cli.models", "list, show, promote, roll back and compare registered models"),
    "ledger": ("treadle.cli.ledger", "read the record of automatic acts, or ask why a version serves"),
    "steps": ("treadle.cli.steps", "list the step library, or explain one step"),
    "export": ("treadle.cli.export", "write what other platforms need, such as a folder for docker build"),
    "predict": ("treadle.cli.predict", "predict every row of a table with a registered model"),
    "serve": ("treadle.cli.serve", "serve models over HTTP, in the dialect that clients speak"),
    "up": ("treadle.cli.up", "close the loop: serve, watch, retrain, test, roll out or back"),
    "status": ("treadle.cli.status", "what serves, what is tried, what drifted, what happens next"),
    "rollout": ("treadle.cli.rollout", "pause, resume, abort or approve a rollout"),
    "schema": ("treadle.cli.schema", "print a published JSON Schema"),
}
MANY = 20_000  # objects made between two looks for garbage: a run keeps most of what it makes
ASIDE = frozenset(("-h", "--help", "--executor"))  # words after which steps run elsewhere, or not at all


def command(argv: "Sequence[str]") -> int:
    """Run one command and return its exit code."""
    try:
        return _command(argv)
    except BrokenPipeError:
        return 0  # who reads has read enough
    except OSError as error:  # what a room does not explain itself, such as an output that cannot be written
        return _ended(2, f"error: {error.filename or 'the output'}: {error.strerror or error}")


def _command(argv: "Sequence[str]") -> int:
    if not argv or argv[0] in ("-h", "--help", "help"):
        sys.stdout.write(_overview())
        return 0
    if argv[0] in ("-V", "--version"):
        sys.stdout.write(f"treadle {__version__}\n")
        return 0
    name = argv[0]
    if name not in COMMANDS:
        from treadle.errors import did_you_mean  # lazy: only for a mistake

        sys.stderr.write(f"error: no command is called '{name}'\n  = hint: {did_you_mean(name, COMMANDS)}\n")
        return 2
    nursery = None
    if name == "run":
        from treadle.cli.again import again  # lazy: only where there may be nothing to do

        if again(argv[1:]):
            return 0
        nursery = _nursery(argv[1:])
    import gc  # lazy: with nothing to do there is no command to load
    from importlib import import_module  # lazy: likewise

    import treadle.lean  # noqa: F401  # lazy: msgspec, 40 ms that --version and a run with nothing to do spare

    module = import_module(COMMANDS[name][0])
    from treadle.cli.parser import parser  # lazy: argparse, 6 ms that --version and a run with nothing to do spare

    gc.freeze()
    gc.set_threshold(MANY)
    gc.enable()  # which `lean` has turned off
    options = parser(name, module.__doc__)
    module.add_arguments(options)
    try:
        # argparse cannot mix options and arguments where a command has commands of its own
        parse = options.parse_args if getattr(options, "_subparsers", None) else options.parse_intermixed_args
        args = parse(argv[1:])
    except SystemExit as leave:
        return int(leave.code or 0)
    args.words = tuple(argv[1:])
    args.nursery = nursery
    return _guarded(module.run, args)


def _nursery(words: "Sequence[str]") -> "Started | None":
    """Steps will most likely have to run: what forks them gets ready while that is found out."""
    if not any(map(os.path.isfile, words)) or not ASIDE.isdisjoint(words):
        return None
    from treadle.executors.start import start  # lazy: only where something has changed
    from treadle.run import PERFORM  # lazy: likewise

    return start(PERFORM)


def _guarded(run: "Callable[[argparse.Namespace], int]", args: "argparse.Namespace") -> int:
    import signal  # lazy: 2 ms that --version spares

    from treadle.errors import InputError, TreadleError  # lazy: --help and --version need no error types

    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return run(args)
    except InputError as error:
        from treadle.cli.problems import text  # lazy: only for a mistake

        return _ended(2, text(error.problems, sys.stderr.isatty()))
    except TreadleError as error:
        return _ended(2, f"error: {error}")
    except KeyboardInterrupt as stop:
        return _ended(130, str(stop) or "interrupted")


def delivered(code: int) -> int:
    """The exit code once everything printed is on its way: output that was lost must not pass for success."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _give_up(1)  # who reads has read enough
    except OSError as error:
        _give_up(1)
        if code != 2:  # else it has been said
            code = _ended(code or 2, f"error: the output: {error.strerror or error}")
    try:
        sys.stderr.flush()
    except OSError:
        _give_up(2)
    except ValueError:  # closed
        pass
    return code


def _ended(code: int, text: str) -> int:
    with suppress(OSError):
        sys.stderr.write(text + "\n")
    return code


def _give_up(handle: int) -> None:
    """Let the rest of an output go nowhere; the interpreter would try again at its end, and exit with 120."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), handle)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _overview() -> str:
    width = max(map(len, COMMANDS))
    rows = "\n".join(f"  {name:{width}}  {text}" for name, (_, text) in COMMANDS.items())
    return (
        "Treadle: declarative ML pipelines in git that close their own loop.\n\n"
        f"usage: treadle COMMAND [options]\n\n{rows}\n\n"
        "  treadle COMMAND --help explains one command.\n"
        "  treadle run pipelines/surge_pricing.yaml is a good start.\n"
    )
