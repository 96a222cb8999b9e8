"""What answers for a model: its compiled form where that is sure, else the model itself.

A form needs numpy alone: a server that has one answers before scikit-learn is imported, and fetches the model itself
afterwards, or when a row needs it.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from treadle_steps.compiled import forms
from treadle_steps.compiled.differ import attempt, difference
from treadle_steps.compiled.program import Answer, Columns, NotCompiled, Program
from treadle_steps.compiled.run import program

LOG = logging.getLogger("treadle.serve")
COMPILED, ORIGINAL = "compiled", "original"

Fields = Sequence[Mapping[str, Any]]  # {name, dtype, required, choices} of each input, in the model's order


class Original:
    """A model behind the columns of a request: builds the table that `predict` takes; `read` makes the model."""

    def __init__(self, read: Callable[[], Any], fields: Fields) -> None:
        self._read: Callable[[], Any] | None = read
        self._fields = fields
        self._lock = threading.Lock()
        self._model: Any = None

    def complete(self) -> None:
        """Make the model, unless that was done; raises what `read` raises."""
        with self._lock:
            if self._read is not None:
                from treadle_steps.bare import usable  # lazy: scikit-learn, which compiled forms do without

                self._model = usable(self._read())
                self._read = None

    @property
    def loaded(self) -> bool:
        """Whether the model itself is in memory."""
        return self._read is None

    @property
    def model(self) -> Any:
        """The model, made now if it was not yet needed."""
        self.complete()
        return self._model

    def __call__(self, columns: Columns) -> Any:
        model = self.model
        return np.asarray(model.predict(self._table(columns)))

    def probabilities(self, columns: Columns) -> Any:
        """The probability of each class, by the model itself."""
        model = self.model
        return np.asarray(model.predict_proba(self._table(columns)))

    def _table(self, columns: Columns) -> Any:
        from treadle_steps.bare import own_categories  # lazy: scikit-learn, which compiled forms do without
        from treadle_steps.compiled.frame import table  # lazy: pandas, which compiled forms do without

        named = hasattr(self._model, "feature_names_in_")
        return table(columns, self._fields, named, named and own_categories(self._model))


class Compiled:
    """A compiled form, and the model itself for rows that it is not sure about.

    When the model itself is there, it answers `example` too; a form that differs gives way for good.
    """

    def __init__(self, program: Program, original: Any, name: str = "", example: Columns | None = None) -> None:
        self.program = program
        self.original = original  # an Original, or what a server put in its place
        self.doubted = False
        self._name = name
        self._example = example

    def __call__(self, columns: Columns) -> Any:
        return self._ask(self.program, self.original, columns)

    def probabilities(self, columns: Columns) -> Any:
        """The probability of each class: (rows, classes)."""
        return self._ask(self.program.probabilities, self.original.probabilities, columns)

    def complete(self) -> None:
        """Make the model itself, for rows that need it, and compare."""
        self.original.complete()
        if self._example:
            found = difference(self.program, self.original, self._example)
            if found:
                LOG.warning("%s is served by the model itself: on its example, %s", self._name, found)
                self.doubted = True

    def _ask(self, program: Answer | None, original: Answer, columns: Columns) -> Any:
        if self.doubted or program is None:
            return original(columns)
        found = attempt(program, columns)
        if found is not None:
            return found
        rows = len(next(iter(columns.values())))
        return original(columns) if rows == 1 else _apart(program, original, columns, rows)


def predictor(
    read: Callable[[], Any], card: Mapping[str, Any], example: Sequence[Mapping[str, Any]], form: bytes
) -> Any:
    """What answers for a model of this card: compiled where its verdict says so and the example agrees once more.

    `read` makes the model; with a form that is left to `complete`, else it is done now. Raises ValueError for bytes
    that are no form.
    """
    fields = card.get("signature", {}).get("inputs", [])
    original = Original(read, fields)
    if not str(card.get("compiled", "")).startswith(COMPILED):
        original.complete()
        return original
    made = program(forms.decode(form)) if form else _compiled_here(original, card, fields)
    if made is None:
        return original
    answer = Compiled(made, original, str(card.get("name")), columns_of_rows(example, fields))
    if not form:
        answer.complete()
    return answer


def _compiled_here(original: Original, card: Mapping[str, Any], fields: Fields) -> Program | None:
    from treadle_steps.compiled import build  # lazy: scikit-learn, which a form that came along does without

    try:
        return build.program(original.model, [field["name"] for field in fields])
    except NotCompiled as reason:
        LOG.warning("%s is served by the model itself: %s", card.get("name"), reason)
        return None


def _apart(program: Answer, original: Answer, columns: Columns, rows: int) -> Any:
    """Halve until the rows that the compiled form is not sure about are known, and ask the model about them."""
    todo, found, doubtful = [(0, rows)], [], []
    while todo:
        start, end = todo.pop()
        part = {name: values[start:end] for name, values in columns.items()}
        answers = attempt(program, part)
        if answers is not None:
            found.append((slice(start, end), answers))
        elif end - start == 1:
            doubtful.append(start)
        else:
            middle = (start + end) // 2
            todo += [(start, middle), (middle, end)]
    asked = original({name: values[doubtful] for name, values in columns.items()})
    whole = np.empty((rows, *asked.shape[1:]), dtype=np.result_type(asked, *(answers for _, answers in found)))
    whole[doubtful] = asked
    for place, answers in found:
        whole[place] = answers
    return whole


def columns_of_rows(rows: Sequence[Mapping[str, Any]], fields: Fields) -> dict[str, Any]:
    """Example rows as columns; none for no rows."""
    found: dict[str, Any] = {}
    for field in fields if rows else ():
        values = [row.get(field["name"]) for row in rows]
        if field["dtype"] in ("string", "datetime"):
            found[field["name"]] = np.array(values, dtype=object)
        else:
            found[field["name"]] = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    return found
