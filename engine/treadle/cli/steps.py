"""List the step library, or explain one step: inputs, outputs, parameters and an example.

treadle steps
treadle steps train.estimator
"""

import argparse

from msgspec import json

from treadle.api import library
from treadle.cli import table
from treadle.cli.options import coloured


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="STEP", help="the library step to explain")
    parser.add_argument("--json", action="store_true", help="write it as JSON")


def run(args: argparse.Namespace) -> int:
    if args.name:
        found = library.explain(args.name)
        print(json.format(json.encode(found)).decode() if args.json else _explained(found))
        return 0
    steps = library.list_steps()
    if args.json:
        print(json.format(json.encode(steps)).decode())
        return 0
    print(table.render(("step", "what it does"), [(s.name, s.summary) for s in steps], coloured()))
    return 0


def _explained(step: library.LibraryStep) -> str:
    lines = [f"{step.name}: {step.summary}", ""]
    lines += [f"  in   {name}{'' if needed else ' (optional)'}" for name, needed in step.inputs]
    lines += [f"  out  {name}" for name in step.outputs]
    lines += [f"  with {name}: {kind}{f' = {default}' if default else ''}" for name, kind, default in step.params]
    return "\n".join([*lines, "", step.doc, "", step.example])
