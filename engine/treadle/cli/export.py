"""Write what other platforms need to run what was made here.

treadle export docker surge-pricing -o build/surge-pricing
treadle export docker pipelines/surge_pricing.yaml -o build/image
"""

import argparse

from msgspec import json

from treadle.api import image


def add_arguments(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
    docker = kinds.add_parser("docker", help="a folder that `docker build` makes a serving image of")
    docker.add_argument("target", metavar="MODEL|PIPELINE", help="NAME, NAME@ALIAS, NAME/VERSION, or a pipeline's file")
    docker.add_argument("-o", "--out", required=True, metavar="DIR", help="the folder to make; it must not exist")
    docker.add_argument("--json", action="store_true", help="write the facts as JSON")


def run(args: argparse.Namespace) -> int:
    made = image.export_docker(args.target, args.out)
    if args.json:
        print(json.encode(made).decode())
        return 0
    print(f"exported {', '.join(made.models)} to {made.folder}: {len(made.files)} files")
    if not made.hashed:
        print("  no index could be asked: requirements.txt has versions without hashes")
    name = made.models[0].partition("/")[0]
    print(f"  docker build -t {name} {made.folder} && docker run --rm -p 8080:8080 {name}")
    return 0
