"""Predict a whole table with a model, chunk by chunk, so that its size does not matter."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from treadle.authoring import StepError
from treadle_steps import judging
from treadle_steps.refusals import need_columns, table

CHUNK = 65_536  # rows in memory at a time


class BatchMetrics(TypedDict):
    """Rows that were predicted, and chunks that it took."""

    rows: float
    chunks: float


class Predicted(NamedTuple):
    """A Parquet file with `prediction`, chances where they were asked for, and the kept columns, in the rows' order."""

    predictions: Path
    metrics: BatchMetrics


def batch(
    model: Any,
    data: Path | list[Path] | pd.DataFrame,
    *,
    keep: list[str] | None = None,
    chances: bool = False,
    chunk: int = CHUNK,
) -> Predicted:
    """Predict every row of a table or of files, with no more than `chunk` rows in memory, into one Parquet file.

    Parquet is read and written by row groups, so 10 million rows take the memory of one chunk; csv and json lines are
    read whole, file by file. `keep` names columns that are copied beside the prediction, such as an identifier;
    `chances` adds a column chance_CLASS for each class. The chunks of equal tables are equal, and so are their
    predictions to the last bit. Raises StepError for a file without the model's features and for infinite values.
    """
    judging.need_model(model)
    if chunk < 1:
        raise StepError(f"chunk is {chunk}", "give the number of rows that fit into memory")
    if chances and not hasattr(model, "predict_proba"):
        raise StepError(f"a {type(model).__name__} gives no chances", "leave chances out")
    wanted = getattr(model, "feature_names_in_", None)
    columns = None if wanted is None else list(dict.fromkeys([*map(str, wanted), *(keep or [])]))
    target = _place()
    rows = chunks = 0
    writer: Any = None
    try:
        for part in _chunks(data, columns, chunk):
            made = pa.Table.from_pandas(_predicted(model, part, keep or [], chances), preserve_index=False)
            if writer is None:
                writer = parquet.ParquetWriter(target, made.schema, compression="zstd", compression_level=1)
            writer.write_table(made.cast(writer.schema))
            rows, chunks = rows + len(part), chunks + 1
    except (pa.ArrowException, OSError) as error:
        raise StepError(f"the rows after the first {rows:,} cannot be read or written: {error}") from None
    finally:
        if writer is not None:
            writer.close()
    if writer is None:
        raise StepError("data has no rows", "look at what the step before it kept: treadle show <step>")
    return Predicted(target, BatchMetrics(rows=float(rows), chunks=float(chunks)))


def _predicted(model: Any, part: pd.DataFrame, keep: list[str], chances: bool) -> pd.DataFrame:
    need_columns(part, keep, "keep:")
    x = judging.features_of(model, part, str(getattr(model, "target_name_", "")))
    found = {"prediction": np.asarray(judging.predicted(model, x)).reshape(len(part), -1)[:, 0]}
    if chances:
        share = judging.predicted(model, x, "predict_proba")
        found |= {f"chance_{name}": share[:, at] for at, name in enumerate(model.classes_)}
    twice = [name for name in keep if name in found]
    if twice:
        raise StepError(f"keep: '{twice[0]}' is the name of a new column", "rename the column first")
    return pd.DataFrame({**{name: part[name].reset_index(drop=True) for name in keep}, **found})


def _chunks(data: Any, columns: list[str] | None, size: int) -> Iterator[pd.DataFrame]:
    """The rows in pieces of `size`, the last of each file shorter; only `columns`, where they are known."""
    files = [data] if isinstance(data, Path) else data if isinstance(data, list) else None
    if files is None or not all(isinstance(file, Path) for file in files):
        yield from _pieces(table(data), size)
        return
    for file in files:
        if file.is_dir():
            inside = sorted(path for path in file.rglob("*") if path.is_file() and not path.name.startswith("."))
            yield from _chunks(inside, columns, size)
        elif file.suffix == ".parquet":
            yield from _row_groups(file, columns, size)
        else:
            yield from _pieces(table(file), size)


def _row_groups(file: Path, columns: list[str] | None, size: int) -> Iterator[pd.DataFrame]:
    try:
        opened = parquet.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        raise StepError(f"{file.name} cannot be read as parquet: {error}") from None
    with opened:
        if columns is not None:
            known = pd.DataFrame(columns=opened.schema_arrow.names)
            need_columns(known, columns, "the column", file.name)
        for piece in opened.iter_batches(batch_size=size, columns=columns):
            yield table(piece.to_pandas())


def _pieces(frame: pd.DataFrame, size: int) -> Iterator[pd.DataFrame]:
    for start in range(0, len(frame), size):
        yield frame.iloc[start : start + size].reset_index(drop=True)


def _place() -> Path:
    """A file of the step's own, which is taken over when the step is done."""
    handle, name = tempfile.mkstemp(prefix="predictions-", suffix=".parquet")
    os.close(handle)
    return Path(name)
