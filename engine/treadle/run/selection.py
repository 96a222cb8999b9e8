"""What the user asked of one run."""

from collections.abc import Set


class Selection:
    """Steps forced to run, and steps that may run at all (None: every one)."""

    def __init__(self, forced: Set[str] = frozenset(), allowed: Set[str] | None = None) -> None:
        self.forced = forced
        self.allowed = allowed

    def may_run(self, step: str) -> bool:
        return self.allowed is None or step in self.allowed
