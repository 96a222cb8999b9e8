"""Circles: found in any graph, in linear time, without recursion."""

import time
from itertools import pairwise

import networkx
from hypothesis import given
from hypothesis import strategies as st

from treadle.domain.location import Location
from treadle.load import cycle

GRAPHS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=30)


def edges_of(pairs: list[tuple[int, int]]) -> dict[str, dict[str, tuple[Location, int]]]:
    found: dict[str, dict[str, tuple[Location, int]]] = {f"n{number}": {} for number in range(10)}
    for position, (user, used) in enumerate(pairs):
        if user != used:
            found[f"n{user}"].setdefault(f"n{used}", (Location("x", position + 1, 1), 2))
    return found


@given(GRAPHS)
def test_the_same_groups_as_networkx(pairs: list[tuple[int, int]]) -> None:
    edges = edges_of(pairs)
    graph = networkx.DiGraph([(user, used) for user, needs in edges.items() for used in needs])
    expected = {frozenset(group) for group in networkx.strongly_connected_components(graph) if len(group) > 1}
    found = cycle.circles({step: list(needs) for step, needs in edges.items()})
    assert {frozenset(group) for group in found} == expected


@given(GRAPHS)
def test_every_problem_tells_a_real_loop_edge_by_edge(pairs: list[tuple[int, int]]) -> None:
    edges = edges_of(pairs)
    problems = list(cycle.check(edges))
    assert len(problems) == len(cycle.circles({step: list(needs) for step, needs in edges.items()}))
    for problem in problems:
        loop = problem.text.partition(": ")[2].split(" → ")
        assert loop[0] == loop[-1]
        assert len(set(loop)) == len(loop) - 1
        assert [related.where for related in problem.related] == [edges[user][used][0] for used, user in pairwise(loop)]
        assert problem.where == min(related.where for related in problem.related)


def test_a_long_circle_needs_neither_time_nor_stack() -> None:
    steps = 50_000
    needs = {f"s{n}": [f"s{(n + 1) % steps}"] for n in range(steps)}
    before = time.process_time()
    (group,) = cycle.circles(needs)
    assert len(group) == steps
    assert time.process_time() - before < 5
