"""The DAG as a networkx graph: its order, and what lies above and below a step."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import networkx


def build(needs: Mapping[str, Iterable[str]]) -> "networkx.DiGraph[str]":
    """A directed graph with an edge from each need to the step that needs it."""
    import networkx  # lazy: 120 ms that a compiled plan and `check` spare

    graph: networkx.DiGraph[str] = networkx.DiGraph()
    graph.add_nodes_from(needs)
    graph.add_edges_from((need, step) for step, found in needs.items() for need in found)
    return graph


def order(graph: "networkx.DiGraph[str]", rank: Mapping[str, int]) -> list[str]:
    """The steps so that each follows its needs, ties in the order of `rank`; the graph has no cycle."""
    import networkx  # lazy: 120 ms that a compiled plan and `check` spare

    return list(networkx.lexicographical_topological_sort(graph, key=rank.__getitem__))


def above(graph: "networkx.DiGraph[str]", steps: Iterable[str]) -> set[str]:
    """The steps and everything they need."""
    return _closure(steps, graph.predecessors)


def below(graph: "networkx.DiGraph[str]", steps: Iterable[str]) -> set[str]:
    """The steps and everything that needs them."""
    return _closure(steps, graph.successors)


def layers(graph: "networkx.DiGraph[str]") -> list[list[str]]:
    """The steps by generation: each layer needs only earlier ones."""
    import networkx  # lazy: 120 ms that a compiled plan and `check` spare

    return [sorted(layer) for layer in networkx.topological_generations(graph)]


def _closure(steps: Iterable[str], neighbours: Callable[[str], Iterable[str]]) -> set[str]:
    found = set(steps)
    todo = list(found)
    while todo:
        for other in neighbours(todo.pop()):
            if other not in found:
                found.add(other)
                todo.append(other)
    return found
