"""Look at the store, sweep it, prove it or copy it: `stats`, `gc`, `verify`, `push`, `pull`.

treadle cache stats
treadle cache gc --plan --keep 20
treadle cache verify
treadle cache push
"""

import argparse

from msgspec import json

from treadle.api import cache
from treadle.cli import table
from treadle.cli.options import coloured
from treadle.quantity import format_size
from treadle.store.copies import Pushed
from treadle.store.sweep import Report, Waste
from treadle.store.usage import Usage

WHAT = ("stats", "gc", "verify", "push", "pull")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=WHAT, metavar="WHAT", help="stats, gc, verify, push or pull")
    parser.add_argument("--plan", action="store_true", help="gc: only show what would go")
    keep = "gc, push: runs of each pipeline to keep (default: keep_runs)"
    parser.add_argument("--keep", type=int, metavar="N", help=keep)
    parser.add_argument("--all", action="store_true", help="push: everything stored, not only what gc keeps")
    parser.add_argument("--json", action="store_true", help="write it as JSON")


def run(args: argparse.Namespace) -> int:
    if args.what == "stats":
        found = cache.stats()
        print(_json(found) if args.json else _stats(found))
        return 0
    if args.what == "verify":
        report = cache.verify()
        print(_json(report) if args.json else _report(report))
        return 1 if set(report.damaged) - set(report.repaired) or report.forgotten else 0
    if args.what == "push":
        pushed = cache.push(keep=args.keep, all_objects=args.all)
        print(_json(pushed) if args.json else _pushed(pushed))
        return 1 if pushed.damaged else 0
    if args.what == "pull":
        pulled = cache.pull()
        print(_json(pulled) if args.json else _pulled(pulled))
        return 1 if pulled.missing else 0
    return _collect(args)


def _collect(args: argparse.Namespace) -> int:
    waste = cache.waste(keep=args.keep)
    freed = None if args.plan else cache.collect(waste)
    if args.json:
        print(_json({"plan": waste, "freed": freed}))
    else:
        print(_waste(waste, freed))
    return 0


def _stats(found: Usage) -> str:
    rows = [
        (one.pipeline, one.step, str(one.results), str(one.objects.count), format_size(one.objects.size))
        for one in found.steps
    ]
    blocks = [f"{found.objects.count} objects, {format_size(found.objects.size)}; {found.results} results"]
    if rows:
        blocks.append(table.render(("pipeline", "step", "results", "objects", "size"), rows, coloured()))
    if found.loose.count:
        blocks.append(f"{found.loose.count} objects, {format_size(found.loose.size)}, that no result names")
    runs = [_run_row(summary.run.run_id, summary.run.pipeline, summary.fates) for summary in found.runs]
    if runs:
        blocks.append(table.render(("run", "pipeline", "hits", "of", "share"), runs, coloured()))
    return "\n\n".join(blocks)


def _run_row(run_id: str, pipeline: str, fates: dict[str, int]) -> tuple[str, ...]:
    hits, decided = fates.get("hit", 0), sum(fates.get(fate, 0) for fate in ("hit", "run", "failed"))
    return run_id, pipeline, str(hits), str(decided), f"{100 * hits / decided:.0f} %" if decided else ""


def _waste(waste: Waste, freed: int | None) -> str:
    rows = [(step or "(no result)", str(share.count), format_size(share.size)) for step, share in waste.steps.items()]
    blocks = [table.render(("step", "objects", "size"), rows, coloured())] if rows else []
    results = f"{len(waste.results)} result{'' if len(waste.results) == 1 else 's'}"
    if freed is None:
        blocks.append(f"would go: {waste.count} objects, {format_size(waste.size)}; {results}")
    else:
        blocks.append(f"{format_size(freed)} freed; {results} forgotten")
    return "\n\n".join(blocks)


def _report(report: Report) -> str:
    lines = [f"{report.count} objects, {format_size(report.size)}, verified"]
    lines += [f"damaged: {digest}; {_fate(report, digest)}" for digest in report.damaged]
    lines += [f"lost: {digest}; repaired" for digest in report.repaired if digest not in report.damaged]
    lines += report.remote
    fate = "not whole" if report.denied else "marked as a miss"
    lines += [f"{fate}: {pipeline} {step}" for pipeline, step in report.forgotten]
    if report.denied:
        lines.append(report.denied)
    elif report.forgotten:
        lines.append("the next run makes them again")
    elif not report.damaged and not report.repaired:
        lines.append("everything is whole")
    return "\n".join(lines)


def _pushed(pushed: Pushed) -> str:
    lines = [f"{pushed.sent} objects, {format_size(pushed.size)}, sent; {pushed.there} were there"]
    lines += [f"damaged, so not sent: {digest}" for digest in pushed.damaged]
    if pushed.damaged:
        lines.append("`treadle cache verify` repairs what can be repaired")
    return "\n".join(lines)


def _pulled(pulled: cache.Pulled) -> str:
    lines = [f"{len(pulled.came)} objects came back", *pulled.remote]
    lines += [f"still not whole: {pipeline} {step}" for pipeline, step in pulled.missing]
    return "\n".join(lines if pulled.came or pulled.missing else ["nothing was missing"])


def _fate(report: Report, digest: str) -> str:
    if digest in report.repaired:
        return "repaired"
    return "left where it is" if report.denied else "moved to .treadle/damaged"


def _json(value: object) -> str:
    return json.format(json.encode(value)).decode()
