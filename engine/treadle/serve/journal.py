"""The server's side of the prediction log: one write per flush before the answers go out, syncs in a thread.

Answered means written (a killed server loses nothing) or counted as dropped; a power cut loses at most the last
second. An outcome is acknowledged only when it is synced.
"""

import asyncio
import time
from collections.abc import Mapping

from treadle.domain.model import ModelVersion
from treadle.domain.serving import Outcome, Prediction
from treadle.errors import StoreError
from treadle.serve.metrics import Metrics
from treadle.store.predictions import OUTCOMES, PREDICTIONS, SegmentWriter, model_folder
from treadle.store.predictions.segments import Answers, Fields, Results


class Journal:
    """The log of one model as one worker writes it."""

    def __init__(self, store: str, name: str, metrics: Metrics) -> None:
        folder = model_folder(store, name)
        self._name = name
        self._metrics = metrics
        self._predictions = SegmentWriter(folder, PREDICTIONS)
        self._outcomes = SegmentWriter(folder, OUTCOMES)
        self._pending: list[Prediction] = []
        self._fields: dict[int, Fields] = {}
        self._sync: asyncio.Future[None] | None = None
        self._written = self._synced = 0  # posts of outcomes

    def describe(self, version: ModelVersion) -> None:
        """Learn what the columns of a version are called."""
        signature = version.signature
        inputs, outputs = (tuple(f.name for f in fields) for fields in (signature.inputs, signature.outputs))
        self._fields[version.version] = Fields(version.version, inputs, outputs)

    def add(self, record: Prediction) -> None:
        """Take a prediction that is about to be answered."""
        self._pending.append(record)

    def write(self) -> None:
        """Write what was taken; what cannot be written is counted as dropped."""
        if not self._pending:
            return
        records, self._pending = self._pending, []
        now = time.time()
        try:
            for version in {record.version for record in records}:
                self._predictions.describe(self._fields[version], now)
            self._predictions.append(Answers(records), now)
        except StoreError:
            self._metrics.count("log_dropped_total", self._name, len(records))
        else:
            self._metrics.count("log_written_total", self._name, len(records))

    async def outcomes(self, outcomes: list[Outcome]) -> None:
        """Store outcomes, durable when this returns; raises StoreError. Those that arrive meanwhile share a sync."""
        self._outcomes.append(Results(outcomes), time.time())
        self._written = ticket = self._written + 1
        while self._synced < ticket:
            if self._sync is not None:  # it may have begun before our write: look again when it ends
                await asyncio.wait([self._sync])
                continue
            covered = self._written
            self._sync = asyncio.get_running_loop().run_in_executor(None, self._outcomes.sync)
            try:
                await asyncio.shield(self._sync)
                self._synced = covered
            finally:
                self._sync = None

    def rotate(self, now: float) -> None:
        """Close the segments of an hour that is over, so that they can be compacted; `now` since the epoch."""
        for writer in (self._predictions, self._outcomes):
            if writer.outlived(now):
                writer.close()

    def sync(self) -> None:
        """Make the predictions durable against power cuts; for a thread that is not the loop's."""
        self._predictions.sync()

    def close(self) -> None:
        """Write and sync everything."""
        self.write()
        self._predictions.close()
        self._outcomes.close()


def sync_all(journals: Mapping[str, Journal]) -> list[str]:
    """Sync every journal, and return what went wrong."""
    problems = []
    for journal in journals.values():
        try:
            journal.sync()
        except StoreError as error:
            problems.append(str(error))
    return problems
