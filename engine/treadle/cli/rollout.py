"""Hold, resume, end or approve the rollout that goes on for a model; it is obeyed at once.

treadle rollout pause surge-pricing
treadle rollout abort surge-pricing
"""

import argparse

from treadle.api import loop


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    texts = {
        "pause": "stay where it is: nobody new is enrolled, nothing is decided but a rollback",
        "resume": "go on",
        "abort": "roll back now; the version goes into quarantine",
        "approve": "agree to what it waits for",
    }
    for word, text in texts.items():
        verb = verbs.add_parser(word, help=text)
        verb.add_argument("model", metavar="MODEL", help="the model's name")
        verb.add_argument("--json", action="store_true", help="write the facts as JSON")


def run(args: argparse.Namespace) -> int:
    kept = loop.move_rollout(args.model, args.verb)
    if args.json:
        from msgspec import json  # lazy: only for machines

        print(json.format(json.encode(kept)).decode())
        return 0
    rollout = kept.rollout
    print(f"rollout {rollout.rollout_id} of version {rollout.challenger} against {rollout.champion}")
    print(f"  {rollout.state.phase}: {rollout.state.reason}" + ("; paused" if rollout.state.paused else ""))
    return 0
