"""One source of a mid-layer step changes in a graph of 1,000: fifteen steps lie below it.

With the same output the source changes in a line that its step does not read, so only that one step needs to run.
"""

import itertools
from collections.abc import Callable
from pathlib import Path

import graphs
import peers
from harness import Case, once

RUNS = 5
STEPS = 1000
BUDGET = 0.150
SOURCE = "y7"


def workloads(folder: Path, count: int = STEPS) -> dict[str, list[Case]]:
    graph = graphs.Graph(count, middle=True)
    return {
        f"one change, {graph.below(SOURCE)} of {count} to rerun": cases(folder / "change", graph, other=True),
        f"one change that changes no output, 1 of {count} to rerun": cases(folder / "same", graph, other=False),
    }


def cases(folder: Path, graph: graphs.Graph, other: bool) -> list[Case]:
    made = [peers.own(folder, graph, functions)._replace(budget=BUDGET) for functions in (True, False)]
    made += peers.others(folder, graph)
    return [edited(case, graph, other) for case in made]


def edited(case: Case, graph: graphs.Graph, other: bool) -> Case:
    """The case with an edit before every run: of the line that is read, or of the one after it."""
    texts: dict[str, str] = {}
    numbers = itertools.count(1)
    ran = graph.below(SOURCE) if other else 1

    def prepare() -> None:
        number = next(numbers)
        if number == 1:
            once(case, case.cwd.with_name(case.cwd.name + ".log"))
        first = f"source {SOURCE} {number if other else 1}\n"
        texts[SOURCE] = first
        (case.cwd / "sources" / f"{SOURCE}.txt").write_text(f"{first}not read {number}\n")

    return case._replace(prepare=prepare, check=checked(case, graph, texts, ran))


def checked(case: Case, graph: graphs.Graph, texts: dict[str, str], ran: int) -> Callable[[], None]:
    own = case.tool.startswith("treadle")

    def check() -> None:
        graphs.check_outputs(case.cwd, graph, last_only=own, texts=texts)
        if own:  # peers do not all say how much they ran
            said = case.cwd.with_name(case.cwd.name + ".log").read_text().splitlines()[-1]
            assert f" {ran} ran, " in said, said

    return check
