"""A step that needs pandas and scikit-learn, in a process of its own: forked from the pool that has them, or imported.

What the step does with them is next to nothing, so that the price of having them is seen. A sample is the median of
STEPS steps, one after the other, from handing a task over to its outcome: its own process, its folder, its log, and its
output stored and durable. The scheduling process, which does the timing, imports neither.
"""

import statistics
import sys
import time
from pathlib import Path

from harness import Case

RUNS = 5
STEPS = 15
BUDGET = 0.030
WORK = """import pandas as pd
from sklearn.linear_model import LogisticRegression


def step(*, number: int) -> float:
    frame = pd.DataFrame({"x": [1.0, 2.0, number]})
    return float(frame["x"].sum() * LogisticRegression().C)
"""


def workloads(folder: Path) -> dict[str, list[Case]]:
    own, peer = folder / "treadle", folder / "plain"
    for place in (own, peer):
        place.mkdir()
        place.joinpath("work.py").write_text(WORK)
    alone = "import work; work.step(number=1)"
    return {
        "a step with pandas and scikit-learn": [
            Case("treadle, process of its own", [sys.executable, __file__], own, budget=BUDGET, told=True),
            Case("a new Python", [sys.executable, "-c", alone], peer),
        ]
    }


def seconds() -> list[float]:
    """How long each step took, after a first one for which the pool may have been getting ready."""
    from treadle.domain.spec import Output
    from treadle.domain.task import Task
    from treadle.executors.process import ProcessExecutor
    from treadle.run import PERFORM
    from treadle.store import open_store

    root = Path.cwd()
    store = open_store(root)
    tmp = root / ".treadle" / "tmp"
    tmp.mkdir(parents=True, exist_ok=True)
    pool = ProcessExecutor(PERFORM, 2, str(root), ["pandas", "sklearn.linear_model"])
    found = []
    try:
        for number in range(STEPS + 1):
            task = Task(
                run_id="warm",
                step_id=f"s{number}",
                attempt=1,
                kind="function",
                call="work:step",
                root=str(root),
                objects=store.objects.folder,
                scratch=str(tmp / f"s{number}"),
                log=str(root / ".treadle" / "logs" / f"s{number}.log"),
                params={"number": number},
                outputs=(Output("out"),),
            )
            began = time.perf_counter()
            pool.submit(task)
            outcome = pool.wait(60)[0]
            found.append(time.perf_counter() - began)
            assert outcome.failure is None, outcome.failure
        heavy = {"pandas", "sklearn", "numpy"} & set(sys.modules)
        assert not heavy, f"the scheduling process has imported {', '.join(heavy)}"
    finally:
        pool.close()
    return found[1:]


if __name__ == "__main__":
    print(statistics.median(seconds()))
