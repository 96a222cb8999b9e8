"""Predict a whole table with a model, chunk by chunk, so that its size does not matter."""

import os
import tempfile
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from treadle.authoring import StepError
from treadle_steps import judging
from treadle_steps.chunks import pieces
from treadle_steps.refusals import need_columns

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

    10 million rows take the memory of one chunk: Parquet is read by row groups, csv and json lines line by line,
    twice, so that a column has one type. What a step before made is read the same way. `keep` names columns that are
    copied beside the prediction, such as an identifier; `chances` adds a column chance_CLASS for each class. The chunks
    of equal tables are equal, and so are their predictions to the last bit. Raises StepError for a file without the
    model's features and for infinite values.

    Example:

        predictions:
          uses: predict.batch
          in: {model: train, data: split.test}
          with: {keep: [ride_id, ts]}
          save: {predictions: predictions.parquet}
    """
    judging.need_model(model)
    model = judging.asked(model)
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
        for part in pieces(data, columns, chunk):
            made = pa.Table.from_pandas(_predicted(model, part, keep or [], chances), preserve_index=False)
            if writer is None:
                writer = parquet.ParquetWriter(target, _known(made.schema), compression="zstd", compression_level=1)
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


def _known(schema: pa.Schema) -> pa.Schema:
    """The schema with texts where the first chunk had no value to tell the type by."""
    fields = [field.with_type(pa.string()) if pa.types.is_null(field.type) else field for field in schema]
    return pa.schema(fields, schema.metadata)


def _place() -> Path:
    """A file of the step's own, which is taken over when the step is done."""
    handle, name = tempfile.mkstemp(prefix="predictions-", suffix=".parquet")
    os.close(handle)
    return Path(name)
