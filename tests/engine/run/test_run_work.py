"""What one more step costs a run, in SQL statements, transactions and digests; never in seconds."""

import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from treadle.api.compiled import Request, make
from treadle.api.pipelines import machine_for, walk
from treadle.api.project import open_project
from treadle.domain.event import Event
from treadle.run.selection import Selection

WORK = """
def begin(*, number: int) -> int:
    return number


def go_on(value: int, *, number: int) -> int:
    return value + number
"""
MOST = 16  # statements for a step that runs and is recorded, its transaction among them


class Work(NamedTuple):
    """What a run did, and what became of its steps."""

    statements: list[str]
    digested: int
    fates: dict[str, int]

    @property
    def transactions(self) -> int:
        return sum(statement.startswith("BEGIN") for statement in self.statements)


def chain(root: Path, length: int) -> Path:
    root.mkdir()
    (root / "treadle.toml").write_text('executor = "inline"\n')
    (root / f"work{root.name}.py").write_text(WORK)
    (root / "in.txt").write_text("in")
    lines = ["version: 1", "steps:"]
    for number in range(length):
        call, above = ("go_on", f", in: {{value: s{number - 1}}}") if number else ("begin", "")
        lines.append(f"  s{number}: {{uses: 'work{root.name}:{call}', with: {{number: {number}}}{above}}}")
    (root / "p.yaml").write_text("\n".join(lines) + "\n")
    return root / "p.yaml"


def walked(path: Path) -> Work:
    """Run a pipeline; its plan is made before the count begins."""
    project = open_project(path)
    plan, _ = make(project, path, Request())
    project.store.results.preload(plan.pipeline)
    machine = machine_for(project, plan, Request())
    statements: list[str] = []
    project.store.database._connected().set_trace_callback(statements.append)
    digested = 0

    def look(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal digested
        digested += event == "call" and frame.f_code.co_name == "of_value"

    def ignore(event: Event) -> None:
        """Events are no work of the store."""

    sys.setprofile(look)
    try:
        fates = walk(project, plan, machine, Selection(), ignore).fates
    finally:
        sys.setprofile(None)
    return Work(statements, digested, fates)


def test_a_step_costs_one_transaction_and_few_statements(tmp_path: Path) -> None:
    short, long = walked(chain(tmp_path / "short", 5)), walked(chain(tmp_path / "long", 15))
    assert long.fates == {"run": 15}
    assert long.transactions - short.transactions == 10
    distinct = [len(set(one.statements)) for one in (short, long)]  # those of triggers are told once more
    assert distinct[1] - distinct[0] <= 10 * MOST


def test_a_step_that_has_not_changed_costs_no_statement_and_no_digest(tmp_path: Path) -> None:
    paths = [chain(tmp_path / "few", 5), chain(tmp_path / "more", 15)]
    for path in paths:
        walked(path)
    time.sleep(2.1)  # only code at rest is known by its times
    for path in paths:
        walked(path)
    few, more = map(walked, paths)
    assert more.fates == {"hit": 15}
    assert len(more.statements) == len(few.statements)
    assert more.digested == few.digested


def test_the_files_of_data_entries_are_asked_for_at_once(tmp_path: Path) -> None:
    counts = []
    for number in (3, 9):
        path = chain(tmp_path / str(number), 1)
        names = [f"d{n}" for n in range(number)]
        for name in names:
            (path.parent / f"{name}.txt").write_text(name)
        data = "".join(f"  {name}: {{path: {name}.txt}}\n" for name in names)
        step = (
            f"  all: {{run: 'cat {{in.all}} > {{out.made}}', in: {{all: [{', '.join(f'data.{n}' for n in names)}]}}, "
        )
        path.write_text(f"version: 1\ndata:\n{data}steps:\n{step}out: {{made: made.txt}}}}\n")
        counts.append(sum("FROM files" in statement for statement in walked(path).statements))
    assert counts == [1, 1]
