"""What a command must not load: the moment users feel most is the one in which there is nothing to do."""

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
