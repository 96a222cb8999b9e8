"""Ten and a hundred thousand steps: the first plan, and a run with nothing to do."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import graphs
import noop
import peers
from harness import Case, tool, treadle

RUNS = 3
PLANS = {10_000: (1.5, None), 100_000: (20.0, 1 << 30)}  # steps: seconds, bytes of memory
NOOP = (10_000, 0.200, 150 << 20)
PARSER = (
    "import gc, yaml; gc.disable(); get = yaml.CSafeLoader(open('graph.yaml').read()).get_event\n"
    "while type(get()) is not yaml.StreamEndEvent: pass"
)
DRY = {"make": ("-n",), "ninja": ("-n",), "doit": ("list", "--all", "--status")}


def workloads(folder: Path) -> dict[str, list[Case]]:
    found = {f"first plan, {count} steps": plans(folder / f"plan-{count}", count) for count in PLANS}
    count, budget, memory = NOOP
    graph = graphs.Graph(count)
    made = [peers.own(folder / "noop", graph, functions=True)._replace(budget=budget, memory=memory)]
    made += peers.others(folder / "noop", graph)
    found[f"nothing to do, {count} steps"] = [
        case._replace(prepare=noop.Prepared(case), check=noop.unchanged(case, graph)) for case in made
    ]
    return found


def plans(folder: Path, count: int) -> list[Case]:
    graph = graphs.Graph(count)
    budget, memory = PLANS[count]
    own = folder / "treadle"
    graphs.write_treadle(own, graph, functions=True)
    made = [Case("treadle", treadle("plan", "graph.yaml"), own, forget(own), budget=budget, memory=memory)]
    made.append(Case("the C YAML parser alone", [sys.executable, "-c", PARSER], own))
    for name, arguments in DRY.items():
        path = tool(name)
        if path is not None and count <= 10_000:
            peers.WRITERS[name][0](folder / name, graph)
            made.append(Case(f"{name} {arguments[0]}", [path, *arguments], folder / name))
    return [case._replace(steps=count) for case in made]


def forget(folder: Path) -> Callable[[], None]:
    return lambda: shutil.rmtree(folder / ".treadle", ignore_errors=True)
