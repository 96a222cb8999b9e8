"""One version of a model in memory, and the requests that wait for it.

The first request that waits schedules the flush for the next turn of the loop; whatever arrives until then, or while
the loop predicts, is predicted together. A lone request waits for nobody. Prediction happens on the loop: in threads
the models of scikit-learn give the GIL away hundreds of times per call. What must be made first, such as the model
itself behind a compiled form, is made meanwhile, and requests that need it wait aside while others are answered.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from treadle.serve.limits import Limits
from treadle.serve.predictor import Predictor, Unmade
from treadle.serve.refusal import Refusal
from treadle.serve.tables import Table, joined

Done = Callable[[Any, Any, Refusal | None], None]


class Waiting:
    """One request in a lane: `done` takes the predicted array, the probabilities if they are `wanted`, or a Refusal."""

    __slots__ = ("done", "received", "table", "wanted")

    def __init__(self, table: Table, received: float, wanted: bool, done: Done) -> None:
        self.table = table
        self.received = received  # time.perf_counter()
        self.wanted = wanted
        self.done = done


class Lane:
    """Predicts for one version; `settle` is called after every flush, when the answers may go out."""

    def __init__(
        self, predictor: Predictor, limits: Limits, settle: Callable[[], None], loop: asyncio.AbstractEventLoop
    ) -> None:
        self.predictor = predictor
        self.version = predictor.version.version
        self._limits = limits
        self._settle = settle
        self._loop = loop
        self._waiting: list[Waiting] = []
        self._parked: list[Waiting] = []
        self.batches = 0

    def put(self, waiting: Waiting) -> None:
        """Have a request predicted at the next turn of the loop."""
        self._waiting.append(waiting)
        if len(self._waiting) == 1:
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        batch, self._waiting = self._waiting, []
        now = time.perf_counter()
        rows = 0
        group: list[Waiting] = []
        for one in batch:
            if now - one.received > self._limits.wait:
                text = f"the request waited longer than {self._limits.wait:g} s; the server is overloaded"
                one.done(None, None, Refusal(504, text))
                continue
            if group and rows + one.table.rows > self._limits.batch:
                self._predict(group)
                group, rows = [], 0
            group.append(one)
            rows += one.table.rows
        if group:
            self._predict(group)
        self._settle()

    def _predict(self, group: Sequence[Waiting]) -> None:
        self.batches += 1
        try:
            answers = answer(self.predictor, joined([one.table for one in group]))
            wanted = [one.table for one in group if one.wanted]
            shares = probabilities(self.predictor, joined(wanted)) if wanted else None
        except (ModelFailed, Unmade) as error:
            if len(group) > 1:  # one bad row must not fail, or stop, the requests that it happened to meet
                for one in group:
                    self._predict([one])
            elif isinstance(error, Unmade):
                self._park(group[0])
            else:
                group[0].done(None, None, Refusal(500, str(error)))
            return
        place = start = 0
        for one in group:
            own = None
            if shares is not None and one.wanted:
                own = shares[start : start + one.table.rows]
                start += one.table.rows
            one.done(answers[place : place + one.table.rows], own, None)
            place += one.table.rows

    def _park(self, one: Waiting) -> None:
        self._parked.append(one)
        if len(self._parked) == 1:
            self._loop.run_in_executor(None, self.predictor.complete).add_done_callback(self._made)

    def _made(self, made: asyncio.Future[None]) -> None:
        parked, self._parked = self._parked, []
        error = made.exception()
        for one in parked:
            if error is None:
                one.received = time.perf_counter()  # the queue begins here
                self.put(one)
            else:
                one.done(None, None, Refusal(500, f"the model failed: {error}"))
        self._settle()


class ModelFailed(Exception):
    """The model raised, or returned something else than one answer a row."""


def answer(predictor: Predictor, table: Table) -> Any:
    """The model's array for a table; raises Unmade, and ModelFailed whatever else the model raises."""
    try:
        answers = np.asarray(predictor.predict(table.columns))
    except Unmade:
        raise
    except Exception as error:
        raise ModelFailed(f"the model failed: {type(error).__name__}: {str(error)[:500]}") from error
    if answers.ndim not in (1, 2) or len(answers) != table.rows:
        raise ModelFailed(f"the model answered with shape {answers.shape} for {table.rows} rows")
    return answers


def probabilities(predictor: Predictor, table: Table) -> Any:
    """The probabilities of the model's classes for a table; raises as `answer` does."""
    try:
        found = np.asarray(predictor.probabilities(table.columns))
    except Unmade:
        raise
    except Exception as error:
        raise ModelFailed(f"the model failed: {type(error).__name__}: {str(error)[:500]}") from error
    if found.shape != (table.rows, len(predictor.version.signature.probabilities)):
        raise ModelFailed(f"the model's probabilities have the shape {found.shape} for {table.rows} rows")
    return found


def warm(predictor: Predictor, table: Table | None) -> None:
    """Have a model answer its own example, alone and as a batch, before anyone depends on it.

    Raises ModelFailed, and TreadleError where the model itself is needed and cannot be made.
    """
    if table is None:
        return
    for size in (1, table.rows):
        rows = table.take(list(range(min(size, table.rows))))
        try:
            answer(predictor, rows)
        except Unmade:
            predictor.complete()
            answer(predictor, rows)
