"""Show the data of a pipeline, version by version: schema, rows, who made it, who uses it; and compare two versions.

treadle data
treadle data pipelines/surge_pricing.yaml split.train
treadle data diff split.train@last~1 split.train@last
"""

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import json

from treadle.api import data, figures
from treadle.api.data import Described, Item
from treadle.cli import table
from treadle.cli.options import coloured
from treadle.errors import input_error
from treadle.quantity import format_size

MOST_VERSIONS = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    words = "nothing for all pipelines, PIPELINE, NAME, PIPELINE NAME, or diff A B"
    parser.add_argument("names", nargs="*", metavar="WORD", help=words)
    parser.add_argument("--json", action="store_true", help="write the answer as JSON")


def run(args: argparse.Namespace) -> int:
    if args.names[:1] == ["diff"]:
        if len(args.names) != 3:
            raise input_error("missing-argument", "diff takes two tables", None, "treadle data diff A@RUN B@RUN")
        found: Any = figures.diff(args.names[1], args.names[2])
        shown: Callable[[Any], str] = _difference
    elif not args.names:
        found, shown = data.list_all(), _pipelines
    elif len(args.names) == 1 and data.names_pipeline(args.names[0]):
        found, shown = data.list_items(args.names[0]), _items
    elif len(args.names) < 3:
        found, shown = data.describe(*reversed(args.names)), _described
    else:
        raise input_error("missing-argument", "data takes a pipeline and one name", None, "treadle data --help")
    print(json.format(json.encode(found)).decode() if args.json else shown(found))
    return 0


def _pipelines(found: dict[str, list[Item]]) -> str:
    if len(found) == 1:
        return "\n".join(map(_items, found.values()))
    return "\n\n".join(f"{path}\n{_items(items)}" for path, items in found.items())


def _items(items: list[Item]) -> str:
    rows = []
    for item in items:
        newest = item.versions[0] if item.versions else None
        size = format_size(newest.size) if newest and newest.size else ""
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(newest.first)) if newest else ""
        digest = _short(newest.digest) if newest else "–"
        uses = ", ".join((*item.used_by, *item.elsewhere))
        rows.append((item.name, item.codec or item.kind, size, str(len(item.versions)), digest, when, uses))
    return table.render(
        ("name", "kind", "size", "versions", "newest", "since", "used by"), rows, coloured(), spare=("since", "newest")
    )


def _described(found: Described) -> str:
    item = found.item
    many = len(item.versions)
    lines = [f"{item.name}: {item.codec or 'data from outside'}, {many or 'no'} version{'' if many == 1 else 's'}"]
    lines += [f"  made by    {item.made_by}"] if item.made_by else []
    for title, names in (
        ("made from", found.above),
        ("used by", item.used_by),
        ("leads to", found.below),
        ("elsewhere", item.elsewhere),
    ):
        lines += _wrapped(title, names) if names else []
    for version in item.versions[:MOST_VERSIONS]:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(version.first))
        size = f"  {format_size(version.size)}" if version.size else ""
        lines.append(f"  version    {_short(version.digest)}  since {when}  run {version.run_id}{size}")
    if len(item.versions) > MOST_VERSIONS:
        lines.append(f"             and {len(item.versions) - MOST_VERSIONS} older")
    return "\n".join([*lines, *_figures(found.figures)])


def _wrapped(title: str, names: Sequence[str]) -> list[str]:
    """A titled list, in as many lines as the terminal needs."""
    edge, lines = table.terminal(), [f"  {title:9}  {names[0]}"]
    for name in names[1:]:
        lines[-1] += ","
        if edge and len(lines[-1]) + len(name) + 2 > edge:
            lines.append(f"{'':13}{name}")
        else:
            lines[-1] += f" {name}"
    return lines


def _figures(figures: dict[str, Any]) -> list[str]:
    plain = {name: value for name, value in figures.items() if name != "columns"}
    lines = [f"  {name:9}  {format_size(value) if name == 'size' else value}" for name, value in plain.items()]
    if "columns" not in figures:
        return lines
    rows = [
        (c["name"], c["dtype"], str(c["missing"]), str(c.get("distinct", "")), _spread(c)) for c in figures["columns"]
    ]
    return [*lines, "", table.render(("column", "dtype", "missing", "distinct", "values"), rows, coloured())]


def _spread(column: dict[str, Any]) -> str:
    if "quartiles" in column:
        low, middle, high = column["quartiles"]
        return f"{column['min']:.4g} … {low:.4g} | {middle:.4g} | {high:.4g} … {column['max']:.4g}"
    if "min" in column:
        return f"{column['min']} … {column['max']}"
    return ", ".join(f"{value} {rows}" for value, rows in column.get("top", {}).items())


def _difference(found: dict[str, Any]) -> str:
    old, new = found["rows"]
    lines = [f"rows: {old:,} → {new:,}"]
    lines += [f"{word}: {', '.join(found[word])}" for word in ("added", "removed") if found[word]]
    lines += [f"{name}: {before} → {after}" for name, (before, after) in found["retyped"].items()]
    rows = []
    for one in found["moved"]:
        index = "–" if one["psi"] is None else f"{one['psi']:.4f}"
        mean = "" if one["mean"][0] is None or one["mean"][1] is None else "{:.5g} → {:.5g}".format(*one["mean"])
        missing = "{:.2%} → {:.2%}".format(*one["missing"]) if any(one["missing"]) else ""
        rows.append((one["name"], index, mean, missing))
    return "\n".join([*lines, "", table.render(("column", "psi", "mean", "missing"), rows, coloured())])


def _short(digest: str) -> str:
    return digest.rpartition(":")[2][:12]
