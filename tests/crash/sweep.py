"""The crash sweep: a fault at every system call that writes, one project each, and what became of it.

    python tests/crash/sweep.py                     all points (hours)
    python tests/crash/sweep.py --minutes 20        as many as that allows, spread evenly over all
    python tests/crash/sweep.py --minutes 20 --more adds to the points of the last sweep
    python tests/crash/sweep.py --again             those that were wrong in the last sweep, once more
    python tests/crash/sweep.py --page              write the table of the last sweep into docs/reliability.md again
    python tests/crash/sweep.py --only scheduler:SIGKILL:rename:2   one point, for a closer look

The results go to tests/crash/results.json, the table from there to docs/reliability.md.
"""

import argparse
import json
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from crash import faults, page, subject  # noqa: E402
from crash.faults import EIO, ENOSPC, KILL, SCHEDULER, WORKER, Fault  # noqa: E402
from crash.judge import Expected, expected, judge  # noqa: E402
from crash.subject import QUICK, WHOLE, Subject  # noqa: E402

RESULTS = HERE / "results.json"
PAGE = HERE.parents[1] / "docs" / "reliability.md"
TWO, FULL = "two runs, one struck", "full disk"


class Point(NamedTuple):
    """A fault, and what the table calls the place where it comes."""

    fault: Fault
    kind: str

    @property
    def name(self) -> str:
        return f"{self.kind}:{self.fault.what}:{self.fault.call}:{self.fault.number}"


class Stage(NamedTuple):
    """Where points begin: a project, what an undisturbed run of a pipeline makes there, and the calls it makes."""

    kind: str
    start: Subject
    want: Expected
    pipeline: str
    calls: dict[str, set[tuple[str, int]]]


# preparing


def prepare(folder: Path, kind: str, pipeline: str, before: str = "") -> Stage:
    """Run undisturbed once for what is to be expected, and once in each place for its calls."""
    start = subject.make(folder / f"start-{len(os.listdir(folder))}")
    if before:
        done = faults.run(start, before)
        assert done.code == 0, done.stderr
    calls: dict[str, set[tuple[str, int]]] = {}
    for place in (SCHEDULER, WORKER):
        traced = subject.copy(start, folder / f"traced-{place}-{kind.replace(' ', '-')}")
        done = faults.run(traced, pipeline, place, ("-e", "trace=" + ",".join(faults.KIND_OF)))
        assert done.code == 0, done.stderr
        calls[place] = faults.points(done, place)
    return Stage(kind, start, expected(traced), pipeline, calls)


def points_of(stage: Stage, places: Iterable[str], kinds: Iterable[str] = (KILL, EIO, ENOSPC)) -> list[Point]:
    """Every call of a stage with every kind of fault."""
    found = []
    for place in places:
        for what in kinds:
            for call, number in sorted(stage.calls[place]):
                kind = place + (f", {stage.kind}" if stage.kind else "")
                found.append(Point(Fault(what, place, call, number), kind))
    return found


# one point


def strike(stage: Stage, point: Point, folder: Path) -> dict[str, Any]:
    """Let the fault happen in a project of its own, and judge what is left."""
    shutil.rmtree(folder, ignore_errors=True)
    own = subject.copy(stage.start, folder)
    wrong: list[str] = []
    row: dict[str, Any] = {"kind": point.kind, **point.fault._asdict(), "struck": 0, "code": None}
    try:
        if point.kind.startswith(TWO):
            done = _two(own, stage.pipeline, point.fault, wrong)
        else:
            done = faults.run(own, stage.pipeline, point.fault.place, tuple(point.fault.options()))
        found = faults.hits(done, point.fault)
        row.update(struck=len(found), at=[hit.text for hit in found], code=done.code)
        _ends_well(row, point.fault, done, wrong)
        wrong += judge(own, stage.want, stage.pipeline)
    except AssertionError as error:
        wrong.append(str(error))
    row["wrong"] = wrong
    if not wrong:
        shutil.rmtree(folder, ignore_errors=True)
    return row


def _ends_well(row: dict[str, Any], fault: Fault, done: faults.Run, wrong: list[str]) -> None:
    """How the run that was struck may end: killed, or with a code and a word of ours, but no traceback."""
    # the pipe by which the process that forks hears of signals is traced too, but no pipe fails like this
    if "Traceback" in done.stderr and "/treadle/" in done.stderr and "signal wakeup fd" not in done.stderr:
        wrong.append(f"a traceback of ours: {done.stderr[-3000:]}")
    killed = fault.what == KILL and fault.place == SCHEDULER and done.code == -signal.SIGKILL
    mute = (fault.what, fault.call) == (ENOSPC, "write")  # nothing can be written any more, not even to /dev/null
    if not killed and done.code not in (0, 1, 2) and not (mute and done.code == 120):  # the interpreter's own code
        wrong.append(f"the exit code {done.code}")
    if done.code == 2:
        row["said"] = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else ""
        wrong += [] if row["said"] or mute else ["it failed without a word"]


def _two(own: Subject, pipeline: str, fault: Fault, wrong: list[str]) -> faults.Run:
    """Two runs of the same pipeline at once, one of them struck: the other must succeed, and repeat nothing."""
    with ThreadPoolExecutor(1) as pool:
        struck = pool.submit(faults.run, own, pipeline, fault.place, tuple(fault.options()))
        time.sleep(0.2 * (fault.number % 4))
        other = faults.run(own, pipeline)
        done = struck.result()
    if other.code:
        wrong.append(f"the other run failed with code {other.code}: {other.stderr[-2000:]}")
    return done


