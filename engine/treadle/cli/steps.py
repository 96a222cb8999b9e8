"""List the step library, or explain one step: inputs, outputs, parameters and an example.

treadle steps
treadle steps train.estimator
treadle steps --schema > .treadle/pipeline.schema.json
"""

import argparse

from msgspec import json

from treadle.api import library
from treadle.cli import table
from treadle.cli.options import coloured


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="STEP", help="the library step to explain")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="write it as JSON, with the JSON Schema of its parameters")
    form.add_argument("--markdown", action="store_true", help="write it as a page of documentation")
    form.add_argument("--schema", action="store_true", help="write the schema of pipeline files with these steps")


def run(args: argparse.Namespace) -> int:
    if args.schema:
        print(_json(library.editor_schema()))
    elif args.name:
        found = library.explain(args.name)
        print(_json(found) if args.json else library.page(found) if args.markdown else _explained(found))
    else:
        steps = library.list_steps()
        rows = [(step.name, step.summary) for step in steps]
        listed = table.render(("step", "what it does"), rows, coloured())
        print(_json(steps) if args.json else library.contents(steps) if args.markdown else listed)
    return 0


def _json(value: object) -> str:
    return json.format(json.encode(value)).decode()


def _explained(step: library.LibraryStep) -> str:
    lines = [f"{step.name}: {step.summary}", ""]
    lines += [f"  in   {name}{'' if needed else ' (optional)'}" for name, needed in step.inputs]
    lines += [f"  out  {name}" for name in step.outputs]
    lines += [f"  with {name}: {kind}{f' = {default}' if default else ''}" for name, kind, default in step.params]
    return "\n".join([*lines, "", step.doc, "", step.example])
