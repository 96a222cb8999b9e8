"""Run records; a run whose process is gone is interrupted, never running."""

import os
from collections.abc import Sequence
from typing import Any

from msgspec import msgpack
from msgspec.structs import replace

from treadle.domain.run import INTERRUPTED, RUNNING, RunRecord, StepRecord
from treadle.store.database import Database


class History:
    """Runs and what became of their steps."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def start(self, run: RunRecord) -> None:
        """Record that a run began, in this process."""
        row = (
            run.run_id,
            run.pipeline,
            run.started,
            0.0,
            RUNNING,
            os.getpid(),
            _begun(os.getpid()),
            msgpack.encode(run),
        )
        self._database.write("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [row])

    def add_steps(self, run_id: str, steps: list[StepRecord]) -> None:
        """Record what became of steps, in one transaction."""
        rows: list[tuple[Any, ...]] = [(run_id, s.id, s.fate, s.finished, msgpack.encode(s)) for s in steps]
        self._database.write("INSERT OR REPLACE INTO steps VALUES (?, ?, ?, ?, ?)", rows)

    def finish(self, run_id: str, status: str, finished: float) -> None:
        """Record how a run ended."""
        self._database.write("UPDATE runs SET status = ?, finished = ? WHERE run_id = ?", [(status, finished, run_id)])

    def get(self, run_id: str) -> RunRecord | None:
        """A run by its id or the beginning of it, or the `last`; None when there is none."""
        sql = "SELECT run_id, status, finished, pid, begun, body FROM runs"
        if run_id == "last":
            found = self._database.query(f"{sql} ORDER BY started DESC LIMIT 1")
        else:
            pattern = run_id.replace("%", "").replace("_", "") + "%"
            found = self._database.query(f"{sql} WHERE run_id LIKE ? ORDER BY started DESC LIMIT 2", (pattern,))
            if len(found) > 1 and found[0][0] != run_id:
                return None
        return self._whole(found[0]) if found else None

    def list(self, limit: int, pipeline: str | None = None) -> "list[RunRecord]":
        """The newest runs with their steps, newest first."""
        where, values = (" WHERE pipeline = ?", (pipeline, limit)) if pipeline else ("", (limit,))
        sql = f"SELECT run_id, status, finished, pid, begun, body FROM runs{where} ORDER BY started DESC LIMIT ?"
        return [self._whole(row) for row in self._database.query(sql, values)]

    def of_step(self, step: str, limit: int = 20) -> "Sequence[StepRecord]":
        """What became of a step in the latest runs, newest first."""
        sql = "SELECT body FROM steps WHERE step = ? ORDER BY finished DESC LIMIT ?"
        return [msgpack.decode(row[0], type=StepRecord) for row in self._database.query(sql, (step, limit))]

    def _whole(self, row: tuple[Any, ...]) -> RunRecord:
        run_id, status, finished, pid, begun, body = row
        if status == RUNNING and _begun(pid) != begun:
            status = INTERRUPTED
            self.finish(run_id, status, finished)
        steps = self._database.query("SELECT step, body FROM steps WHERE run_id = ?", (run_id,))
        records = {name: msgpack.decode(blob, type=StepRecord) for name, blob in steps}
        return replace(msgpack.decode(body, type=RunRecord), status=status, finished=finished, steps=records)


def _begun(pid: int) -> str:
    """When a process started, as the system tells it: tells a reused process number from the same process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        pass
    try:
        os.kill(pid, 0)
    except OSError:
        return ""
    return "alive"
