"""The crash sweep: a fault at every system call that writes, one project each, and what became of it.

    python tests/crash/sweep.py                     all points
    python tests/crash/sweep.py --minutes 20        as many as that allows, spread evenly over all
    python tests/crash/sweep.py --more              adds to the points of the last sweep those that it has not
    python tests/crash/sweep.py --again             those that were wrong in the last sweep, once more
    python tests/crash/sweep.py --page              write the table of the last sweep into docs/reliability.md again
    python tests/crash/sweep.py --only scheduler:SIGKILL:rename:2   one point, for a closer look
    python tests/crash/sweep.py --afresh            start every process as for a user: takes three times as long

The results go to tests/crash/results.json, the table from there to docs/reliability.md.
"""

import argparse
import json
import math
import multiprocessing
import os
import platform
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from crash import faults, page, warm  # noqa: E402
from crash.faults import AFRESH, KILL, SCHEDULER, WORKER, Runs  # noqa: E402
from crash.strike import FULL, TWO, Point, Stage, cannot_mount, fill, points_of, prepare, sizes, strike  # noqa: E402
from crash.subject import QUICK, WHOLE  # noqa: E402

RESULTS = HERE / "results.json"
PAGE = HERE.parents[1] / "docs" / "reliability.md"
SETTLED = {
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "OPENBLAS_NUM_THREADS": "1",
}
PAUSE = 20.0  # seconds between two savings of the results
Row = dict[str, Any]


class Job(NamedTuple):
    """One point to be tried; with a size, on a file system of that size."""

    name: str
    stage: str
    point: Point | None = None
    size: int = 0


class Station:
    """A process that tries points, one after the other, with a way to start runs."""

    def __init__(self, folder: Path, stages: dict[str, Stage], runs: Runs, limit: float) -> None:
        self._folder, self._stages, self.runs, self._limit = folder, stages, runs, limit

    def __call__(self, job: Job) -> tuple[Job, Row | None]:
        """What became of it; nothing when there is no time left for it."""
        if time.time() > self._limit:
            return job, None
        where = self._folder / job.name.replace(" ", "-").replace(":", "-")
        stage = self._stages[job.stage]
        if job.point is None:
            return job, fill(stage, job.size, where, self.runs)
        return job, strike(stage, job.point, where, self.runs)


STATIONS: list[Station] = []  # the one of this process


# all points


def main() -> int:
    args = arguments()
    if not args.page:
        why = faults.missing()
        if why:
            print(why, file=sys.stderr)
            return 2
        sweep(args)
        if args.only and not args.more:
            return 0
    report = load()
    page.fill(PAGE, report)
    broken = [row for row in report["points"] if row["wrong"]]
    print(f"{len(report['points'])} points, {len(broken)} with something wrong")
    return 1 if broken else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1e6, help="begin no point after that")
    parser.add_argument("-j", "--jobs", type=int, default=2, help="points at a time")
    parser.add_argument("--afresh", action="store_true", help="start every process as it is for a user")
    parser.add_argument("--folder", type=Path, help="where the projects are made (default: a temporary folder)")
    parser.add_argument("--only", help="points whose name contains this")
    parser.add_argument("--again", action="store_true", help="only the points of the last sweep that were wrong")
    parser.add_argument("--more", action="store_true", help="add points to those of the last sweep")
    parser.add_argument("--page", action="store_true", help="write the page from the results that are there")
    args = parser.parse_args()
    args.limit = math.inf
    return args


def sweep(args: argparse.Namespace) -> None:
    began = time.time()
    folder = Path(tempfile.mkdtemp(prefix="crash-", dir=args.folder))
    stages = {}
    for kind, pipeline, before, modules in (("", QUICK, "", []), ("slow steps", WHOLE, QUICK, warm.HEAVY)):
        with _pool(1, folder, stages, modules, args) as pool:
            stages[kind] = pool.apply(_prepare, (folder, kind, pipeline, before))
    stages[TWO] = stages[""]._replace(kind=TWO)
    jobs = list(_all(stages))
    old: Row = load() if args.again or args.more else {"points": [], "seconds": 0}
    report = {
        "date": time.strftime("%Y-%m-%d", time.gmtime(began)),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "calls": {place: len(calls) for place, calls in stages[""].calls.items()},
        "possible": len(jobs),
        "seconds": old["seconds"],
        "points": [row for row in old["points"] if args.more or not row["wrong"]],
    }
    if args.again:  # the sweep is still that of its day, with as many points as there were
        report |= {name: old[name] for name in ("date", "calls", "possible")}
    jobs = [job for job in jobs if _wanted(args, job.name, old["points"])]
    random.Random(4).shuffle(jobs)  # so that a sweep that is cut short has points everywhere
    slow = [job for job in jobs if job.stage == "slow steps"]
    saved = 0.0
    for some, modules, share in (
        ([job for job in jobs if job not in slow], [], 1 - len(slow) / (len(jobs) or 1)),
        (slow, warm.HEAVY, 1.0),
    ):
        args.limit = began + share * args.minutes * 60
        with _pool(args.jobs, folder, stages, modules, args) as pool:
            for job, row in pool.imap_unordered(_try, some):
                if row is None:
                    continue
                _tell(job, row, folder, args)
                report["points"].append(row)
                report["seconds"] = old["seconds"] + round(time.time() - began)
                if time.time() - saved > PAUSE and (not args.only or args.more):
                    saved = time.time()
                    save(report)
    if not args.only or args.more:
        save(report)
    if not any(row["wrong"] for row in report["points"]):
        shutil.rmtree(folder, ignore_errors=True)


