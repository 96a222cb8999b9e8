"""Close the loop: serve the model, watch its traffic, retrain, test the new model, roll it out or back.

treadle up pipelines/surge_pricing.yaml
treadle up pipelines/surge_pricing.yaml --no-serve
"""

import argparse
import sys
import time

from treadle.api import up
from treadle.cli.options import params


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pipeline", metavar="PIPELINE", help="the pipeline's YAML file")
    parser.add_argument("--no-serve", action="store_true", help="only control: `treadle serve` runs elsewhere")
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="where to serve (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8080, metavar="N", help="port (default 8080; 0: a free one)")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes that answer (default 1)")
    parser.add_argument("--token-file", default="", metavar="FILE", help="the token for feedback and for webhooks")
    parser.add_argument("--hook-port", type=int, default=8081, metavar="N", help="where webhooks listen (default 8081)")
    parser.add_argument("-p", "--param", action="append", default=[], metavar="NAME=VALUE", help="set a parameter")


def run(args: argparse.Namespace) -> int:
    options = up.Options(
        serve=not args.no_serve,
        host=args.host,
        port=args.port,
        workers=args.workers,
        token_file=args.token_file,
        hook_port=args.hook_port,
        params=params(args.param),
    )
    return up.up(args.pipeline, options, _say)


def _say(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()
