"""The order of a plan is networkx's lexicographic topological order."""

import networkx
from hypothesis import given
from hypothesis import strategies as st

from treadle.plan.order import below_each, ordered, reached


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    """Random needs without a cycle, named in another order than they run in."""
    count = draw(st.integers(0, 12))
    names = draw(st.permutations([f"s{n}" for n in range(count)]))
    needs = {name: draw(st.lists(st.sampled_from(names[:n]), max_size=4)) if n else [] for n, name in enumerate(names)}
    return {name: needs[name] for name in sorted(names)}


def as_networkx(needs: dict[str, list[str]]) -> "networkx.DiGraph[str]":
    graph: networkx.DiGraph[str] = networkx.DiGraph()
    graph.add_nodes_from(needs)
    graph.add_edges_from((need, name) for name, found in needs.items() for need in found)
    return graph


@given(graphs())
def test_steps_follow_their_needs_in_the_order_of_the_file(needs: dict[str, list[str]]) -> None:
    rank = {name: number for number, name in enumerate(needs)}
    assert ordered(needs) == list(networkx.lexicographical_topological_sort(as_networkx(needs), key=rank.__getitem__))


@given(graphs())
def test_what_lies_above_and_below(needs: dict[str, list[str]]) -> None:
    graph, below = as_networkx(needs), below_each(needs)
    for name in needs:
        assert reached([name], needs) == networkx.ancestors(graph, name) | {name}
        assert reached([name], below) == networkx.descendants(graph, name) | {name}
