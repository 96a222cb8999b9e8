"""Starting a nursery, before it is known what it will have to import: that takes it as long as a small run takes."""

import os
import signal
import socket
import sys
import time
from contextlib import suppress

from treadle.environment import variables

CONNECTION = 3  # the nursery's end of the connection, in its own numbering
PAUSE = 0.001  # seconds between looks at a process that should end


class Started:
    """A nursery that has been started: its process and our end of the connection."""

    def __init__(self, pid: int, connection: socket.socket) -> None:
        self.pid = pid
        self.connection = connection
        self.code: int | None = None  # with which it ended, as far as that is known

    def ended(self, patience: float = 0.0) -> bool:
        """Wait so many seconds for its end; whether it has ended."""
        limit = time.monotonic() + patience
        while self.code is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:  # somebody else has waited for it
                pid, status = self.pid, 0
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
            elif time.monotonic() >= limit:
                return False
            else:
                time.sleep(PAUSE)
        return True

    def signal(self, number: int) -> None:
        """Send a signal to it, unless it has ended."""
        if not self.ended():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def close(self) -> None:
        """End it, whatever it does, and hang up; may be called twice."""
        self.connection.close()
        self.signal(signal.SIGKILL)
        self.ended(float("inf"))


def start(perform: str) -> Started:
    """Start a nursery; `perform` is the `module:function` that performs a task. All else it is told later."""
    ours, theirs = socket.socketpair()
    with theirs:
        pid = os.posix_spawn(
            sys.executable,
            # -P: a file of the user's in this folder must not stand for a module that the nursery needs
            [sys.executable, "-P", "-m", "treadle.executors.nursery", str(CONNECTION), perform],
            variables(),
            file_actions=[
                (os.POSIX_SPAWN_DUP2, theirs.fileno(), CONNECTION),
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),  # the scheduler's own may be read by a machine
            ],
            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],  # which Python ignores, and what a step starts should not
            setsid=True,  # the terminal's Ctrl-C is the scheduler's alone
        )
    return Started(pid, ours)
