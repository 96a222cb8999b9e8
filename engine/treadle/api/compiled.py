"""A request → its plan; the plan of an unchanged file is kept compiled, so that nothing is parsed again."""

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from msgspec import DecodeError, Struct, msgpack, structs

from treadle.api.collector import paused
from treadle.api.project import Project, inside
from treadle.code import CodeError
from treadle.digest import of_bytes, of_value
from treadle.domain.plan import Plan, PlannedStep
from treadle.domain.signature import MAIN
from treadle.domain.spec import Caching
from treadle.domain.task import INLINE
from treadle.environment import variable
from treadle.errors import InputError
from treadle.run.selection import Selection
from treadle.store.database import Denied
from treadle.version import __version__

FORMAT = 4
PICKLE = "pickle"


class Request(Struct, frozen=True, kw_only=True):
    """What the user wants of one plan or run, beside the file."""

    params: Mapping[str, Any] = {}
    targets: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    force: tuple[str, ...] = ()
    jobs: int = 0
    executor: str = ""
    locked: bool = False


class Compiled(Struct, frozen=True):
    """A plan with the digest of the code that it was bound to, and the environment variables that it names."""

    plan: Plan
    code: str
    variables: dict[str, str | None]


def make(
    project: Project,
    path: str | os.PathLike[str],
    request: Request,
    variables: dict[str, str | None] | None = None,
) -> tuple[Plan, Selection]:
    """The plan for a request, and which of its steps may or must run; raises InputError.

    The environment variables that the pipeline names are put into `variables`, with their values.
    """
    with paused():
        compiled = _whole(project, path, request.params)
    whole = _uncached(compiled.plan, project)
    if variables is not None:
        variables.update(compiled.variables)
    if not (request.targets or request.start or request.only or request.force):
        return whole, Selection()
    from treadle.plan.select import require, select  # lazy: a run of everything selects nothing

    for name in request.force:
        require(whole, name)
    chosen, allowed = select(whole, request.targets, request.start, request.only)
    forced = {step.id for step in whole.steps if step.id in request.force or step.id.split("[")[0] in request.force}
    return chosen, Selection(forced, allowed)


def _uncached(plan: Plan, project: Project) -> Plan:
    """The plan with those functions of the program that have no source run in it, and not cached.

    So do those that take a pickle of theirs: it may need a class without source.
    """
    if not any(step.call.startswith(f"{MAIN}:") for step in plan.steps):
        return plan
    lost: dict[str, str] = {}
    pickles = {step.id for step in plan.steps if any(output.codec == PICKLE for output in step.outputs)}
    for step in plan.steps:
        own = project.code.lost(step.call) if step.call.startswith(f"{MAIN}:") else ""
        made = {source.step for sources in step.inputs.values() for source in sources} | {*step.needs}
        taken = [name for name in made & lost.keys() & pickles if name]
        reason = own or (f"it takes a pickle of '{min(taken)}', where {lost[min(taken)]}" if taken else "")
        if reason and step.kind != "command":
            lost[step.id] = reason
    return structs.replace(plan, steps=tuple(_in_program(s, lost[s.id]) if s.id in lost else s for s in plan.steps))


def _in_program(step: PlannedStep, reason: str) -> PlannedStep:
    return structs.replace(step, caching=Caching(enabled=False, why=f"not cached: {reason}"), executor=INLINE)


def _whole(project: Project, path: str | os.PathLike[str], params: Mapping[str, Any]) -> Compiled:
    key = _key(project, path, params)
    kept = project.store.plans.get(key) if key else None
    if kept is not None:
        try:
            compiled = msgpack.decode(kept, type=Compiled)
            named = compiled.variables.items()
            if compiled.code == _code(project, compiled.plan) and all(variable(name) == value for name, value in named):
                return compiled
        except (DecodeError, CodeError):
            pass  # written by another version, or code is gone: bind anew, which says what is wrong
    compiled = _bind(project, path, params)
    if key:
        with suppress(Denied):  # who may only read compiles again the next time
            project.store.plans.put(key, msgpack.encode(compiled))
    return compiled


def _bind(project: Project, path: str | os.PathLike[str], params: Mapping[str, Any]) -> Compiled:
    from treadle.load import load_pipeline  # lazy: YAML and checks, 40 ms that a compiled plan spares
    from treadle.plan.make import make_plan  # lazy: the graph library, 120 ms that a compiled plan spares

    loaded = load_pipeline(inside(project, path), project.root, project.catalog, project.code)
    errors = [problem for problem in loaded.problems if problem.severity == "error"]
    if errors or loaded.spec is None:
        raise InputError(loaded.problems)
    variables: dict[str, str | None] = {}

    def read(name: str) -> str | None:
        variables[name] = variable(name)
        return variables[name]

    catalog = project.catalog
    forms = catalog.forms()
    plan = make_plan(loaded.spec, loaded.signatures, catalog.steps, params, project.settings, read, forms)
    return Compiled(plan, _code(project, plan), variables)


def _key(project: Project, path: str | os.PathLike[str], params: Mapping[str, Any]) -> str:
    """The name of a compiled plan; empty when the file cannot be read, or a parameter has no digest."""
    try:
        with open(path, "rb") as file:
            data = file.read()
        given = {name: params[name] for name in params}
        settings = repr(project.settings)
        installed = project.code.installed()
        return of_value([FORMAT, __version__, inside(project, path), of_bytes(data), given, settings, installed])
    except (OSError, TypeError):
        return ""


def _code(project: Project, plan: Plan) -> str:
    """The digest of the signatures that the plan was bound to; what else the code does is for the keys."""
    calls = sorted({step.call for step in plan.steps if step.kind == "function"})
    return of_value([project.code.shape(call) for call in calls])
