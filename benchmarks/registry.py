"""Times registering a model and recording a run, durably: `python benchmarks/registry.py [--runs N]`.

Budgets: a run with its steps 1 ms, a model 50 ms. In one process, on a registry of a thousand versions.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable

from treadle.domain.artifact import Artifact
from treadle.domain.model import Field, ModelVersion, Signature
from treadle.domain.run import RUNNING, RunRecord, StepRecord
from treadle.store import Move, open_store

FILLED = 1_000


def version(number: int) -> ModelVersion:
    """A version as heavy as a real one: 20 fields, a profile, the lineage of ten steps."""
    names = [f"feature_{n}" for n in range(20)]
    return ModelVersion(
        name="demand",
        version=0,
        artifact=Artifact(f"{number:064x}", "skops", 100_000, "model.skops"),
        format="skops",
        created=float(number),
        signature=Signature(tuple(Field(name, "double") for name in names), (Field("y", "double"),)),
        example=tuple(dict.fromkeys(names, 1.5) for _ in range(5)),
        metrics={f"metric_{n}": n / 7 for n in range(10)},
        card={"profile": {name: {"edges": [n / 9 for n in range(20)], "counts": [9] * 22} for name in names}},
        lineage={f"step_{n}": {f"param p{m}": "0.125" for m in range(10)} for n in range(10)},
        run_id=f"run-{number}",
    )


def timed(work: Callable[[int], object], runs: int) -> list[float]:
    samples = []
    for number in range(runs):
        began = time.perf_counter()
        work(number)
        samples.append(time.perf_counter() - began)
    return samples


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="timed operations of each kind")
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(folder)
        with store.database.transaction(durable=False):
            for number in range(FILLED):
                store.models.register(version(number), "card", "run")

        def record(number: int) -> None:
            run = RunRecord(run_id=f"r{number}", pipeline="p", path="p.yaml", plan="", status=RUNNING, started=1.0)
            run = RunRecord(
                **{**{n: getattr(run, n) for n in run.__struct_fields__}, "params": {f"p{n}": n for n in range(10)}}
            )
            step = StepRecord(id="s", fate="run", key=str(number), metrics={f"m{n}": n / 3 for n in range(10)})
            store.history.start(run)
            store.history.add_steps(run.run_id, [step])

        def move(number: int) -> None:
            store.models.move(Move(name="demand", alias="canary", version=number + 1, at=1.0, actor="a", reason="r"))

        cases: dict[str, tuple[Callable[[int], object], float]] = {
            "register a model": (lambda n: store.models.register(version(FILLED + n), "card", "run"), 0.050),
            "register it again": (lambda n: store.models.register(version(FILLED + n), "card", "run"), 0.050),
            "is it known": (lambda n: store.models.known(f"{n:064x}", "card"), 0.001),
            "move an alias": (move, 0.050),
            "read an alias": (lambda n: store.models.alias("demand", "champion"), 0.001),
            "has anything changed": (lambda n: store.models.changes(), 0.001),
            "record a run": (record, 0.001),
        }
        for name, (work, budget) in cases.items():
            samples = sorted(timed(work, runs))
            middle, worst = statistics.median(samples), samples[int(len(samples) * 0.99) - 1]
            verdict = "met" if middle <= budget else "MISSED"
            figures = f"median {middle * 1e3:8.3f} ms  p99 {worst * 1e3:8.3f} ms"
            print(f"{name:22} {figures}  budget {budget * 1e3:3.0f} ms  {verdict}")


if __name__ == "__main__":
    main()
