"""The DAG as a networkx graph, to be drawn."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import networkx


def build(needs: Mapping[str, Iterable[str]]) -> "networkx.DiGraph[str]":
    """A directed graph with an edge from each need to the step that needs it."""
    import networkx  # lazy: 120 ms that only drawing takes

    graph: networkx.DiGraph[str] = networkx.DiGraph()
    graph.add_nodes_from(needs)
    graph.add_edges_from((need, step) for step, found in needs.items() for need in found)
    return graph


def layers(graph: "networkx.DiGraph[str]") -> list[list[str]]:
    """The steps by generation: each layer needs only earlier ones."""
    import networkx  # lazy: 120 ms that only drawing takes

    return [sorted(layer) for layer in networkx.topological_generations(graph)]
