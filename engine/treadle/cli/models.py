"""List, show, promote, roll back and compare the models that runs have registered.

A model is named NAME (its champion), NAME@ALIAS or NAME/VERSION.

treadle models list
treadle models show surge-pricing@challenger
treadle models promote surge-pricing 3 --reason "won the test"
treadle models rollback surge-pricing --quarantine 24h
treadle models diff surge-pricing/2 surge-pricing/3
"""

import argparse
import getpass
import time

from msgspec import json

from treadle.api import loop, models
from treadle.cli import table
from treadle.cli.model import shown, when
from treadle.cli.options import coloured
from treadle.domain.model import CHAMPION, AliasEvent
from treadle.errors import input_error
from treadle.quantity import duration
from treadle.store import Move


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    listed = verbs.add_parser("list", help="list the registered models and their aliases")
    show = verbs.add_parser("show", help="show one version: lineage, metrics, signature, who serves it, history")
    show.add_argument("model", metavar="MODEL", help="NAME, NAME@ALIAS or NAME/VERSION")
    show.add_argument("--load", action="store_true", help="load it in a process of its own and ask it its example")
    promote = verbs.add_parser("promote", help="move an alias to a version")
    promote.add_argument("name", metavar="NAME", help="the model's name")
    promote.add_argument("version", metavar="VERSION", type=int, help="the version's number")
    promote.add_argument("--force", action="store_true", help="even if the version is in quarantine")
    rollback = verbs.add_parser("rollback", help="move an alias back to the version it had before")
    rollback.add_argument("name", metavar="NAME", help="the model's name")
    rollback.add_argument("--quarantine", metavar="TIME", help="bar the version it leaves for so long, such as 24h")
    for verb in (promote, rollback):
        verb.add_argument("--alias", default=CHAMPION, metavar="ALIAS", help=f"which alias (default {CHAMPION})")
        verb.add_argument("--reason", default="", metavar="TEXT", help="why, for the history")
    diff = verbs.add_parser("diff", help="show in what two versions differ")
    diff.add_argument("before", metavar="A", help="NAME, NAME@ALIAS or NAME/VERSION")
    diff.add_argument("after", metavar="B", help="NAME, NAME@ALIAS or NAME/VERSION")
    for verb in (listed, show, promote, rollback, diff):
        verb.add_argument("--json", action="store_true", help="write the facts as JSON")


def run(args: argparse.Namespace) -> int:
    verbs = {"list": _list, "show": _show, "promote": _promote, "rollback": _rollback, "diff": _diff}
    return verbs[args.verb](args)


def _list(args: argparse.Namespace) -> int:
    found = models.list_models()
    if args.json:
        return _as_json(found)
    if not found:
        print("no model is registered here; a step that `uses: deploy.model` registers one: treadle steps deploy.model")
        return 0
    rows = [
        (
            one.name,
            ", ".join(f"{alias} {version}" for alias, version in one.aliases.items()),
            str(len(one.versions)),
            when(one.latest),
            ", ".join(map(str, one.quarantined)),
        )
        for one in found
    ]
    print(table.render(("model", "aliases", "versions", "latest", "quarantined"), rows, coloured()))
    return 0


def _show(args: argparse.Namespace) -> int:
    found = models.get_model(args.model)
    loading = None
    if args.load:
        from treadle.api.loading import try_model  # lazy: only --load needs it

        loading = try_model(f"{found.version.name}/{found.version.version}")
    if args.json:
        _as_json({**models.as_plain(found), **({} if loading is None else {"loading": models.as_plain(loading)})})
    else:
        print(shown(found, loading, coloured()))
    return 1 if loading is not None and loading.refused else 0


def _promote(args: argparse.Namespace) -> int:
    event = models.promote(_move(args, args.version), args.force)
    return _as_json(event) if args.json else _moved(event)


def _rollback(args: argparse.Namespace) -> int:
    seconds = None
    if args.quarantine is not None:
        try:
            seconds = duration(args.quarantine)
        except ValueError as error:
            raise input_error("bad-duration", f"--quarantine: {error}") from None
    event = models.rollback(_move(args, None), seconds)
    return _as_json(event) if args.json else _moved(event)


def _diff(args: argparse.Namespace) -> int:
    found = models.compare(args.before, args.after)
    if args.json:
        return _as_json(found)
    if not found:
        print("they do not differ")
        return 0
    rows = [(one.kind, one.name, _value(one.before), _value(one.after)) for one in found]
    print(table.render(("what", "name", args.before, args.after), rows, coloured()))
    return 0


def _move(args: argparse.Namespace, version: int | None) -> Move:
    return Move(
        name=args.name,
        alias=args.alias,
        version=version,
        at=time.time(),
        actor=_user(),
        reason=args.reason or f"{args.verb} by hand",
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may run under a number that has no name
        return "unknown"


def _moved(event: AliasEvent) -> int:
    before = "nothing" if event.old is None else f"version {event.old}"
    print(f"{event.name}@{event.alias} is now version {event.new} (was {before})")
    ended = loop.ended_by(event)
    if ended is not None:
        print(f"rollout {ended.rollout_id} of version {ended.challenger} was aborted by that")
    return 0


def _value(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    return f"{text[:12]}…" if len(text) == 64 and text.isalnum() else text


def _as_json(value: object) -> int:
    print(json.format(json.encode(value)).decode())
    return 0
