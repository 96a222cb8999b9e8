"""Write the lock of a pipeline, `x.lock.yaml` beside `x.yaml`, from what the cache knows; nothing is run.

treadle lock pipelines/surge_pricing.yaml
treadle lock --install-merge-driver
"""

import argparse
import sys

from msgspec import json

from treadle.api import lock
from treadle.cli.options import add_params, params
from treadle.errors import input_error

DIFFERS = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pipeline", nargs="?", metavar="PIPELINE", help="the pipeline's YAML file")
    add_params(parser)
    parser.add_argument("--json", action="store_true", help="write the outcome as JSON")
    parser.add_argument("--install-merge-driver", action="store_true", help="let git merge locks step by step")
    parser.add_argument("--merge", nargs=4, metavar=("BASE", "OURS", "THEIRS", "PATH"), help="what git calls to merge")


def run(args: argparse.Namespace) -> int:
    if args.merge:
        return _merge(*args.merge)
    if args.install_merge_driver:
        print(f"git merges locks step by step now; commit {lock.install_merge_driver()}")
        return 0
    if not args.pipeline:
        raise input_error("no-pipeline", "name a pipeline", None, "treadle lock pipelines/x.yaml")
    found = lock.lock(args.pipeline, params(args.param))
    if args.json:
        print(json.format(json.encode(found)).decode())
    elif found.unlocked:
        lines = [f"{found.path} was not written: what these steps make is not known yet", ""]
        lines += [f"  {one.step}: {one.reason}" for one in found.unlocked]
        print("\n".join([*lines, "", f"run it first: treadle run {args.pipeline}"]))
    else:
        print(f"{found.path}: {found.steps} steps, {'written' if found.changed else 'unchanged'}")
    return DIFFERS if found.unlocked else 0


def _merge(base: str, ours: str, theirs: str, path: str) -> int:
    merged = lock.merge_files(base, ours, theirs, path)
    if not merged.conflicts:
        return 0
    names = ", ".join(name if section == "steps" else f"{section} {name}" for section, name in merged.conflicts)
    pipeline = path.removesuffix(".lock.yaml") + ".yaml"
    sys.stderr.write(
        f"conflict in {path}: both branches changed {names}\n"
        f"  = hint: resolve the pipeline and its code, then: treadle run {pipeline} && treadle lock {pipeline}\n"
    )
    return 1
