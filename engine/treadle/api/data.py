"""Versioned data: what came in and what was made, version by version, by whom and for whom."""

import os
from collections.abc import Collection
from typing import Any

from msgspec import Struct, structs

from treadle.api import figures
from treadle.api.compiled import Request, make
from treadle.api.project import Project, inside, open_project
from treadle.domain.plan import Plan, PlannedStep
from treadle.domain.spec import DataSource
from treadle.errors import InputError, Problem, TreadleError, did_you_mean, input_error
from treadle.load import load_files, pipeline_files
from treadle.settings import find_root
from treadle.store import Result

MOST = 1000  # results of a step that are looked at, the newest first
RUNS = 200  # runs that are looked at, the newest first
SHORTEST = 6  # characters of a digest
FOREIGN = "parquet"  # the codec that describes tables from outside, too


class Version(Struct, frozen=True):
    """One content of a thing, first seen at `first` in that run; `size` in bytes, 0 where only the digest is known."""

    digest: str
    first: float
    run_id: str
    size: int = 0


class Item(Struct, frozen=True, kw_only=True):
    """Data from outside or an output of a step, with its versions, the newest first.

    `made_by` is the step, empty for data from outside; `needs` and `used_by` name steps and data next to it;
    `elsewhere` are steps of other pipelines, or of older files, that used one of its versions.
    """

    name: str
    kind: str  # data | output
    codec: str = ""
    versions: tuple[Version, ...] = ()
    made_by: str = ""
    needs: tuple[str, ...] = ()
    used_by: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()


class Described(Struct, frozen=True):
    """An item with the figures of its newest version (see authoring.Describer), and everything above and below it."""

    item: Item
    figures: dict[str, Any]
    above: tuple[str, ...]
    below: tuple[str, ...]


def list_items(path: str | os.PathLike[str]) -> list[Item]:
    """Every data entry and output of a pipeline; raises InputError when the pipeline is wrong."""
    project = open_project(path)
    plan, _ = make(project, path, Request())
    return items_of(project, plan)


def list_all(path: str | os.PathLike[str] = ".") -> dict[str, list[Item]]:
    """The same of every pipeline of the project that contains `path`, by the pipeline's file."""
    project = open_project(path)
    files = _pipelines(project)
    return {inside(project, file): items_of(project, make(project, file, Request())[0]) for file in files}


def names_pipeline(word: str) -> bool:
    """Whether a word is meant as a file and not as a name within a pipeline."""
    return os.path.exists(word) or word.endswith((".yaml", ".yml")) or os.sep in word


def describe(name: str, path: str | os.PathLike[str] | None = None) -> Described:
    """One data entry (`data.trips`) or output (`split.train`) of a pipeline, by default of the one that has it.

    Raises InputError when there is no such thing.
    """
    project = open_project(path or ".")
    if path is None:
        path = _pipeline_with(project, name)
    plan, _ = make(project, path, Request())
    items = {item.name: item for item in items_of(project, plan)}
    found = _meant(name, items)
    if found is None:
        hint = did_you_mean(name, items)
        raise input_error("unknown-item", f"the pipeline has nothing called '{name}'", None, hint)
    name, item = found, items[found]
    if item.kind == "data":
        told = figures.of_data(project, plan.data[name.removeprefix("data.")], {one.digest for one in item.versions})
    else:
        told = figures.of_output(project, item.codec, item.versions[0].digest if item.versions else "")
    return Described(item, told, _reach(items, name, up=True), _reach(items, name, up=False))


def _pipelines(project: Project) -> list[str]:
    """The files of a project that are pipelines; raises InputError when there is none."""
    every, missing = pipeline_files(project.root)
    files = [file for file in every if find_root(os.path.dirname(file)) == project.root]  # not of projects within it
    loaded = load_files([inside(project, file) for file in files], project.root, project.catalog, project.code)
    found = [os.path.join(project.root, one.path) for one in loaded if one.kind == "pipeline"]
    if not found:
        raise InputError(missing or [Problem("nothing-to-check", f"there is no pipeline in {project.root}", None)])
    return found


def _pipeline_with(project: Project, name: str) -> str:
    """The one pipeline that has something of a name; raises InputError when none or several have."""
    known = {file: _names(make(project, file, Request())[0]) for file in _pipelines(project)}
    found = [file for file, names in known.items() if _meant(name, names) is not None]
    if len(found) != 1:
        every = dict.fromkeys(one for names in known.values() for one in names)
        several = "; ".join(f"treadle data {inside(project, file)} {name}" for file in found)
        text = f"{'more than one' if found else 'no'} pipeline has something called '{name}'"
        raise input_error("unknown-item", text, None, several or did_you_mean(name, every) or "treadle data lists them")
    return found[0]


def _meant(name: str, names: Collection[str]) -> str | None:
    """The thing of a name, or the main output of a step of that name."""
    if name in names:
        return name
    return next((o for o in names if o.partition(".")[0] == name and not o.endswith(".metrics")), None)


def _names(plan: Plan) -> list[str]:
    outputs = [f"{step.id}.{output.name}" for step in plan.steps for output in step.outputs]
    return [*(f"data.{name}" for name in plan.data), *outputs]


