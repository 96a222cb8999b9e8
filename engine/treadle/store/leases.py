"""One computation per key: who is computing what right now, among any number of processes."""

import os
import time
from collections.abc import Iterable

from treadle.store.database import Database, Row
from treadle.store.process import Process, alive, this_process

LEASE = 60.0  # seconds that a holder on another host is believed without a sign of life


class Leases:
    """Leases of keys. A holder on this host has its lease as long as it lives, one on another host for LEASE seconds
    after its last `renew`. Nothing needs to be unlocked by hand. Raises StoreError when the database fails.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._token = os.urandom(8).hex()
        self._me: Process | None = None
        self._renewed = 0.0

    def acquire(self, key: str, now: float | None = None) -> bool:
        """Take the lease of a key: True when it is ours now, also when its holder died; False when another has it."""
        at = time.time() if now is None else now
        return self._database.write(lambda: self._acquire(key, at), durable=False)

    def holder(self, key: str, now: float | None = None) -> Process | None:
        """The process that is computing a key, or None when there is none, or only a dead one."""
        row = self._row(key)
        if row is None or _stale(row, time.time() if now is None else now):
            return None
        return Process(*row[:4])

    def busy(self, key: str) -> bool:
        """Whether another holder is computing the key."""
        row = self._row(key)
        return row is not None and not self._mine(row) and not _stale(row, time.time())

    def renew(self, now: float | None = None) -> None:
        """Give a sign of life for all our leases; cheap, to be called at every turn of a loop."""
        at = time.time() if now is None else now
        if at - self._renewed < LEASE / 4:
            return
        self._renewed = at
        sql = "UPDATE leases SET until = ? WHERE token = ? AND pid = ?"
        values = (at + LEASE, self._token, os.getpid())
        self._database.write(lambda: self._database.change(sql, values), durable=False)

    def release(self, keys: Iterable[str]) -> None:
        """Give back leases of ours; those of others stay."""
        values = [(key, self._token, os.getpid()) for key in keys]
        sql = "DELETE FROM leases WHERE key = ? AND token = ? AND pid = ?"
        self._database.write(lambda: self._database.change_many(sql, values), durable=False)

    def release_all(self) -> None:
        """Give back every lease of ours."""
        if self._me is None:
            return  # never took one: spares a transaction
        sql, values = "DELETE FROM leases WHERE token = ? AND pid = ?", (self._token, os.getpid())
        self._database.write(lambda: self._database.change(sql, values), durable=False)

    def drop_stale(self, now: float) -> set[str]:
        """Delete the leases of the dead and return the keys that are being computed."""

        def drop() -> set[str]:
            rows = self._database.rows("SELECT host, boot, pid, began, token, until, key FROM leases")
            dead = [(row[6],) for row in rows if _stale(row, now)]
            self._database.change_many("DELETE FROM leases WHERE key = ?", dead)
            return {row[6] for row in rows} - {key for (key,) in dead}

        return self._database.write(drop)

    def _acquire(self, key: str, now: float) -> bool:
        row = self._row(key)
        if row is not None and not self._mine(row) and not _stale(row, now):
            return False
        if self._me is None or self._me.pid != os.getpid():
            self._me = this_process()
        me = self._me
        self._database.change(
            "INSERT OR REPLACE INTO leases (key, host, boot, pid, began, token, until) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (key, me.host, me.boot, me.pid, me.began, self._token, now + LEASE),
        )
        return True

    def _mine(self, row: Row) -> bool:
        return bool(row[4] == self._token and row[2] == os.getpid())

    def _row(self, key: str) -> Row | None:
        sql = "SELECT host, boot, pid, began, token, until FROM leases WHERE key = ?"
        rows = self._database.rows(sql, (key,))
        return rows[0] if rows else None


def _stale(row: Row, now: float) -> bool:
    lives = alive(Process(*row[:4]))
    return row[5] < now if lives is None else not lives
