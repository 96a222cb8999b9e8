"""Everything to do: the price of one small step, from its start to a durable record of it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import graphs
from harness import Case, tool, treadle

RUNS = 3
STEPS = 500
BUDGETS = {"functions": 0.0025, "shell": 0.0035}  # seconds per step


def workloads(folder: Path, count: int = STEPS) -> dict[str, list[Case]]:
    graph = graphs.Graph(count)
    made = []
    for name, budget in BUDGETS.items():
        own = folder / f"treadle-{name}"
        graphs.write_treadle(own, graph, functions=name == "functions")
        made.append(Case(f"treadle {name}", treadle("run", "graph.yaml"), own, budget=budget * count))
    if path := tool("make"):
        graphs.write_make(folder / "make", graph)
        made.append(Case("make", [path, "-s", "-j2"], folder / "make"))
    if path := tool("ninja"):
        graphs.write_ninja(folder / "ninja", graph)
        made.append(Case("ninja", [path, "-j2"], folder / "ninja"))
    if path := tool("doit"):
        graphs.write_doit(folder / "doit", graph)
        made.append(Case("doit", [path, "-n", "2"], folder / "doit"))
    own_check = [case._replace(prepare=forget(case.cwd), check=right(case, graph), steps=count) for case in made]
    return {f"cold, {count} steps": own_check}


def forget(folder: Path) -> Callable[[], None]:
    """Throw away all that an earlier run made or remembered."""

    def prepare() -> None:
        for name in ("out", ".treadle"):
            shutil.rmtree(folder / name, ignore_errors=True)
        for file in (*folder.glob(".doit.db*"), *folder.glob(".ninja_*"), *folder.glob("*.lock.yaml")):
            file.unlink()
        (folder / "out").mkdir()

    return prepare


def right(case: Case, graph: graphs.Graph) -> Callable[[], None]:
    def check() -> None:
        graphs.check_outputs(case.cwd, graph, last_only=case.tool.startswith("treadle"))

    return check
