"""Run a pipeline again whenever something that it depends on changes.

watch
└── a turn
    ├── make, scope_of            the plan, and what it depends on
    ├── Source.watch              the system tells of changes there
    ├── run_plan                  on the pool that stays; Superseded when something changes meanwhile
    └── _Changes.wait             until a burst of events is over and something really differs
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import closing

from msgspec import Struct

from treadle.api.compiled import Request, make
from treadle.api.pipelines import machine_for, walk
from treadle.api.project import Project, open_project
from treadle.digest import of_value
from treadle.domain.event import Event, TurnFinished
from treadle.domain.plan import Plan
from treadle.domain.run import RunRecord
from treadle.errors import InputError, Problem
from treadle.executors.base import Executor
from treadle.plugins import Catalog
from treadle.run.decide import imports_of
from treadle.run.dispatch import Machine
from treadle.run.fresh import forget_modules
from treadle.run.selection import Selection
from treadle.settings import find_root
from treadle.watch.changes import Changes
from treadle.watch.concern import concerned, overtaken
from treadle.watch.pool import Make, Pool, Superseded
from treadle.watch.scope import Scope, bare_scope, joined, scope_of
from treadle.watch.source import Events, Looking, Source, remote
from treadle.watch.turn import figures, turn_of

Notify = Callable[[Event], None]
Figures = dict[str, dict[str, float]]


class Turn(Struct, frozen=True):
    """What one turn came to; `run` is None when there was no run to its end, `notice` is said once."""

    event: TurnFinished
    run: RunRecord | None = None
    problems: tuple[Problem, ...] = ()
    notice: str = ""


def watch(
    path: str | os.PathLike[str],
    request: Request | None = None,
    notify: Notify = lambda event: None,
    poll: float | None = None,
) -> Iterator[Turn]:
    """Turn after turn, without end: the first at once, the others after a change; `poll` looks every so many seconds.

    Raises InputError when there is no such file or step, or a parameter is wrong; a mistake in the file is a turn
    of status `invalid`. A KeyboardInterrupt ends it; the pool is closed whenever the iterator is.
    """
    where = os.path.abspath(path)
    if not os.path.isfile(where):
        raise InputError([Problem("missing-file", f"there is no file {path}", None, "name a pipeline file")])
    root = find_root(os.path.dirname(where))
    source = source_for(root, poll)
    with closing(source), closing(Pool()) as pool:
        session = _Session(where, request or Request(), Changes(root, source), pool, notify)
        changed: list[str] = []
        while True:
            yield session.turn(changed)
            changed = session.changes.wait()


def source_for(root: str, poll: float | None) -> Source:
    """The system's events, or a look each second where there are none or `poll` asks for it."""
    if poll:
        return Looking("", poll)
    kind = remote(root)
    if kind:
        return Looking(f"{root} lies on {kind}, which tells of no changes: looking every second instead")
    try:
        return Events()
    except OSError as error:
        return Looking(f"the system tells of no changes ({error}): looking every second instead")


class _Session:
    """What one turn leaves to the next: the pool, what was seen, the metrics."""

    def __init__(self, path: str, request: Request, changes: Changes, pool: Pool, notify: Notify) -> None:
        self.changes = changes
        self._path = path
        self._request = request
        self._pool = pool
        self._notify = notify
        self._catalog = Catalog.from_entry_points()
        self._figures: Figures = {}
        self._number = 0
        self._scope: Scope | None = None
        self._judged: tuple[str, ...] = ()
        self._concerned: Set[str] | None = None

    def turn(self, changed: list[str]) -> Turn:
        """Plan and run once."""
        self._number += 1
        began = time.time()
        names = [os.path.relpath(path, self.changes.root) for path in changed]
        try:
            project = open_project(self._path, self._catalog)
            made, selection = make(project, self._path, self._request)
        except InputError as error:
            if self._number == 1 and not any(problem.where for problem in error.problems):
                raise  # about the arguments: no edit of a file will mend that
            return self._invalid(error, names, began)
        self._scope = scope_of(made, project.code)
        self.changes.observe(self._scope, began)
        forget_modules()
        try:
            run = self._run(project, made, selection)
        except Superseded:
            return self._said(Turn(self._ended(names, "superseded", began)))
        self._pool.warm(self._make(project, made))
        event = turn_of(self._number, names, made, run, self._figures)
        self._figures.update(figures(run))
        return self._said(Turn(event, run))

    def _run(self, project: Project, made: Plan, selection: Selection) -> RunRecord:
        machine = machine_for(project, made, self._request)

        def lend(name: str) -> Executor:
            if name:  # a step that names its executor gets one of its own, for this run
                return machine.make(name)
            return self._pool.lend(self._make(project, made), lambda running: self._overtaken(project, made, running))

        return walk(project, made, Machine(lend, machine.totals), selection, self._notify)

    def _overtaken(self, project: Project, made: Plan, running: Set[str]) -> bool:
        """Whether what changed meanwhile concerns a step that runs now, or one that could begin."""
        changed = self.changes.happened()
        if not changed:
            return False
        if changed != self._judged:
            self._judged, self._concerned = changed, self._concern(project, made, changed)
        if self._concerned is None:
            return True
        return overtaken(made, self._concerned, {step.partition("#")[0] for step in running})

    def _concern(self, project: Project, made: Plan, changed: Sequence[str]) -> Set[str] | None:
        """The steps that a change of code or of the pipeline concerns; None when that cannot be said."""
        yaml = os.path.join(self.changes.root, made.path)
        if not all(path == yaml or path.endswith(".py") for path in changed):
            return None
        try:
            now = open_project(self._path, self._catalog)
            plan, _ = make(now, self._path, self._request)
        except InputError:
            return None
        return concerned(made, project.code, plan, now.code)

    def _make(self, project: Project, made: Plan) -> Make:
        """A pool has third-party modules and plug-ins loaded: when these change it is made anew."""
        plugins = {call.partition(":")[0].partition(".")[0] for call in project.catalog.steps.values()}
        code = [mark[3] for path, mark in self.changes.seen.items() if plugins.intersection(path.split(os.sep))]
        wanted = self._request
        parts = [project.root, wanted.executor or project.settings.executor, wanted.jobs or project.settings.jobs]
        loaded = [list(imports_of(made, project.code)), project.code.installed(), sorted(code)]
        machine = machine_for(project, made, wanted)
        return Make(of_value([parts, loaded]), lambda: machine.make(""))

    def _invalid(self, error: InputError, names: list[str], began: float) -> Turn:
        bare = bare_scope(self.changes.root, self._path)
        self.changes.observe(joined(self._scope, bare) if self._scope else bare, began)
        texts = tuple(f"{p.where}: {p.text}" if p.where else p.text for p in error.problems)
        return self._said(Turn(self._ended(names, "invalid", began, texts), None, error.problems))

    def _ended(self, names: list[str], status: str, began: float, problems: tuple[str, ...] = ()) -> TurnFinished:
        now = time.time()
        return TurnFinished(
            run_id="",
            at=now,
            turn=self._number,
            status=status,
            seconds=now - began,
            changed=tuple(names),
            problems=problems,
        )

    def _said(self, turn: Turn) -> Turn:
        return Turn(turn.event, turn.run, turn.problems, self.changes.take_notice())
