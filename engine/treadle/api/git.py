"""Whether a project's tree has changes beside its commit."""

import os
import select
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

PATIENCE = 2.0  # seconds that a run waits at its end for `git status`, which began with its first step


class Tree:
    """Whether a tree has changes that are not committed: git looks in the background, while the steps run."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._git: subprocess.Popen[bytes] | None = None

    def look(self) -> None:
        """Let git begin, unless it has."""
        if self._git is None:
            import subprocess  # lazy: 5 ms that a project without git spares

            words = ["git", "--no-optional-locks", "status", "--porcelain", "--", "."]
            with suppress(OSError):  # git is not installed: the commit alone is known
                self._git = subprocess.Popen(
                    words,
                    cwd=self._root,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )

    def dirty(self) -> bool:
        """What git found; False as well when it was not asked, or needs too long."""
        if self._git is None or self._git.stdout is None:
            return False
        with self._git, self._git.stdout as found:
            ready = select.select([found], [], [], PATIENCE)[0]
            changed = bool(ready) and bool(os.read(found.fileno(), 1))
            with suppress(ProcessLookupError):
                self._git.kill()
        return changed