# items


def items_of(project: Project, plan: Plan) -> list[Item]:
    """Every data entry and output of a plan, in its order."""
    results = {step.id: _results(project, plan, step) for step in plan.steps}
    users = _users(project)
    own = {(plan.pipeline, step.id) for step in plan.steps}
    found = []
    for name in plan.data:
        uses = [(s.id, port) for s in plan.steps for port, sources in s.inputs.items() if _is(sources, None, name)]
        versions = _distinct([(r.parts.get(f"input {port}", ""), r, 0) for step, port in uses for r in results[step]])
        elsewhere = _elsewhere(users, own, [version.digest for version in versions])
        versions = _with_size(project, plan.data[name], versions)
        found.append(
            Item(
                name=f"data.{name}",
                kind="data",
                versions=versions,
                used_by=tuple(dict.fromkeys(step for step, _ in uses)),
                elsewhere=elsewhere,
            )
        )
    for step in plan.steps:
        for output in step.outputs:
            made = [(r.outputs[output.name], r) for r in results[step.id] if output.name in r.outputs]
            codec = made[0][0].codec if made else output.codec or ""
            versions = _distinct([(artifact.digest, r, artifact.size) for artifact, r in made])
            used = [s.id for s in plan.steps if any(_is(x, step.id, output.name) for x in s.inputs.values())]
            keys = [f"{artifact.codec}:{artifact.digest}" for artifact, _ in made]
            found.append(
                Item(
                    name=f"{step.id}.{output.name}",
                    kind="output",
                    codec=codec,
                    versions=versions,
                    made_by=step.id,
                    needs=tuple(dict.fromkeys(_name(source) for sources in step.inputs.values() for source in sources)),
                    used_by=tuple(used),
                    elsewhere=_elsewhere(users, own, keys),
                )
            )
    return found


def _results(project: Project, plan: Plan, step: PlannedStep) -> list[Result]:
    """What a step made, newest first; what a matrix handed on is only in the record of the runs."""
    if step.kind != "gather":
        return project.store.results.latest(plan.pipeline, step.id, MOST)
    runs = project.store.history.list(RUNS, plan.pipeline)
    return [
        Result(key="", outputs=record.outputs, run_id=run.run_id, created=run.finished)
        for run in runs
        if (record := run.steps.get(step.id)) is not None
    ]


def _is(sources: Any, step: str | None, output: str) -> bool:
    return any(source.step == step and source.output == output for source in sources)


def _name(source: Any) -> str:
    return f"data.{source.output}" if source.step is None else f"{source.step}.{source.output}"


def _distinct(seen: list[tuple[str, Result, int]]) -> tuple[Version, ...]:
    """The versions by the time they were first seen, the newest first."""
    first: dict[str, Version] = {}
    for digest, result, size in sorted(seen, key=lambda one: one[1].created):
        if digest:
            first.setdefault(digest, Version(digest, result.created, result.run_id, size))
    return tuple(reversed(first.values()))


def _with_size(project: Project, source: DataSource, versions: tuple[Version, ...]) -> tuple[Version, ...]:
    """The newest version of files with their size, where they are what it was made from; they are not kept here."""
    if source.kind != "path" or not versions:
        return versions
    try:
        data = project.store.files.data(project.root, source)
        size = sum(os.path.getsize(path) for path in data.paths)
    except (TreadleError, OSError):
        return versions
    return tuple(structs.replace(one, size=size) if one.digest == data.digest else one for one in versions)


def _users(project: Project) -> dict[str, set[tuple[str, str]]]:
    """What each input of any recorded step was, and which (pipeline, step) read it: it made the result or used it."""
    found: dict[str, set[tuple[str, str]]] = {}
    shared: dict[str, set[tuple[str, str]]] = {}
    for run in project.store.history.list(RUNS):
        for record in run.steps.values():
            shared.setdefault(record.key, set()).add((run.pipeline, record.id))
    for result in project.store.results.all():
        readers = {(result.pipeline, result.step), *shared.get(result.key, ())}
        for part, value in result.parts.items():
            if part.startswith("input "):
                found.setdefault(value, set()).update(readers)
    return found


def _elsewhere(users: dict[str, set[tuple[str, str]]], own: set[tuple[str, str]], values: list[str]) -> tuple[str, ...]:
    others = set().union(*(users.get(value, set()) for value in values)) - own if values else set()
    return tuple(sorted(f"{pipeline}:{step}" for pipeline, step in others))


def _reach(items: dict[str, Item], name: str, up: bool) -> tuple[str, ...]:
    """Everything that a thing was made from, or everything made from it, the nearest first."""
    outputs = {name: [item.name for item in items.values() if item.made_by == name] for name in _makers(items)}
    found: dict[str, None] = {}
    todo = [name]
    for one in todo:
        item = items[one]
        nearest = item.needs if up else [other for step in item.used_by for other in outputs.get(step, [])]
        fresh = [other for other in nearest if other not in found and other in items]
        found.update(dict.fromkeys(fresh))
        todo += fresh
    return tuple(found)


def _makers(items: dict[str, Item]) -> set[str]:
    return {item.made_by for item in items.values() if item.made_by}
