"""The cache: what the step with a given key made. Records only; the bytes are objects."""

from collections.abc import Iterable, Sequence

from msgspec import DecodeError, Struct
from msgspec.msgpack import Decoder, Encoder

from treadle.domain.artifact import Artifact
from treadle.domain.task import Usage
from treadle.store.database import Database
from treadle.store.objects import Objects

MANY = 500  # keys asked for at once


class Result(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a step with this key made, and its manifest; `created` in seconds since the epoch, `seconds` it took.

    `pipeline`, `step` and `run_id` say who made it; any step with the same key may use it.
    """

    key: str
    outputs: dict[str, Artifact]
    metrics: dict[str, float] = {}
    parts: dict[str, str] = {}
    pipeline: str = ""
    step: str = ""
    run_id: str = ""
    created: float = 0.0
    seconds: float = 0.0
    usage: Usage = Usage()
    track: Artifact | None = None


class Results:
    """All results, by key. Raises StoreError when the database fails."""

    def __init__(self, database: Database, objects: Objects) -> None:
        self._database = database
        self._objects = objects
        self._encode = Encoder().encode
        self._decode = Decoder(Result).decode
        self._near: dict[str, bytes] = {}
        self._last: dict[tuple[str, str], str] = {}  # pipeline and step → key of its newest result
        self._generation: int | None = None  # after `preload` and our own changes since
        self._read_last: Result | None = None

    def get(self, key: str) -> Result | None:
        """The result of a key, or None."""
        data = self._near.get(key)
        if data is None:
            rows = self._database.rows("SELECT data FROM results WHERE key = ?", (key,))
            data = rows[0][0] if rows else None
        elif self._read_last is not None and self._read_last.key == key:
            return self._read_last  # `last` was asked just before
        return None if data is None else self._read(data)

    def last(self, pipeline: str, step: str) -> Result | None:
        """The newest result of a step as it was when `preload` read it, or None where that is not known."""
        data = self._near.get(self._last.get((pipeline, step), ""))
        self._read_last = None if data is None else self._read(data)
        return self._read_last

    def get_many(self, keys: Iterable[str]) -> dict[str, Result]:
        """The results of those keys that have one."""
        found: dict[str, Result] = {}
        wanted = list(keys)
        for start in range(0, len(wanted), MANY):
            some = wanted[start : start + MANY]
            marks = ",".join("?" * len(some))
            for key, data in self._database.rows(f"SELECT key, data FROM results WHERE key IN ({marks})", some):
                result = self._read(data)
                if result is not None:
                    found[key] = result
        return found

    def preload(self, pipeline: str) -> None:
        """Read the newest result of every step of a pipeline at once, so that `get` need not ask for each."""
        sql = "SELECT l.step, r.key, r.data FROM last_results l JOIN results r ON r.key = l.key WHERE l.pipeline = ?"
        before = self.generation()
        for step, key, data in self._database.rows(sql, (pipeline,)):
            self._near[key] = data
            self._last[pipeline, step] = key
        self._generation = before if self.generation() == before else None

    def last_key(self, pipeline: str, step: str) -> str:
        """The key of the newest result of a step, by `preload` and our own changes since; empty when there is none."""
        return self._last.get((pipeline, step), "")

    def state(self) -> int | None:
        """The generation, if nobody else has changed a result since `preload`."""
        return self._generation if self._generation == self.generation() else None

    def put(self, results: Sequence[Result], replace: bool = False) -> None:
        """Record results in one transaction.

        Of two that were computed at the same time the first stays. A later one takes the place of an
        earlier one (its objects were lost, it was too old, the user forced the step), as does any with `replace`.
        """
        self._database.write(lambda: self._put(results, replace))
        for result in results:
            self._near.pop(result.key, None)
            self._last[result.pipeline, result.step] = result.key

    def forget(self, *keys: str) -> None:
        """Drop the results of these keys."""
        if not keys:
            return  # where nothing may be written, that can be said all the same

        def drop() -> None:
            self._database.change_many("DELETE FROM results WHERE key = ?", [(key,) for key in keys])

        self._generation = None
        for key in keys:
            self._near.pop(key, None)
        self._database.write(drop)

    def latest(self, pipeline: str, step: str, limit: int = 1) -> list[Result]:
        """The newest results that this step of this pipeline made, newest first."""
        sql = "SELECT data FROM results WHERE pipeline = ? AND step = ? ORDER BY created DESC LIMIT ?"
        rows = self._database.rows(sql, (pipeline, step, limit))
        return [result for (data,) in rows if (result := self._read(data)) is not None]

    def durations(self, pipeline: str) -> dict[str, float]:
        """How many seconds each step of a pipeline took when it last ran."""
        return dict(self._database.rows("SELECT step, seconds FROM last_results WHERE pipeline = ?", (pipeline,)))

    def generation(self) -> int:
        """A number that is another one after any change to the results, by whichever process."""
        number: int = self._database.rows("SELECT number FROM generation")[0][0]
        return number

    def all(self) -> Iterable[Result]:
        """Every result, in no order."""
        rows = self._database.rows("SELECT data FROM results")
        return (result for (data,) in rows if (result := self._read(data)) is not None)

    def _put(self, results: Sequence[Result], replace: bool) -> None:
        for result in results:
            if not replace and self._stays(result):
                continue
            self._database.change(
                "INSERT OR REPLACE INTO results (key, pipeline, step, created, seconds, data) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (result.key, result.pipeline, result.step, result.created, result.seconds, self._encode(result)),
            )
            if self._generation is not None:
                self._generation += 1
        self._database.change_many(
            "INSERT OR REPLACE INTO last_results (pipeline, step, key, seconds) VALUES (?, ?, ?, ?)",
            [(result.pipeline, result.step, result.key, result.seconds) for result in results],
        )

    def _stays(self, new: Result) -> bool:
        """Whether the result already recorded was made while the new one was, and is whole."""
        rows = self._database.rows("SELECT data FROM results WHERE key = ?", (new.key,))
        old = self._read(rows[0][0]) if rows else None
        if old is None or old.created < new.created - new.seconds:
            return False
        return all(self._objects.has(artifact) for artifact in old.outputs.values())

    def _read(self, data: bytes) -> Result | None:
        try:
            return self._decode(data)
        except DecodeError:  # written by a version that meant something else by it: a miss
            return None
