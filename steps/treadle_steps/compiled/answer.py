"""What answers for a model: its compiled form where that is sure, else the model itself."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from treadle_steps.compiled import proof, trees
from treadle_steps.compiled.build import program
from treadle_steps.compiled.frame import Fields, columns_of, table
from treadle_steps.compiled.program import Columns, NotCompiled, Program
from treadle_steps.estimators import final

LOG = logging.getLogger("treadle.serve")
FEW = 64  # rows up to which walking flat arrays is faster than scikit-learn
COMPILED, ORIGINAL = "compiled", "original"


class Original:
    """A model behind the columns of a request: builds the table that `predict` takes."""

    def __init__(self, model: Any, fields: Fields) -> None:
        self._model = model
        self._fields = fields
        self._named = hasattr(model, "feature_names_in_")

    def __call__(self, columns: Columns) -> Any:
        return np.asarray(self._model.predict(table(columns, self._fields, self._named)))


class Compiled:
    """A compiled form, and the model itself for rows that it is not sure about.

    A row has the same answer alone and among others: many rows go to the model only where both are equal to the last
    bit whatever their number, as trees are.
    """

    def __init__(self, program: Program, original: Original, whole: bool) -> None:
        self.program = program
        self.original = original
        self._whole = whole

    def __call__(self, columns: Columns) -> Any:
        rows = len(next(iter(columns.values())))
        if rows > FEW and self._whole:
            return self.original(columns)
        found = proof.attempt(self.program, columns)
        if found is not None:
            return found
        return self.original(columns) if rows == 1 else self._apart(columns, rows)

    def _apart(self, columns: Columns, rows: int) -> Any:
        """Halve until the rows that the compiled form is not sure about are known, and ask the model about them."""
        todo, found, doubtful = [(0, rows)], [], []
        while todo:
            start, end = todo.pop()
            part = {name: values[start:end] for name, values in columns.items()}
            answers = proof.attempt(self.program, part)
            if answers is not None:
                found.append((slice(start, end), answers))
            elif end - start == 1:
                doubtful.append(start)
            else:
                middle = (start + end) // 2
                todo += [(start, middle), (middle, end)]
        asked = self.original({name: values[doubtful] for name, values in columns.items()})
        whole = np.empty((rows, *asked.shape[1:]), dtype=np.result_type(asked, *(answers for _, answers in found)))
        whole[doubtful] = asked
        for place, answers in found:
            whole[place] = answers
        return whole


def predictor(model: Any, card: Mapping[str, Any], example: Sequence[Mapping[str, Any]]) -> Any:
    """What answers for a model of this card: compiled where its verdict says so and the example agrees once more."""
    fields = card.get("signature", {}).get("inputs", [])
    original = Original(model, fields)
    if not str(card.get("compiled", "")).startswith(COMPILED):
        return original
    try:
        made = program(model, [field["name"] for field in fields])
    except NotCompiled as reason:
        LOG.warning("%s is served by the model itself: %s", card.get("name"), reason)
        return original
    columns = columns_of_rows(example, fields)
    difference = proof.difference(made, original, columns) if example else ""
    if difference:
        LOG.warning("%s is served by the model itself: on its example, %s", card.get("name"), difference)
        return original
    exact = "to the last bit" in card["compiled"] and type(final(model)) in trees.ALL
    return Compiled(made, original, exact)


def verdict(model: Any, fields: Fields, sample: Any) -> str:
    """Which predictor is to serve a model, and why: the compiled form proved on a sample of real rows, or the model.

    `sample` is a data frame with the fields as columns.
    """
    if not fields:
        return f"{ORIGINAL}: the model does not say what it reads"
    odd = [field["name"] for field in fields if field["dtype"] in ("float", "datetime")]
    if odd:
        return f"{ORIGINAL}: the column '{odd[0]}' is a date or float32"
    try:
        made = program(model, [field["name"] for field in fields])
    except NotCompiled as reason:
        return f"{ORIGINAL}: {reason}"
    columns = columns_of(sample, fields)
    found = proof.prove(made, Original(model, fields), columns, proof.thresholds(model, fields))
    return f"{COMPILED if found.holds else ORIGINAL}: {found.text}"


def columns_of_rows(rows: Sequence[Mapping[str, Any]], fields: Fields) -> dict[str, Any]:
    """Example rows as columns."""
    found: dict[str, Any] = {}
    for field in fields:
        values = [row.get(field["name"]) for row in rows]
        if field["dtype"] in ("string", "datetime"):
            found[field["name"]] = np.array(values, dtype=object)
        else:
            found[field["name"]] = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    return found
