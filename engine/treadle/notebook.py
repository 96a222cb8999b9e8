"""The Python door: the three intents of a user as functions, with results that show themselves."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from treadle.api import check as checking
from treadle.api import pipelines, runs
from treadle.api.check import Checked
from treadle.api.compiled import Request
from treadle.api.report import picture
from treadle.domain.plan import Plan
from treadle.domain.run import RunRecord, StepRecord
from treadle.errors import did_you_mean
from treadle.quantity import format_duration, format_figure
from treadle.report.dag import draw
from treadle.report.notebook import cell
from treadle.run.preview import Preview

Path = str | os.PathLike[str]


class Result(Mapping[str, Any]):
    """A finished run: `result["train"]` is the value of a step's main output, `result["split.test"]` of another."""

    def __init__(self, record: RunRecord, path: Path) -> None:
        self.record = record
        self._path = path

    def __getitem__(self, name: str) -> Any:
        step, _, output = ("", "", "") if name in self.record.steps else name.rpartition(".")
        found = self._step(step or name)
        if not found.outputs:
            raise KeyError(f"'{found.id}' made nothing: {found.fate}, {found.reason}")
        main = next((one for one in found.outputs if one != "metrics"), "metrics")
        if (output or main) not in found.outputs:
            raise KeyError(f"'{found.id}' has no output '{output}' {did_you_mean(output, found.outputs)}".rstrip())
        return runs.read_value(found.outputs[output or main], self._path)

    def __iter__(self) -> Iterator[str]:
        return (name for name, step in self.record.steps.items() if step.outputs)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @property
    def ok(self) -> bool:
        return self.record.status == "ok"

    def metrics(self, step: str) -> dict[str, float]:
        """The metrics of one step."""
        return self._step(step).metrics

    def _step(self, name: str) -> StepRecord:
        if name not in self.record.steps:
            raise KeyError(f"the run has no step '{name}' {did_you_mean(name, self.record.steps)}".rstrip())
        return self.record.steps[name]

    def __repr__(self) -> str:
        lines = [f"run {self.record.run_id}: {self.record.status}"]
        lines += [f"  {step.fate:9} {name}  {step.reason}" for name, step in self.record.steps.items()]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        steps = self.record.steps.values()
        rows = [(s.id, s.fate, format_duration(s.seconds) if s.seconds else "", _metrics(s) or s.reason) for s in steps]
        caption = f"{self.record.pipeline}: {self.record.status}, run {self.record.run_id}"
        failures = [(s.id, s.failure.traceback or s.failure.message) for s in steps if s.failure is not None]
        return cell(("step", "fate", "time", "what"), rows, picture(self.record, self._path), caption, failures)


class Planned(Sequence[Preview]):
    """What a run would do, step by step."""

    def __init__(self, plan: Plan, fates: list[Preview]) -> None:
        self._plan = plan
        self._fates = fates

    def __getitem__(self, index: Any) -> Any:
        return self._fates[index]

    def __len__(self) -> int:
        return len(self._fates)

    def __repr__(self) -> str:
        return "\n".join(f"{fate.fate:5} {fate.step}  {fate.reason}" for fate in self._fates)

    def _repr_html_(self) -> str:
        rows = [(f.step, f.fate, f.reason) for f in self._fates]
        return cell(("step", "fate", "why"), rows, draw(self._plan, {}), self._plan.pipeline)


def check(*paths: Path) -> Checked:
    """Every problem of the pipeline files and folders."""
    return checking.check(paths)


def plan(path: Path, params: Mapping[str, Any] | None = None, *targets: str) -> Planned:
    """What a run would do now; raises InputError when the pipeline is wrong."""
    return Planned(*pipelines.plan(path, Request(params=params or {}, targets=targets)))


def run(path: Path, params: Mapping[str, Any] | None = None, *targets: str, force: Sequence[str] = ()) -> Result:
    """Run a pipeline; raises InputError when it is wrong. A failed step is in the result, not an exception."""
    record = pipelines.run(path, Request(params=params or {}, targets=targets, force=tuple(force)))
    return Result(record, path)


def _metrics(step: StepRecord) -> str:
    """The first metrics of a step in one line."""
    return ", ".join(f"{name} {format_figure(value)}" for name, value in list(step.metrics.items())[:4])
