"""Steps that are functions of the program which calls `treadle.run`: a script, a notebook, text from nowhere."""

import subprocess
import sys
from collections.abc import Mapping

import nbformat
import pytest
from nbclient import NotebookClient

from support.project import Project, clean_environment

PIPELINE = """
    version: 1
    params: {n: 3}
    steps:
      make: {uses: "__main__:make", with: {n: "${params.n}"}, out: {out: {codec: pickle}}}
      use: {uses: "__main__:use", in: {model: make}}
      count: {uses: "helpers:count", in: {model: make}}
"""
HELPERS = """
    def count(model):
        return model.n * 100


    def clean(value):
        return value


    def idle():
        return 1
"""
SCRIPT = """
    import functools
    import math
    from pathlib import Path

    import treadle
    from helpers import clean

    RATE = 2
    WORDS = {"a", "b", "c"}
    HERE = Path("data")


    def again(function):
        @functools.wraps(function)
        def call(*args, **named):
            return function(*args, **named) + 1

        return call


    class Base:
        def scaled(self):
            return self.n * RATE


    class Model(Base):
        size: int = 4

        def __init__(self, n: int):
            self.n = n


    def make(*, n: int = LIMIT) -> Model:
        return Model(n)


    @again
    def use(model):
        # a remark
        return clean(model.scaled()) + math.floor(2.5) + len(WORDS) + len(HERE.name)


    def idle():
        return 1


    result = treadle.run("pipeline.yaml")
    for name, step in result.record.steps.items():
        print(name, step.fate, step.reason, sep=": ")
    print(result["use"], result["count"], isinstance(result["make"], Model))
""".replace("LIMIT", "7")


def ran(project: Project, script: str, *edit: str) -> tuple[Mapping[str, str], str]:
    """What each step of the script's run came to, `fate: reason`, and its last line."""
    project.write("script.py", script.replace(*edit) if edit else script)
    command = [sys.executable, "script.py"]
    done = subprocess.run(
        command, cwd=project.root, env=clean_environment(project.home), capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr
    *lines, last = done.stdout.splitlines()
    return dict(line.split(": ", 1) for line in lines), last


@pytest.fixture
def program(project: Project) -> Project:
    return project.write("pipeline.yaml", PIPELINE).write("helpers.py", HELPERS)


def test_functions_of_a_script_are_keyed_by_what_they_reach(program: Project) -> None:
    first, last = ran(program, SCRIPT)
    assert first == dict.fromkeys(("make", "use", "count"), "run: first run")
    assert last == "16 300 True"
    same = SCRIPT.replace("# a remark", "# another").replace("return 1\n", "return 2\n")
    program.write("helpers.py", HELPERS.replace("return 1", "return 2"))
    assert set(ran(program, same)[0].values()) == {"hit: nothing changed"}
    changed, last = ran(program, SCRIPT, "RATE = 2", "RATE = 3")
    assert changed["use"] == "run: code __main__:RATE changed"
    assert last == "19 300 True"
    decorated, last = ran(program, SCRIPT, "**named) + 1", "**named) + 2")
    assert decorated["make"] == decorated["count"] == "hit: nothing changed"
    assert decorated["use"].startswith("run: code __main__:RATE changed; code __main__:again changed")
    assert last == "17 300 True"


def test_what_has_no_source_runs_in_the_program_uncached_and_says_so(program: Project) -> None:
    script = SCRIPT.replace("RATE = 2", "class Box:\n        rate = 2\n\n\n    BOX = Box()").replace(
        "* RATE", "* BOX.rate"
    )
    for _ in range(2):
        fates, last = ran(program, script)
        assert fates["make"] == "run: not cached: it uses 'BOX', and nothing says how its value, of type Box, is made"
        assert fates["count"].startswith("run: not cached: it takes a pickle of 'make', where it uses 'BOX'")
        assert last == "16 300 True"
    made = 'exec("def make(*, n): return n\\ndef use(model): return model")\nimport treadle\n'
    program.write("pipeline.yaml", PIPELINE.replace("      count:", "      # count:"))
    show = "for s in treadle.run('pipeline.yaml').record.steps.values(): print(s.id, s.reason, sep=': ')\nprint()"
    fates, _ = ran(program, made + show)
    assert fates["make"] == "not cached: the source of 'make' is not known"


def test_the_command_line_has_no_functions_of_its_own(program: Project) -> None:
    for command in ("check", "run"):
        result = program.treadle(command, "pipeline.yaml")
        assert result.code == 2 if command == "run" else result.code
        assert "error[main-function]" in result.stdout + result.stderr
        assert "Traceback" not in result.stderr


CELLS = [
    "import treadle\nfrom dataclasses import dataclass\nRATE = 2",
    "@dataclass\nclass Model:\n    n: int",
    "def make(*, n: int):\n    return Model(n)",
    "def use(model: Model):\n    return model.n * RATE",
    "def run():\n    r = treadle.run('pipeline.yaml')\n    print([s.fate for s in r.record.steps.values()], r['use'])\n"
    "    return r",
    "isinstance(run()['make'], Model)",
    "RATE = 3\nrun();",
    "def use(model):\n    return frame",
    "frame = object()\nprint(treadle.plan('pipeline.yaml')[1].reason)",
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_functions_of_a_notebook(program: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in clean_environment(program.home).items():
        monkeypatch.setenv(name, value)
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in CELLS])
    NotebookClient(book, timeout=120, resources={"metadata": {"path": str(program.root)}}).execute()
    said = [cell.outputs[0].text.strip() for cell in book.cells if cell.outputs]
    assert book.cells[5].outputs[-1].data["text/plain"] == "True"
    assert said == [
        "['run', 'run', 'run'] 6",
        "['hit', 'run', 'hit'] 9",
        "not cached: it uses 'frame', and nothing says how its value, of type object, is made",
    ]
