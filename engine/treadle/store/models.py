"""The registry: immutable versions of models, the names that move between them, and how they moved.

`ModelsDoor` is all that anyone asks of a registry; `Models` keeps it in SQLite. Each change is one transaction.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from msgspec import Struct, structs
from msgspec.msgpack import Decoder, Encoder

from treadle.domain.model import CHALLENGER, CHAMPION, SET, AliasEvent, ModelVersion, Quarantine
from treadle.errors import StoreError
from treadle.store.database import Database

EVENT = "name, alias, old, new, at, actor, reason, kind"


class Move(Struct, frozen=True, kw_only=True):
    """An alias to be moved to a version, or taken away (None); `at` in seconds since the epoch."""

    name: str
    alias: str
    version: int | None
    at: float
    actor: str
    reason: str
    kind: str = SET


class ModelsDoor(Protocol):
    """What a registry does, wherever it keeps its records; every method raises StoreError when that fails."""

    def register(self, draft: ModelVersion, card: str, actor: str) -> tuple[ModelVersion, bool]:
        """Give a draft its number, or find the version with the same model and card; says whether it is new.

        `card` is the digest of the card. The first version of a name becomes its champion, a later one its challenger.
        """

    def known(self, model: str, card: str) -> bool:
        """Whether a version with this model and this card (digests) is registered."""

    def names(self) -> list[str]:
        """The names that have versions, sorted."""

    def versions(self, name: str) -> list[ModelVersion]:
        """All versions of a name, newest first."""

    def get(self, name: str, version: int) -> ModelVersion | None:
        """One version, or None."""

    def alias(self, name: str, alias: str) -> ModelVersion | None:
        """The version that an alias names now, or None."""

    def aliases(self, name: str) -> dict[str, int]:
        """The aliases of a name and their versions, sorted by alias."""

    def move(self, move: Move) -> AliasEvent:
        """Move an alias and record that, in one transaction; raises StoreError when there is no such version."""

    def events(self, name: str, alias: str | None = None) -> list[AliasEvent]:
        """How the aliases of a name, or one of them, moved: oldest first."""

    def quarantine(self, entry: Quarantine) -> None:
        """Record that a version must not be promoted until a moment; the latest record of a version counts."""

    def quarantined(self, name: str, now: float) -> dict[int, Quarantine]:
        """The versions of a name that are in quarantine at a moment."""

    def changes(self) -> int:
        """A number that grows with every change: cheap, for those who poll."""

    def transaction(self) -> AbstractContextManager[None]:
        """Changes inside become visible together, or none does, and nobody else's come in between."""


