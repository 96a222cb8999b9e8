"""Random projects under random edits, against an oracle that knows what each step needs.

Most cases compare closures: a step's code differs if and only if a definition that it reaches changed its meaning.
Some run: the outputs are those that the sources say, and no step runs that the oracle does not ask for.
"""

import os
from pathlib import Path

import pytest

from support.project import Project, a_project
from support.sketch import Sketch, plain
from treadle.api import runs
from treadle.code import DictMemo
from treadle.code import Project as Code

CASES = int(os.environ.get("RANDOM_CASES", "2000"))
EDITS = 8  # cases that share a project
CHUNKS = 10


def codes(root: Path, sketch: Sketch, memo: DictMemo) -> dict[int, dict[str, str]]:
    """The closure of every step, as a new command finds it."""
    code = Code(str(root), memo, [])
    calls = {step: f"{sketch.items[step].module}:{sketch.items[step].name}" for step in sketch.steps}
    return {step: code.closure(call).parts for step, call in calls.items()}


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_a_closure_changes_exactly_when_something_reached_does(chunk: int, tmp_path: Path) -> None:
    for case in range(CASES // EDITS // CHUNKS):
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


def started(project: Project) -> set[str]:
    result = project.treadle("run", "pipeline.yaml", "--json")
    assert result.code == 0, result.stdout + result.stderr
    return {event["step"] for event in result.events() if event["event"] == "step_started"}


def outputs(project: Project, sketch: Sketch) -> dict[int, object]:
    record = runs.get_run("last", project.root)
    found = {}
    for step in sketch.steps:
        [artifact] = record.steps[f"s{step}"].outputs.values()
        found[step] = plain(runs.read_value(artifact, project.root))
    return found


@pytest.mark.parametrize("seed", range(CASES // 500))
def test_runs_return_what_the_sources_say_and_run_no_more_than_needed(seed: int, tmp_path: Path) -> None:
    sketch = Sketch(seed)
    project = a_project(tmp_path, {"below.py": "def count(value):\n    return len(value)\n"})
    sketch.write(project.root)
    project.write("pipeline.yaml", pipeline(sketch))
    started(project)
    for turn in range(5):
        before = plain(list(sketch.results().items()))
        assert isinstance(before, list)
        old = dict(before)
        changed = sketch.edit()
        sketch.write(project.root)
        ran = started(project)
        new = {step: plain(value) for step, value in sketch.results().items()}
        assert outputs(project, sketch) == new, f"seed {seed}, edit {turn}"
        allowed = {f"s{step}" for step in sketch.steps if changed in sketch.reached(step)}
        allowed |= {f"below{step}" for step in sketch.steps if old[step] != new[step]}
        assert ran <= allowed, f"seed {seed}, edit {turn}"
