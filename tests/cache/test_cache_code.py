"""Each row an edit of the user's files, and the steps that must run after it; every other step must be a hit.

The project was run once by the command line. A row tries its edit on a copy, in another folder, and asks for the
fates through the Python door; the decisions are those of a run.
"""

import os
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.cached import FILES, copied, fates, made, reasons, runs
from support.project import Project, a_project

Edit = Callable[[Project], object]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    yield made(tmp_path_factory.mktemp("cached"))


@pytest.fixture
def project(base: Project, tmp_path: Path) -> Project:
    return copied(base, tmp_path)


def swap(path: str, old: str, new: str) -> Edit:
    def edit(project: Project) -> None:
        text = project.read(path)
        assert old in text, f"{path} does not have {old!r}"
        project.write(path, text.replace(old, new))

    return edit


def add(path: str, text: str) -> Edit:
    return lambda project: project.write(path, project.read(path) + textwrap.dedent(text))


def put(path: str, text: str) -> Edit:
    return lambda project: project.write(path, text)


def drop(path: str) -> Edit:
    return lambda project: (project.root / path).unlink()


def touch(path: str) -> Edit:
    return lambda project: os.utime(project.root / path)


def old(path: str, text: str) -> Edit:
    def edit(project: Project) -> None:
        project.write(path, text)
        os.utime(project.root / path, (1, 1))

    return edit


NOTHING: set[str] = set()
NEAR = {"near", "below"}
FLOW = {"package", "star"}  # importing either runs flow/__init__.py

