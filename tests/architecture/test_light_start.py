"""What a command must not load: the moment users feel most is the one in which there is nothing to do."""

import time

import pytest

from support.project import Project, Result

HEAVY = ("networkx", "jsonschema", "pandas", "numpy", "sklearn", "scipy", "pyarrow", "skops", "fsspec", "asyncio")
PIPELINE = """
    version: 1
    steps:
      first: {uses: "work:first"}
      second: {uses: "work:second", in: {value: first}}
      third: {run: "cp {in.value} {out.copy}", in: {value: second}, out: {copy: copy.txt}}
"""
WORK = """
    def first() -> str:
        return "one"


    def second(value: str) -> str:
        return value + " two"
"""


def loaded(result: Result) -> set[str]:
    """The packages that the interpreter itself says were imported."""
    lines = [line for line in result.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines[1:]}


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_answering_at_all_loads_next_to_nothing(project: Project, option: str) -> None:
    result = project.treadle(option, env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert result.code == 0, result.stderr
    packages = loaded(result)
    assert "treadle" in packages
    assert packages & {*HEAVY, "rich", "yaml", "sqlite3", "blake3", "msgspec"} == set()


def test_a_check_without_mistakes_loads_nothing_that_is_for_mistakes(project: Project) -> None:
    documented = WORK.replace("-> str:", '-> str:\n        """What it does.\n\n        More.\n        """')
    project.write("pipeline.yaml", PIPELINE).write("work.py", documented)
    result = project.treadle("check", "pipeline.yaml", env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert result.code == 0, result.stderr
    packages = loaded(result)
    assert "yaml" in packages
    assert packages & {*HEAVY, "rich", "difflib", "inspect", "tokenize"} == set()


def test_nothing_to_do_loads_no_heavy_library(project: Project) -> None:
    project.write("pipeline.yaml", PIPELINE).write("work.py", WORK)
    first = project.treadle("run", "pipeline.yaml")
    assert first.code == 0, first.stdout + first.stderr
    result = project.treadle("run", "pipeline.yaml", env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert result.code == 0, result.stderr
    packages = loaded(result)
    assert "treadle" in packages
    # the YAML was compiled by the first run; a project without tables has no use for rich when nothing moves
    assert packages & {*HEAVY, "rich", "yaml", "work"} == set()


def test_nothing_to_do_again_loads_next_to_nothing(project: Project) -> None:
    project.write("pipeline.yaml", PIPELINE).write("work.py", WORK)
    assert project.treadle("run", "pipeline.yaml").code == 0
    time.sleep(2.1)  # only files at rest can be known to be unchanged by their times
    assert project.treadle("run", "pipeline.yaml").code == 0
    result = project.treadle("run", "pipeline.yaml", env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert result.code == 0, result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith("import time:")]
    ours = {line.rpartition("|")[2].strip() for line in lines if "treadle" in line}
    quick = {"version", "environment", "identity", "quantity", "stamp"}
    quick |= {"cli", "cli.main", "cli.again", "cli.table", "cli.width", "run", "run.ending"}
    assert ours == {"treadle", *(f"treadle.{name}" for name in quick)}
    assert (
        loaded(result) & {*HEAVY, "rich", "yaml", "msgspec", "blake3", "argparse", "inspect", "typing", "re"} == set()
    )
