"""Read the ledger of automatic acts: list it, verify its chain, or ask why a version serves.

treadle ledger list --kind trigger
treadle ledger why surge-pricing@champion
treadle ledger verify
"""

import argparse
from typing import Any

from msgspec import json

from treadle.api import ledger
from treadle.cli import table
from treadle.cli.model import when
from treadle.cli.options import coloured
from treadle.domain.ledger import LedgerEntry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB")
    parser.set_defaults(kind="", subject="", limit=50, json=False)  # no verb: list
    listed = verbs.add_parser("list", help="list the newest entries")
    listed.add_argument("--kind", default="", metavar="KIND", help="only these: trigger, trigger.fire, rollout, …")
    listed.add_argument("--subject", default="", metavar="TEXT", help="only about this: NAME/VERSION, PIPELINE/TRIGGER")
    listed.add_argument("--limit", type=int, default=50, metavar="N", help="how many (default 50)")
    why = verbs.add_parser("why", help="walk from a model back to the test, the trigger, the commit and the data")
    why.add_argument("model", metavar="MODEL", help="NAME, NAME@ALIAS or NAME/VERSION")
    verify = verbs.add_parser("verify", help="check that no entry was changed, taken out or put between")
    verify.add_argument("--head", default="", metavar="DIGEST", help="a head noted earlier, which must still be there")
    for verb in (listed, why, verify):
        verb.add_argument("--json", action="store_true", help="write the facts as JSON")


def run(args: argparse.Namespace) -> int:
    verbs = {None: _list, "list": _list, "why": _why, "verify": _verify}
    return verbs[args.verb](args)


def _list(args: argparse.Namespace) -> int:
    found = ledger.list_entries(args.kind, args.subject, args.limit)
    if args.json:
        return _as_json(found)
    if not found:
        print("no such entry" if args.kind or args.subject else "the ledger is empty: nothing has acted by itself here")
        return 0
    rows = [(str(e.number), when(e.at), e.kind, e.subject, e.actor, _gist(e)) for e in found]
    print(table.render(("entry", "at", "kind", "subject", "by", "why"), rows, coloured()))
    return 0


def _verify(args: argparse.Namespace) -> int:
    found = ledger.verify(args.head)
    if args.json:
        _as_json(found)
    elif found.broken is None:
        print(f"{found.entries:,} entries hold" + (f"; head {found.head}" if found.head else ""))
    else:
        print(f"entry {found.broken.number} is broken: {found.broken.reason}; the {found.entries:,} before it hold")
    return 0 if found.broken is None else 1


def _why(args: argparse.Namespace) -> int:
    walk = ledger.why(args.model)
    if args.json:
        return _as_json(walk)
    version = walk.version
    facts = [("moved", _moved(walk)), *_test(walk)]
    facts.append(("made", f"{when(version.created)} by step {version.step} of {version.pipeline}"))
    facts += _made(walk)
    facts.append(("commit", version.git or "not known: the project was not in git"))
    facts += [(f"data {name}", digest) for name, digest in version.data.items()] or [("data", "none was declared")]
    width = max(len(name) for name, _ in facts)
    print("\n".join([f"{version.name} version {version.version}", *(f"  {n:{width}}  {text}" for n, text in facts)]))
    return 0


def _moved(walk: ledger.Walk) -> str:
    move = walk.moved
    if move is None:
        return f"never: it has not been {walk.alias}"
    before = f"{move.old} → " if move.old is not None else ""
    return f"{when(move.at)} {walk.alias} {before}{move.new} by {move.actor}{f': {move.reason}' if move.reason else ''}"


def _test(walk: ledger.Walk) -> list[tuple[str, str]]:
    entry = walk.admitted
    if entry is None:
        return [("test", "none: no rollout let this version pass")]
    found = [("test", f"{when(entry.at)} {entry.evidence['decision']} (entry {entry.number})")]
    for metric, figures in entry.evidence.get("figures", {}).get("metrics", {}).items():
        champion, challenger = figures["units"]
        best = max(figures["log_e_best"].values(), default=None)
        strength = "" if best is None else f", log E {best:.2f} of {figures['needed']:.2f} needed"
        effect = "" if figures["effect"] is None else f" effect {figures['effect']:+.4g},"
        found.append((f"  {metric}", f"{effect} {champion:,} and {challenger:,} units{strength}".strip()))
    return found


def _made(walk: ledger.Walk) -> list[tuple[str, str]]:
    found = [("run", f"{walk.version.run_id}: {walk.run.status}" if walk.run else "its record is gone")]
    entry = walk.fired
    if entry is None:
        found.append(("asked by", "hand: no trigger started that run"))
    else:
        names = ", ".join(entry.evidence["triggers"])
        found.append(("asked by", f"trigger {names}: {entry.evidence['reason']} (entry {entry.number})"))
    for step in walk.run.steps.values() if walk.run else ():
        found += [("gate", f"{'held' if gate.passed else 'did not hold'}: {gate.text}") for gate in step.gates]
    return found


def _gist(entry: LedgerEntry) -> str:
    found = next((entry.evidence[key] for key in ("decision", "reason", "text") if entry.evidence.get(key)), "")
    return str(found)


def _as_json(found: Any) -> int:
    print(json.format(json.encode(found)).decode())
    return 0