def _pool(jobs: int, folder: Path, stages: dict[str, Stage], modules: Sequence[str], args: argparse.Namespace) -> Any:
    return multiprocessing.get_context("fork").Pool(jobs, _settle, (folder, stages, modules, args))


def _settle(folder: Path, stages: dict[str, Stage], modules: Sequence[str], args: argparse.Namespace) -> None:
    """Make a process a station."""
    runs: Runs = AFRESH
    if not args.afresh:
        runs = warm.Nest(folder / f"door-{os.getpid()}", [*warm.LIGHT, *modules])
    STATIONS[:] = [Station(folder, stages, runs, args.limit)]


def _try(job: Job) -> tuple[Job, Row | None]:
    return STATIONS[0](job)


def _prepare(folder: Path, kind: str, pipeline: str, before: str) -> Stage:
    return prepare(folder, kind, pipeline, before, STATIONS[0].runs)


def _tell(job: Job, row: Row, folder: Path, args: argparse.Namespace) -> None:
    """Say what was wrong, and leave out of the row what a closer look at the point can have again."""
    if row["wrong"] or (args.only and not args.more):
        print(f"{job.name} {'WRONG' if row['wrong'] else 'ok'} in {folder}\n  {json.dumps(row, indent=1)}", flush=True)
    row["wrong"] = [text.splitlines()[0].partition(":")[0] for text in row["wrong"]]  # no paths of this machine
    for name in ("at", "said", "place"):
        row.pop(name, None)


def _wanted(args: argparse.Namespace, name: str, old: list[dict[str, Any]]) -> bool:
    """Whether a point is among those that were asked for."""
    known = {_name(row): row for row in old}
    if args.again and not (name in known and known[name]["wrong"]):
        return False
    return not (args.more and name in known) and (not args.only or args.only in name)


def save(report: dict[str, Any]) -> None:
    """Write the results, one line for each point."""
    head = {name: value for name, value in report.items() if name != "points"}
    points = sorted(report["points"], key=lambda row: (row["kind"], row["what"], row["call"], row["number"]))
    lines = ",\n".join(json.dumps(row) for row in points)
    part = RESULTS.with_suffix(".part")
    part.write_text(f'{{"sweep": {json.dumps(head)},\n"points": [\n{lines}\n]}}\n')
    part.replace(RESULTS)


def load() -> dict[str, Any]:
    """The results of the last sweep."""
    read = json.loads(RESULTS.read_text())
    return {**read["sweep"], "points": read["points"]}


def _name(row: dict[str, Any]) -> str:
    return (
        f"{FULL}:{row['number']}"
        if row["kind"] == FULL
        else f"{row['kind']}:{row['what']}:{row['call']}:{row['number']}"
    )


def _all(stages: dict[str, Stage]) -> Iterator[Job]:
    """Every call; of two runs at once every 10th, of the slow steps only the workers' own; every size of a disk."""
    for kind, places in (("", (SCHEDULER, WORKER)), ("slow steps", (WORKER,))):
        for point in points_of(stages[kind], places):
            yield Job(point.name, kind, point)
    for point in points_of(stages[TWO], (SCHEDULER, WORKER), (KILL,))[::10]:
        point = point._replace(kind=TWO)
        yield Job(point.name, TWO, point)
    if not cannot_mount():
        for size in sizes():
            yield Job(f"{FULL}:{size}", "", None, size)


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of calls must be the same every time
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **SETTLED})
    raise SystemExit(main())
