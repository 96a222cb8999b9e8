"""The commit of a project's tree, read without starting git, and whether the tree has changes beside it."""

import os
import select
import subprocess
from contextlib import suppress

PATIENCE = 2.0  # seconds that a run waits at its end for `git status`, which began with its first step


def commit(root: str) -> str:
    """The commit that is checked out in the tree around `root`; empty when there is none."""
    try:
        place = _place(root)
        if not place:
            return ""
        head = _read(place, "HEAD")
        if not head.startswith("ref: "):
            return head  # detached
        shared = _read(place, "commondir") if os.path.exists(os.path.join(place, "commondir")) else "."
        folder = os.path.normpath(os.path.join(place, shared))  # of all worktrees, where branches are
        name = head[5:]
        if os.path.exists(os.path.join(folder, name)):
            return _read(folder, name)
        for line in _read(folder, "packed-refs").splitlines():
            if line.endswith(f" {name}"):
                return line.partition(" ")[0]
    except (OSError, UnicodeDecodeError):
        pass
    return ""  # no commit yet, or a format of references that we do not read


class Tree:
    """Whether a tree has changes that are not committed: git looks in the background, while the steps run."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._git: subprocess.Popen[bytes] | None = None

    def look(self) -> None:
        """Let git begin, unless it has."""
        if self._git is None:
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


def _place(root: str) -> str:
    """The folder with HEAD of the repository around `root`; the `.git` of a worktree is a file that names it."""
    folder = root
    while True:
        place = os.path.join(folder, ".git")
        if os.path.isdir(place):
            return place
        if os.path.exists(place):
            return os.path.normpath(os.path.join(folder, _read(folder, ".git").removeprefix("gitdir: ")))
        above = os.path.dirname(folder)
        if above == folder:
            return ""
        folder = above


def _read(folder: str, name: str) -> str:
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        return file.read().strip()
