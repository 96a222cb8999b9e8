"""PlannedStep + where its inputs are → Task."""

import os
from collections.abc import Callable, Mapping

from treadle.digest import of_bytes
from treadle.domain.artifact import Artifact
from treadle.domain.plan import PlannedStep
from treadle.domain.task import INLINE, Element, Files, Item, Stored, Task
from treadle.run.tracks import SUFFIX
from treadle.store import Data, Store

LONGEST = 150  # bytes of a file's name; those that are longer are cut, and carry a digest
Inputs = dict[str, tuple[Element, ...]]


class Tasks:
    """Makes the tasks of one run; paths in them are absolute. `program` is the text of `__main__`, if steps need it."""

    def __init__(self, store: Store, root: str, run_id: str, program: str = "") -> None:
        self._store = store
        self._root = root
        self._run_id = run_id
        self._program = program

    def task(self, step: PlannedStep, inputs: Inputs, attempt: int) -> Task:
        """One attempt at one step."""
        return self._make(step, inputs, step.id, attempt)

    def batch(self, step: PlannedStep, inputs: Inputs, number: int, items: tuple[Item, ...]) -> Task:
        """Some items of a step with `foreach`; its name is that of no step."""
        return self._make(step, inputs, f"{step.id}#{number}", 1, items)

    def log(self, step: str) -> str:
        """Where a step's output is kept."""
        return os.path.join(self._store.folder, "logs", self._run_id, f"{file_name(step)}.log")

    def track(self, step: str) -> str:
        """Where a step writes what it tells while it runs."""
        return os.path.join(self._store.folder, "logs", self._run_id, f"{file_name(step)}{SUFFIX}")

    def _make(self, step: PlannedStep, inputs: Inputs, name: str, attempt: int, items: tuple[Item, ...] = ()) -> Task:
        return Task(
            run_id=self._run_id,
            step_id=name,
            attempt=attempt,
            kind=step.kind,
            call=step.call,
            root=self._root,
            objects=str(self._store.objects.folder),
            scratch=os.path.join(self._store.folder, "tmp", f"{self._run_id}-{file_name(name)}-{attempt}"),
            log=self.log(step.id),
            params=step.params,
            inputs=inputs,
            listed=step.listed,
            forms=step.forms,
            items=items,
            each=step.each if items else (),
            outputs=step.outputs,
            declared=step.declared,
            env=step.env,
            secrets=step.secrets,
            timeout=step.timeout,
            cpu=step.resources.cpu,
            memory=step.resources.memory,
            isolation=step.isolation,
            track=self.track(step.id) if step.context else "",
            program=self._program if step.kind == "function" and not _in_program(step) else "",
        )


def _in_program(step: PlannedStep) -> bool:
    """Whether a step has the program's own objects: then it is not cached."""
    return step.executor == INLINE and not step.caching.enabled


def inputs_of(step: PlannedStep, data: Callable[[str], Data], outputs: Mapping[str, Mapping[str, Artifact]]) -> Inputs:
    """Where the inputs of a step are; those that an item fills are left out."""
    found: Inputs = {}
    for port, sources in step.inputs.items():
        if port in step.each:
            continue
        places: list[Element] = []
        for source in sources:
            if source.step is None:
                entry = data(source.output)
                places.append(Files(entry.shape, entry.paths))
            else:
                places.append(Stored(outputs[source.step][source.output]))
        found[port] = tuple(places)
    return found


def file_name(step: str) -> str:
    """A step's id as a file name; what a file system might refuse is written as %XX."""
    name = "".join(c if c.isalnum() or c in "._-=,[]" else f"%{ord(c):02X}" for c in step)
    if len(name.encode()) <= LONGEST:
        return name
    return f"{name.encode()[:LONGEST].decode(errors='ignore')}~{of_bytes(step.encode())[:12]}"
