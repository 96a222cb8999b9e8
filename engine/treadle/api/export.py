"""Runs as a table for other tools: one row for each run, one column for each parameter and metric."""

import csv
import os
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from treadle.api.compare import Experiment
from treadle.errors import input_error

KINDS = (".csv", ".parquet")


def export(found: Sequence[Experiment], target: str | os.PathLike[str]) -> int:
    """Write the runs to a `.csv` or `.parquet` file, whole or not at all; returns the number of rows.

    Raises InputError for another ending and where the file cannot be written.
    """
    place = os.path.abspath(target)
    if not place.endswith(KINDS):
        raise input_error("bad-export", f"'{target}' ends neither with .csv nor with .parquet")
    rows = [_row(one) for one in found]
    names = list(dict.fromkeys(name for row in rows for name in row))
    try:
        handle, part = tempfile.mkstemp(dir=os.path.dirname(place), suffix=".part")
        os.close(handle)
        try:
            (_write_csv if place.endswith(".csv") else _write_parquet)(part, names, rows)
            os.chmod(part, 0o644)
            os.replace(part, place)
        except BaseException:
            os.unlink(part)
            raise
    except OSError as error:
        raise input_error("bad-export", f"{target} cannot be written: {error.strerror}") from None
    return len(rows)


def _row(one: Experiment) -> dict[str, Any]:
    run = one.run
    began = datetime.fromtimestamp(run.started, UTC)
    own = {"run": run.run_id, "pipeline": run.pipeline, "status": run.status, "started": began}
    rest = {name: value for name, value in one.values.items() if name not in own}
    plain = {
        name: value if isinstance(value, int | float | str | None) else repr(value) for name, value in rest.items()
    }
    return own | {"tags": ",".join(one.tags)} | plain


def _write_csv(path: str, names: list[str], rows: list[dict[str, Any]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, restval="")
        writer.writeheader()
        writer.writerows(rows)


def _write_parquet(path: str, names: list[str], rows: list[dict[str, Any]]) -> None:
    import pyarrow as pa  # lazy: only this kind of export needs it
    from pyarrow import parquet  # lazy: only this kind of export needs it

    columns = {name: [row.get(name) for row in rows] for name in names}
    parquet.write_table(pa.table({name: _column(values) for name, values in columns.items()}), path)


def _column(values: list[Any]) -> list[Any]:
    """Values of one kind: where runs disagree, such as 1 and "1", all of them as text."""
    kinds = {"number" if isinstance(v, int | float) and not isinstance(v, bool) else type(v) for v in values} - {
        type(None)
    }
    if kinds == {"number"}:
        return [None if value is None else float(value) for value in values]
    return values if len(kinds) < 2 else [None if value is None else str(value) for value in values]
