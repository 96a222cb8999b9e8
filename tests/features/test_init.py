"""`treadle init`: what it makes passes its own check, runs, and works in git, in pre-commit and in CI."""

import subprocess
from pathlib import Path

import pytest
import yaml

from support.project import Project, clean_environment

TEMPLATES = {"tabular": "churn", "shell": "sales", "surge-pricing": "surge_pricing"}


def command(project: Project, *words: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """Run a command in the project as a user would, with git knowing who it is."""
    who = {"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@b"}
    return subprocess.run(
        words,
        cwd=project.root,
        env=clean_environment(project.home, {**who, **env}),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def commit(project: Project) -> str:
    command(project, "git", "add", "-A")
    command(project, "git", "commit", "-qm", "change")
    return command(project, "git", "rev-parse", "HEAD").stdout.strip()


@pytest.fixture
def fresh(project: Project) -> Project:
    (project.root / "treadle.toml").unlink()
    return project


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_passes_its_own_check(fresh: Project, template: str) -> None:
    made = fresh.treadle("init", "--template", template)
    assert made.code == 0, made.stderr
    first = f"pipelines/{TEMPLATES[template]}.yaml"
    assert made.stdout.endswith(f"\nnow:  treadle run {first}\n")
    assert fresh.treadle("check", ".").stdout.endswith("no problems\n")
    assert fresh.read(first).startswith("# yaml-language-server: $schema=../schemas/pipeline.schema.json\n")
    again = fresh.treadle("init", "--template", template, "--json").json()
    assert (again["made"], again["pipeline"]) == ([], first)


def test_nothing_is_overwritten_and_nothing_half_written(fresh: Project) -> None:
    fresh.write("features.py", "mine = 1\n").write(".pre-commit-config.yaml", "repos: []\n")
    refused = fresh.treadle("init")
    assert refused.code == 2
    assert refused.stderr.count("is there already") == 2
    assert sorted(path.name for path in fresh.root.iterdir()) == [".pre-commit-config.yaml", "features.py"]
    assert fresh.read("features.py") == "mine = 1\n"


def test_an_unknown_template_is_refused_with_the_nearest(fresh: Project) -> None:
    refused = fresh.treadle("init", "--template", "tabluar")
    assert (refused.code, "did you mean 'tabular'?" in refused.stderr) == (2, True)


def test_the_hook_stops_a_commit_with_a_mistake(fresh: Project) -> None:
    fresh.treadle("init", "--template", "shell")
    command(fresh, "git", "init", "-q")
    assert command(fresh, "pre-commit", "install").returncode == 0
    commit(fresh)
    path = fresh.root / "pipelines/sales.yaml"
    path.write_text(path.read_text().replace("gate:", "gaet:"))
    command(fresh, "git", "add", "-A")
    refused = command(fresh, "git", "commit", "-m", "mistake")
    assert refused.returncode == 1
    assert "did you mean 'gate'?" in refused.stdout + refused.stderr


def test_the_workflow_is_valid_and_its_scripts_do_what_they_say(fresh: Project, tmp_path: Path) -> None:
    fresh.treadle("init", "--template", "shell")
    workflow = fresh.root / ".github/workflows/treadle.yml"
    valid = command(fresh, "check-jsonschema", "--builtin-schema", "vendor.github-workflows", str(workflow))
    assert valid.returncode == 0, valid.stdout
    scripts = {
        s["name"]: s["run"]
        for s in yaml.safe_load(workflow.read_text())["jobs"]["pipelines"]["steps"]
        if "name" in s and "run" in s
    }

    command(fresh, "git", "init", "-q")
    base = commit(fresh)
    path = fresh.root / "pipelines/sales.yaml"
    path.write_text(path.read_text().replace("least: 100", "least: 150"))
    (fresh.root / "pipelines/new.yaml").write_text(path.read_text().replace("by_region.csv}\n", "new.csv}\n"))
    head = commit(fresh)
    summary = tmp_path / "summary.md"
    check = scripts["Check all pipelines, with annotations in the pull request"]
    assert command(fresh, "bash", "-euo", "pipefail", "-c", check).returncode == 0
    run = scripts["Run what changed, before and after"]
    done = command(fresh, "bash", "-euo", "pipefail", "-c", run, BASE=base, HEAD=head, GITHUB_STEP_SUMMARY=str(summary))
    assert done.returncode == 0, done.stdout + done.stderr
    text = summary.read_text()
    assert text == fresh.read("comparison.md")
    assert "### pipelines/new.yaml\nNew.\n" in text
    assert "| param `least` | 100 | 150 (+50) |" in text
    assert "| metric `summary.rows` | 6 | 4 (-2) |" in text
