"""What a run is known by: its id, and the commit of the tree it ran in."""

import os
import time


def run_id(now: float) -> str:
    """A new id that sorts by time."""
    return time.strftime("%Y%m%d-%H%M%S", time.localtime(now)) + "-" + os.urandom(2).hex()


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
