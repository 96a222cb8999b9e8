"""What a run is known by: its id, and the commit of the tree it ran in."""

import os
import time


def run_id(now: float) -> str:
    """A new id that sorts by time."""
    return time.strftime("%Y%m%d-%H%M%S", time.localtime(now)) + "-" + os.urandom(2).hex()


def commit(root: str) -> str:
    """The commit of the project's tree, read from .git without starting git; empty when there is none."""
    try:
        with open(os.path.join(root, ".git", "HEAD"), encoding="ascii") as file:
            head = file.read().strip()
        if not head.startswith("ref: "):
            return head
        with open(os.path.join(root, ".git", head[5:]), encoding="ascii") as file:
            return file.read().strip()
    except (OSError, UnicodeDecodeError):
        return ""
