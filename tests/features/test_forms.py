"""An argument gets its input as the type that it is annotated with: a path, or a table of another library."""

import json

import pytest

from support.project import Project

WORK = """
    from __future__ import annotations

    import pathlib
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Annotated, Optional

    import pandas as pd
    import polars as pl
    import pyarrow as pa
    from polars import DataFrame as Frame

    TABLE = {"a": [1, 2, 3], "z": ["x", "y", None]}


    def name(value):
        return f"{type(value).__module__.partition('.')[0]}.{type(value).__name__}"


    def polars_frame(): return pl.DataFrame(TABLE)
    def lazy_frame(): return pl.LazyFrame(TABLE)
    def arrow_table(): return pa.table(TABLE)
    def pandas_frame(): return pd.DataFrame(TABLE, index=[7, 8, 9])
    def polars_series(): return pl.Series("a", [1, 2])
    def pandas_series(): return pd.Series([1, 2], index=[5, 6])
    def text(): return "words"

    def bare(t): return name(t)
    def path(t: Path): return f"{name(t)} {t.suffix} {t.read_bytes()[:4]}"
    def dotted(t: Optional[pathlib.Path] = None): return f"{name(t)} {t.suffix} {t.read_bytes()[:4]}"
    def either(t: Annotated[Path, "x"] | list[Path]): return f"{name(t)} {t.suffix} {t.read_bytes()[:4]}"
    def renamed(t: Frame | None): return f"{name(t)} {t.shape}"
    def many(t: list[pl.DataFrame]): return [name(one) for one in t]
    def lazily(t: Sequence[Path]): return [name(one) for one in t]
    def lazy(t: pl.LazyFrame): return f"{name(t)} {t.collect().shape}"
    def arrow(t: "pa.Table"): return f"{name(t)} {t.column_names}"
    def one(t: pl.Series): return f"{name(t)} {t.to_list()}"
    def series(t: pd.Series): return f"{name(t)} {t.name}"
    def frame(t: pd.DataFrame): return f"{name(t)} {list(t.columns)}"
    def collect(**said): return said
"""
MAKE = "def make():\n    return b'bytes'\n\n\n"
MAKERS = {
    "polars_frame": "pandas.DataFrame",
    "lazy_frame": "pandas.DataFrame",
    "arrow_table": "pandas.DataFrame",
    "pandas_frame": "pandas.DataFrame",
    "polars_series": "pandas.Series",
    "pandas_series": "pandas.Series",
}
ASKED = [  # taker, what it takes, what it says
    ("path", "polars_frame", "pathlib.PosixPath .parquet b'PAR1'"),
    ("dotted", "arrow_table", "pathlib.PosixPath .parquet b'PAR1'"),
    ("either", "text", "pathlib.PosixPath .txt b'word'"),
    ("renamed", "lazy_frame", "polars.DataFrame (3, 2)"),
    ("many", "[polars_frame, arrow_table]", ["polars.DataFrame", "polars.DataFrame"]),
    ("lazily", "[polars_frame, arrow_table]", ["pathlib.PosixPath", "pathlib.PosixPath"]),
    ("lazy", "polars_frame", "polars.LazyFrame (3, 2)"),
    ("arrow", "pandas_frame", "pyarrow.Table ['a', 'z']"),
    ("one", "pandas_series", "polars.Series [1, 2]"),
    ("series", "polars_series", "pandas.Series a"),
    ("frame", "polars_series", "pandas.DataFrame ['a']"),
]


def test_every_kind_of_table_goes_in_and_out(project: Project) -> None:
    pytest.importorskip("polars")
    lines = ["version: 1", "steps:", '  text: {uses: "work:text"}']
    for maker in MAKERS:
        lines += [f'  {maker}: {{uses: "work:{maker}", isolation: inline}}']
        lines += [f'  bare_{maker}: {{uses: "work:bare", in: {{t: {maker}}}, isolation: inline}}']
    for taker, source, _ in ASKED:
        lines.append(f'  {taker}: {{uses: "work:{taker}", in: {{t: {source}}}, isolation: inline}}')
    asked = [f"bare_{maker}" for maker in MAKERS] + [taker for taker, _, _ in ASKED]
    given = ", ".join(f"{name}: {name}" for name in asked)
    lines.append(f'  collect: {{uses: "work:collect", in: {{{given}}}, save: {{out: said.json}}}}')
    project.write("work.py", WORK).write("p.yaml", "\n".join(lines) + "\n")
    done = project.treadle("run", "p.yaml")
    assert done.code == 0, done.stdout + done.stderr
    said = json.loads(project.read("said.json"))
    assert {maker: said[f"bare_{maker}"] for maker in MAKERS} == MAKERS
    assert {taker: said[taker] for taker, _, _ in ASKED} == {taker: words for taker, _, words in ASKED}


def test_another_form_is_another_key_and_a_mere_annotation_is_not(project: Project) -> None:
    def run(annotation: str) -> tuple[str, str]:
        project.write("work.py", f"import pathlib\n{MAKE}def take(t{annotation}):\n    return str(type(t))\n")
        assert project.treadle("run", "p.yaml").code == 0
        found = project.treadle("show", "last", "take", "--json").json()
        return found["fate"], found.get("reason", "")

    project.write(
        "p.yaml",
        """
        version: 1
        steps:
          make: {uses: "work:make"}
          take: {uses: "work:take", in: {t: make}}
        """,
    )
    assert run("")[0] == "run"
    assert run(": bytes")[0] == "hit"
    fate, reason = run(": pathlib.Path")
    assert (fate, reason) == ("run", "form t is new")
    assert run("")[0] == "hit"
