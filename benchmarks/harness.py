"""Times whole processes, start to exit, in turn with their peers, and writes tables and JSON."""

import json
import os
import platform
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

PEERS = Path(__file__).resolve().parent / ".peers" / "bin"  # made by install_peers.sh


class Case(NamedTuple):
    """One tool at one workload.

    `prepare` runs untimed before every run, `check` untimed after all of them and raises
    AssertionError when an output is wrong; `budget` in seconds of wall time, for the whole process, and
    `memory` in bytes of its largest process.
    `steps` divides the time where a figure is per step. With `told` the process measures something
    inside itself: the last line of its output, in seconds, stands for its wall time.
    """

    tool: str
    argv: Sequence[str]
    cwd: Path
    prepare: Callable[[], None] | None = None
    check: Callable[[], None] | None = None
    budget: float | None = None
    steps: int | None = None
    memory: int | None = None
    env: Mapping[str, str] = {}
    told: bool = False


class Sample(NamedTuple):
    """One run: wall and CPU seconds (user and system, of the tree that was waited for), peak RSS in bytes."""

    wall: float
    cpu: float
    rss: int


class Row(NamedTuple):
    """What is known of one case: its samples, or the error that made it worthless."""

    workload: str
    tool: str
    samples: list[Sample]
    budget: float | None
    steps: int | None
    memory: int | None = None
    error: str = ""

    @property
    def wall(self) -> float:
        return statistics.median(sample.wall for sample in self.samples)

    @property
    def cpu(self) -> float:
        return statistics.median(sample.cpu for sample in self.samples)

    @property
    def rss(self) -> int:
        return max(sample.rss for sample in self.samples)


def once(case: Case, log: Path) -> Sample:
    """One run; raises AssertionError with the end of its output when it does not exit with 0."""
    env = {"PATH": os.environ["PATH"], "HOME": str(case.cwd), "LANG": "C.UTF-8", "NO_COLOR": "1", **case.env}
    with open(log, "wb") as out, open(os.devnull, "rb") as nothing:
        actions = [
            (os.POSIX_SPAWN_DUP2, nothing.fileno(), 0),
            (os.POSIX_SPAWN_DUP2, out.fileno(), 1),
            (os.POSIX_SPAWN_DUP2, out.fileno(), 2),
        ]
        # posix_spawn has no working folder, and a shell between would be timed too
        before = Path.cwd()
        os.chdir(case.cwd)
        try:
            began = time.perf_counter()
            child = os.posix_spawn(case.argv[0], list(case.argv), env, file_actions=actions)
            _, status, usage = os.wait4(child, 0)
            wall = time.perf_counter() - began
        finally:
            os.chdir(before)
    code = os.waitstatus_to_exitcode(status)
    if code != 0:
        tail = log.read_text(encoding="utf-8", errors="replace")[-800:].strip()
        raise AssertionError(f"exit code {code}: {tail.splitlines()[-1] if tail else 'no output'}")
    if case.told:
        wall = float(log.read_text(encoding="utf-8").splitlines()[-1])
    unit = 1 if sys.platform == "darwin" else 1024
    return Sample(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit)


def measure(workload: str, cases: Sequence[Case], runs: int, warmup: int = 1) -> list[Row]:
    """Every case `warmup + runs` times, one after the other in turn, so that noise meets all alike."""
    rows = [Row(workload, case.tool, [], case.budget, case.steps, case.memory) for case in cases]
    for turn in range(warmup + runs):
        for position, case in enumerate(cases):
            row = rows[position]
            if row.error:
                continue
            try:
                if case.prepare:
                    case.prepare()
                sample = once(case, case.cwd.with_name(case.cwd.name + ".log"))
                if turn >= warmup:
                    row.samples.append(sample)
                if case.check and turn == warmup + runs - 1:
                    case.check()
            except AssertionError as error:
                rows[position] = row._replace(error=str(error) or "wrong", samples=[])
    return rows


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown; ratios are treadle's median over the peer's, below 1 means treadle is faster."""
    own = [row for row in rows if row.tool.startswith("treadle") and row.samples]
    names = [row.tool for row in own]
    head = ["workload", "tool", "median", "min–max", "cpu", "RSS", "per step", "budget", ""]
    head += [f"{name} / this" for name in names]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        if not row.samples:
            lines.append(f"| {row.workload} | {row.tool} | failed: {_cell(row.error)} |" + " |" * (len(head) - 3))
            continue
        walls = [sample.wall for sample in row.samples]
        cells = [row.workload, row.tool, seconds(row.wall), f"{seconds(min(walls))}–{seconds(max(walls))}"]
        cells += [seconds(row.cpu), f"{row.rss / 2**20:.0f} MiB", seconds(row.wall / row.steps) if row.steps else ""]
        cells += [seconds(row.budget) if row.budget else "", verdict(row)]
        cells += [f"{mine.wall / row.wall:.2f}" if mine.tool != row.tool else "" for mine in own]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def verdict(row: Row) -> str:
    if row.budget is None:
        return ""
    if row.memory is not None and row.rss > row.memory:
        return f"missed, {row.rss / 2**20:.0f} of {row.memory / 2**20:.0f} MiB"
    return "met" if row.wall <= row.budget else f"missed, {row.wall / row.budget:.1f} x"


def seconds(value: float) -> str:
    return f"{value * 1000:.1f} ms" if value < 1 else f"{value:.2f} s"


def report(rows: Sequence[Row]) -> dict[str, Any]:
    """The rows as JSON, with every sample and what they were measured on."""
    return {
        "machine": machine(),
        "rows": [
            {
                "workload": row.workload,
                "tool": row.tool,
                "budget": row.budget,
                "steps": row.steps,
                "error": row.error,
                "wall": row.wall if row.samples else None,
                "samples": [sample._asdict() for sample in row.samples],
            }
            for row in rows
        ],
    }


def machine() -> dict[str, Any]:
    """What the figures depend on; no names."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cores": cores,
        "load": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def fill_page(page: Path, name: str, text: str) -> None:
    """Put a table between `<!-- results:NAME -->` and `<!-- end:NAME -->` of a page."""
    before, found, rest = page.read_text(encoding="utf-8").partition(f"<!-- results:{name} -->\n")
    _, closed, after = rest.partition(f"<!-- end:{name} -->")
    if not (found and closed):
        raise SystemExit(f"{page.name} has no place for the results of {name}")
    page.write_text(before + found + "\n" + text + "\n\n" + closed + after, encoding="utf-8")


def write_json(path: Path, rows: Sequence[Row]) -> None:
    path.write_text(json.dumps(report(rows), indent=1, sort_keys=True) + "\n", encoding="utf-8")


def tool(name: str) -> str | None:
    """The program beside this Python, among the installed peers, else on the PATH, or None."""
    for folder in (Path(sys.executable).parent, PEERS):
        if (folder / name).exists():
            return str(folder / name)
    return shutil.which(name)


def treadle(*arguments: str) -> list[str]:
    """The command line of treadle: the installed script, or the module where there is none."""
    script = Path(sys.executable).parent / "treadle"
    return [str(script), *arguments] if script.exists() else [sys.executable, "-P", "-m", "treadle", *arguments]


def _cell(text: str) -> str:
    return text.replace("|", "/").replace("\n", " ")[:300]
