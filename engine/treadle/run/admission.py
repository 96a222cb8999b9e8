"""Which steps fit beside those that run: cores, memory, devices, tokens and mutual exclusion; pure."""

from collections.abc import Mapping

from treadle.domain.plan import PlannedStep


class Admission:
    """What is free; a request larger than the whole is admitted when nothing else runs."""

    def __init__(self, limits: Mapping[str, float]) -> None:
        self._limits = dict(limits)
        self._used: dict[str, float] = {}
        self._running: dict[str, dict[str, float]] = {}

    def admit(self, step: PlannedStep) -> bool:
        """Take what the step needs; False when it must wait."""
        wanted = _wanted(step)
        if self._running and any(not self._fits(name, amount) for name, amount in wanted.items()):
            return False
        self._running[step.id] = wanted
        for name, amount in wanted.items():
            self._used[name] = self._used.get(name, 0.0) + amount
        return True

    def release(self, step: str) -> None:
        """Give back what a step held."""
        for name, amount in self._running.pop(step, {}).items():
            self._used[name] -= amount

    def _fits(self, name: str, amount: float) -> bool:
        limit = self._limits.get(name, 1.0 if name.startswith("mutex ") else None)
        return limit is None or self._used.get(name, 0.0) + min(amount, limit) <= limit + 1e-9


def _wanted(step: PlannedStep) -> dict[str, float]:
    needs = step.resources
    wanted = {"cpu": needs.cpu, **{name: float(amount) for name, amount in needs.tokens.items()}}
    if needs.memory:
        wanted["memory"] = float(needs.memory)
    if needs.gpu:
        wanted["gpu"] = float(needs.gpu)
    if step.mutex:
        wanted[f"mutex {step.mutex}"] = 1.0
    return wanted
