"""Plan and run a pipeline file."""

import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from treadle.api import stamping
from treadle.api.collector import paused
from treadle.api.compiled import Request, make
from treadle.api.project import Project, open_project
from treadle.domain.event import Event
from treadle.domain.plan import Plan
from treadle.domain.run import RUNNING, RunRecord
from treadle.environment import cores
from treadle.executors.base import Executor
from treadle.identity import commit, run_id
from treadle.run.decide import imports_of
from treadle.run.runner import run_plan

if TYPE_CHECKING:
    from treadle.run.preview import Preview

PERFORM = "treadle.run.worker:perform"


def plan(path: str | os.PathLike[str], request: Request | None = None) -> "tuple[Plan, list[Preview]]":
    """The plan of a pipeline and the fate that each step would have now; raises InputError."""
    from treadle.run.preview import preview  # lazy: a run does not need it

    project = open_project(path)
    made, selection = make(project, path, request or Request())
    project.store.results.preload(made.pipeline)
    with paused():
        fates = preview(made, project.store, project.code, selection, time.time())
    project.store.memo.flush()
    return made, fates


def run(
    path: str | os.PathLike[str],
    request: Request | None = None,
    notify: Callable[[Event], None] = lambda event: None,
    words: Sequence[str] = (),
) -> RunRecord:
    """Run a pipeline and return its record; raises InputError, and KeyboardInterrupt when interrupted.

    `words` are the command line that says the same as `path` and `request`, if there was one: a run with nothing
    to do then leaves a stamp for the next such command.
    """
    project = open_project(path)
    wanted = request or Request()
    asked = stamping.asked(project, path, words)
    variables: dict[str, str | None] = {}
    made, selection = make(project, path, wanted, variables)
    project.store.results.preload(made.pipeline)
    now = time.time()
    begin = RunRecord(
        run_id=run_id(now),
        pipeline=made.pipeline,
        path=made.path,
        plan=made.digest,
        status=RUNNING,
        started=now,
        params=made.params,
        git=commit(project.root),
    )
    executor = _executor(project, made, wanted)
    early = executor() if asked is not None and stamping.drop(project, asked) else None
    try:
        make_executor = executor if early is None else lambda: early
        finished = run_plan(made, project.store, project.code, make_executor, begin, selection, notify, time.time)
    finally:
        if early is not None:
            early.close()  # a second time, unless nothing had to run after all
    project.store.memo.flush()
    if asked is not None:
        stamping.keep(project, made, finished, asked, variables)
    return finished


def _executor(project: Project, made: Plan, request: Request) -> Callable[[], Executor]:
    name = request.executor or project.settings.executor
    slots = request.jobs or project.settings.jobs or cores()

    def start() -> Executor:
        preload = imports_of(made, project.code)
        executor: Executor = project.catalog.executor(name)(
            perform=PERFORM, slots=slots, root=project.root, preload=preload
        )
        return executor

    return start
