"""Look at past runs: list, show, read logs and values."""

import os
from typing import Any

from treadle.api.project import Project, open_project
from treadle.domain.artifact import Artifact
from treadle.domain.run import RunRecord, StepRecord
from treadle.domain.track import Track
from treadle.errors import InputError, Problem, did_you_mean
from treadle.run.tracks import SUFFIX, read_artifact, read_file, told_something
from treadle.store import decode
from treadle.store.scratch import place_to_look


def list_runs(path: str | os.PathLike[str] = ".", limit: int = 20, pipeline: str | None = None) -> list[RunRecord]:
    """The latest runs of the project that contains `path`, newest first, with their steps."""
    return open_project(path).store.history.list(limit, pipeline)


def get_run(run_id: str = "last", path: str | os.PathLike[str] = ".") -> RunRecord:
    """One run by id, by a prefix of it, or `last`; raises InputError when there is none."""
    return find_run(open_project(path), run_id)


def get_step(step: str, run_id: str = "last", path: str | os.PathLike[str] = ".") -> StepRecord:
    """What became of one step in a run; raises InputError when it has no such step."""
    return _step(get_run(run_id, path), step)


def read_log(step: str, run_id: str = "last", path: str | os.PathLike[str] = ".") -> str:
    """What a step printed in a run, or, for a hit, when it last ran; raises InputError when there is no log."""
    project = open_project(path)
    record = _step(find_run(project, run_id), step)
    for candidate in (record, *project.store.history.of_step(step)):
        if candidate.log and os.path.exists(candidate.log):
            with open(candidate.log, encoding="utf-8", errors="replace") as file:
                return file.read()
    raise InputError([Problem("no-log", f"there is no log of '{step}'", None, "only steps that ran have one")])


def tracks(record: RunRecord, path: str | os.PathLike[str] = ".") -> dict[str, Track]:
    """What the steps of a run told through `ctx`, by step; of those that run now, or were killed, what is there."""
    project = open_project(path)
    found: dict[str, Track] = {}
    for name, step in record.steps.items():
        track = read_artifact(step.track, project.store.objects) if step.track else None
        if track is not None:
            found[name] = track
    folder = os.path.join(project.store.folder, "logs", record.run_id)
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    for name in names:
        track = read_file(os.path.join(folder, name)) if name.endswith(SUFFIX) else None
        if track is not None and told_something(track) and track.step not in found:
            found[track.step] = track
    return found


def read_value(artifact: Artifact, path: str | os.PathLike[str] = ".") -> Any:
    """The value of a stored output, verified by its digest; raises CodecError when it is damaged."""
    project = open_project(path)
    scratch = os.path.join(place_to_look(project.store.folder), f"read-{os.getpid()}")
    return decode(artifact, {artifact.codec: project.catalog.codec(artifact.codec)}, project.store.objects, scratch)


def find_run(project: Project, run_id: str) -> RunRecord:
    """One run of a project by id, by a prefix of it, or `last`; raises InputError when there is none."""
    found = project.store.history.get(run_id)
    if found is None:
        text = "no run has been recorded here" if run_id == "last" else f"no run is called '{run_id}'"
        hint = "" if run_id == "last" else did_you_mean(run_id, [run.run_id for run in project.store.history.list(50)])
        raise InputError([Problem("unknown-run", text, None, hint or "treadle runs lists them")])
    return found


def _step(run: RunRecord, step: str) -> StepRecord:
    if step not in run.steps:
        text = f"run {run.run_id} has no step called '{step}'"
        raise InputError([Problem("unknown-step", text, None, did_you_mean(step, run.steps))])
    return run.steps[step]
