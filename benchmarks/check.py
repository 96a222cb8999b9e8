"""Checking a pipeline of ten function steps in a small project, with nothing kept from an earlier command."""

import shutil
from pathlib import Path

import graphs
import peers
from harness import Case, treadle

RUNS = 10
STEPS = 10
DRY = {
    "make": ("-n",),
    "doit": ("list", "--all", "--status"),
    "snakemake": ("-n", "-q"),
    "dvc": ("status",),
}


def workloads(folder: Path) -> dict[str, list[Case]]:
    graph = graphs.Graph(STEPS)
    own = folder / "treadle"
    graphs.write_treadle(own, graph, functions=True)

    def forget() -> None:
        shutil.rmtree(own / ".treadle", ignore_errors=True)
        shutil.rmtree(own / "__pycache__", ignore_errors=True)

    cases = [Case("treadle", treadle("check", "graph.yaml"), own, prepare=forget, budget=0.120)]
    for case in peers.others(folder, graph):
        if words := DRY.get(case.tool):
            cases.append(case._replace(tool=f"{case.tool} {words[0]}", argv=[case.argv[0], *words]))
    return {f"check of {STEPS} steps, cold": cases}
