"""What must hold after a fault, and who says so: the store itself, the next runs, and the log of what began."""

import shutil
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from crash.faults import AFRESH, Runs
from crash.subject import Subject
from treadle.domain.artifact import Artifact
from treadle.domain.run import OK
from treadle.store import Store, open_store
from treadle.store.sweep import plan, sweep, verify_all

DAY = 86400.0
KNOWN = {"objects", "tmp", "logs", "plans", "state.db", "state.db-wal", "state.db-shm", "state.db.making", ".gitignore"}
PATIENCE = 60.0  # seconds that the processes of a run have to be gone


class Expected(NamedTuple):
    """What an undisturbed run made: outputs by step, and the user's files."""

    outputs: dict[str, dict[str, Artifact]]
    tree: dict[str, bytes]


def expected(subject: Subject) -> Expected:
    """What the last run of a project made."""
    store = open_store(subject.root)
    last = store.history.get("last")
    store.database.close()
    assert last is not None
    return Expected({name: step.outputs for name, step in last.steps.items()}, subject.tree())


def recorded(root: Path) -> set[str]:
    """The steps, and the items as "step element", whose results a store has."""
    if not (root / ".treadle" / "state.db").exists():
        return set()
    store = open_store(root)
    found = {_name(store, result.step, result.outputs) for result in store.results.all()}
    store.database.close()
    return found


def _name(store: Store, step: str, outputs: dict[str, Artifact]) -> str:
    if not step.endswith("[*]"):
        return step
    [artifact] = outputs.values()
    return f"{step[:-3]} {_of(store.objects.read(artifact))}"


def _of(data: bytes) -> int:
    import json

    return int(json.loads(data)["of"])


def judge(subject: Subject, want: Expected, pipeline: str, runs: Runs = AFRESH) -> list[str]:
    """Everything that is wrong with a project after a fault, in words; the next run goes on at once."""
    wrong: list[str] = []
    finished = _snapshot(subject, wrong)
    done = runs.begin(subject, pipeline)()
    if done.code or "Traceback" in done.stderr:
        wrong.append(f"the next run failed with code {done.code}: {done.stderr[-2000:]}{done.stdout[-500:]}")
    else:
        _went_on(subject, want, finished, wrong)
    _await_end(subject, runs, wrong)
    store = open_store(subject.root)
    _sound(store, "after the next run", wrong)
    _swept(store, subject, wrong)
    store.database.close()
    before = len(subject.began())
    again = runs.begin(subject, pipeline)()
    if again.code or len(subject.began()) != before:
        wrong.append(f"after gc, steps ran again: {subject.began()[before:]} (code {again.code}) {again.stderr}")
    return wrong


def _snapshot(subject: Subject, wrong: list[str]) -> set[str]:
    """Look at a copy, so that the next run finds what the fault has left, and nobody's repair."""
    if not subject.state.exists():
        return set()
    side = subject.folder / "snapshot"
    shutil.rmtree(side, ignore_errors=True)
    shutil.copytree(subject.state, side / ".treadle", symlinks=True, ignore=shutil.ignore_patterns("tmp"))
    found = recorded(side)
    store = open_store(side)
    if (side / ".treadle" / "state.db").exists():
        _sound(store, "after the fault", wrong)
    store.database.close()
    return found


def _sound(store: Store, when: str, wrong: list[str]) -> None:
    report = verify_all(store)
    [(verdict,)] = store.database.rows("PRAGMA integrity_check")
    if report.damaged or report.forgotten or verdict != "ok" or store.notices:
        wrong.append(f"{when}: damaged {report.damaged}, lost {report.forgotten}, {verdict}, {store.notices}")


def _went_on(subject: Subject, want: Expected, finished: set[str], wrong: list[str]) -> None:
    """What the next run did: all that was left to do, and no more."""
    store = open_store(subject.root)
    last = store.history.get("last")
    store.database.close()
    if last is None or last.status != OK:
        wrong.append(f"the next run is not recorded as done: {last}")
        return
    made = {name: step.outputs for name, step in last.steps.items()}
    wrong += [f"'{name}' differs from an undisturbed run" for name in made if made[name] != want.outputs[name]]
    wrong += [] if subject.tree() == want.tree else ["the user's files differ from those of an undisturbed run"]
    began = Counter(name for run_id, name in subject.began() if run_id == last.run_id)
    wrong += [f"'{name}' was finished and ran again" for name in sorted(began.keys() & finished)]
    often = {name: count for name, count in began.items() if count > (2 if name == "text" else 1)}
    wrong += [f"began more than once in one run: {often}"] if often else []


def _await_end(subject: Subject, runs: Runs, wrong: list[str]) -> None:
    limit = time.monotonic() + PATIENCE
    while left := runs.left(subject):
        if time.monotonic() > limit:
            wrong.append(f"processes are left: {left}")
            return
        time.sleep(0.05)


def _swept(store: Store, subject: Subject, wrong: list[str]) -> None:
    """A gc long after leaves what the last run and its results refer to, and nothing else."""
    now = time.time() + 100 * DAY
    sweep(store, plan(store, 1, now=now), now=now)
    kept: set[str] = set()
    last = store.history.get("last")
    for artifacts in [step.outputs for step in last.steps.values()] if last else ():
        for artifact in artifacts.values():
            kept.update(store.objects.parts(artifact))
    for result in store.results.all():
        for artifact in result.outputs.values():
            kept.update(store.objects.parts(artifact))
    logs = {found.run_id for found in store.history.list(1000)}
    for path in sorted(subject.state.rglob("*")):
        parts = path.relative_to(subject.state).parts
        known = parts[0] in KNOWN
        if parts[0] == "objects" and path.is_file():
            known = "".join(parts[1:]) in kept
        elif len(parts) > 1:
            known = parts[0] == "objects" or (parts[0] == "logs" and parts[1] in logs)
        if not known:
            wrong.append(f"gc left {path.relative_to(subject.state)}")
