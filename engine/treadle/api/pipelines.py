"""Plan and run a pipeline file."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from msgspec import structs

from treadle.api import stamping
from treadle.api.collector import paused
from treadle.api.compiled import Request, make
from treadle.api.git import Tree
from treadle.api.project import Project, open_project
from treadle.api.tracking import mirror_run
from treadle.api.unrecorded import unrecorded
from treadle.domain.event import Event
from treadle.domain.plan import Plan
from treadle.domain.run import RUNNING, RunRecord
from treadle.environment import cores
from treadle.errors import InputError, LockDiffers
from treadle.executors.base import Executor
from treadle.executors.start import Started
from treadle.identity import commit, run_id
from treadle.run import PERFORM
from treadle.run.admission import impossible
from treadle.run.decide import imports_of
from treadle.run.dispatch import Machine
from treadle.run.estimate import as_events
from treadle.run.runner import run_plan
from treadle.run.selection import Selection
from treadle.settings import gpus, memory

if TYPE_CHECKING:
    from treadle.api.lock import Comparison
    from treadle.run.preview import Preview


def plan(
    path: str | os.PathLike[str], request: Request | None = None, here: bool = True
) -> "tuple[Plan, list[Preview]]":
    """The plan of a pipeline and the fate that each step would have now; raises InputError.

    With `here` it must be one that this machine can run.
    """
    from treadle.run.preview import preview  # lazy: a run does not need it

    project = open_project(path)
    made, selection = make(project, path, request or Request())
    if here:
        machine_for(project, made, request or Request())
    project.store.results.preload(made.pipeline)
    with paused():
        fates = preview(made, project.store, project.code, selection, time.time())
    project.store.memo.flush()
    return made, fates


def plan_locked(path: str | os.PathLike[str], request: Request | None = None) -> "tuple[Plan, Comparison]":
    """The plan of a pipeline beside its lock, with neither data nor cache needed; raises InputError."""
    from treadle.api.lock import against_lock  # lazy: YAML, only with a lock

    project = open_project(path)
    wanted = request or Request()
    made, _ = make(project, path, wanted)
    compared = against_lock(project, made, _whole(wanted))
    project.store.memo.flush()
    return made, compared


def run(
    path: str | os.PathLike[str],
    request: Request | None = None,
    notify: Callable[[Event], None] = lambda event: None,
    words: Sequence[str] = (),
    known_as: str = "",
    nursery: Started | None = None,
) -> RunRecord:
    """Run a pipeline and return its record; raises InputError, and KeyboardInterrupt when interrupted.

    `words` are the command line that says the same as `path` and `request`, if there was one: a run with nothing
    to do then leaves a stamp for the next such command.

    With `locked` in the request it raises LockDiffers when anything is not as locked, before anything runs, or
    after it when a step made something else. `known_as` names the run before it begins, for whoever must write that
    down first. A `nursery` that was started already is used where steps run in processes; the caller closes it.
    """
    project = open_project(path)
    wanted = request or Request()
    asked = stamping.asked(project, path, words)
    variables: dict[str, str | None] = {}
    made, selection = make(project, path, wanted, variables)
    locked = _as_locked(project, made, wanted) if wanted.locked else None
    project.store.results.preload(made.pipeline)
    unrecorded(project, made, selection)
    machine = machine_for(project, made, wanted, nursery)
    if asked is not None:
        stamping.drop(project, asked)
    with _warmed(machine, early=nursery is not None) as warm:
        finished = walk(project, made, warm, selection, notify, known_as)
    if locked is not None:
        from treadle.run.locked import unequal  # lazy: only with a lock

        otherwise = unequal(locked.lock, finished)
        if otherwise:
            raise LockDiffers(locked.path, otherwise, finished)
    if asked is not None:
        stamping.keep(project, made, finished, asked, variables)
    return finished


def walk(
    project: Project,
    made: Plan,
    machine: Machine,
    selection: Selection,
    notify: Callable[[Event], None],
    known_as: str = "",
) -> RunRecord:
    """Run a plan once and return the record, with the state of git, which looks at the tree while the steps run."""
    start = begin(project, made, known_as)
    tree = Tree(project.root)

    def make(name: str) -> Executor:
        if start.git:
            tree.look()
        return machine.make(name)

    own = Machine(make, machine.totals)
    mirror_run(project, start, notify)
    project.store.files.tell = as_events(start.run_id, notify, time.time)
    git = start.git
    try:
        finished = run_plan(made, project.store, project.code, own, start, selection, notify, time.time)
    finally:
        if tree.dirty():
            git = f"{start.git}+"
            project.store.history.set_git(start.run_id, git)
        project.store.memo.flush()
    return structs.replace(finished, git=git)


@contextmanager
def _warmed(machine: Machine, early: bool) -> Iterator[Machine]:
    """The machine; `early` with its own executor made at once, so that it gets ready while steps are decided."""
    if not early:
        yield machine
        return
    ready = machine.make("")
    try:
        yield Machine(lambda name: machine.make(name) if name else ready, machine.totals)
    finally:
        ready.close()  # a second time, unless nothing had to run after all


def begin(project: Project, made: Plan, known_as: str = "") -> RunRecord:
    """The record of a run of this plan that begins now; `known_as` is its id, a new one if empty."""
    now = time.time()
    return RunRecord(
        run_id=known_as or run_id(now),
        pipeline=made.pipeline,
        path=made.path,
        plan=made.digest,
        status=RUNNING,
        started=now,
        params=made.params,
        git=commit(project.root),
    )


def _whole(request: Request) -> bool:
    return not (request.targets or request.start or request.only)


def _as_locked(project: Project, made: Plan, request: Request) -> "Comparison":
    """The lock that the plan agrees with; raises LockDiffers when it does not."""
    from treadle.api.lock import against_lock  # lazy: YAML, only with a lock

    compared = against_lock(project, made, _whole(request))
    if compared.differences:
        raise LockDiffers(compared.path, compared.differences)
    return compared


def machine_for(project: Project, made: Plan, request: Request, nursery: Started | None = None) -> Machine:
    """Where the steps of a plan run; raises InputError when there is not enough of something for one of them."""
    started = [nursery] if nursery is not None else []
    slots = request.jobs or project.settings.jobs or cores()
    totals = {"memory": float(memory()), "gpu": float(gpus()), **project.settings.resources}
    problems = impossible(made, totals)
    if problems:
        raise InputError(problems)

    def start(name: str) -> Executor:
        own = name or request.executor or project.settings.executor
        preload = imports_of(made, project.code)
        given = {"nursery": started.pop()} if started and own == "process" else {}
        executor: Executor = project.catalog.executor(own)(
            perform=PERFORM, slots=slots, root=project.root, preload=preload, **given
        )
        return executor

    return Machine(start, totals)
