"""Find, compare and export past runs: every run is an experiment with its parameters, metrics and tags.

treadle runs
treadle runs list --where "evaluate.rmse < 0.3 and params.max_iter > 100" --sort evaluate.rmse
treadle runs compare last~1 last
treadle runs best evaluate.mae
treadle runs tag last baseline
treadle runs export -o runs.parquet
treadle runs report last -o report.html
"""

import argparse
import time
from collections.abc import Sequence
from typing import Any

from msgspec import json, to_builtins

from treadle.api import compare
from treadle.api.compare import Comparison, Difference, Experiment, Query
from treadle.cli import show, table
from treadle.cli.options import coloured
from treadle.errors import input_error
from treadle.quantity import format_duration, format_size

ACTIONS = ("list", "show", "compare", "best", "tag", "export", "report")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    words = "list (default), show RUN, compare RUN RUN…, best STEP.METRIC, tag RUN WORD…, export, report RUN"
    parser.add_argument("action", nargs="?", default="list", metavar="ACTION", help=words)
    parser.add_argument("names", nargs="*", metavar="NAME", help="runs by id, its beginning, last or last~1; a metric")
    parser.add_argument("--pipeline", metavar="NAME", help="only runs of this pipeline")
    parser.add_argument("--where", default="", metavar="RULE", help='only runs for which it holds: "evaluate.mae < 1"')
    parser.add_argument("--tag", action="append", default=[], metavar="WORD", help="only runs with this tag")
    parser.add_argument("--sort", default="", metavar="NAME", help="by this figure, the least first")
    parser.add_argument("--max", action="store_true", help="the greatest is the first, and the best")
    parser.add_argument("--limit", type=int, metavar="N", help="how many (default 20; export: all)")
    parser.add_argument("--remove", action="store_true", help="tag: take the words off")
    parser.add_argument("-o", "--output", metavar="FILE", help="export, report: the file to write")
    parser.add_argument("--compare", action="store_true", help="report: of the differences of two or more runs")
    parser.add_argument("--ids", action="store_true", help="list: only the ids, one a line")
    parser.add_argument("--markdown", action="store_true", help="compare: a table for a pull request")
    parser.add_argument("--json", action="store_true", help="write the answer as JSON")


def run(args: argparse.Namespace) -> int:
    action = {
        "list": _list,
        "show": _show,
        "compare": _compare,
        "best": _best,
        "tag": _tag,
        "export": _export,
        "report": _report,
    }
    if args.action not in action:
        hint = f"one of {', '.join(ACTIONS)}"
        raise input_error("unknown-action", f"runs has no action '{args.action}'", None, hint)
    action[args.action](args)
    return 0


def _list(args: argparse.Namespace) -> None:
    found = compare.find(_query(args))
    if args.json:
        print(json.format(json.encode([_plain(one) for one in found])).decode())
        return
    if args.ids:
        print("".join(f"{one.run.run_id}\n" for one in found), end="")
        return
    if not found:
        print(
            "no run has been recorded here" if not (args.where or args.tag or args.pipeline) else "no run is like that"
        )
        return
    print(_experiments(found, _asked(args)))


def _show(args: argparse.Namespace) -> None:
    show.print_run(_only(args, "a run") if args.names else "last", args.json)


def _compare(args: argparse.Namespace) -> None:
    found = compare.compare(args.names)
    if args.json:
        print(json.format(json.encode(found)).decode())
    else:
        print(_markdown(found) if args.markdown else _side_by_side(found))


def _best(args: argparse.Namespace) -> None:
    metric = _only(args, "a metric, such as evaluate.mae")
    found = compare.best(metric, _query(args))
    if args.json:
        print(json.format(json.encode(_plain(found))).decode())
        return
    print(_experiments([found], [metric]))


def _tag(args: argparse.Namespace) -> None:
    if len(args.names) < 2:
        raise input_error("missing-argument", "tag needs a run and a word", None, "treadle runs tag last baseline")
    record = compare.tag(args.names[0], args.names[1:], args.remove)
    print(f"{record.run_id}: {'took off' if args.remove else 'tagged'} {', '.join(args.names[1:])}")


def _export(args: argparse.Namespace) -> None:
    from treadle.api import export  # lazy: only this action writes tables

    if not args.output:
        raise input_error("missing-argument", "export needs a file", None, "treadle runs export -o runs.csv")
    found = compare.find(_query(args, compare.MOST))
    print(f"{args.output}: {export.export(found, args.output)} runs")


