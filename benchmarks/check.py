"""Checking a pipeline of ten function steps in a small project, with nothing kept from an earlier command."""

import shutil
from pathlib import Path

import graphs
from harness import Case, tool, treadle

RUNS = 10
STEPS = 10


def workloads(folder: Path) -> dict[str, list[Case]]:
    graph = graphs.Graph(STEPS)
    own = folder / "treadle"
    graphs.write_treadle(own, graph, functions=True)

    def forget() -> None:
        shutil.rmtree(own / ".treadle", ignore_errors=True)
        shutil.rmtree(own / "__pycache__", ignore_errors=True)

    cases = [Case("treadle", treadle("check", "graph.yaml"), own, prepare=forget, budget=0.120)]
    if path := tool("make"):
        graphs.write_make(folder / "make", graph)
        cases.append(Case("make -n", [path, "-n"], folder / "make"))
    if path := tool("doit"):
        graphs.write_doit(folder / "doit", graph)
        cases.append(Case("doit list", [path, "list", "--all", "--status"], folder / "doit"))
    return {f"check of {STEPS} steps, cold": cases}
