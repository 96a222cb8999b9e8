"""Check, plan and run a pipeline file."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from treadle.api.project import Project, inside, open_project
from treadle.domain.event import Event
from treadle.domain.plan import Plan
from treadle.domain.run import RUNNING, RunRecord
from treadle.errors import InputError, Problem
from treadle.executors.base import Executor
from treadle.load import Loaded, load_file, load_pipeline, pipeline_files
from treadle.plan.make import make_plan
from treadle.plan.select import require, select
from treadle.run.decide import imports_of
from treadle.run.preview import Preview, preview
from treadle.run.runner import Selection, run_plan
from treadle.settings import cores, variable

PERFORM = "treadle.run.worker:perform"


class Request(Struct, frozen=True, kw_only=True):
    """What the user wants of one plan or run, beside the file."""

    params: Mapping[str, Any] = {}
    targets: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    force: tuple[str, ...] = ()
    jobs: int = 0
    executor: str = ""


class Checked(Struct, frozen=True):
    """The outcome of `check`: the files looked at and every problem found in them."""

    files: tuple[str, ...]
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        return all(problem.severity != "error" for problem in self.problems)


def check(paths: Sequence[str | os.PathLike[str]]) -> Checked:
    """Every problem of all files; folders are searched for pipelines and table schemas. Runs no user code."""
    files: list[str] = []
    problems: list[Problem] = []
    for path in paths:
        project = open_project(path)
        found, missing = pipeline_files(str(path))
        problems += missing
        for file in found:
            relative = inside(project, file)
            files.append(relative)
            problems += load_file(relative, project.root, project.catalog, project.code)
        project.store.memo.flush()
    return Checked(tuple(files), tuple(problems))


def load(project: Project, path: str | os.PathLike[str]) -> Loaded:
    """The checked pipeline; raises InputError with every problem if there is an error among them."""
    loaded = load_pipeline(inside(project, path), project.root, project.catalog, project.code)
    errors = [problem for problem in loaded.problems if problem.severity == "error"]
    if errors or loaded.spec is None:
        raise InputError(loaded.problems)
    return loaded


def make(project: Project, path: str | os.PathLike[str], request: Request) -> tuple[Plan, Selection]:
    """The plan for a request and which of its steps may run; raises InputError."""
    loaded = load(project, path)
    assert loaded.spec is not None
    whole = make_plan(
        loaded.spec, loaded.signatures, project.catalog.steps, request.params, project.settings, variable
    )
    for name in request.force:
        require(whole, name)
    chosen, allowed = select(whole, request.targets, request.start, request.only)
    forced = {step.id for step in whole.steps if step.id in request.force or step.id.split("[")[0] in request.force}
    return chosen, Selection(forced, allowed)


def plan(path: str | os.PathLike[str], request: Request | None = None) -> tuple[Plan, list[Preview]]:
    """The plan of a pipeline and the fate that each step would have now; raises InputError."""
    project = open_project(path)
    made, selection = make(project, path, request or Request())
    fates = preview(made, project.store, project.code, selection, time.time())
    project.store.memo.flush()
    return made, fates


def run(
    path: str | os.PathLike[str],
    request: Request | None = None,
    notify: Callable[[Event], None] = lambda event: None,
) -> RunRecord:
    """Run a pipeline and return its record; raises InputError, and KeyboardInterrupt when interrupted."""
    project = open_project(path)
    wanted = request or Request()
    made, selection = make(project, path, wanted)
    now = time.time()
    begin = RunRecord(
        run_id=_run_id(now),
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