class Models:
    """The registry in the project's own database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._encode = Encoder().encode
        self._decode = Decoder(ModelVersion).decode

    def register(self, draft: ModelVersion, card: str, actor: str) -> tuple[ModelVersion, bool]:
        return self._database.write(lambda: self._register(draft, card, actor))

    def known(self, model: str, card: str) -> bool:
        return bool(self._database.rows("SELECT 1 FROM model_versions WHERE card = ? AND model = ?", (card, model)))

    def names(self) -> list[str]:
        return [name for (name,) in self._database.rows("SELECT DISTINCT name FROM model_versions ORDER BY name")]

    def versions(self, name: str) -> list[ModelVersion]:
        return self._versions("WHERE name = ? ORDER BY version DESC", (name,))

    def get(self, name: str, version: int) -> ModelVersion | None:
        return next(iter(self._versions("WHERE name = ? AND version = ?", (name, version))), None)

    def alias(self, name: str, alias: str) -> ModelVersion | None:
        where = "JOIN model_aliases USING (name, version) WHERE name = ? AND alias = ?"
        return next(iter(self._versions(where, (name, alias))), None)

    def aliases(self, name: str) -> dict[str, int]:
        sql = "SELECT alias, version FROM model_aliases WHERE name = ? ORDER BY alias"
        return dict(self._database.rows(sql, (name,)))

    def move(self, move: Move) -> AliasEvent:
        return self._database.write(lambda: self._move(move))

    def events(self, name: str, alias: str | None = None) -> list[AliasEvent]:
        where = "name = ?" if alias is None else "name = ? AND alias = ?"
        values = (name,) if alias is None else (name, alias)
        rows = self._database.rows(f"SELECT {EVENT} FROM alias_events WHERE {where} ORDER BY number", values)
        return [AliasEvent(**dict(zip(EVENT.split(", "), row, strict=True))) for row in rows]

    def quarantine(self, entry: Quarantine) -> None:
        def add() -> None:
            sql = "INSERT INTO model_quarantine (name, version, until, at, actor, reason) VALUES (?, ?, ?, ?, ?, ?)"
            self._need(entry.name, entry.version)
            self._database.change(sql, structs.astuple(entry))
            self._count()

        self._database.write(add)

    def quarantined(self, name: str, now: float) -> dict[int, Quarantine]:
        sql = "SELECT name, version, until, at, actor, reason FROM model_quarantine WHERE name = ? ORDER BY number"
        names = Quarantine.__struct_fields__
        entries = [Quarantine(**dict(zip(names, row, strict=True))) for row in self._database.rows(sql, (name,))]
        latest = {entry.version: entry for entry in entries}
        return {version: entry for version, entry in latest.items() if entry.until > now}

    def changes(self) -> int:
        return int(self._database.rows("SELECT count FROM model_changes")[0][0])

    def transaction(self) -> AbstractContextManager[None]:
        return self._database.transaction()

    # inside a transaction

    def _register(self, draft: ModelVersion, card: str, actor: str) -> tuple[ModelVersion, bool]:
        name = draft.name
        found = self._versions("WHERE card = ? AND model = ?", (card, draft.artifact.digest))
        if found:
            return found[0], False
        rows = self._database.rows("SELECT coalesce(max(version), 0) FROM model_versions WHERE name = ?", (name,))
        version = structs.replace(draft, version=rows[0][0] + 1)
        sql = "INSERT INTO model_versions (name, version, model, card, data) VALUES (?, ?, ?, ?, ?)"
        values = (name, version.version, version.artifact.digest, card, self._encode(version))
        self._database.change(sql, values)
        first = CHAMPION not in self.aliases(name)
        reason = "there was no champion" if first else f"made by run {version.run_id}" if version.run_id else "new"
        alias = CHAMPION if first else CHALLENGER
        move = Move(name=name, alias=alias, version=version.version, at=version.created, actor=actor, reason=reason)
        self._move(move)
        return version, True

    def _move(self, move: Move) -> AliasEvent:
        if move.version is not None:
            self._need(move.name, move.version)
        old = self.aliases(move.name).get(move.alias)
        event = AliasEvent(
            name=move.name,
            alias=move.alias,
            old=old,
            new=move.version,
            at=move.at,
            actor=move.actor,
            reason=move.reason,
            kind=move.kind,
        )
        key: Sequence[str | int] = (move.name, move.alias)
        self._database.change("DELETE FROM model_aliases WHERE name = ? AND alias = ?", key)
        if move.version is not None:
            sql = "INSERT INTO model_aliases (name, alias, version) VALUES (?, ?, ?)"
            self._database.change(sql, (*key, move.version))
        marks = ", ".join("?" * len(event.__struct_fields__))
        self._database.change(f"INSERT INTO alias_events ({EVENT}) VALUES ({marks})", structs.astuple(event))
        self._count()
        return event

    def _need(self, name: str, version: int) -> None:
        if self.get(name, version) is None:
            raise StoreError(f"model '{name}' has no version {version}")

    def _count(self) -> None:
        self._database.change("UPDATE model_changes SET count = count + 1")

    def _versions(self, where: str, values: Sequence[str | int]) -> list[ModelVersion]:
        sql = f"SELECT model_versions.data FROM model_versions {where}"
        return [self._decode(data) for (data,) in self._database.rows(sql, values)]
