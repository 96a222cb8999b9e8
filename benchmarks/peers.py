"""The same graph for every tool that is there, and the command that brings it up to date."""

import subprocess
from pathlib import Path

import graphs
from harness import Case, tool, treadle

MOST = {"snakemake": 1000, "dvc": 100}  # steps; a run of more takes minutes
WRITERS = {
    "make": (graphs.write_make, ("-s", "-j2")),
    "ninja": (graphs.write_ninja, ("-j2",)),
    "doit": (graphs.write_doit, ("-n", "2")),
    "snakemake": (graphs.write_snakemake, ("-j2", "--quiet")),
    "dvc": (graphs.write_dvc, ("repro", "-q")),
}


def own(folder: Path, graph: graphs.Graph, functions: bool) -> Case:
    """Treadle with the graph as functions in the pool or as shell commands."""
    name = "functions" if functions else "shell"
    place = folder / f"treadle-{name}"
    graphs.write_treadle(place, graph, functions)
    return Case(f"treadle {name}", treadle("run", "graph.yaml"), place)


def others(folder: Path, graph: graphs.Graph) -> list[Case]:
    """The peers that are installed and can bear a graph of this size."""
    found = []
    for name, (write, arguments) in WRITERS.items():
        path = tool(name)
        if path is None or graph.size > MOST.get(name, graph.size):
            continue
        write(folder / name, graph)
        if name == "dvc":
            subprocess.run([path, "init", "--no-scm", "-q"], cwd=folder / name, check=True, capture_output=True)
        env = {"XDG_CACHE_HOME": str(folder / f"{name}.cache"), "DVC_NO_ANALYTICS": "1"}
        found.append(Case(name, [path, *arguments], folder / name, env=env))
    return found
