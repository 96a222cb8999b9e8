"""The closed loop of one pipeline: what its file asks for, a tick by tick controller, and rollouts moved by hand."""

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import structs

from treadle import quantity
from treadle.api.compiled import Request, make
from treadle.api.project import Project, inside, open_project
from treadle.control import rollouts
from treadle.control.controller import Controller
from treadle.control.facts import Facts
from treadle.control.runs import ChildRuns, Runs
from treadle.domain.loop import KeptRollout
from treadle.domain.model import CHAMPION, AliasEvent
from treadle.domain.plan import Plan, PlannedStep
from treadle.domain.rollout import Rollout
from treadle.domain.trigger import LEVELS, Rule
from treadle.errors import did_you_mean, input_error
from treadle.trigger.rules import rule

DEPLOY, MONITOR = "deploy.model", "monitor."
LEAST_EVERY, MOST_EVERY = 2.0, 900.0  # seconds between looks of the monitors
WORDS = ("pause", "resume", "abort", "approve")


def controller(
    path: str | os.PathLike[str],
    params: Mapping[str, Any] | None = None,
    runs: Runs | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Controller:
    """The controller of a pipeline, to be ticked; its runs are processes of their own unless `runs` is given.

    Raises InputError for a file that cannot be planned.
    """
    project = open_project(path)
    facts = read_facts(project, path, params or {})
    given = [f"{name}={value}" for name, value in (params or {}).items()]
    return Controller(
        project.store, project.root, facts, runs or ChildRuns(project.store, project.root, facts.path, given), say
    )


def read_facts(project: Project, path: str | os.PathLike[str], params: Mapping[str, Any]) -> Facts:
    """What the file asks of a controller; raises InputError with everything that is wrong with it."""
    from treadle.load import load_pipeline  # lazy: YAML, which commands on rollouts do not need

    made, _ = make(project, path, Request(params=params))
    spec = load_pipeline(inside(project, path), project.root, project.catalog, project.code).spec
    assert spec is not None, "it has just been planned"
    rules = {name: _careful(rule(trigger), "unless" in trigger.options) for name, trigger in spec.triggers.items()}
    monitors = tuple(step.id for step in made.steps if step.library.startswith(MONITOR))
    watched = {one.subject.removeprefix("data.") for one in rules.values() if one.kind == "files"}
    return Facts(
        pipeline=made.pipeline,
        path=inside(project, path),
        rules=rules,
        models=tuple(dict.fromkeys(str(step.params["name"]) for step in made.steps if step.library == DEPLOY)),
        makers=_makers(made, monitors),
        monitors=monitors,
        every=_every(made.steps),
        watched={name: made.data[name] for name in sorted(watched)},
        reads=tuple(sorted({source.target for source in made.data.values() if source.kind == "predictions"})),
    )


def move_rollout(name: str, word: str, path: str | os.PathLike[str] = ".") -> KeptRollout:
    """Pause, resume, abort or approve the rollout of a model; raises InputError when none goes on."""
    assert word in WORDS
    store = open_project(path).store
    before = store.rollouts.active(name)
    if before is None:
        names = store.rollouts.models()
        hint = did_you_mean(name, names) or (f"rollouts go on of: {', '.join(names)}" if names else "treadle status")
        raise input_error("no-rollout", f"no rollout of '{name}' goes on", None, hint)
    if word == "approve" and not before.rollout.state.asked:
        raise input_error("nothing-to-approve", f"the rollout of '{name}' does not wait for anybody", None, "")
    moved = rollouts.command(store, name, word, time.time())
    return before if moved is None else moved


def ended_by(event: AliasEvent, path: str | os.PathLike[str] = ".") -> Rollout | None:
    """The rollout that a move of the champion by hand has ended, or None."""
    found = open_project(path).store.rollouts.of(event.name, 1)
    ended = [one.rollout for one in found if not one.rollout.active and one.rollout.state.since == event.at]
    return ended[0] if ended and event.alias == CHAMPION else None


def _careful(found: Rule, said: bool) -> Rule:
    """A level that says nothing of rollouts does not ask for another model while one is being tried."""
    return structs.replace(found, unless=("rollout",)) if found.kind in LEVELS and not said else found


def _makers(made: Plan, monitors: tuple[str, ...]) -> tuple[str, ...]:
    """The steps that neither look at traffic nor need one that does: a window that is too thin fails no retraining."""
    aside = set(monitors)
    for step in made.steps:  # in the order of needs
        if aside & set(step.needs):
            aside.add(step.id)
    return tuple(step.id for step in made.steps if step.id not in aside and "[" not in step.id)


def _every(steps: tuple[PlannedStep, ...]) -> float:
    """A quarter of the shortest window that a monitor cuts."""
    windows = [step.params.get("window", "1h") for step in steps if step.library.startswith(MONITOR)]
    shortest = min((quantity.duration(window) for window in windows), default=4 * MOST_EVERY)
    return min(max(shortest / 4, LEAST_EVERY), MOST_EVERY)
