"""Tasks on their way: the executors, what each task holds of the machine, and what has ended."""

import os
import time
from collections.abc import Callable, Mapping

from msgspec import Struct, structs

from treadle.domain.plan import PlannedStep
from treadle.domain.task import Outcome, Task
from treadle.executors.base import Executor
from treadle.run.admission import Admission

PATIENCE = 10.0  # seconds that tasks have to end when they are asked to; executors are quicker than that
TURN = 0.05  # seconds that one of several executors is waited for


class Machine(Struct, frozen=True):
    """Where steps run: how to make an executor by name ("" the project's own), and how much there is of what."""

    make: Callable[[str], Executor]
    totals: Mapping[str, float] = {}


class Dispatch:
    """Makes executors when they are first needed; a task is named by its `step_id`."""

    def __init__(self, machine: Machine) -> None:
        self.running: dict[str, Task] = {}
        self._machine = machine
        self._executors: dict[str, Executor] = {}
        self._place: dict[str, str] = {}  # task → executor
        self._admission: Admission | None = None
        self._spent: list[str] = []  # scratch folders of tasks that have ended

    @property
    def used(self) -> bool:
        """Whether anything was ever submitted."""
        return bool(self._executors)

    @property
    def slots(self) -> int:
        """How many tasks all executors that were made take together."""
        return sum(executor.slots for executor in self._executors.values())

    def executor(self, step: PlannedStep) -> Executor:
        """The executor of a step, made when it is first asked for."""
        name = step.executor or ""
        if name not in self._executors:
            self._executors[name] = self._machine.make(name)
        return self._executors[name]

    def room(self, step: PlannedStep) -> int:
        """How many more tasks the step's executor takes."""
        executor = self.executor(step)
        place = step.executor or ""
        return executor.slots - sum(1 for other in self._place.values() if other == place)

    def admit(self, name: str, step: PlannedStep) -> bool:
        """Take what the step needs for a task of that name, a place with its executor too; False when it must wait."""
        if self._admission is None:
            slots = float(self.executor(step).slots)
            self._admission = Admission({"cpu": slots, **self._machine.totals})
        if not self._admission.admit(name, step):
            return False
        self._place[name] = step.executor or ""
        return True

    def release(self, name: str) -> None:
        """Give back what was taken for a task that will not be submitted, or has ended."""
        self._place.pop(name, None)
        if self._admission is not None:
            self._admission.release(name)

    def submit(self, task: Task, step: PlannedStep) -> None:
        """Begin an admitted task."""
        if step.resources.gpu and self._admission is not None:
            task = structs.replace(task, devices=self._admission.devices(task.step_id))
        if task.scratch in self._spent:
            self._clear()
        self.executor(step).submit(task)
        self.running[task.step_id] = task

    def wait(self, timeout: float) -> list[tuple[Task, Outcome]]:
        """What ends within `timeout` seconds, with what it held given back."""
        self._clear()  # while tasks run, not between the end of one and the beginning of the next
        busy = list(dict.fromkeys(self._place.values()))
        if not busy:
            time.sleep(timeout)
            return []
        ended: list[Outcome] = []
        limit = time.monotonic() + timeout
        while not ended:
            for name in busy:
                left = max(0.0, limit - time.monotonic())
                ended += self._executors[name].wait(left if len(busy) == 1 else min(left, TURN))
            if time.monotonic() >= limit:
                break
        return [(self._take(outcome), outcome) for outcome in ended]

    def stop(self) -> list[tuple[Task, Outcome]]:
        """Ask everything to end, wait until it has, and return how."""
        for name, place in self._place.items():
            self._executors[place].cancel(name)
        ended = []
        limit = time.monotonic() + PATIENCE
        while self.running and time.monotonic() < limit:
            ended += self.wait(1.0)
        return ended

    def close(self) -> None:
        """End everything at once; no process stays."""
        try:
            for executor in self._executors.values():
                executor.close()
        finally:
            self._spent += [task.scratch for task in self.running.values()]
            self._clear()

    def _take(self, outcome: Outcome) -> Task:
        task = self.running.pop(outcome.step_id)
        self.release(outcome.step_id)
        if not task.items:  # what a batch had finished is still to be read there
            self._spent.append(task.scratch)
        return task

    def _clear(self) -> None:
        while self._spent:
            folder = self._spent.pop()
            try:
                _remove(folder)
            except OSError:  # not there, or a step has left something odd in it
                from shutil import rmtree  # lazy: 2 ms, for what is odd

                rmtree(folder, ignore_errors=True)


def _remove(folder: str) -> None:
    """Remove a folder as most steps leave it; `shutil` takes five times as many calls for the few files in it."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                _remove(entry.path)
            else:
                os.unlink(entry.path)
    os.rmdir(folder)
