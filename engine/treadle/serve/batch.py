"""A whole table predicted as the server predicts a request: the same check, the same predictor, the same numbers.

A row has the same prediction alone, in a request of many rows and here, to the last bit, where the compiled form
answers; a model that answers itself may add in another order when it is asked about more rows at once.
"""

import os

from msgspec import Struct

from treadle.errors import TreadleError
from treadle.serve import files
from treadle.serve.lane import ModelFailed, answer
from treadle.serve.predictor import Predictor
from treadle.serve.refusal import Refusal
from treadle.serve.tables import Checker
from treadle.store.predictions.segments import prediction_names


class Counts(Struct, frozen=True):
    """How many rows were predicted, and the columns that were added."""

    rows: int
    columns: tuple[str, ...]


def predict_file(predictor: Predictor, source: str, target: str) -> Counts:
    """Read `source`, and write its columns with the predictions to `target`, whole or not at all.

    Columns that the model does not read are passed on. Raises TreadleError naming field, row (from 0) and value of
    the first mistake.
    """
    signature = predictor.version.signature
    checker = Checker(signature)
    part = f"{target}.part-{os.getpid()}"
    rows = 0
    added: tuple[str, ...] = ()
    typed = files.kind_of(source) == ".csv" != files.kind_of(target)
    try:
        with files.Writer(part, files.kind_of(target)) as writer:
            for chunk in files.read(source, signature):
                checker.first = rows
                table = checker.named(chunk.fields, chunk.table.num_rows)
                values = answer(predictor, table)
                added = prediction_names(tuple(one.name for one in signature.outputs), _width(values))
                taken = next((name for name in added if name in chunk.table.column_names), None)
                if taken is not None:
                    raise files.BadTable(f"{source} has a column '{taken}' already; rename it")
                passed = files.retyped(chunk.table, table.columns) if typed else chunk.table
                columns = [values] if values.ndim == 1 else list(values.T)
                writer.write(files.with_columns(passed, dict(zip(added, columns, strict=True))))
                rows += table.rows
        if not rows:
            raise files.BadTable(f"{source} has no rows")
        os.replace(part, target)
    except Refusal as refusal:
        raise files.BadTable(f"{source}: {refusal.text}") from None
    except ModelFailed as error:
        raise TreadleError(f"{source}, rows {rows} to {rows + files.CHUNK - 1}: {error}") from None
    except OSError as error:
        raise files.BadTable(f"{target} cannot be written: {error.strerror}") from None
    finally:
        files.remove(part)
    return Counts(rows, added)


def _width(values: object) -> int:
    shape = values.shape  # type: ignore[attr-defined]
    return 1 if len(shape) == 1 else int(shape[1])
