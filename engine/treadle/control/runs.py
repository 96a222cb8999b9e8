"""Runs of a pipeline in processes of their own: the controller stays small, and a run outlives a killed controller."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from msgspec import Struct

from treadle.domain.run import INTERRUPTED, OK, RUNNING
from treadle.store import Store

LOST = "lost"  # the run never began, or nobody knows what became of it
GRACE = 10.0  # seconds in which a run that is told to stop may end by itself


class Ended(Struct, frozen=True):
    """How a run ended: ok, failed, interrupted or lost, and the last words of its process."""

    status: str
    words: str = ""


class Runs(Protocol):
    """Where the controller's runs happen."""

    def start(self, run_id: str, steps: Sequence[str]) -> None:
        """Begin a run of these steps and what they need (none: all) under this id."""

    def ended(self, run_id: str) -> Ended | None:
        """How it ended, or None while it goes on; also for one that another process began."""

    def stop(self) -> None:
        """End what this process began."""


class ChildRuns:
    """`treadle run` in a child process, its output in `.treadle/logs/RUN/run.txt`."""

    def __init__(self, store: Store, root: str, path: str, params: Sequence[str] = ()) -> None:
        self._store = store
        self._root = root
        self._path = path
        self._params = [word for text in params for word in ("-p", text)]
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, run_id: str, steps: Sequence[str]) -> None:
        command = [sys.executable, "-P", "-m", "treadle", "run", self._path, *steps, *self._params]
        os.makedirs(os.path.dirname(self._log(run_id)), exist_ok=True)
        with open(self._log(run_id), "wb") as log:
            self._children[run_id] = subprocess.Popen(
                [*command, "--quiet", "--id", run_id],
                cwd=self._root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def ended(self, run_id: str) -> Ended | None:
        child = self._children.get(run_id)
        if child is not None and child.poll() is None:
            return None
        self._children.pop(run_id, None)
        record = self._store.history.get(run_id)
        if record is None:
            return Ended("failed" if child is not None and child.returncode in (1, 2, 3) else LOST, self._words(run_id))
        if record.status == RUNNING:  # the process of another controller's run still lives, or ours was killed just now
            return Ended(INTERRUPTED) if child is not None else None
        return Ended(record.status, "" if record.status == OK else self._words(run_id))

    def stop(self) -> None:
        for child in self._children.values():
            with suppress(ProcessLookupError):
                child.send_signal(signal.SIGTERM)
        end = time.monotonic() + GRACE
        for child in self._children.values():
            try:
                child.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        self._children.clear()

    def _log(self, run_id: str) -> str:
        return os.path.join(self._store.folder, "logs", run_id, "run.txt")

    def _words(self, run_id: str) -> str:
        """The first line of what went wrong."""
        try:
            with open(self._log(run_id), encoding="utf-8", errors="replace") as file:
                lines = [line.strip() for line in file.read(20_000).splitlines() if line.strip()]
        except OSError:
            return ""
        errors = [line for line in lines if line.startswith("error")]
        return (errors or lines or [""])[0][:300]
