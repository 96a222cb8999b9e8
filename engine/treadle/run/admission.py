"""Which steps fit beside those that run: cores, memory, devices, tokens and mutual exclusion; pure."""

import math
from collections.abc import Mapping
from itertools import islice

from treadle.domain.plan import Plan, PlannedStep
from treadle.errors import Problem
from treadle.quantity import format_size


class Admission:
    """What is free of `totals`. More cores than there are is as much as all of them; a token nobody declared is one."""

    def __init__(self, totals: Mapping[str, float]) -> None:
        self._totals = dict(totals)
        self._used: dict[str, float] = {}
        self._running: dict[str, dict[str, float]] = {}
        self._devices: dict[str, tuple[int, ...]] = {}

    def admit(self, task: str, step: PlannedStep) -> bool:
        """Take what a task of the step needs; False when it must wait."""
        wanted = wanted_by(step)
        if self._running and any(not self._fits(name, amount) for name, amount in wanted.items()):
            return False
        self._running[task] = wanted
        for name, amount in wanted.items():
            self._used[name] = self._used.get(name, 0.0) + amount
        return True

    def devices(self, task: str) -> tuple[int, ...]:
        """The numbers of the devices that an admitted task may use; no other task has them meanwhile."""
        if task not in self._devices:
            count = int(self._running.get(task, {}).get("gpu", 0.0))
            taken = {number for numbers in self._devices.values() for number in numbers}
            free = (number for number in range(int(total_of("gpu", self._totals))) if number not in taken)
            self._devices[task] = tuple(islice(free, count))
        return self._devices[task]

    def release(self, task: str) -> None:
        """Give back what a task held."""
        self._devices.pop(task, None)
        for name, amount in self._running.pop(task, {}).items():
            self._used[name] -= amount

    def _fits(self, name: str, amount: float) -> bool:
        limit = total_of(name, self._totals)
        return self._used.get(name, 0.0) + min(amount, limit) <= limit + 1e-9


def total_of(name: str, totals: Mapping[str, float]) -> float:
    """How much there is of a resource: an undeclared token is a single one, memory is without bounds."""
    return totals.get(name, {"memory": math.inf, "gpu": 0.0}.get(name, 1.0))


def impossible(plan: Plan, totals: Mapping[str, float]) -> list[Problem]:
    """The steps that would wait for ever: they need more than there is in all."""
    problems = []
    for step in plan.steps:
        for name, amount in wanted_by(step).items():
            total = total_of(name, totals)
            if name == "cpu" or amount <= total:
                continue
            need, have = (format_size(int(v)) if name == "memory" else f"{v:g}" for v in (amount, total))
            text = f"step '{step.id}' needs {need} of {name}, and there is {have} in all"
            hint = (
                f"ask for less, or declare more in treadle.toml, below [resources]: {name} = {_written(name, amount)}"
            )
            problems.append(Problem("impossible-resources", text, step.where, hint))
    return problems


def wanted_by(step: PlannedStep) -> dict[str, float]:
    """What a task of the step holds while it runs."""
    needs = step.resources
    wanted = {"cpu": needs.cpu, **{name: float(amount) for name, amount in needs.tokens.items()}}
    if needs.memory:
        wanted["memory"] = float(needs.memory)
    if needs.gpu:
        wanted["gpu"] = float(needs.gpu)
    if step.mutex:
        wanted[f"mutex {step.mutex}"] = 1.0
    return wanted


def _written(name: str, amount: float) -> str:
    return f'"{math.ceil(amount / (1 << 20))}MiB"' if name == "memory" else f"{amount:g}"
