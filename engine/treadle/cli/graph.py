"""Draw the DAG of a pipeline as a tree, a Mermaid flow chart or Graphviz' DOT.

treadle graph pipelines/surge_pricing.yaml
treadle graph pipelines/surge_pricing.yaml --format mermaid
"""

import argparse

from msgspec import json

from treadle.api import pipelines
from treadle.cli.options import add_request, request
from treadle.plan import draw


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_request(parser)
    parser.add_argument("--format", choices=("tree", "mermaid", "dot", "json"), default="tree", help="how it is drawn")
    parser.add_argument("--json", dest="format", action="store_const", const="json", help="the same as --format json")


def run(args: argparse.Namespace) -> int:
    plan, fates = pipelines.plan(args.pipeline, request(args), here=False)
    if args.format == "json":
        edges = [[need, step.id] for step in plan.steps for need in step.needs]
        body = {"steps": [step.id for step in plan.steps], "edges": edges, "layers": draw.layers(plan)}
        print(json.format(json.encode(body)).decode())
    elif args.format == "tree":
        fate = {found.step: found.fate for found in fates}
        print(draw.tree(plan, lambda step: f"{step} ({fate[step]})"))
    else:
        print(draw.mermaid(plan) if args.format == "mermaid" else draw.dot(plan))
    return 0
