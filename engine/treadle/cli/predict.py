"""Predict every row of a table with a registered model; the numbers are those that the server answers.

treadle predict surge-pricing --in trips.parquet --out priced.parquet
treadle predict surge-pricing@challenger --in trips.csv --out priced.jsonl
"""

import argparse

from msgspec import json

from treadle.api import predict


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="NAME (its champion), NAME@ALIAS or NAME/VERSION")
    parser.add_argument("--in", dest="source", required=True, metavar="FILE", help="a .csv, .jsonl or .parquet file")
    parser.add_argument("--out", required=True, metavar="FILE", help="the file to write, of the same or another kind")
    parser.add_argument("--json", action="store_true", help="write the facts as JSON")


def run(args: argparse.Namespace) -> int:
    made = predict.predict(args.model, args.source, args.out)
    if args.json:
        print(json.encode(made).decode())
        return 0
    rows = "1 row" if made.rows == 1 else f"{made.rows:,} rows"
    print(f"predicted {rows} with {made.model} in {made.seconds:.1f} s: {args.out}")
    return 0
