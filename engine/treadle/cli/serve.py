"""Serve models over HTTP: Open Inference Protocol V2, MLflow, SageMaker and KServe V1 on one port.

treadle serve pipelines/surge_pricing.yaml
treadle serve surge-pricing@champion --port 9000 --workers 2
"""

import argparse
import sys

from treadle.api import serve


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "target", metavar="PIPELINE|MODEL[@ALIAS]", help="a pipeline's YAML file, or a registered model"
    )
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="where to listen (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8080, metavar="N", help="port (default 8080; 0: a free one)")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes that answer (default 1)")
    parser.add_argument("--token-file", default="", metavar="FILE", help="a file with the token for what changes state")


def run(args: argparse.Namespace) -> int:
    options = serve.Options(host=args.host, port=args.port, workers=args.workers, token_file=args.token_file)
    return serve.serve(args.target, options, _ready)


def _ready(served: serve.Served) -> None:
    how = {
        "token": "feedback needs the token",
        "loopback": "open to this machine alone",
        "refused": "feedback is refused: beyond loopback it needs --token-file",
    }
    sys.stdout.write(f"serving {', '.join(served.models)} on {served.url} ({how[served.guarded]})\n")
    sys.stdout.write(f"  try it: {served.url}/docs\n")
    sys.stdout.flush()