def fill(stage: Stage, size: int, folder: Path) -> dict[str, Any]:
    """The project on a file system of `size` bytes, of which the run needs more; then there is room again."""
    shutil.rmtree(folder, ignore_errors=True)
    own = subject.copy(stage.start, folder)
    files = folder / "files"
    own.root.rename(files)
    own.root.mkdir()
    _mount(own.root, size)
    wrong: list[str] = []
    row: dict[str, Any] = {"kind": FULL, "what": ENOSPC, "place": FULL, "call": "tmpfs", "number": size, "struck": 0}
    try:
        shutil.copytree(files, own.root, dirs_exist_ok=True)
        done = faults.run(own, stage.pipeline)
        row.update(code=done.code, struck=int(done.code != 0))
        _ends_well(row, Fault(ENOSPC, FULL, "write", 0), done, wrong)
        _mount(own.root, 64 << 20, "remount,")
        wrong += judge(own, stage.want, stage.pipeline)
    except AssertionError as error:
        wrong.append(str(error))
    finally:
        subprocess.run(["umount", "-l", str(own.root)], check=False)
    row["wrong"] = wrong
    return row


def _mount(folder: Path, size: int, again: str = "") -> None:
    argv = ["mount", "-t", "tmpfs", "-o", f"{again}size={size}", "tmpfs", str(folder)]
    subprocess.run(argv, check=True, capture_output=True)


def cannot_mount() -> str:
    """Why no file system can be mounted here; empty when one can."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            _mount(Path(folder), 1 << 20)
        except (OSError, subprocess.CalledProcessError):
            return "a file system of a chosen size can only be mounted by the superuser"
        subprocess.run(["umount", folder], check=True)
    return ""


def sizes() -> list[int]:
    """From what holds the project alone up to what holds a whole run, in steps of 16 KiB; a page is the least."""
    return list(range(48 << 10, 1 << 20, 16 << 10))


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
    parser.add_argument("--folder", type=Path, help="where the projects are made (default: a temporary folder)")
    parser.add_argument("--only", help="points whose name contains this")
    parser.add_argument("--again", action="store_true", help="only the points of the last sweep that were wrong")
    parser.add_argument("--more", action="store_true", help="add points to those of the last sweep")
    parser.add_argument("--page", action="store_true", help="write the page from the results that are there")
    return parser.parse_args()


def sweep(args: argparse.Namespace) -> None:
    began = time.time()
    folder = Path(tempfile.mkdtemp(prefix="crash-", dir=args.folder))
    cold = prepare(folder, "", QUICK)
    late = prepare(folder, "slow steps", WHOLE, QUICK)
    jobs: list[tuple[str, Callable[[Path], dict[str, Any]]]] = []
    for stage, points in _all(cold, late):
        jobs += [(point.name, lambda where, s=stage, p=point: strike(s, p, where)) for point in points]  # type: ignore[misc]
    if not cannot_mount():
        jobs += [(f"{FULL}:{size}", lambda where, n=size: fill(cold, n, where)) for size in sizes()]  # type: ignore[misc]
    total = len(jobs)
    old = load() if args.again or args.more else {"points": [], "seconds": 0}
    jobs = [job for job in jobs if _wanted(args, job[0], old["points"])]
    random.Random(4).shuffle(jobs)  # so that a sweep that is cut short has points everywhere
    rows: list[dict[str, Any]] = [row for row in old["points"] if args.more or not row["wrong"]]
    before = old["seconds"]
    report = (
        old
        if args.again
        else {
            "date": time.strftime("%Y-%m-%d", time.gmtime(began)),
            "python": platform.python_version(),
            "kernel": platform.release(),
            "calls": {place: len(calls) for place, calls in cold.calls.items()},
            "possible": total,
        }
    )

    def one(number: int, name: str, job: Callable[[Path], dict[str, Any]]) -> None:
        if time.time() - began > args.minutes * 60:
            return
        row = job(folder / f"point-{number}")
        rows.append(row)
        if row["wrong"] or (args.only and not args.more):
            verdict = "WRONG" if row["wrong"] else "ok"
            print(f"{name} {verdict} in {folder}/point-{number}\n  {json.dumps(row, indent=1)}", flush=True)
        row.pop("at", None)  # many words, of which a closer look at one point can have more
        done = sorted(rows, key=lambda row: (row["kind"], row["what"], row["call"], row["number"]))
        report.update(points=done)
        report.update({} if args.again else {"seconds": before + round(time.time() - began)})
        if not args.only or args.more:
            save(report)

    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(lambda item: one(item[0], *item[1]), enumerate(jobs)))
    if not any(row["wrong"] for row in rows):
        shutil.rmtree(folder, ignore_errors=True)


def _wanted(args: argparse.Namespace, name: str, old: list[dict[str, Any]]) -> bool:
    """Whether a point is among those that were asked for."""
    known = {_name(row): row for row in old}
    if args.again and not (name in known and known[name]["wrong"]):
        return False
    return not (args.more and name in known) and (not args.only or args.only in name)


def save(report: dict[str, Any]) -> None:
    """Write the results, one line for each point."""
    head = {name: value for name, value in report.items() if name != "points"}
    lines = ",\n".join(json.dumps(row) for row in report["points"])
    RESULTS.write_text(f'{{"sweep": {json.dumps(head)},\n"points": [\n{lines}\n]}}\n')


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


def _all(cold: Stage, late: Stage) -> list[tuple[Stage, list[Point]]]:
    """Every call; of two runs at once every 10th, of the slow steps only the workers' own."""
    two = cold._replace(kind=TWO)
    pairs = points_of(two, (SCHEDULER, WORKER), (KILL,))
    pairs = [point._replace(kind=TWO) for point in pairs[::10]]
    return [(cold, points_of(cold, (SCHEDULER, WORKER))), (late, points_of(late, (WORKER,))), (two, pairs)]


if __name__ == "__main__":
    raise SystemExit(main())
