"""Nothing to do: the command that users run most."""

import json
from collections.abc import Callable
from pathlib import Path

import graphs
from harness import Case, once, tool, treadle

RUNS = 10
BUDGETS = {100: 0.050, 1000: 0.065}
SIZES = tuple(BUDGETS)


def workloads(folder: Path, sizes: tuple[int, ...] = SIZES) -> dict[str, list[Case]]:
    return {f"nothing to do, {count} steps": cases(folder / str(count), count) for count in sizes}


def cases(folder: Path, count: int) -> list[Case]:
    graph = graphs.Graph(count)
    budget = BUDGETS.get(count)
    made = []
    for name, functions in (("functions", True), ("shell", False)):
        own = folder / f"treadle-{name}"
        graphs.write_treadle(own, graph, functions)
        made.append(Case(f"treadle {name}", treadle("run", "graph.yaml"), own, budget=budget))
    if path := tool("make"):
        graphs.write_make(folder / "make", graph)
        made.append(Case("make", [path, "-s", "-j2"], folder / "make"))
    if path := tool("ninja"):
        graphs.write_ninja(folder / "ninja", graph)
        made.append(Case("ninja", [path, "-j2"], folder / "ninja"))
    if path := tool("doit"):
        graphs.write_doit(folder / "doit", graph)
        made.append(Case("doit", [path, "-n", "2"], folder / "doit"))
    return [case._replace(prepare=Prepared(case), check=unchanged(case, graph)) for case in made]


class Prepared:
    """Makes the first run, untimed, before the first timed one; the check compares with its outputs."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.stamps: dict[str, int] = {}

    def __call__(self) -> None:
        if not self.stamps:
            once(self.case, self.case.cwd.with_name(self.case.cwd.name + ".log"))
            self.stamps.update(stamps(self.case.cwd))
        assert stamps(self.case.cwd) == self.stamps, "outputs were written again though nothing had changed"


def unchanged(case: Case, graph: graphs.Graph) -> Callable[[], None]:
    own = case.tool.startswith("treadle")

    def check() -> None:
        graphs.check_outputs(case.cwd, graph, last_only=own)
        if own:
            log = case.cwd.with_name(case.cwd.name + ".events")
            once(case._replace(argv=[*case.argv, "--json"]), log)
            kinds = [json.loads(line)["event"] for line in log.read_text().splitlines()]
            assert kinds.count("step_started") == 0, (
                f"{kinds.count('step_started')} steps ran though nothing had changed"
            )
            assert kinds.count("step_cached") == graph.size, f"{kinds.count('step_cached')} hits of {graph.size}"

    return check


def stamps(folder: Path) -> dict[str, int]:
    """When each output was written, in nanoseconds."""
    return {file.name: file.stat().st_mtime_ns for file in (folder / "out").iterdir()}
