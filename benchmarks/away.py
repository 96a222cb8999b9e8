"""The store is locked, and then away, for a whole minute under a real `treadle up`: what it says, and that it goes on.

python benchmarks/away.py [SECONDS]      default 60; the tests do the same with a clock of their own

A file that a trigger watches changes during each outage; its run must begin after it, once.
"""

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PIPELINE = """version: 1
name: shop
data: {orders: {path: orders.csv}}
steps: {count: {run: "wc -l {in.orders}", in: {orders: data.orders}}}
triggers: {new_orders: {files: data.orders}}
"""
COMMAND = [sys.executable, "-P", "-m", "treadle"]


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Another process writes and does not come to an end."""
    other = sqlite3.connect(root / ".treadle/state.db", isolation_level=None, timeout=60)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()


@contextmanager
def gone(root: Path) -> Iterator[None]:
    """The folder's disk is not there."""
    os.rename(root / ".treadle", root / "elsewhere")
    yield
    assert not (root / ".treadle/state.db").exists(), "a new one was made"
    os.rename(root / "elsewhere", root / ".treadle")


def main(seconds: float) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "treadle.toml").touch()
        (root / "shop.yaml").write_text(PIPELINE)
        (root / "orders.csv").write_text("id\n")
        with (root / "up.log").open("w") as log:
            up = subprocess.Popen([*COMMAND, "up", "shop.yaml"], cwd=root, stdout=log, stderr=log)
        try:
            until(lambda: "is up" in (root / "up.log").read_text(), "up", root)
            time.sleep(4)  # the file has been looked at
            for number, outage in enumerate((locked, gone), 1):
                with outage(root):
                    with (root / "orders.csv").open("a") as file:
                        file.write(f"{number}\n")
                    time.sleep(seconds)
                began = time.monotonic()
                until(lambda n=number: fired(root) == n, "the run of the trigger", root)  # type: ignore[misc]
                print(f"{outage.__name__} for {seconds:.0f} s: its run began {time.monotonic() - began:.0f} s after")
            time.sleep(5)
            status = subprocess.run([*COMMAND, "status"], cwd=root, capture_output=True, text=True, check=True).stdout
            checked = subprocess.run(
                [*COMMAND, "ledger", "verify"], cwd=root, capture_output=True, text=True, check=True
            )
            assert fired(root) == 2
            print((root / "up.log").read_text(), status, checked.stdout, sep="\n")
        finally:
            up.terminate()
            up.wait(60)


def fired(root: Path) -> int:
    """How many runs the trigger has begun, by the ledger."""
    command = [*COMMAND, "ledger", "list", "--kind", "trigger.fire"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    return done.stdout.count("data.orders changed")


def until(holds: Callable[[], bool], what: str, root: Path) -> None:
    end = time.monotonic() + 180
    while not holds():
        assert time.monotonic() < end, f"never: {what}\n{(root / 'up.log').read_text()}"
        time.sleep(1)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 60.0)
