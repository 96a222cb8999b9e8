"""Random projects under random edits, against an oracle that knows what each step needs.

Each case is a real run, in this process, of a project after one more edit: the outputs are those that a run without a
cache would give, by the graph that the oracle wrote down, and no step runs whose like has run before. A few cases run
by the command line; others compare closures alone, of larger projects: a step's code differs if and only if a
definition that it reaches changed its meaning. RANDOM_CASES says how many cases there are; 2,000 take 50 s of CPU.
"""

import importlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.project import Project, a_project
from support.sketch import GROUND, MODULES, Sketch, plain
from treadle.api import pipelines, runs
from treadle.api.compiled import Request
from treadle.code import DictMemo
from treadle.code import Project as Code
from treadle.store import open_store

CASES = int(os.environ.get("RANDOM_CASES", "2000"))
EDITS = 8  # cases that share a project
CHUNKS = 10
BELOW = "def count(value):\n    return len(str(value))\n"


def codes(root: Path, sketch: Sketch, memo: DictMemo) -> dict[int, dict[str, str]]:
    """The closure of every step, as a new command finds it."""
    code = Code(str(root), memo, [])
    calls = {step: f"{sketch.items[step].module}:{sketch.items[step].name}" for step in sketch.steps}
    return {step: code.closure(call).parts for step, call in calls.items()}


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_a_closure_changes_exactly_when_something_reached_does(chunk: int, tmp_path: Path) -> None:
    for case in range(CASES // 4 // EDITS // CHUNKS):
        seed = chunk * 1_000_000 + case
        sketch, root, memo = Sketch(seed), tmp_path / str(case), DictMemo()
        sketch.write(root)
        before = codes(root, sketch, memo)
        for turn in range(EDITS):
            changed = sketch.edit()
            sketch.write(root)
            after = codes(root, sketch, memo)
            for step in sketch.steps:
                reached = changed in sketch.reached(step)  # an edit never takes its own definition out of reach
                assert (before[step] != after[step]) == reached, f"seed {seed}, edit {turn}, step {step}"
            before = after


def pipeline(sketch: Sketch) -> str:
    lines = ["version: 1", "steps:"]
    for step in sketch.steps:
        item = sketch.items[step]
        lines.append(f'  s{step}: {{uses: "{item.module}:{item.name}"}}')
    for step in sketch.steps:  # a second layer, which early cut-off spares
        lines.append(f'  below{step}: {{uses: "below:count", in: {{value: s{step}}}}}')
    return "\n".join(lines) + "\n"


def ran_here(project: Project) -> set[str]:
    """The steps that a run in this process really runs; what an earlier one imported is forgotten."""
    for name in [n for n in sys.modules if n.partition(".")[0] in {*MODULES, GROUND, "again", "below", "pack"}]:
        del sys.modules[name]
    importlib.invalidate_caches()
    record = pipelines.run(project.root / "pipeline.yaml", Request(executor="inline"))
    assert record.status == "ok", record
    return {name for name, step in record.steps.items() if step.fate == "run"}


def ran_by_command(project: Project) -> set[str]:
    result = project.treadle("run", "pipeline.yaml", "--json")
    assert result.code == 0, result.stdout + result.stderr
    return {event["step"] for event in result.events() if event["event"] == "step_started"}


def outputs(project: Project) -> dict[str, object]:
    """What the steps of the last run made, read from the store."""
    store = open_store(project.root)
    found = {name: step.outputs["out"] for name, step in runs.get_run("last", project.root).steps.items()}
    assert {artifact.codec for artifact in found.values()} == {"json"}
    return {name: json.loads(store.objects.read(artifact)) for name, artifact in found.items()}


def play(project: Project, sketch: Sketch, ran: Callable[[Project], set[str]], turns: int) -> None:
    """Run a project again and again, with an edit in between, or with one taken back."""
    project.write("below.py", BELOW).write("pipeline.yaml", pipeline(sketch))
    known: set[object] = set()  # what ran before: meanings of steps, and values that the second layer counted
    history = []
    for turn in range(turns):
        sketch.write(project.root)
        values = {step: plain(value) for step, value in sketch.results().items()}
        meanings = {f"s{step}": sketch.meaning(step) for step in sketch.steps}
        meanings |= {f"below{step}": repr(values[step]) for step in sketch.steps}
        started = ran(project)
        expected = {f"s{step}": value for step, value in values.items()}
        expected |= {f"below{step}": len(str(value)) for step, value in values.items()}
        assert outputs(project) == expected, f"turn {turn}"
        assert started <= {name for name, meaning in meanings.items() if meaning not in known}, f"turn {turn}"
        known.update(meanings.values())
        history.append(list(sketch.items))
        if sketch.random.random() < 0.2:
            sketch.items = list(sketch.random.choice(history))
        else:
            sketch.edit()


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_runs_give_what_the_sources_say_and_run_no_more_than_needed(chunk: int, tmp_path: Path) -> None:
    for case in range(CASES // EDITS // CHUNKS):
        seed = chunk * 1_000_000 + case
        folder = tmp_path / str(case)
        folder.mkdir()
        try:
            play(a_project(folder), Sketch(seed, size=6, steps=2), ran_here, EDITS)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}") from error


@pytest.mark.parametrize("seed", range(max(2, CASES // 1000)))
def test_so_do_runs_of_the_command_line(seed: int, tmp_path: Path) -> None:
    play(a_project(tmp_path), Sketch(seed), ran_by_command, 4)
