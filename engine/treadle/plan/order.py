"""The order of a plan, and what lies above and below a step: linear walks over plain dictionaries.

networkx draws and analyses (`plan/graph.py`); importing it takes 120 ms, which a run does not spend.
"""

from collections.abc import Iterable, Mapping
from heapq import heapify, heappop, heappush

Needs = Mapping[str, Iterable[str]]  # step → the steps whose outputs it needs


def ordered(needs: Needs) -> list[str]:
    """The steps so that each follows its needs, ties in the order of `needs`; there must be no cycle.

    Kahn's algorithm with a heap of positions: https://doi.org/10.1145/368996.369025
    """
    names = list(needs)
    position = {name: number for number, name in enumerate(names)}
    above = {name: set(found) for name, found in needs.items()}
    followers = below_each(needs)
    left = [len(above[name]) for name in names]
    ready = [number for number, count in enumerate(left) if not count]
    heapify(ready)
    found = []
    while ready:
        name = names[heappop(ready)]
        found.append(name)
        for other in followers[name]:
            number = position[other]
            left[number] -= 1
            if not left[number]:
                heappush(ready, number)
    return found


def below_each(needs: Needs) -> dict[str, list[str]]:
    """For each step those that need it."""
    found: dict[str, list[str]] = {name: [] for name in needs}
    for name, above in needs.items():
        for need in dict.fromkeys(above):
            found[need].append(name)
    return found


def reached(steps: Iterable[str], neighbours: Needs) -> set[str]:
    """The steps and everything that the neighbours of neighbours lead to."""
    found = set(steps)
    todo = list(found)
    while todo:
        for other in neighbours[todo.pop()]:
            if other not in found:
                found.add(other)
                todo.append(other)
    return found
