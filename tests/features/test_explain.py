"""`treadle explain`: why a step would run, in words a user knows, and what would make it a hit."""

import pytest

from support.project import Project
from treadle.cli.explain import text
from treadle.run.changes import Change
from treadle.run.explain import Explanation

PIPELINE = """
    version: 1
    params: {n: 3}
    data: {raw: {path: "raw/*.txt"}}
    steps:
      read: {uses: "work:read", in: {source: data.raw}}
      grow: {uses: "work:grow", in: {text: read}, with: {n: "${params.n}"}}
      copy: {run: "cp {in.text} {out.copy}", in: {text: grow}, out: {copy: copy.txt}}
"""
WORK = """
    from pathlib import Path

    from helpers import shout


    def read(source: list) -> str:
        return "".join(Path(path).read_text().strip() for path in source)


    def grow(text: str, *, n: int) -> str:
        return shout(text) * n
"""
HELPERS = """
    def shout(text):
        return text.upper()
"""


@pytest.fixture
def chain(project: Project) -> Project:
    project.write("pipeline.yaml", PIPELINE).write("work.py", WORK).write("helpers.py", HELPERS)
    project.write("raw/a.txt", "a\n").write("raw/b.txt", "b\n")
    return project


def ran(project: Project, *arguments: str) -> str:
    """Run it and return the run's id."""
    result = project.treadle("run", "pipeline.yaml", "--json", *arguments)
    assert result.code == 0, result.stderr
    return str(result.events()[0]["run_id"])


def explained(project: Project, step: str, *arguments: str) -> str:
    result = project.treadle("explain", "pipeline.yaml", step, *arguments)
    assert result.code == 0, result.stderr
    return result.stdout


def test_a_first_run_has_nothing_to_compare_with(chain: Project) -> None:
    assert explained(chain, "read") == ("read would run: first run\n\nthere is no earlier result of this step\n")
    waiting = explained(chain, "grow")
    assert waiting.startswith("grow is decided when what it needs has run: depends on read\n\nmust run first: read\n")
    assert "not known until then: input text\n" in waiting


def test_a_hit_names_the_run_that_made_it(chain: Project) -> None:
    run = ran(chain)
    told = explained(chain, "grow")
    assert told.startswith(f"grow is a hit: nothing changed\n\nthe result of run {run}, ")
    assert told.endswith(" ago: every part of its key is the same\n")


def test_a_parameter_is_told_from_what_to_what_and_how_to_go_back(chain: Project) -> None:
    run = ran(chain)
    lines = explained(chain, "grow", "-p", "n=4").splitlines()
    assert lines[0] == "grow would run: param n: 3 → 4"
    assert lines[2].startswith(f"nearest earlier result: run {run}, ")
    assert " ago: 1 of " in lines[2]
    assert lines[4:] == ["param n: 3 → 4", "  to make it a hit: set n back to 3 (-p n=3)"]
    assert explained(chain, "grow", "-p", "n=3").startswith("grow is a hit")


def test_code_is_told_with_its_difference_uncoloured_when_not_on_a_terminal(chain: Project) -> None:
    ran(chain)
    chain.write("helpers.py", HELPERS.replace("upper", "lower"))
    told = explained(chain, "grow")
    assert "\n  -    return text.upper()\n  +    return text.lower()\n" in told
    assert "\n  to make it a hit: restore helpers" in told
    assert "\033" not in told


def test_files_of_an_input_are_named(chain: Project) -> None:
    ran(chain)
    (chain.root / "raw/b.txt").unlink()
    chain.write("raw/a.txt", "changed\n").write("raw/c.txt", "c\n")
    told = explained(chain, "read")
    assert (
        "input source (data.raw: raw/*.txt) changed\n  changed  a.txt\n  removed  b.txt\n  added    c.txt\n"
        "  to make it a hit: restore a.txt; bring back b.txt; remove c.txt\n"
    ) in told


def test_an_input_from_a_step_is_followed_to_what_the_user_changed(chain: Project) -> None:
    ran(chain)
    chain.write("raw/c.txt", "c\n")
    ran(chain, "grow")
    told = explained(chain, "copy")
    assert (
        "input text (made by grow) changed\n  because read: data.raw: c.txt added\n"
        "  to make it a hit: let 'grow' make what it made then\n"
    ) in told


