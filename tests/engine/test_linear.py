"""Work grows as the graph does: calls, queries and looks at files are counted at two sizes, never seconds."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from treadle.api import pipelines, runs
from treadle.api.check import check
from treadle.api.compiled import Request
from treadle.domain.location import Location
from treadle.domain.plan import Plan, PlannedStep
from treadle.plan import draw

SMALL, LARGE = 100, 400
ALLOWED = 1.5  # times as much work for each step in the large graph


@contextmanager
def counted() -> Iterator[list[int]]:
    """How many Python functions were called and how much SQL was executed, [calls, statements, stats]."""
    found = [0, 0, 0]

    def look(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            found[0] += 1
        elif event == "c_call":
            found[1] += argument.__name__ in ("execute", "executemany")
            found[2] += argument.__name__ in ("stat", "open", "scandir", "listdir")

    sys.setprofile(look)
    try:
        yield found
    finally:
        sys.setprofile(None)


def layered(root: Path, count: int, gates: bool = False) -> Path:
    """A wide graph in ten layers whose steps all have a metric, and with `gates` a gate on it."""
    root.mkdir()
    (root / "treadle.toml").write_text('executor = "inline"\n')
    (root / f"work{count}.py").write_text(
        "def one(*values: int) -> dict[str, int]:\n    return {'size': 1}\n\n\n"
        "def two(value: dict[str, int]) -> dict[str, int]:\n    return {'size': 1}\n"
    )
    (root / "in.txt").write_text("in")
    lines = ["version: 1", "data:"]
    lines += [f"  d{n}: {{path: in.txt}}" for n in range(count // 10)]
    lines.append("steps:")
    width = count // 10
    for number in range(count):
        lines.append(f"  s{number}:")
        lines.append(f"    uses: work{count}:two")
        lines.append(f"    in: {{value: {f's{number - width}' if number >= width else f'data.d{number}'}}}")
        if gates:
            lines.append('    gate: ["size > 0", "s0.size > 0"]' if number >= width else '    gate: ["size > 0"]')
    (root / "p.yaml").write_text("\n".join(lines) + "\n")
    return root / "p.yaml"


def does_check(path: Path) -> None:
    assert check([path]).ok


def does_plan(path: Path) -> None:
    pipelines.plan(path)


def does_run(path: Path) -> None:
    assert pipelines.run(path).status == "ok"


def does_select(path: Path) -> None:
    pipelines.plan(path, Request(targets=("s99",)))


def does_show(path: Path) -> None:
    runs.get_run("last", path.parent)


def does_draw(path: Path) -> None:
    plan, _ = pipelines.plan(path)
    assert draw.tree(plan) and draw.mermaid(plan) and draw.dot(plan)


INTENTS: dict[str, tuple[Callable[[Path], None], ...]] = {
    "check": (does_check,),
    "first plan": (does_plan,),
    "first run, then a run with nothing to do": (does_run, does_run),
    "a selection": (does_plan, does_select),
    "show a run": (does_run, does_show),
    "draw": (does_plan, does_draw),
}


@pytest.mark.parametrize("intent", INTENTS)
@pytest.mark.parametrize("gates", [False, True])
def test_work_for_each_step_does_not_grow_with_the_graph(intent: str, gates: bool, tmp_path: Path) -> None:
    does_plan(layered(tmp_path / "warm", 10))  # imports are no work of the graph
    work: dict[int, list[list[int]]] = {}
    for count in (SMALL, LARGE):
        path = layered(tmp_path / str(count), count, gates)
        work[count] = []
        for does in INTENTS[intent]:
            with counted() as found:
                does(path)
            work[count].append(found)
    for small, large in zip(work[SMALL], work[LARGE], strict=True):
        for kind, before, after in zip(("calls", "statements", "looks"), small, large, strict=True):
            assert after <= ALLOWED * LARGE / SMALL * max(before, 20), (kind, small, large)


def items(root: Path, count: int) -> Path:
    """A list of `count` numbers, an item for each, and a step that takes them all."""
    root.mkdir()
    (root / "treadle.toml").write_text('executor = "inline"\n')
    (root / f"each{count}.py").write_text(
        f"def make() -> list:\n    return list(range({count}))\n\n\n"
        "def one(number: int) -> int:\n    return number\n\n\n"
        "def merge(parts: list) -> int:\n    return len(parts)\n"
    )
    step = f"{{uses: each{count}:one, foreach: make, in: {{number: make}}, cache: {{ttl: 1d}}}}"
    lines = ["version: 1", "steps:", f"  make: {{uses: each{count}:make}}", f"  one: {step}"]
    lines.append(f"  merge: {{uses: each{count}:merge, in: {{parts: one}}}}")
    (root / "p.yaml").write_text("\n".join(lines) + "\n")
    return root / "p.yaml"


def test_work_for_each_item_does_not_grow_with_the_list(tmp_path: Path) -> None:
    does_run(items(tmp_path / "warm", 10))
    work = {}
    for count in (SMALL, LARGE):
        path = items(tmp_path / str(count), count)
        with counted() as first:
            does_run(path)
        with counted() as forced:
            pipelines.run(path, Request(force=("merge",)))
        work[count] = [*first, *forced]
    for small, large in zip(work[SMALL], work[LARGE], strict=True):
        assert large <= ALLOWED * LARGE / SMALL * max(small, 20), work


def nothing() -> None:
    """A call to count."""


def test_this_count_sees_square_work() -> None:
    def square(count: int) -> int:
        with counted() as found:
            for _ in range(count):
                for _ in range(count):
                    nothing()
        return found[0]

    assert square(40) > ALLOWED * 4 * square(10)


def test_a_long_chain_is_drawn_no_wider_than_a_screen() -> None:
    where = Location("p.yaml", 1, 1)
    steps = tuple(
        PlannedStep(id=f"s{n}", kind="function", call="a:b", where=where, needs=(f"s{n - 1}",) if n else ())
        for n in range(500)
    )
    lines = draw.tree(Plan(pipeline="p", path="p.yaml", digest="", steps=steps)).splitlines()
    assert [line.split()[-1] for line in lines] == [step.id for step in steps]
    assert lines[1] == "└─ s1"
    assert max(map(len, lines)) < 140
