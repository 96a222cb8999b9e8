"""What is in data: the figures of a table, and how two tables differ."""

import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from treadle.api.project import Project, open_project
from treadle.api.runs import find_run
from treadle.domain.artifact import Artifact
from treadle.domain.spec import DataSource
from treadle.errors import InputError, Problem, TreadleError, did_you_mean, input_error
from treadle.store.objects import is_folder
from treadle.store.scratch import place_to_look

SHORTEST = 6  # characters of a digest
FOREIGN = "parquet"  # the codec that describes tables from outside, too


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


def of_output(project: Project, codec: str, digest: str) -> dict[str, Any]:
    """What a describer says of an output, or why it says nothing under `note`; no digest where none was made."""
    if not digest:
        return {"note": "no run has made it yet"}
    try:
        with _shown(project, digest) as (place, stored):
            describer = _describer(project, stored or FOREIGN)
            if describer is None:
                return {"note": f"stored as {codec}, which has no columns"}
            found: dict[str, Any] = describer.describe(place)
            return found
    except TreadleError as error:
        return {"note": str(error)}


def of_data(project: Project, source: DataSource, known: Collection[str]) -> dict[str, Any]:
    """The same of data from outside as it is now; `known` are the digests that runs have used."""
    if source.kind != "path":
        words = {"url": "at {}", "predictions": "what was logged of {}", "model": "the champion of {}"}
        return {"note": words.get(source.kind, "{}").format(source.target) + ", read when a step needs it"}
    try:
        data = project.store.files.data(project.root, source)
        figures: dict[str, Any] = {"files": len(data.paths), "size": sum(os.path.getsize(path) for path in data.paths)}
        if known and data.digest not in known:
            figures["note"] = "changed since: no run has used it as it is now"
        describer = _describer(project, FOREIGN)
        if describer is None or not data.paths[0].endswith(describer.described) or len(data.paths) > 1:
            return figures
        return {**figures, **describer.describe(Path(data.paths[0]))}
    except TreadleError as error:
        return {"note": str(error)}


def _describer(project: Project, codec: str) -> Any:
    try:
        found = project.catalog.codec(codec)
    except TreadleError:
        return None
    return found if hasattr(found, "describe") else None


@contextmanager
def _shown(project: Project, reference: str) -> Iterator[tuple[Path, str]]:
    """The content that a reference means as a file, and its codec, empty for a table as others write it."""
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
        describer = _describer(project, FOREIGN)
        plain = artifact.codec == "file" and describer is not None and str(place).endswith(describer.described)
        yield place, "" if plain else artifact.codec
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
