"""How fast files get their digests: one large file and many small ones, for the first time and again.

`the work itself` leaves out what both processes do before: start, import, and here open a store. What is remembered
for the next time is written within it.
"""

import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from harness import Case, once, tool, treadle

RUNS = 3
LARGE = 1 << 30  # bytes of the one large file
SMALL, EACH = 20_000, 1024  # small files, and bytes of each
RESTING = 2.1  # seconds after which a file counts as at rest, so that its digest is remembered

PIPELINE = """version: 1
data: {raw: {path: raw}}
steps:
  use: {run: "ls {in.raw} > {out.list}", in: {raw: data.raw}, out: {list: list.txt}}
"""
BARE = """
import os, time
from blake3 import blake3
began = time.perf_counter()
for folder, _, names in os.walk("raw"):
    for name in names:
        path = os.path.join(folder, name)
        if os.path.getsize(path) > 4 << 20:
            blake3(max_threads=blake3.AUTO).update_mmap(path).hexdigest()
        else:
            with open(path, "rb") as file:
                blake3(file.read()).hexdigest()
print(time.perf_counter() - began)
"""
ALONE = """
import os, time
from treadle.domain.location import Location
from treadle.domain.spec import DataSource
from treadle.store import open_store
store = open_store(".")
store.database.rows("SELECT 1")
began = time.perf_counter()
store.files.data(os.getcwd(), DataSource("raw", "path", "raw", Location("pipeline.yaml", 2, 1)))
store.database.close()
print(time.perf_counter() - began)
"""


def workloads(folder: Path, large: int = LARGE, small: int = SMALL) -> dict[str, list[Case]]:
    names = {f"one file of {large >> 20} MiB": (1, large), f"{small} files of {EACH} bytes": (small, EACH)}
    made: dict[str, list[Case]] = {}
    for number, (name, (count, size)) in enumerate(names.items()):
        first = folder / f"first-{number}"
        again = folder / f"again-{number}"
        for place in (first, again):
            write(place, count, size)
        time.sleep(RESTING)
        made[f"{name}, first"] = [
            Case("treadle", treadle("plan", "pipeline.yaml"), first, prepare=forget(first, ".treadle")),
            Case("blake3", [sys.executable, "-c", BARE], first),
            *dvc(first, ["add", "--no-commit", "raw"], forget(first, "raw.dvc", ".dvc/tmp", ".cache", "var")),
        ]
        alone = [sys.executable, "-P", "-c", ALONE]
        made[f"{name}, the work itself"] = [
            Case("treadle", alone, first, prepare=forget(first, ".treadle"), told=True),
            Case("blake3", [sys.executable, "-c", BARE], first, told=True),
        ]
        once(Case("treadle", treadle("plan", "pipeline.yaml"), again), again.with_suffix(".log"))
        made[f"{name}, again"] = [
            Case("treadle", treadle("plan", "pipeline.yaml"), again),
            Case("blake3", [sys.executable, "-c", BARE], again),
            *dvc(again, ["status"], None, ["add", "--no-commit", "raw"]),
        ]
    return made


def write(folder: Path, count: int, size: int) -> None:
    """A project with `count` files of `size` bytes, all different, in folders of a hundred."""
    for number in range(count):
        place = folder / "raw" / f"{number // 100:04d}" / f"{number:06d}.bin"
        place.parent.mkdir(parents=True, exist_ok=True)
        with open(place, "wb") as file:
            for block in range(0, size, 1 << 20):
                head = b"%016d%016d" % (number, block)
                file.write((head * ((1 << 20) // len(head)))[: min(1 << 20, size - block)])
    (folder / "treadle.toml").write_text("", encoding="utf-8")
    (folder / "pipeline.yaml").write_text(PIPELINE, encoding="utf-8")


def dvc(
    folder: Path, arguments: Sequence[str], prepare: Callable[[], None] | None, before: Sequence[str] = ()
) -> list[Case]:
    """DVC at the same files, if it is installed: what it remembers of them lies below the folder too."""
    path = tool("dvc")
    if path is None:
        return []
    env = {"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(folder / "var")}
    for first in (["init", "--no-scm", "-q"], before):
        if first:
            once(Case("dvc", [path, *first], folder, env=env), folder.with_suffix(".log"))
    return [Case("dvc", [path, *arguments], folder, prepare=prepare, env=env)]


def forget(folder: Path, *names: str) -> Callable[[], None]:
    def prepare() -> None:
        for name in names:
            shutil.rmtree(folder / name, ignore_errors=True)
            if (folder / name).is_file():
                (folder / name).unlink()

    return prepare
