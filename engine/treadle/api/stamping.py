"""Makes the stamp of a run that had nothing to do, see `treadle.stamp`: what its decisions looked at, one by one.

A stamp is never a second way to decide. It is kept only where every input of every decision is known and at rest;
whatever this room does not know about, it refuses.
"""

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

from msgspec import Struct, msgpack

from treadle.api.project import Project
from treadle.domain.plan import Plan
from treadle.domain.run import HIT, OK, SKIP, RunRecord, StepRecord
from treadle.domain.spec import DataSource
from treadle.errors import CodecError, StoreError
from treadle.run.estimate import stages
from treadle.run.rows import tables
from treadle.settings import MARKS
from treadle.stamp import Sign, Stamp, at_rest, folder_sign, name, sign_of, write
from treadle.store.data import watched
from treadle.store.objects import is_folder

KNOWN = frozenset(("-q", "--quiet", "-j", "--jobs", "-p", "--param", "--from", "--only", "--executor"))
BEYOND = ("champion", "reference")  # names in expressions that stand for more than this run's own figures


class Asked(Struct, frozen=True):
    """A command line, the folder it was given in, and when, with what was seen before anything was read."""

    words: tuple[str, ...]
    folder: str
    began: int
    signs: dict[str, Sign]


class _Unknown(Exception):
    """Something that a decision may depend on and that no stamp can hold."""


def asked(project: Project, path: str | os.PathLike[str], words: Sequence[str]) -> Asked | None:
    """What a stamp will need from before the run; None for a command line with options that are not known here."""
    if not words or any(word.startswith("-") and word.partition("=")[0] not in KNOWN for word in words):
        return None
    began = time.time_ns()
    signs = {place: sign_of(place) for place in _marks(os.path.abspath(path), project.root)}
    return Asked(tuple(words), os.getcwd(), began, signs)


def keep(project: Project, plan: Plan, finished: RunRecord, asked: Asked, variables: Mapping[str, str | None]) -> bool:
    """Keep the stamp of a finished run, if it may have one; says whether it does."""
    if not _settled(project, plan, finished):
        return False
    try:
        looked = {**asked.signs, **_signs(project, plan, finished)}
        if not all(at_rest(sign, asked.began) for sign in looked.values()):
            return False
        objects = dict(_objects(project, finished.steps.values()))
        stamp = Stamp(
            "",
            root=project.root,
            path=finished.path,
            pipeline=finished.pipeline,
            plan=finished.plan,
            params=msgpack.encode(finished.params),
            walks=project.store.history.walks(finished.run_id),
            tables=tables(finished, stages(plan)),
            fates=finished.fates,
            signs=looked,
            variables=dict(variables),
            objects=list(objects),
            sizes=list(objects.values()),
            until=_until(project, plan, finished),
            results=project.store.results.generation(),
            schema=project.store.database.version,
        )
        own = name(asked.words, asked.folder)
        project.store.plans.put_file(own, write(stamp, asked.words, asked.folder))
    except (_Unknown, OSError, StoreError, CodecError):
        return False  # the next run decides again, which is always right
    return True


def drop(project: Project, asked: Asked) -> None:
    """Remove the stamp that did not answer."""
    with suppress(OSError):
        os.unlink(os.path.join(project.store.plans.folder, name(asked.words, asked.folder)))


def _settled(project: Project, plan: Plan, finished: RunRecord) -> bool:
    """Whether nothing ran, nothing was said, and only known kinds of things were looked at."""
    if finished.status != OK or not finished.steps or project.store.notices:
        return False
    if any(step.fate not in (HIT, SKIP) or step.failure is not None for step in finished.steps.values()):
        return False
    if any(source.kind != "path" for source in _used(plan)):
        return False
    texts = [text.text for step in plan.steps for text in (*step.gates, *filter(None, (step.condition,)))]
    return not any(word in text for text in texts for word in BEYOND)


def _marks(path: str, root: str) -> Iterator[str]:
    """The pipeline's file, and what makes a folder the root: here, and nowhere between here and the file."""
    yield path
    folder = os.path.dirname(path)
    while True:
        for mark in (*MARKS, "pyproject.toml"):
            yield os.path.join(folder, mark)
        if folder in (root, os.path.dirname(folder)):
            return
        folder = os.path.dirname(folder)


def _signs(project: Project, plan: Plan, finished: RunRecord) -> dict[str, Sign]:
    signs: dict[str, Sign] = {folder: folder_sign(folder) for folder in project.code.installed_in()}
    for place, sign in project.code.files.looked.items():
        signs[place] = sign_of(place) if isinstance(sign, bool) else folder_sign(place)
        if bool(signs[place]) != sign if isinstance(sign, bool) else signs[place] != sign:
            raise _Unknown(place)  # it changed meanwhile
    signs.update((place, sign_of(place)) for place in project.store.files.looked)
    patterns = {pattern for step in plan.steps for pattern in step.code}
    for target in {source.target for source in _used(plan)} | patterns:
        found = watched(project.root, target)
        if found is None:
            raise _Unknown(target)
        signs.update(found)
    for step in plan.steps:
        for output, target in step.save.items():
            if output in finished.steps[step.id].outputs:
                found = watched(project.root, target)
                if found is None:
                    raise _Unknown(target)
                signs.update(found)
    return signs


def _used(plan: Plan) -> list[DataSource]:
    sources = [source for step in plan.steps for port in step.inputs.values() for source in port]
    sources += [step.foreach for step in plan.steps if step.foreach is not None]
    used = {source.output for source in sources if source.step is None}
    return [plan.data[name] for name in used]


def _objects(project: Project, steps: Iterable[StepRecord]) -> Iterator[tuple[str, int]]:
    """The path below the folder of objects and the size of everything that the outputs consist of."""
    store = project.store.objects
    for step in steps:
        for artifact in step.outputs.values():
            if artifact.codec == "list" or is_folder(artifact):
                for digest in store.parts(artifact):
                    place = store.path(digest)
                    yield os.path.relpath(place, store.folder), os.stat(place).st_size
            else:
                yield f"{artifact.digest[:2]}/{artifact.digest[2:]}", artifact.size


def _until(project: Project, plan: Plan, finished: RunRecord) -> float:
    """When the first of the results becomes older than its ttl; 0 for never."""
    ends = []
    for step in plan.steps:
        if step.caching.ttl is not None and step.id in finished.steps:
            result = project.store.results.get(finished.steps[step.id].key)
            if result is None:
                raise _Unknown(step.id)
            ends.append(result.created + step.caching.ttl)
    return min(ends, default=0.0)
