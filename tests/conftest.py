"""What every test gets: an empty home, nothing of the machine's settings, and a project on demand."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from support.project import Project, a_project

# A busy machine is no reason to fail: what counts is what is found, not how long it took to think of it. CI draws the
# same examples each time, so that a change is refused for what it did; by hand they are new ones each time.
settings.register_profile(
    "treadle", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("treadle")

LEFT_OUT = ("TREADLE", "XDG_", "GIT_", "GITHUB_", "AWS_", "CI", "NO_COLOR", "FORCE_COLOR", "COLUMNS")


@pytest.fixture(scope="session")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch, empty_home: Path) -> None:
    """Hide the user's home and settings: a test that passes only on one machine is worse than none."""
    monkeypatch.setenv("HOME", str(empty_home))
    for name in list(os.environ):
        if name.startswith(LEFT_OUT):
            monkeypatch.delenv(name)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project; `project.write(...)` fills it, `project.treadle(...)` runs it."""
    return a_project(tmp_path)
