"""What tracking costs: recording a run with ten parameters and ten metrics, and telling a metric again and again.

Each process does it many times after its imports and says how long that took (`told`); the figure is per run or value.
"""

import os
import sys
from pathlib import Path

from harness import Case

RUNS = 5
RECORDED = 20  # runs per process, the same for all so that the ratio is honest
TOLD = 1_000  # values of one metric per process

RECORD = f"""
import tempfile, time
from treadle.domain.run import RUNNING, RunRecord, StepRecord
from treadle.store import open_store
store = open_store(tempfile.mkdtemp(dir="."))
store.history.list(1)
began = time.perf_counter()
for n in range({RECORDED}):
    params = {{f"p{{i}}": i + n for i in range(10)}}
    store.history.start(RunRecord(run_id=f"r{{n}}", pipeline="p", path="p.yaml", plan="", status=RUNNING, started=1.0,
                                  params=params))
    metrics = {{f"m{{i}}": i / 3 + n for i in range(10)}}
    store.history.add_steps(f"r{{n}}", [StepRecord(id="s", fate="run", key=str(n), metrics=metrics)])
    store.history.finish(f"r{{n}}", "ok", 2.0)
print(time.perf_counter() - began)
"""
TELL = f"""
import tempfile, time
from treadle.domain.task import Task
from treadle.executors.output import Mask
from treadle.run.context import Context
folder = tempfile.mkdtemp(dir=".")
task = Task(run_id="r", step_id="s", attempt=1, kind="function", call="", root=folder, objects=folder, scratch=folder,
            log=folder + "/s.log", track=folder + "/s.track")
ctx = Context(task, Mask(()))
began = time.perf_counter()
for n in range({TOLD}):
    ctx.metric("loss", 1.0 / (n + 1), step=n)
ctx.close()
print(time.perf_counter() - began)
"""
MLFLOW = """
import tempfile, time, warnings, logging
warnings.simplefilter("ignore"); logging.disable(logging.CRITICAL)
import mlflow
folder = tempfile.mkdtemp(dir=".")
mlflow.set_tracking_uri(f"sqlite:///{folder}/db")
mlflow.set_experiment("p")
"""
MLFLOW_EACH = f"""{MLFLOW}
began = time.perf_counter()
for n in range({RECORDED}):
    with mlflow.start_run():
        for i in range(10):
            mlflow.log_param(f"p{{i}}", i + n)
        for i in range(10):
            mlflow.log_metric(f"m{{i}}", i / 3 + n)
print(time.perf_counter() - began)
"""
MLFLOW_BATCHED = f"""{MLFLOW}
began = time.perf_counter()
for n in range({RECORDED}):
    with mlflow.start_run():
        mlflow.log_params({{f"p{{i}}": i + n for i in range(10)}})
        mlflow.log_metrics({{f"m{{i}}": i / 3 + n for i in range(10)}})
print(time.perf_counter() - began)
"""
MLFLOW_TELL = f"""{MLFLOW}
with mlflow.start_run():
    began = time.perf_counter()
    for n in range({TOLD}):
        mlflow.log_metric("loss", 1.0 / (n + 1), step=n)
    print(time.perf_counter() - began)
"""


def workloads(folder: Path) -> dict[str, list[Case]]:
    other = os.environ.get("TREADLE_MLFLOW_PYTHON", "")
    record = [_case("treadle", sys.executable, RECORD, folder, RECORDED, 0.001 * RECORDED)]
    tell = [_case("treadle", sys.executable, TELL, folder, TOLD)]
    if other:
        record.append(_case("mlflow", other, MLFLOW_EACH, folder, RECORDED))
        record.append(_case("mlflow, batched", other, MLFLOW_BATCHED, folder, RECORDED))
        tell.append(_case("mlflow", other, MLFLOW_TELL, folder, TOLD))
    return {"record a run": record, f"tell {TOLD} values of a metric": tell}


def _case(name: str, python: str, code: str, folder: Path, steps: int, budget: float | None = None) -> Case:
    return Case(name, [python, "-c", code], folder, steps=steps, budget=budget, told=True)
