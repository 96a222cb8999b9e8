"""Sweeping a store: half of its objects belong to the last run, the other half to nothing any more."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from harness import Case, treadle

from treadle.digest import of_bytes
from treadle.domain.artifact import Artifact
from treadle.domain.run import OK, RUNNING, RunRecord, StepRecord
from treadle.store import Result, open_store

RUNS = 2
COUNT = 100_000
EACH = 10  # outputs of one step
DAY = 86400.0


def workloads(folder: Path, count: int = COUNT) -> dict[str, list[Case]]:
    full = folder / "full"
    fill(full, count)
    swept = folder / "swept"
    walk = [shutil.which("find") or "find", ".treadle/objects", "-type", "f", "-printf", "%s\n"]
    gone = [shutil.which("rm") or "rm", "-r", ".treadle/objects"]
    removed = folder / "removed"
    return {
        f"plan of {count} objects": [
            Case("treadle cache gc --plan", treadle("cache", "gc", "--plan", "--keep", "1"), full),
            Case("find", walk, full),
        ],
        f"sweep of half of {count} objects": [
            Case(
                "treadle cache gc",
                treadle("cache", "gc", "--keep", "1"),
                swept,
                prepare=again(full, swept),
                check=lambda: left(swept, count // 2),
            ),
            Case("rm -r of all", gone, removed, prepare=again(full, removed)),
        ],
    }


def fill(folder: Path, count: int) -> None:
    """A store with `count` small objects, a day old, and two runs: one per half."""
    folder.mkdir(parents=True)
    (folder / "treadle.toml").write_text("", encoding="utf-8")
    store = open_store(folder)
    then = time.time() - DAY
    for half, run_id in enumerate(("old", "new")):
        results = []
        for number in range(half * count // 2, (half + 1) * count // 2, EACH):
            outputs = {f"o{n}": put(store.objects.folder, b"object %d" % n, then) for n in range(number, number + EACH)}
            key = of_bytes(b"key %d" % number)
            results.append(Result(key=key, outputs=outputs, pipeline="p", step=f"step{number % 50}", created=then))
        store.results.put(results)
        store.history.start(RunRecord(run_id=run_id, pipeline="p", path="", plan="", status=RUNNING, started=then))
        records = [
            StepRecord(id=result.key[:8], fate="run", key=result.key, outputs=result.outputs) for result in results
        ]
        store.history.add_steps(run_id, records)
        store.history.finish(run_id, OK, then)
    store.database.close()


def put(folder: str, data: bytes, then: float) -> Artifact:
    """An object without the syncs of the store: a hundred thousand of them would take minutes."""
    digest = of_bytes(data)
    place = os.path.join(folder, digest[:2], digest[2:])
    os.makedirs(os.path.dirname(place), exist_ok=True)
    with open(place, "wb") as file:
        file.write(data)
    os.utime(place, (then, then))
    return Artifact(digest, "bytes", len(data))


def again(full: Path, place: Path) -> Callable[[], None]:
    """Make `place` a copy of the full store, by links where nothing is written to."""

    def prepare() -> None:
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(full, place, copy_function=link)

    return prepare


def link(source: str, target: str) -> None:
    if f"{os.sep}objects{os.sep}" in source:
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def left(folder: Path, expected: int) -> None:
    found = sum(len(files) for _, _, files in os.walk(folder / ".treadle" / "objects"))
    assert found == expected, f"{found} objects are left, not {expected}"
