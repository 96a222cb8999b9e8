"""Plan and run a pipeline file."""

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from treadle.api.compiled import Request, make
from treadle.api.project import Project, open_project
from treadle.domain.event import Event
from treadle.domain.plan import Plan
from treadle.domain.run import RUNNING, RunRecord
from treadle.executors.base import Executor
from treadle.run.decide import imports_of
from treadle.run.runner import run_plan
from treadle.settings import cores

if TYPE_CHECKING:
    from treadle.run.preview import Preview

PERFORM = "treadle.run.worker:perform"


def plan(path: str | os.PathLike[str], request: Request | None = None) -> "tuple[Plan, list[Preview]]":
    """The plan of a pipeline and the fate that each step would have now; raises InputError."""
    from treadle.run.preview import preview  # lazy: a run does not need it

    project = open_project(path)
    made, selection = make(project, path, request or Request())
    fates = preview(made, project.store, project.code, selection, time.time())
    project.store.memo.flush()
    return made, fates


def run(
    path: str | os.PathLike[str],
    request: Request | None = None,
    notify: Callable[[Event], None] = lambda event: None,
    run_id: str = "",
) -> RunRecord:
    """Run a pipeline and return its record; raises InputError, and KeyboardInterrupt when interrupted.

    `run_id` names the run before it begins, for whoever must write that down first.
    """
    project = open_project(path)
    wanted = request or Request()
    made, selection = make(project, path, wanted)
    now = time.time()
    begin = RunRecord(
        run_id=run_id or _run_id(now),
        pipeline=made.pipeline,
        path=made.path,
        plan=made.digest,
        status=RUNNING,
        started=now,
        params=made.params,
        git=_git(project.root),
    )
    executor = _executor(project, made, wanted)
    finished = run_plan(made, project.store, project.code, executor, begin, selection, notify, time.time)
    project.store.memo.flush()
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


def _run_id(now: float) -> str:
    return time.strftime("%Y%m%d-%H%M%S", time.localtime(now)) + "-" + os.urandom(2).hex()


def _git(root: str) -> str:
    """The commit of the project's tree, read from .git without starting git; empty when there is none."""
    try:
        with open(os.path.join(root, ".git", "HEAD"), encoding="ascii") as file:
            head = file.read().strip()
        if not head.startswith("ref: "):
            return head
        with open(os.path.join(root, ".git", head[5:]), encoding="ascii") as file:
            return file.read().strip()
    except (OSError, UnicodeDecodeError):
        return ""