def _report(args: argparse.Namespace) -> None:
    from treadle.api import report  # lazy: only this action makes pages

    if not args.output:
        raise input_error("missing-argument", "report needs a file", None, "treadle runs report -o report.html")
    one = (args.names or ["last"])[0]
    if args.compare:
        text = report.report_comparison(args.names)
    else:
        text = report.report_junit(one) if args.output.endswith(".xml") else report.report(one)
    print(f"{args.output}: {format_size(report.write(text, args.output))}")


def _query(args: argparse.Namespace, limit: int = 20) -> Query:
    if args.limit is not None and args.limit < 1:
        raise input_error("bad-argument", f"--limit is {args.limit}", None, "give a number above 0")
    return Query(
        pipeline=args.pipeline,
        where=args.where,
        tags=tuple(args.tag),
        sort=args.sort,
        largest=args.max,
        limit=args.limit or limit,
    )


def _only(args: argparse.Namespace, what: str) -> str:
    if len(args.names) != 1:
        raise input_error("missing-argument", f"{args.action} takes {what}, not {len(args.names)} words")
    return str(args.names[0])


def _plain(one: Experiment) -> dict[str, Any]:
    """A run's record with its tags and figures beside, as JSON has it."""
    return {**to_builtins(one.run), "tags": one.tags, "values": one.values}


def _asked(args: argparse.Namespace) -> list[str]:
    """The figures that the user's own question names."""
    from treadle import expression  # lazy: a plain list asks nothing

    names = [name for name, _ in expression.names(expression.parse(args.where))] if args.where else []
    return [name for name in dict.fromkeys([*names, args.sort]) if name]


def _experiments(found: Sequence[Experiment], asked: Sequence[str]) -> str:
    figures = [name for name in asked if name not in ("status", "pipeline", "seconds", compare.TAG)]
    tagged = ["tags"] if any(one.tags for one in found) else []
    commits = ["commit"] if any(one.run.git for one in found) else []
    head = ("run", "pipeline", "status", "began", "took", *figures, *tagged, *commits, "steps")
    rows = []
    for one in found:
        record = one.run
        took = format_duration(record.finished - record.started) if record.finished else ""
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.started))
        shown = [_figure(one.values.get(name)) for name in figures]
        rows.append(
            (
                record.run_id,
                record.pipeline,
                record.status,
                when,
                took,
                *shown,
                *([" ".join(one.tags)] if tagged else []),
                *([f"{record.git[:8]}{'+' if record.git.endswith('+') else ''}"] if commits else []),
                _fates(one),
            )
        )
    return table.render(head, rows, coloured(), spare=("commit", "began", "took"))  # the id tells when it began


def _fates(one: Experiment) -> str:
    fates = [step.fate for step in one.run.steps.values()]
    return ", ".join(f"{fates.count(f)} {f}" for f in ("run", "hit", "skip", "failed", "cancelled") if f in fates)


def _side_by_side(found: Comparison) -> str:
    head = ("", *(one.run.run_id for one in found.runs))
    blocks = []
    for title, differences in (("params", found.params), ("metrics", found.metrics), ("steps", found.steps)):
        if differences:
            rows = [(_short(one.name), *_cells(one)) for one in differences]
            blocks.append(table.render((title, *head[1:]), rows, coloured()))
    same = f"{found.same} more parameters and metrics are the same"
    return "\n\n".join(
        [*blocks, same if blocks else f"nothing differs: all {found.same} parameters and metrics are the same"]
    )


def _markdown(found: Comparison) -> str:
    lines = [f"| | {' | '.join(one.run.run_id for one in found.runs)} |", f"|---|{'---|' * len(found.runs)}"]
    for title, differences in (("param", found.params), ("metric", found.metrics), ("step", found.steps)):
        for one in differences:
            cells = " | ".join(cell.replace("|", "\\|") for cell in _cells(one))
            lines.append(f"| {title} `{_short(one.name)}` | {cells} |")
    same = f"{found.same} more parameters and metrics are the same."
    return "\n".join([*lines, "", same] if len(lines) > 2 else ["Nothing differs.", "", same])


def _cells(one: Difference) -> list[str]:
    deltas = one.deltas or (None,) * len(one.values)
    cells = []
    for number, (value, delta) in enumerate(zip(one.values, deltas, strict=True)):
        change = f" ({delta:+.4g})" if number and delta else ""
        cells.append(_figure(value) + change)
    return cells


def _short(name: str) -> str:
    return name.removeprefix("params.")


def _figure(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
