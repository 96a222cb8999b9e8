"""Circles among steps: found without recursion, each told once with every edge of one loop."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise

from treadle.domain.location import Location
from treadle.errors import Problem, Related

Edges = Mapping[str, Mapping[str, tuple[Location, int]]]  # step → what it needs → where that is written, caret


def check(edges: Edges) -> Iterator[Problem]:
    """One problem for each group of steps that need one another."""
    for group in circles({step: list(needs) for step, needs in edges.items()}):
        loop = _shortest(edges, group)
        yield _problem(edges, loop)


def circles(needs: Mapping[str, Iterable[str]]) -> list[set[str]]:
    """The groups of more than one node that all reach one another (Tarjan's algorithm on an own stack)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    waiting: list[str] = []
    on_stack: set[str] = set()
    found = []
    for start in needs:
        if start in index:
            continue
        index[start] = low[start] = len(index)
        waiting.append(start)
        on_stack.add(start)
        work = [(start, iter(needs[start]))]
        while work:
            node, rest = work[-1]
            for other in rest:
                if other not in index:
                    index[other] = low[other] = len(index)
                    waiting.append(other)
                    on_stack.add(other)
                    work.append((other, iter(needs.get(other, ()))))
                    break
                if other in on_stack:
                    low[node] = min(low[node], index[other])
            else:
                work.pop()
                if work:
                    above = work[-1][0]
                    low[above] = min(low[above], low[node])
                if low[node] == index[node]:
                    group = _popped(waiting, on_stack, node)
                    if len(group) > 1:
                        found.append(group)
    return found


def _popped(waiting: list[str], on_stack: set[str], last: str) -> set[str]:
    group = set()
    while True:
        node = waiting.pop()
        on_stack.discard(node)
        group.add(node)
        if node == last:
            return group


def _shortest(edges: Edges, group: set[str]) -> list[str]:
    """A shortest loop through the first step of the group: each step needs the next, the last the first."""
    start = min(group, key=lambda step: min(where for where, _ in edges[step].values()))
    came: dict[str, str] = {}
    queue = [start]
    for node in queue:
        for other in edges[node]:
            if other == start:
                loop = [node]
                while loop[-1] != start:
                    loop.append(came[loop[-1]])
                return loop[::-1]
            if other in group and other not in came:
                came[other] = node
                queue.append(other)
    raise AssertionError("a group without a loop")


def _problem(edges: Edges, loop: list[str]) -> Problem:
    """The loop in the direction in which values flow: a → b means that b needs a."""
    flow = [loop[0], *reversed(loop[1:]), loop[0]]
    pairs = list(pairwise(flow))
    related = tuple(Related(f"'{user}' needs '{used}' here", edges[user][used][0]) for used, user in pairs)
    where, length = min((edges[user][used] for used, user in pairs), key=lambda place: place[0])
    hint = "take one of these references out, so that something comes first"
    return Problem("cycle", f"steps need one another: {' → '.join(flow)}", where, hint, "error", related, length)
