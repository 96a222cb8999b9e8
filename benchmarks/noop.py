"""Nothing to do: the command that users run most."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import graphs
import peers
from harness import Case, once

RUNS = 10
BUDGETS = {100: 0.050, 1000: 0.065}
SIZES = tuple(BUDGETS)
REST = 2.2  # seconds; a file that has just been written may change again unseen, so no tool can trust its times yet


def workloads(folder: Path, sizes: tuple[int, ...] = SIZES) -> dict[str, list[Case]]:
    return {f"nothing to do, {count} steps": cases(folder / str(count), count) for count in sizes}


def cases(folder: Path, count: int) -> list[Case]:
    graph = graphs.Graph(count)
    made = [peers.own(folder, graph, functions)._replace(budget=BUDGETS.get(count)) for functions in (True, False)]
    made += peers.others(folder, graph)
    return [case._replace(prepare=Prepared(case), check=unchanged(case, graph)) for case in made]


class Prepared:
    """Makes the first run, untimed, before the first timed one; the check compares with its outputs."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.stamps: dict[str, int] = {}

    def __call__(self) -> None:
        if not self.stamps:
            once(self.case, self.case.cwd.with_name(self.case.cwd.name + ".log"))
            time.sleep(REST)
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
