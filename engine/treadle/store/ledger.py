"""The ledger's table: entries are appended, read and verified; SQLite itself refuses to change one."""

from collections.abc import Iterator
from typing import Any

from msgspec import json, to_builtins

from treadle.digest import of_bytes
from treadle.domain.ledger import Broken, LedgerCheck, LedgerEntry
from treadle.errors import StoreError
from treadle.store.database import Database, Row

FIRST = ""  # what the first entry has for the digest of the one before
COLUMNS = "number, at, kind, subject, actor, evidence, previous, digest"
PAGE = 1000

Entries = list[LedgerEntry]  # named here, since a method of Ledger might be called list


class Ledger:
    """The record of automatic acts. Raises StoreError when the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, kind: str, subject: str, evidence: Any, *, at: float, actor: str = "treadle") -> LedgerEntry:
        """Add an entry at the end; durable when it returns, or with the transaction that it is part of.

        `evidence` is a mapping or a struct of plain data. Raises StoreError when it is neither.
        """
        try:
            data = json.encode(to_builtins(evidence, str_keys=True), order="sorted")
        except (TypeError, ValueError, NotImplementedError) as error:
            raise StoreError(f"the evidence of {kind} is no plain data: {error}") from None
        if not data.startswith(b"{"):
            raise StoreError(f"the evidence of {kind} is no mapping")

        def add() -> LedgerEntry:
            rows = self._database.rows("SELECT number, digest FROM ledger ORDER BY number DESC LIMIT 1")
            number, previous = (rows[0][0] + 1, rows[0][1]) if rows else (1, FIRST)
            digest = seal((number, at, kind, subject, actor, data, previous))
            values = (number, at, kind, subject, actor, data, previous, digest)
            self._database.change(f"INSERT INTO ledger ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
            return _entry(values)

        return self._database.write(add)

    def entries(self, kind: str = "", subject: str = "", limit: int = 100, since: float | None = None) -> Entries:
        """The newest entries, oldest of them first. `kind` also finds what begins with it and a dot."""
        where, values = ["1"], []
        if kind:
            where.append("(kind = ? OR substr(kind, 1, ?) = ?)")
            values += [kind, len(kind) + 1, f"{kind}."]
        if subject:
            where.append("subject = ?")
            values.append(subject)
        if since is not None:
            where.append("at >= ?")
            values.append(since)
        sql = f"SELECT {COLUMNS} FROM ledger WHERE {' AND '.join(where)} ORDER BY number DESC LIMIT ?"
        return [_entry(row) for row in reversed(self._database.rows(sql, (*values, limit)))]

    def verify(self, head: str = "") -> LedgerCheck:
        """Walk the chain from its beginning to the first entry that does not fit.

        A chain cannot know that its newest entries were cut off: with `head`, a digest noted earlier, the entry of
        that digest must still be there.
        """
        number, previous, found = 0, FIRST, not head
        for row in self._all():
            reason = _wrong(row, number + 1, previous)
            if reason:
                return LedgerCheck(number, previous, Broken(number + 1, reason))
            number, previous = row[0], row[7]
            found = found or previous == head
        if not found:
            return LedgerCheck(number, previous, Broken(number + 1, "the entry of the digest noted earlier is missing"))
        return LedgerCheck(number, previous)

    def _all(self) -> Iterator[Row]:
        last = -1 << 62
        while rows := self._database.rows(
            f"SELECT {COLUMNS} FROM ledger WHERE number > ? ORDER BY number LIMIT {PAGE}", (last,)
        ):
            yield from rows
            last = rows[-1][0]


def seal(parts: tuple[Any, ...]) -> str:
    """The digest of (number, at, kind, subject, actor, evidence as JSON, digest before): each part with its length."""
    number, at, kind, subject, actor, data, previous = parts
    texts = [str(number), repr(float(at)), kind, subject, actor]
    pieces = [*(text.encode() for text in texts), bytes(data), previous.encode()]
    return of_bytes(b"".join(b"%d:%b" % (len(piece), piece) for piece in pieces))


def _wrong(row: Row, expected: int, previous: str) -> str:
    if row[0] != expected:
        return f"entry {expected} is missing: the next one is {row[0]}"
    if row[6] != previous:
        return "it does not follow the entry before it"
    try:
        same = seal(row[:7]) == row[7]
    except (AttributeError, TypeError, ValueError):  # a value of another type was put in
        same = False
    return "" if same else "its content is not what was written"


def _entry(row: Row) -> LedgerEntry:
    number, at, kind, subject, actor, data, previous, digest = row
    return LedgerEntry(
        number=number,
        at=at,
        kind=kind,
        subject=subject,
        actor=actor,
        evidence=json.decode(data, type=dict[str, Any]),
        previous=previous,
        digest=digest,
    )
