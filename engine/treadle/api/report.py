"""Write the page of a run, or of a comparison, as one HTML file."""

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from treadle.api import compare as comparing
from treadle.api.compiled import Request, make
from treadle.api.data import Item, items_of
from treadle.api.project import Project, open_project
from treadle.api.runs import find_run, read_value, tracks
from treadle.domain.plan import Plan
from treadle.domain.run import RunRecord
from treadle.errors import InputError, TreadleError, input_error
from treadle.report import compare, dag, junit, run
from treadle.report.page import render
from treadle.run.changes import difference

LARGEST = 4 << 20  # bytes of a step's report that is still read
MOST_DIFF, MOST_LINES, LONGEST_LINE = 400_000, 400, 300  # characters of all diffs; lines of one; characters of a line
REPORT = "report"  # the output that holds what a step reports


def report(run_id: str = "last", path: str | os.PathLike[str] = ".") -> str:
    """The page of a run as HTML; raises InputError when there is no such run."""
    project = open_project(path)
    record = find_run(project, run_id)
    plan = _plan(project, record)
    before = _before(project, record)
    told = run.Told(
        run=record,
        until=record.finished or time.time(),
        plan=plan,
        tags=project.store.tags.all().get(record.run_id, ()),
        before=before.run_id if before else "",
        changes=_changes(project, before, record) if before else (),
        earlier={name: step.metrics for name, step in before.steps.items()} if before else {},
        code=diffs(project, before, record) if before else {},
        reports=_reports(record, path),
        tracks=tracks(record, path),
        lineage=_lineage(project, record, items_of(project, plan)) if plan else (),
    )
    return render(run.page(told))


def report_junit(run_id: str = "last", path: str | os.PathLike[str] = ".") -> str:
    """The steps, gates and checks of a run as JUnit XML; raises InputError when there is no such run."""
    record = find_run(open_project(path), run_id)
    return junit.document(record, _reports(record, path))


def report_comparison(run_ids: Sequence[str], path: str | os.PathLike[str] = ".") -> str:
    """The page of a comparison as HTML; raises InputError as `compare` does."""
    found = comparing.compare(run_ids, path)
    ids = [one.run.run_id for one in found.runs]
    rows = [[(one.name, one.values) for one in part] for part in (found.params, found.metrics, found.steps)]
    return render(compare.page(ids, rows[0], rows[1], rows[2], found.same))


def picture(record: RunRecord, path: str | os.PathLike[str]) -> str:
    """The DAG of a run as SVG, empty when its pipeline is no more what it was."""
    plan = _plan(open_project(path), record)
    return dag.draw(plan, record.steps) if plan else ""


def write(html: str, target: str | os.PathLike[str]) -> int:
    """Write a page to a file, whole or not at all; returns its bytes. Raises InputError where that is impossible."""
    data = html.encode()
    part = f"{os.fspath(target)}.{os.getpid()}.part"
    try:
        with open(part, "wb") as file:
            file.write(data)
        os.replace(part, target)
    except OSError as error:
        raise input_error("bad-export", f"{target} cannot be written: {error.strerror}") from None
    return len(data)


def _plan(project: Project, record: RunRecord) -> Plan | None:
    """The plan as the file has it now, when it still has the steps of the run."""
    try:
        plan, _ = make(project, os.path.join(project.root, record.path), Request(params=record.params))
    except InputError:
        return None
    return plan if set(record.steps) <= {step.id for step in plan.steps} else None


def _before(project: Project, record: RunRecord) -> RunRecord | None:
    """The newest earlier run of the same pipeline."""
    earlier = [r for r in project.store.history.list(50, record.pipeline) if r.started < record.started]
    return earlier[0] if earlier else None


def _changes(project: Project, before: RunRecord, now: RunRecord) -> tuple[tuple[str, str, str], ...]:
    """Parameters of the pipeline, then for each step the parts of its key that differ."""
    rows = [
        (f"params.{name}", repr(before.params.get(name)), repr(now.params.get(name)))
        for name in sorted({*before.params, *now.params})
        if before.params.get(name) != now.params.get(name)
    ]
    keys = [record.steps[name].key for name in now.steps for record in (before, now) if name in record.steps]
    results = project.store.results.get_many(dict.fromkeys(key for key in keys if key))
    for name, step in now.steps.items():
        old, new = results.get(before.steps[name].key) if name in before.steps else None, results.get(step.key)
        if old is not None and new is not None and old.key != new.key:
            rows += [(f"{name}: {part}", _short(a), _short(b)) for part, a, b in difference(old.parts, new.parts)]
    return tuple(rows)


def diffs(project: Project, before: RunRecord, now: RunRecord) -> dict[str, str]:
    """What changed in the source text of definitions that steps of both runs reach, as unified diffs by name."""
    keys = {name: (before.steps[name].key, step.key) for name, step in now.steps.items() if name in before.steps}
    results = project.store.results.get_many(dict.fromkeys(key for pair in keys.values() for key in pair if key))
    found: dict[str, str] = {}
    room = MOST_DIFF
    for old, new in ((results.get(a), results.get(b)) for a, b in keys.values() if a != b):
        for part, a, b in difference(old.parts, new.parts) if old and new else ():
            name = part.removeprefix("code ")
            if name == part or name in found:
                continue
            lines = project.code.difference(a, b, (before.run_id, now.run_id))
            text = "\n".join(line[:LONGEST_LINE] for line in lines[:MOST_LINES])
            left = len(lines) - MOST_LINES
            text += f"\n… {left} more lines" if left > 0 else ""
            if text and len(text) <= room:
                found[name] = text
                room -= len(text)
    return found


def _short(value: str | None) -> str:
    if value is None:
        return "–"
    digest = value.rpartition(":")[2]
    return digest[:12] if len(digest) == 64 and digest.isalnum() else value[:120]


def _reports(record: RunRecord, path: str | os.PathLike[str]) -> Mapping[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for name, step in record.steps.items():
        artifact = step.outputs.get(REPORT)
        if artifact is None or artifact.codec != "json" or artifact.size > LARGEST:
            continue
        try:
            value = read_value(artifact, path)
        except TreadleError:
            continue  # swept since
        if isinstance(value, Mapping):
            found[name] = value
    return found


def _lineage(project: Project, record: RunRecord, items: Sequence[Item]) -> tuple[tuple[str, str, str, str, str], ...]:
    """What this run used and made, each with the run that saw it first."""
    results = project.store.results.get_many([step.key for step in record.steps.values() if step.key])
    used = {value for result in results.values() for value in result.parts.values()}
    made = {artifact.digest for step in record.steps.values() for artifact in step.outputs.values()}
    rows = []
    for item in items:
        version = next((one for one in item.versions if one.digest in (made if item.made_by else used)), None)
        if version is not None:
            since = time.strftime("%Y-%m-%d %H:%M", time.localtime(version.first))
            rows.append((item.name, _short(version.digest), since, version.run_id, ", ".join(item.needs)))
    return tuple(rows)
