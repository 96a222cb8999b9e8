"""Steps in groups, so that thousands of them can be looked at: by stage, or by how their names begin."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping

BREAK = re.compile(r"[\d_.\-]")


class Group:
    """How many steps of a group run, and how many have ended how."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.running = 0
        self.fates: Counter[str] = Counter()
        self.seconds = 0.0


def group_of(step: str, stages: Mapping[str, str]) -> str:
    """The group of a step: its stage; the name of its matrix; else its name up to the first digit, `_`, `-` or `.`."""
    name, cell, _ = step.partition("[")
    if name in stages:
        return stages[name]
    return name if cell else BREAK.split(name, maxsplit=1)[0] or name


def largest(groups: Iterable[Group], most: int) -> list[Group]:
    """Those with failures first, then those with most steps; in the order in which they came."""
    found = list(groups)
    ranked = sorted(found, key=lambda group: (-group.fates["failed"], -group.running - group.fates.total()))
    kept = set(map(id, ranked[:most]))
    return [group for group in found if id(group) in kept]
