"""Versioned data: what came in and what was made, version by version, by whom and for whom."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from treadle.api.compiled import Request, make
from treadle.api.project import Project, open_project
from treadle.api.runs import find_run
from treadle.domain.artifact import Artifact
from treadle.domain.plan import Plan, PlannedStep
from treadle.errors import InputError, Problem, TreadleError, did_you_mean, input_error
from treadle.store import Result
from treadle.store.objects import is_folder
from treadle.store.scratch import place_to_look

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


def describe(path: str | os.PathLike[str], name: str) -> Described:
    """One data entry (`data.trips`) or output (`split.train`); raises InputError when there is no such thing."""
    project = open_project(path)
    plan, _ = make(project, path, Request())
    items = {item.name: item for item in items_of(project, plan)}
    if name not in items:
        whole = [other for other in items if other.partition(".")[0] == name and not other.endswith(".metrics")]
        if not whole:
            hint = did_you_mean(name, items)
            raise input_error("unknown-item", f"the pipeline has nothing called '{name}'", None, hint)
        name = whole[0]
    item = items[name]
    return Described(item, _figures(project, plan, item), _reach(items, name, up=True), _reach(items, name, up=False))


def diff(before: str, after: str, path: str | os.PathLike[str] = ".") -> dict[str, Any]:
    """How two tables differ: `NAME@RUN`, `NAME` of the last run, the beginning of a digest, or a file.

    Raises InputError for what is not there or is no table.
    """
    project = open_project(path)
    with _shown(project, before) as (old, first), _shown(project, after) as (new, second):
        describer = _describer(project, first or second or FOREIGN)
        if describer is None or not hasattr(describer, "difference") or (first or FOREIGN) != (second or FOREIGN):
            kinds = f"'{before}' is stored as {first or 'a file'}, '{after}' as {second or 'a file'}"
            raise input_error("no-table", f"only two tables can be compared; {kinds}")
        try:
            found: dict[str, Any] = describer.difference(old, new)
        except TreadleError as error:
            raise input_error("no-table", str(error)) from None
        return found


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


# figures


def _figures(project: Project, plan: Plan, item: Item) -> dict[str, Any]:
    """What a describer says of the newest version, or why there is nothing to say under `note`."""
    try:
        if item.kind == "data":
            return _of_data(project, plan, item.name.removeprefix("data."))
        describer = _describer(project, item.codec) if item.codec else None
        if not item.versions:
            return {"note": "no run has made it yet"}
        if describer is None:
            return {"note": f"stored as {item.codec}, which has no columns"}
        with _shown(project, item.versions[0].digest) as (place, _):
            found: dict[str, Any] = describer.describe(place)
            return found
    except TreadleError as error:
        return {"note": str(error)}


def _of_data(project: Project, plan: Plan, name: str) -> dict[str, Any]:
    source = plan.data[name]
    data = project.store.files.data(project.root, source)
    figures: dict[str, Any] = {"files": len(data.paths), "size": sum(os.path.getsize(path) for path in data.paths)}
    describer = _describer(project, FOREIGN)
    if describer is None or not data.paths[0].endswith(describer.described) or len(data.paths) > 1:
        return figures
    return {**figures, **describer.describe(Path(data.paths[0]))}


def _describer(project: Project, codec: str) -> Any:
    try:
        found = project.catalog.codec(codec)
    except TreadleError:
        return None
    return found if hasattr(found, "describe") else None


@contextmanager
def _shown(project: Project, reference: str) -> Iterator[tuple[Path, str]]:
    """The content that a reference means as a file, and its codec, empty for a file from outside."""
    artifact = _artifact(project, reference)
    if artifact is None:
        yield Path(reference), ""
        return
    folder = os.path.join(place_to_look(project.store.folder), f"data-{os.getpid()}-{artifact.digest[:12]}")
    try:
        place = Path(project.store.objects.hand_out(artifact, folder))
        ending = "" if is_folder(artifact) or artifact.codec != FOREIGN else ".parquet"
        if ending and place.suffix != ending:
            place = place.rename(place.with_name(place.name + ending))
        yield place, artifact.codec
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _artifact(project: Project, reference: str) -> Artifact | None:
    """The artifact of `NAME@RUN`, of `NAME` in the last run, or of a digest; None for a file."""
    name, at, run_id = reference.rpartition("@")
    if not at:
        if os.path.exists(reference):
            return None
        if len(reference) >= SHORTEST and all(c in "0123456789abcdef" for c in reference):
            return _by_digest(project, reference)
        name, run_id = reference, "last"
    run = find_run(project, run_id)
    step, _, output = name.partition(".")
    if name not in run.steps and step not in run.steps:
        hint = did_you_mean(name, run.steps)
        raise input_error("unknown-item", f"run {run.run_id} has nothing called '{name}'", None, hint)
    outputs = run.steps[name].outputs if name in run.steps else run.steps[step].outputs
    chosen = "" if name in run.steps else output
    main = next((found for found in outputs if found != "metrics"), "metrics")
    if (chosen or main) not in outputs:
        hint = did_you_mean(chosen, outputs)
        raise input_error("unknown-item", f"'{step}' has no output '{chosen}' in run {run.run_id}", None, hint)
    return outputs[chosen or main]


def _by_digest(project: Project, digest: str) -> Artifact:
    every = (artifact for result in project.store.results.all() for artifact in result.outputs.values())
    found = {artifact.digest: artifact for artifact in every if artifact.digest.startswith(digest)}
    if len(found) != 1:
        text = f"{len(found) or 'no'} recorded outputs have a digest that begins with {digest}"
        raise InputError([Problem("unknown-item", text, None, "treadle data PIPELINE lists them")])
    return next(iter(found.values()))