ROWS: list[tuple[str, Edit, set[str]]] = [
    # helpers
    ("a step's own body", swap("near.py", "sorted(raw)", "sorted(raw)[:1]"), NEAR),
    ("another step of the same module", swap("near.py", '"other"', '"another"'), {"other"}),
    ("a helper one import away", swap("helpers.py", "+ MARK", "* 2 + MARK"), NEAR),
    ("a function two imports away", swap("deeper.py", "text.strip(chars)", "text.lstrip(chars)"), NEAR),
    ("a constant two imports away", swap("deeper.py", '"!"', '"?"'), NEAR),
    ("a default argument two imports away", swap("deeper.py", '" "', '"_"'), NEAR),
    ("an unrelated function of a helper", swap("helpers.py", "return 1", "return 2"), NOTHING),
    ("an unrelated constant of a helper", swap("deeper.py", "UNUSED = 1", "UNUSED = 2"), NOTHING),
    ("a new function in a helper", add("helpers.py", "\n\ndef new():\n    return 3\n"), NOTHING),
    ("a new module that nothing imports", put("stranger.py", "print(1)\n"), NOTHING),
    ("a helper's function moved down", swap("near.py", "import clean", "import clean  # moved"), NOTHING),
    ("a local import", swap("inside.py", "return 1", "return 5"), {"lazy"}),
    ("what stands beside a local import", swap("inside.py", "return 2", "return 5"), NOTHING),
    # layout
    ("a comment in the step", swap("near.py", "# each file", "# every file"), NOTHING),
    ("a comment in a helper", add("helpers.py", "\n# the end\n"), NOTHING),
    ("a docstring of the step", swap("near.py", '"""Read all."""', '"""Read them all."""'), NOTHING),
    ("a docstring of the module", swap("near.py", '"""The first step."""', '"""The very first."""'), NOTHING),
    ("a new docstring in a helper", swap("deeper.py", "    return text", '    """Doc."""\n    return text'), NOTHING),
    (
        "reformatting",
        swap("helpers.py", "deeper.strip(text) + MARK", "(\n        deeper.strip(text)\n        + MARK\n    )"),
        NOTHING,
    ),
    ("quotes", swap("deeper.py", 'MARK = "!"', "MARK = '!'"), NOTHING),
    ("empty lines", swap("helpers.py", "def clean", "\n\n\n\ndef clean"), NOTHING),
    (
        "the order of functions",
        swap("typed.py", "def step() -> int:", "def zero():\n    return 0\n\n\ndef step() -> int:"),
        NOTHING,
    ),
    (
        "the order of imports",
        put(
            "helpers.py",
            FILES["helpers.py"].replace(
                "        import deeper\n        from deeper import MARK\n",
                "        from deeper import MARK\n        import deeper\n",
            ),
        ),
        NOTHING,
    ),
    # annotations
    ("an argument's annotation, spelled anew", swap("typed.py", "n: Optional[int]", "n: int | None"), NOTHING),
    ("a field's annotation, spelled anew", swap("typed.py", "a: Optional[int]", 'a: "int | None"'), NOTHING),
    ("a field's type", swap("typed.py", "a: Optional[int]", "a: Optional[str]"), {"typed"}),
    ("a new field", swap("typed.py", "a: Optional[int] = None", "a: Optional[int] = None\n    b: int = 0"), {"typed"}),
    ("a variable's annotation", swap("typed.py", "count: int = 3", "count = 3"), NOTHING),
    ("the result's annotation", swap("typed.py", "def step() -> int", "def step()"), NOTHING),
    ("an import for type checkers alone", swap("never_run.py", "x = 1", "x = 2"), NOTHING),
    # packages and classes
    ("a constant through a re-export", swap("flow/constants.py", "RATE = 2", "RATE = 3"), {"package"}),
    ("its neighbour", swap("flow/constants.py", "LIMIT = 3", "LIMIT = 4"), NOTHING),
    ("a method of a base class", swap("flow/base.py", "return 1", "return 2"), {"package"}),
    ("a class attribute", swap("flow/models.py", "size = 4", "size = 5"), {"package"}),
    ("a new base class", swap("flow/base.py", "class Base(Root)", "class Base(Root, dict)"), {"package"}),
    ("an unrelated class", swap("flow/base.py", "class Stranger:\n    pass", "class Stranger:\n    x = 1"), NOTHING),
    ("an effect in a package's __init__", swap("flow/__init__.py", "append(1)", "append(2)"), FLOW),
    ("a new import in a package's __init__", add("flow/__init__.py", "import decimal\n"), NOTHING),
    ("a new effect in a package's __init__", add("flow/__init__.py", "print('hello')\n"), FLOW),
    ("the __init__ above a module", put("deep/__init__.py", "import random\n\nrandom.seed(1)\n"), {"alias"}),
    ("through import a.b as c", swap("deep/inner/leaf.py", "x + 1", "x + 2"), {"alias"}),
    ("beside it", swap("deep/inner/leaf.py", "return 0", "return 9"), NOTHING),
    ("through import a.b.c", swap("deep/inner/side.py", "x - 1", "x - 2"), {"alias"}),
    ("through a star import", swap("flow/everything.py", "return x\n", "return x, x\n"), {"star"}),
    ("what __all__ hides", swap("flow/everything.py", "return -x", "return +x"), NOTHING),
    ("__all__ itself", swap("flow/everything.py", '["shown"]', '["shown", "hidden"]'), {"star"}),
    # decorators, defaults
    ("a decorator's body", swap("wrapping.py", "* 2", "* 3"), {"decorated"}),
    ("another decorator", swap("wrapping.py", "    return function\n", "    return None\n"), NOTHING),
    ("a default that is a constant elsewhere", swap("settings_of.py", "DEFAULT = 1", "DEFAULT = 7"), {"decorated"}),
    ("a keyword's default", swap("decorated.py", "m=3", "m=4"), {"decorated"}),
    # what is made while the program runs
    ("a function found by getattr", swap("choices.py", "return 1", "return 8"), {"dynamic"}),
    ("any function of that module", swap("choices.py", "return 2", "return 8"), {"dynamic"}),
    ("a module found by a computed name", swap("plugs/first.py", "return 1", "return 8"), {"computed"}),
    ("any module of that package", swap("plugs/second.py", "return 2", "return 8"), {"computed"}),
    ("a new module of that package", put("plugs/third.py", "def run():\n    return 3\n"), {"computed"}),
    ("a registered function", swap("handlers.py", "return 1", "return 8"), {"registry"}),
    ("a function that is not registered", swap("handlers.py", "return 2", "return 8"), NOTHING),
    (
        "a newly registered function",
        add("handlers.py", '\n\n@register("b")\ndef more():\n    return 3\n'),
        {"registry"},
    ),
    ("an assignment from outside", swap("patched.py", "target.LEVEL = 2", "target.LEVEL = 3"), {"patched"}),
    ("any function of the module assigned to", swap("target.py", "return 0", "return 5"), {"patched"}),
    ("what a module's __getattr__ reads", swap("magic.py", "'a': 1", "'a': 2"), {"late"}),
    ("what a text run as code may read", swap("textual.py", "return 1", "return 2"), {"textual"}),
    ("the branch not taken", swap("branch_a.py", "'a'", "'A'"), {"conditional"}),
    ("the condition of a branch", swap("conditional.py", '"nowhere"', '"elsewhere"'), {"conditional"}),
    ("a missing library that is now a module", put("missing_library.py", "x = 1\n"), {"conditional"}),
    # files
    ("a file opened by name", put("sql/query.sql", "select 2\n"), {"files", "globbed"}),
    ("a file opened by joined names", put("conf/words.txt", "other\n"), {"files"}),
    ("a file beside the module", put("beside.json", "[]\n"), {"files"}),
    ("a file that unreached code opens", put("sql/other.sql", "select 3\n"), {"globbed"}),
    ("a file that a parameter names", put("conf/rates.txt", "2\n"), {"configured"}),
    ("a file that a parameter names, lost", drop("conf/rates.txt"), {"configured"}),
    ("a file that a parameter of a command names", put("conf/table.txt", "2\n"), {"shaped"}),
    ("a file that a parameter without effect names", put("conf/log.txt", "2\n"), NOTHING),
    ("a glob of code gains a file", put("sql/new.sql", "select 4\n"), {"globbed"}),
    ("a glob of code loses a file", drop("sql/other.sql"), {"globbed"}),
    ("a script's helper", swap("scripts/sums.py", "return 3", "return 4"), {"shell"}),
    ("an unrelated function of it", swap("scripts/sums.py", "return 1", "return 4"), NOTHING),
    ("a script's main block", swap("scripts/total.py", "print(total())", "print(total(), 1)"), {"shell"}),
    # data
    ("data changed", put("data/a.txt", "three\n"), NEAR),
    ("data touched", touch("data/a.txt"), NOTHING),
    ("code touched", touch("deeper.py"), NOTHING),
    ("data changed, with an old time", old("data/a.txt", "ten\n"), NEAR),
    ("code changed, with an old time", old("settings_of.py", "DEFAULT = 9\nSPARE = 2\n"), {"decorated"}),
    ("a glob of data gains a file", put("data/c.txt", "three\n"), NEAR),
    ("a glob of data loses a file", drop("data/b.txt"), NEAR),
    ("a file of data renamed", lambda p: (p.root / "data/b.txt").rename(p.root / "data/c.txt"), NEAR),
    # what the pipeline declares
    ("a parameter that nobody uses", swap("pipeline.yaml", "spare: 5", "spare: 6"), NOTHING),
    ("a parameter", swap("pipeline.yaml", "alpha: 0.1", "alpha: 0.2"), {"tuned"}),
    ("a value far inside a parameter", swap("pipeline.yaml", "{b: 1}", "{b: 2}"), {"tuned"}),
    ("a parameter without effect", swap("pipeline.yaml", "count: 1", "count: 2"), NOTHING),
    ("the version of the code", swap("pipeline.yaml", 'code_version: "1"', 'code_version: "2"'), {"pinned"}),
    (
        "code whose version is declared",
        swap("tuned.py", "def pinned():\n    return 1", "def pinned():\n    return 2"),
        NOTHING,
    ),
    ("a variable of the environment", swap("pipeline.yaml", "MODE: fast", "MODE: slow"), {"declared"}),
    ("another secret", swap("pipeline.yaml", "secrets: [TOKEN]", "secrets: [OTHER]"), NOTHING),
    ("a comment in the pipeline", swap("pipeline.yaml", "version: 1\n", "version: 1  # one\n"), NOTHING),
    ("the pipeline's name", swap("pipeline.yaml", "version: 1\n", "version: 1\nname: other\n"), NOTHING),
]


