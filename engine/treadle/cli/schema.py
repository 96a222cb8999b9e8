"""Print a published JSON Schema, for an editor or another tool.

treadle schema pipeline > pipeline.schema.json
"""

import argparse
import json

from treadle.document.lock import lock_schema
from treadle.document.pipeline import pipeline_schema
from treadle.document.table import table_schema

SCHEMAS = {"pipeline": pipeline_schema, "table": table_schema, "lock": lock_schema}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", default="pipeline", choices=tuple(SCHEMAS), help="which schema")


def run(args: argparse.Namespace) -> int:
    print(json.dumps(SCHEMAS[args.name](), indent=2))
    return 0
