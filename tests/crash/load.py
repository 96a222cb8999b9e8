"""The load: steps that behave badly, many of them, many runs at once, all in their real sizes.

    python tests/crash/load.py            all (half an hour of two idle cores), then the table in docs/reliability.md
    python tests/crash/load.py -k prints  some, and no table

They are tests of the suite (`TESTS`), where most have smaller sizes.
"""

import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from crash import page  # noqa: E402

TESTS = ("tests/features/test_execution_load.py", "tests/features/test_read_only.py")
PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- load -->", "<!-- /load -->"


class Row(NamedTuple):
    """One line of the table: the test without its file, and in words what happens and what must hold."""

    test: str
    what: str
    holds: str


ROWS = [
    Row(
        "test_many_runs_at_once_share_the_work",
        "100 `treadle run` at once on one project",
        "all end well; each step runs once, in whichever run",
    ),
    Row(
        "test_many_unreliable_steps_all_end_well[matrix]",
        "10,000 steps, 5 % of the attempts fail at random, with retries",
        "all end well; the next run has nothing to do",
    ),
    Row("test_many_unreliable_steps_all_end_well[foreach]", "the same with 10,000 items of a `foreach`", "likewise"),
    Row(
        "test_a_step_that_ignores_term_and_leaves_processes",
        "a step that ignores TERM, with grandchildren that do, one of them in a session of its own",
        "`timeout` ends all of them; other steps go on",
    ),
    Row(
        "test_a_step_that_prints_without_end",
        "a step that prints 1 GiB",
        "its log has a beginning and an end, and at most 64 MiB",
    ),
    Row(
        "test_a_step_that_eats_all_memory_harms_nobody",
        "a step that eats all memory, as a function and as a command",
        "it fails at its limit, with that word; other steps go on",
    ),
    Row(
        "test_a_step_that_deletes_its_scratch_folder",
        "a step that deletes its working folder, and that of its run",
        "its result counts; other steps go on",
    ),
    Row(
        "test_a_clock_that_is_set_back",
        "the clock is set back by two days during a run",
        "retries and timeouts hold, newer runs come first, hits stay hits, `gc` deletes nothing that is needed",
    ),
    Row(
        "test_who_only_reads_is_answered_as_where_writing_is_allowed[in use-mount]",
        "a project on a read-only file system, while another process runs it",
        "every command that only reads says what it says elsewhere, and writes nothing",
    ),
    Row(
        "test_who_only_reads_is_answered_as_where_writing_is_allowed[archived-permissions]",
        "a project that others own, as a crash and a careless copy left it: the database without `-shm`",
        "likewise",
    ),
    Row(
        "test_what_must_write_says_what_and_what_to_do[permissions]",
        "the same, and a command that must write",
        "one line says what cannot be written and what to do, exit code 2",
    ),
    Row(
        "test_a_long_path_with_spaces_and_all_kinds_of_characters",
        "a path of 200 characters with spaces, quotes, emoji, `$HOME` and braces",
        "functions, commands, `save:` and `foreach` work",
    ),
    Row(
        "test_the_scheduler_stays_small[matrix-8.0]",
        "the scheduler's memory over 10,000 steps",
        "at most 8 KiB more for each; numpy, which the steps import, is not loaded in it",
    ),
    Row("test_the_scheduler_stays_small[foreach-1.0]", "the same over 10,000 items", "at most 1 KiB more for each"),
]


class Ended(NamedTuple):
    """How a test ended."""

    seconds: float
    failed: str
    figures: dict[str, str]


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        words = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-o", "junit_family=xunit1", *TESTS]
        words += [f"--junitxml={report}", *sys.argv[1:]]
        began = time.time()
        done = subprocess.run(words, cwd=ROOT, env={**os.environ, "TREADLE_LOAD": "full"}, check=False)
        found = read(report)
    print(table(found, began))
    if not sys.argv[1:]:
        page.put(PAGE, BEGIN, END, table(found, began))
    return done.returncode


def read(report: Path) -> dict[str, Ended]:
    """What became of each test."""
    found = {}
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        wrong = [child for child in case if child.tag in ("failure", "error", "skipped")]
        figures = {p.get("name", ""): p.get("value", "") for p in case.iter("property")}
        why = f"{wrong[0].tag}: {(wrong[0].get('message') or '').splitlines()[0][:100]}" if wrong else ""
        found[case.get("name", "")] = Ended(float(case.get("time", 0)), why, figures)
    return found


def table(found: dict[str, Ended], began: float) -> str:
    """The table, with a line on when and where."""
    date = time.strftime("%Y-%m-%d", time.gmtime(began))
    lines = [
        f"{date}, Python {platform.python_version()}, Linux {platform.release()}.",
        "",
        "| load | what must hold | seen | held |",
        "| --- | --- | --- | --- |",
    ]
    for row in ROWS:
        ended = found.get(row.test)
        if ended is not None:
            seen = ", ".join(f"{value} {name}" for name, value in ended.figures.items())
            lines.append(f"| {row.what} | {row.holds} | {seen} | {ended.failed or 'yes'} |")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
