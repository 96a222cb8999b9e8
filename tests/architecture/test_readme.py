"""The commands that the README promises are there for CI to run, word for word."""

import subprocess
import tomllib

import pytest

from support.sources import ROOT


@pytest.mark.parametrize("name", ["main", "test"])
def test_the_readme_has_the_block(name: str) -> None:
    done = subprocess.run(["bash", str(ROOT / ".ci/run"), "--block", name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "python3 -m venv" in done.stdout


def test_the_project_files_are_there() -> None:
    names = ["README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", ".pre-commit-hooks.yaml", ".ci/run"]
    assert [name for name in names if not (ROOT / name).is_file()] == []
    assert tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
