"""What happened: the runs, and what became of each step.

The steps of a run are kept in batches, as they were handed over. A batch is stored by its digest, so that
the thousandth run with nothing to do costs no space.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from msgspec import DecodeError, Struct, structs
from msgspec.msgpack import Decoder, Encoder

from treadle.digest import of_bytes
from treadle.domain.run import INTERRUPTED, RUNNING, RunRecord, StepRecord
from treadle.errors import StoreError, input_error
from treadle.store.database import Database, Row
from treadle.store.process import Process, alive, this_process

SILENCE = 24 * 3600.0  # seconds without a sign after which a run on a host that is out of sight counts as dead
COLUMNS = "run_id, pipeline, path, plan, status, started, finished, params, git, beat, host, boot, pid, began"


Runs = list[RunRecord]  # named here, since a method of History is called list


class RunSummary(Struct, frozen=True):
    """A run without its steps (`run.steps` is empty); `fates` counts them by fate."""

    run: RunRecord
    fates: dict[str, int]


Summaries = list[RunSummary]
Rows = list[Row]
Batches = list[bytes]


class History:
    """The record of runs. Raises StoreError when the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._encode = Encoder().encode
        self._decode = Decoder(list[StepRecord]).decode
        self._decode_params = Decoder(dict[str, Any]).decode

    def start(self, run: RunRecord) -> None:
        """Record that this process has begun a run."""
        me = this_process()
        values = (
            *(run.run_id, run.pipeline, run.path, run.plan, RUNNING, run.started, 0.0),
            *(self._encode(run.params), run.git, time.time(), me.host, me.boot, me.pid, me.began),
        )
        sql = f"INSERT OR REPLACE INTO runs ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        # A run that a power loss forgets has done nothing yet: its first results make it durable with them.
        self._database.write(lambda: self._database.change(sql, values), durable=False)

    def add_steps(self, run_id: str, steps: Sequence[StepRecord]) -> None:
        """Record what became of some steps, in one transaction; a later record of a step replaces an earlier one."""
        data = self._encode(list(steps))
        digest = of_bytes(data)

        def add() -> None:
            self._database.change("INSERT OR IGNORE INTO walks (digest, data) VALUES (?, ?)", (digest, data))
            position = "(SELECT coalesce(max(position), 0) + 1 FROM run_walks WHERE run_id = ?)"
            sql = f"INSERT INTO run_walks (run_id, position, digest) VALUES (?, {position}, ?)"
            self._database.change(sql, (run_id, run_id, digest))
            self._database.change("UPDATE runs SET beat = ? WHERE run_id = ?", (time.time(), run_id))

        self._database.write(add)

    def finish(self, run_id: str, status: str, finished: float) -> None:
        """Record the end of a run."""
        sql = "UPDATE runs SET status = ?, finished = ? WHERE run_id = ?"
        self._database.write(lambda: self._database.change(sql, (status, finished, run_id)))

    def set_git(self, run_id: str, git: str) -> None:
        """Record what became known of the project's tree while the run went on."""
        sql = "UPDATE runs SET git = ? WHERE run_id = ?"
        self._database.write(lambda: self._database.change(sql, (git, run_id)), durable=False)

    def get(self, run_id: str) -> RunRecord | None:
        """A run with its steps, by id, by the beginning of it, `last` or `last~N`, N before it; None for none.

        Raises InputError when several runs begin like that.
        """
        back = _back(run_id)
        if back is not None:
            rows = self._database.rows(f"SELECT {COLUMNS} FROM runs ORDER BY number DESC LIMIT 1 OFFSET ?", (back,))
        else:
            sql = f"SELECT {COLUMNS} FROM runs WHERE substr(run_id, 1, ?) = ? ORDER BY run_id LIMIT 10"
            rows = self._database.rows(sql, (len(run_id), run_id)) if run_id else []
            exact = [row for row in rows if row[0] == run_id]
            rows = exact or rows
        if len(rows) > 1:
            hint = "one of " + ", ".join(row[0] for row in rows)
            raise input_error("ambiguous-run", f"more than one run begins with '{run_id}'", None, hint)
        return self._record(rows[0], with_steps=True) if rows else None

    def walks(self, run_id: str) -> tuple[str, ...]:
        """The digests of the batches of steps of a run, in order."""
        sql = "SELECT digest FROM run_walks WHERE run_id = ? ORDER BY position"
        return tuple(digest for (digest,) in self._database.rows(sql, (run_id,)))

    def list(self, limit: int = 20, pipeline: str | None = None) -> Runs:
        """The newest runs with their steps, newest first."""
        return [self._record(row, with_steps=True) for row in self._newest(limit, pipeline)]

    def summaries(self, limit: int = 20, pipeline: str | None = None) -> Summaries:
        """The newest runs without their steps but with the number of each fate, newest first."""
        return [self._summary(row) for row in self._newest(limit, pipeline)]

    def of_step(self, step: str, limit: int = 200) -> Iterator[StepRecord]:
        """What became of a step in each of the newest `limit` runs, newest first."""
        sought = step.encode()
        rows = self._database.rows("SELECT run_id FROM runs ORDER BY number DESC LIMIT ?", (limit,))
        for (run_id,) in rows:
            for data in reversed(self._walks(run_id)):
                if sought in data:  # spares reading ten thousand records for the sake of one
                    yield from (record for record in self._steps(data) if record.id == step)

    def living(self) -> Runs:
        """The runs that are going on now, without steps."""
        rows = self._database.rows(f"SELECT {COLUMNS} FROM runs WHERE status = ?", (RUNNING,))
        return [run for row in rows if (run := self._record(row, with_steps=False)).status == RUNNING]

    def recent(self, keep: int) -> Runs:
        """The newest `keep` runs of every pipeline, with their steps."""
        pipelines = self._database.rows("SELECT DISTINCT pipeline FROM runs")
        return [run for (pipeline,) in pipelines for run in self.list(keep, pipeline)]

    def _newest(self, limit: int, pipeline: str | None) -> Rows:
        where = "" if pipeline is None else "WHERE pipeline = ?"
        values = (limit,) if pipeline is None else (pipeline, limit)
        return self._database.rows(f"SELECT {COLUMNS} FROM runs {where} ORDER BY number DESC LIMIT ?", values)

    def _record(self, row: Row, with_steps: bool) -> RunRecord:
        run_id, pipeline, path, plan, status, started, finished, params, git, beat = row[:10]
        steps: dict[str, StepRecord] = {}
        for data in self._walks(run_id) if with_steps else ():
            steps.update((record.id, record) for record in self._steps(data))
        run = RunRecord(
            run_id=run_id,
            pipeline=pipeline,
            path=path,
            plan=plan,
            status=status,
            started=started,
            finished=finished,
            params=self._decode_params(params),
            steps=steps,
            git=git,
        )
        if status != RUNNING or not _dead(Process(*row[10:14]), beat):
            return run
        end = max([beat, *(record.finished for record in steps.values())])
        self._interrupted(run_id, end)
        return structs.replace(run, status=INTERRUPTED, finished=end)

    def _summary(self, row: Row) -> RunSummary:
        run = self._record(row, with_steps=True)
        fates: dict[str, int] = {}
        for record in run.steps.values():
            fates[record.fate] = fates.get(record.fate, 0) + 1
        return RunSummary(structs.replace(run, steps={}), fates)

    def _interrupted(self, run_id: str, end: float) -> None:
        sql = "UPDATE runs SET status = ?, finished = ? WHERE run_id = ? AND status = ?"
        values = (INTERRUPTED, end, run_id, RUNNING)
        with suppress(StoreError):  # who may only read is told the truth all the same
            self._database.write(lambda: self._database.change(sql, values))

    def _walks(self, run_id: str) -> Batches:
        sql = "SELECT data FROM run_walks JOIN walks USING (digest) WHERE run_id = ? ORDER BY position"
        return [data for (data,) in self._database.rows(sql, (run_id,))]

    def _steps(self, data: bytes) -> Iterable[StepRecord]:
        try:
            return self._decode(data)
        except DecodeError:  # written by a version that meant something else by it
            return ()


def _dead(process: Process, beat: float) -> bool:
    lives = alive(process)
    return time.time() - beat > SILENCE if lives is None else not lives


def _back(run_id: str) -> int | None:
    """How many runs before the last one `last` and `last~N` mean; None for an id."""
    word, _, number = run_id.partition("~")
    if word != "last" or (number and not number.isdecimal()):
        return None
    return int(number or ("1" if "~" in run_id else "0"))
