"""Everything to do: the price of one small step, from its start to a durable record of it."""

import itertools
from collections.abc import Callable
from pathlib import Path

import graphs
import peers
from harness import Case

RUNS = 3
STEPS = 500
CHAIN = 50
BUDGETS = {"functions": 0.0025, "shell": 0.0035}  # seconds per step


def workloads(folder: Path, count: int = STEPS, chain: int = CHAIN) -> dict[str, list[Case]]:
    return {
        f"cold, chain of {chain} steps": cases(folder / "chain", graphs.Graph(chain, layers=chain), budgets=False),
        f"cold, {count} steps": cases(folder / "layered", graphs.Graph(count), budgets=True),
    }


def cases(folder: Path, graph: graphs.Graph, budgets: bool) -> list[Case]:
    made = []
    for name, budget in BUDGETS.items():
        case = peers.own(folder, graph, functions=name == "functions")
        made.append(case._replace(budget=budget * graph.size if budgets else None))
    made += peers.others(folder, graph)
    return [case._replace(prepare=forget(case.cwd), check=right(case, graph), steps=graph.size) for case in made]


def forget(folder: Path) -> Callable[[], None]:
    """Move away all that an earlier run made or remembered.

    Deleted, it would be a load on the run that follows: ext4 passes over what was deleted within the last minutes, file
    by file, whenever it looks for room for a new one.
    """
    numbers = itertools.count()

    def prepare() -> None:
        for name in ("out", ".treadle", ".snakemake", ".dvc/cache", ".dvc/tmp"):
            if (folder / name).exists():
                (folder / name).rename(folder.with_name(f"{folder.name}.{next(numbers)}.old"))
        for file in (*folder.glob(".doit.db*"), *folder.glob(".ninja_*"), *folder.glob("*.lock*")):
            file.unlink()
        (folder / "out").mkdir()

    return prepare


def right(case: Case, graph: graphs.Graph) -> Callable[[], None]:
    def check() -> None:
        graphs.check_outputs(case.cwd, graph, last_only=case.tool.startswith("treadle"))

    return check