def test_the_nearest_of_the_whole_history_is_chosen_not_the_last(chain: Project) -> None:
    near = ran(chain)
    chain.write("helpers.py", HELPERS.replace("upper", "lower"))
    ran(chain, "-p", "n=5")
    chain.write("helpers.py", HELPERS)
    told = explained(chain, "grow", "-p", "n=4")
    assert f"nearest earlier result: run {near}," in told
    assert "param n: 3 → 4" in told


def test_against_a_run(chain: Project) -> None:
    first = ran(chain)
    ran(chain, "-p", "n=4")
    told = explained(chain, "grow", "-p", "n=4", "--against", first[:-1])
    assert told.startswith("grow is a hit: nothing changed\n\n")
    assert "param n: 3 → 4\n  to have that again: set n back to 3" in told
    missing = chain.treadle("explain", "pipeline.yaml", "grow", "--against", "1999")
    assert (missing.code, "unknown-run" in missing.stderr) == (2, True)
    only = ran(chain, "read")
    none = chain.treadle("explain", "pipeline.yaml", "grow", "--against", only)
    assert none.code == 2
    assert f"run {only} has no manifest of 'grow': the run had no such step" in none.stderr


def test_as_json(chain: Project) -> None:
    ran(chain)
    result = chain.treadle("explain", "pipeline.yaml", "grow", "-p", "n=4", "--json")
    found = result.json()
    assert (found["pipeline"], found["step"], found["fate"]) == ("pipeline", "grow", "run")
    assert len(found["key"]) == 64
    assert found["compared"]["parts"] >= 5
    assert found["changes"] == [
        {
            "part": "param n",
            "kind": "param",
            "name": "n",
            "before": "3",
            "after": "4",
            "text": "param n: 3 → 4",
            "remedy": "set n back to 3 (-p n=3)",
        }
    ]


def test_what_cannot_be_followed_is_said(chain: Project) -> None:
    chain.write(
        "helpers.py", "import importlib\n\n\ndef shout(t):\n    importlib.import_module(t + 'x')\n    return t\n"
    )
    assert "what the key cannot follow:\n  helpers imports a module by a computed name in line 5" in explained(
        chain, "grow"
    )


def test_mistakes(chain: Project) -> None:
    wrong = chain.treadle("explain", "pipeline.yaml", "graw")
    assert (wrong.code, "did you mean 'grow'?" in wrong.stderr) == (2, True)
    (chain.root / "raw/a.txt").unlink()
    (chain.root / "raw/b.txt").unlink()
    told = explained(chain, "read")
    assert told.startswith("read would run: data 'raw': no file matches raw/*.txt")
    assert "no earlier result" not in told, "there may be one: without the data nobody knows"


def test_cells_of_a_matrix_and_their_gather(project: Project) -> None:
    project.write(
        "pipeline.yaml", 'version: 1\nsteps:\n  fit: {uses: "work:fit", matrix: {a: [1, 2]}, select: {min: loss}}\n'
    )
    project.write("work.py", 'def fit(*, a: int) -> dict[str, float]:\n    return {"loss": a}\n')
    assert "must run first: fit[a=1], fit[a=2]" in explained(project, "fit")
    ran(project)
    assert explained(project, "fit[a=2]").startswith("fit[a=2] is a hit")


def test_early_cut_off_is_counted_and_told(chain: Project) -> None:
    ran(chain)
    chain.write("raw/b.txt", "b\n\n")
    result = chain.treadle("run", "pipeline.yaml", "--json")
    notices = [event for event in result.events() if event["event"] == "notice"]
    assert [(event["step"], event["text"]) for event in notices] == [
        ("read", "cut off here: 'read' made what was known already; 2 steps saved")
    ]
    assert "cut off here: 2 steps saved" in chain.treadle("show").stdout
    assert chain.treadle("run", "pipeline.yaml").stdout.count("cut off") == 0


def test_a_difference_is_coloured_on_a_terminal() -> None:
    diff = "--- f (then)\n+++ f (now)\n@@ -1 +1 @@\n-old\n+new\n same"
    change = Change(
        part="code f",
        kind="code",
        name="f",
        before="a",
        after="b",
        text="code f changed",
        remedy="restore f",
        diff=diff,
    )
    found = Explanation(pipeline="p", step="s", fate="run", reason="code f changed", changes=(change,))
    coloured = text(found, None, True)
    assert "\n  \033[31m-old\033[0m\n  \033[32m+new\033[0m\n   same\n" in coloured
    assert "\033" not in text(found, None, False)
