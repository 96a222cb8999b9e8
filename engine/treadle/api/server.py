"""The server of `treadle up`: `treadle serve` in a process of its own, begun again when it dies."""

import ctypes  # noqa: F401  loaded before any fork: the child must not import
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from treadle.executors.system import die_with_parent

DRAIN = 25.0  # seconds for a server to answer what it has taken
PAUSE, LONGEST = 1.0, 30.0  # seconds before a server that died begins again, doubled each time
STEADY = 60.0  # seconds after which a server counts as sound


class Server:
    """One server process at a time; `say` gets its lines."""

    def __init__(self, root: str, path: str, options: Sequence[str], say: Callable[[str], None]) -> None:
        self.say = say
        self.url = ""
        self._root = root
        self._command = [sys.executable, "-P", "-m", "treadle", "serve", path, *options]
        self._child: subprocess.Popen[str] | None = None
        self._since = self._not_before = 0.0
        self._pause = PAUSE

    @property
    def begun(self) -> bool:
        """Whether it has ever been started."""
        return self._since > 0

    @property
    def pid(self) -> int:
        """Of the server's supervisor, 0 when none runs."""
        return self._child.pid if self._child is not None and self._child.poll() is None else 0

    def keep(self) -> None:
        """Start the server, or start it again when it has died."""
        now = time.monotonic()
        if self._child is not None:
            if self._child.poll() is None:
                if now - self._since > STEADY:
                    self._pause = PAUSE
                return
            self.say(f"the server ended with code {self._child.returncode}; another begins in {self._pause:g} s")
            self._child, self.url = None, ""
            self._not_before = now + self._pause
            self._pause = min(2 * self._pause, LONGEST)
        if now >= self._not_before:
            self._start()

    def ask_to_stop(self) -> None:
        """Begin to stop; `stop` waits for it."""
        if self._child is not None:
            with suppress(ProcessLookupError):
                self._child.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """End the server: what it has taken is answered, but for longer than `DRAIN` nobody waits."""
        if self._child is None:
            return
        self.ask_to_stop()
        try:
            self._child.wait(DRAIN)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()

    def _start(self) -> None:
        self._since = time.monotonic()
        parent = os.getpid()
        self._child = subprocess.Popen(
            self._command,
            cwd=self._root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: die_with_parent(parent),
        )
        threading.Thread(target=self._listen, args=(self._child,), daemon=True).start()

    def _listen(self, child: "subprocess.Popen[str]") -> None:
        assert child.stdout is not None
        with child.stdout as lines:
            for line in lines:
                text = line.strip()
                if text.startswith("serving ") and " on " in text:
                    self.url = text.split(" on ", 1)[1].split(" ")[0]
                if text:
                    self.say(text)