@pytest.mark.parametrize(("edit", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_an_edit_runs_what_depends_on_it_and_no_more(project: Project, edit: Edit, expected: set[str]) -> None:
    edit(project)
    assert runs(project) == expected


def test_without_an_edit_nothing_runs_in_another_place(project: Project) -> None:
    found = fates(project)
    assert found.pop("always") == "run"
    assert set(found.values()) == {"hit"}
    assert reasons(project)["always"] == "cache: false"


def test_the_reason_names_the_definition(project: Project) -> None:
    swap("deeper.py", '"!"', '"?"')(project)
    assert reasons(project)["near"] == "code deeper:MARK changed"


def test_there_and_back_again_is_a_hit(project: Project) -> None:
    swap("deeper.py", '"!"', '"?"')(project)
    assert project.treadle("run", "pipeline.yaml", "--only", "near").code == 0
    assert "near" not in runs(project)
    swap("deeper.py", '"?"', '"!"')(project)
    assert runs(project) == NOTHING


def test_a_result_older_than_its_ttl_runs_again(project: Project) -> None:
    assert fates(project)["brief"] == "hit"
    swap("pipeline.yaml", "ttl: 1d", "ttl: 1ms")(project)
    assert fates(project)["brief"] == "run"
    assert reasons(project)["brief"] == "its result is older than the ttl"


def test_a_file_that_a_parameter_names_is_looked_at_though_the_last_run_had_nothing_to_do(project: Project) -> None:
    """Then a stamp of all that its decisions looked at answers, and must know of the file."""
    run = ("run", "pipeline.yaml", "configured")
    time.sleep(2.1)  # from now on the times of files are trusted
    for _ in range(2):
        assert project.treadle(*run, env={"TOKEN": "t"}).code == 0
    put("conf/rates.txt", "2\n")(project)
    result = project.treadle(*run, "--json", env={"TOKEN": "t"})
    assert {event["step"] for event in result.events() if event["event"] == "step_started"} == {"configured"}
    assert "file conf/rates.txt changed" in result.stdout


def test_a_file_by_its_whole_path_counts_inside_the_project_and_not_outside(tmp_path: Path) -> None:
    project = a_project(tmp_path)
    outside, inside = tmp_path / "outside.txt", project.root / "inside.txt"
    project.write("work.py", "def read(*, paths: list) -> str:\n    return ''.join(open(p).read() for p in paths)\n")
    project.write(
        "whole.yaml",
        f"""\
        version: 1
        name: whole
        steps:
          function: {{uses: work:read, with: {{paths: [{outside}, {inside}]}}}}
          command: {{run: "cat {outside} {inside} > {{out.text}}", out: {{text: text.txt}}}}
        """,
    )
    for number, (changed, ran) in enumerate([(None, 2), (outside, 0), (inside, 2)]):
        for path in [changed] if changed else [outside, inside]:
            path.write_text(f"{number}\n")
        result = project.treadle("run", "whole.yaml", "--json")
        assert result.code == 0, result.stderr
        assert sum(event["event"] == "step_started" for event in result.events()) == ran, changed


def test_what_the_copy_says_the_command_line_does(project: Project) -> None:
    swap("flow/base.py", "return 1", "return 2")(project)
    result = project.treadle("run", "pipeline.yaml", "--json", env={"TOKEN": "t"})
    assert result.code == 0, result.stderr
    started = {event["step"] for event in result.events() if event["event"] == "step_started"}
    assert started == {"package", "always"}
