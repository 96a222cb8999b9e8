"""Libraries in keys: those that the reached code imports, by import metadata, in real environments."""

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from support.project import Project, clean_environment
from treadle.code import DictMemo
from treadle.code import Project as Code

PIPELINE = """
    version: 1
    steps:
      ingest: {uses: "work:ingest"}
      train: {uses: "work:train", in: {data: ingest}}
      whole: {uses: "work:ingest", environment: strict}
      none: {uses: "work:train", in: {data: ingest}, environment: off}
"""
WORK = """
    import tiny


    def ingest():
        return 1


    def train(data):
        return data + tiny.VALUE
"""


def install(site: Path, version: str, value: int = 1, name: str = "tiny") -> None:
    """What pip leaves behind: a module, and the metadata of its distribution."""
    for old in site.glob(f"{name}_dist-*"):
        for file in old.iterdir():
            file.unlink()
        old.rmdir()
    info = site / f"{name}_dist-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-dist\nVersion: {version}\n")
    (info / "RECORD").write_text(f"{name}.py,,\n{info.name}/METADATA,,\n{info.name}/RECORD,,\n")
    (site / f"{name}.py").write_text(f"VALUE = {value}\n")


def environment(folder: Path, version: str) -> Path:
    """A real virtual environment that sees this one's packages and has a library of its own; its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=60)
    site = next((folder / "lib").glob("python*/site-packages"))
    (site / "above.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    install(site, version, int(version[0]))
    return folder / "bin/python"


def started(project: Project, python: Path) -> set[str]:
    """The steps that a run in an environment really starts."""
    said = run(project, python, "run", "pipeline.yaml", "--json")
    return {line.split('"step":"')[1].split('"')[0] for line in said.splitlines() if "step_started" in line}


def run(project: Project, python: Path, *arguments: str) -> str:
    """What a command in an environment says."""
    done = subprocess.run(
        [str(python), "-P", "-m", "treadle", *arguments],
        cwd=project.root,
        env=clean_environment(project.home),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_upgraded_library_runs_what_imports_it_and_nothing_else(project: Project, tmp_path: Path) -> None:
    project.write("pipeline.yaml", PIPELINE).write("work.py", WORK)
    one, two = environment(tmp_path / "one", "1.0"), environment(tmp_path / "two", "2.0")
    assert {"ingest", "train", "none"} <= started(project, one)
    assert started(project, two) == {"train", "whole"}
    assert started(project, one) == set(), "going back to the old environment is a hit"


def test_a_library_that_only_a_parameter_names_counts(project: Project, tmp_path: Path) -> None:
    """`train.estimator` imports what the user names; nothing else in the project mentions it."""
    named = "train.estimator, in: {data: data.table}, with: {target: y, estimator: "
    steps = f"{{uses: {named}tiny.Model}}}}", f"{{uses: {named}sklearn.linear_model.Ridge}}}}"
    project.write("table.csv", "x,y\n1,2\n").write(
        "pipeline.yaml",
        f"version: 1\ndata: {{table: {{path: table.csv}}}}\nsteps:\n  tiny: {steps[0]}\n  other: {steps[1]}\n",
    )
    keys = {}
    for version in ("1.0", "2.0"):
        python = environment(tmp_path / version, version)
        site = next((tmp_path / version / "lib").glob("python*/site-packages"))
        (site / "tiny.py").write_text("class Model:\n    def fit(self, x, y):\n        return self\n")
        for step in ("tiny", "other"):
            done = run(project, python, "explain", "pipeline.yaml", step, "--json")
            keys[step, version] = json.loads(done)["key"]
    assert keys["tiny", "1.0"] != keys["tiny", "2.0"]
    assert keys["other", "1.0"] == keys["other", "2.0"] != ""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "site").mkdir()
    (tmp_path / "project").mkdir()
    return tmp_path / "site"


def libraries(site: Path, *tops: str, more: tuple[Path, ...] = ()) -> dict[str, str]:
    """What a new command finds for these modules."""
    code = Code(str(site.parent / "project"), DictMemo(), [str(site), *map(str, more)])
    return code.environment(tops)


def test_a_distribution_counts_by_its_version(site: Path) -> None:
    install(site, "1.0")
    assert libraries(site, "tiny") == {"tiny-dist": "1.0"}
    install(site, "1.1")
    assert libraries(site, "tiny") == {"tiny-dist": "1.1"}


def test_a_local_distribution_counts_by_its_content_too(site: Path) -> None:
    install(site, "1.0")
    (site / "tiny_dist-1.0.dist-info/direct_url.json").write_text('{"url": "file:///src/tiny", "dir_info": {}}')
    before = libraries(site, "tiny")["tiny-dist"]
    assert before.startswith("1.0 ")
    (site / "tiny.py").write_text("VALUE = 2\n")
    assert libraries(site, "tiny")["tiny-dist"] not in (before, "1.0")


def test_an_editable_distribution_counts_by_its_content(site: Path, tmp_path: Path) -> None:
    install(site, "1.0")
    (site / "tiny.py").unlink()
    source = tmp_path / "checkout/src"
    (source / "tiny").mkdir(parents=True)
    (source / "tiny/__init__.py").write_text("")
    (source / "tiny/inner.py").write_text("X = 1\n")
    info = site / "tiny_dist-1.0.dist-info"
    (info / "RECORD").write_text("_tiny.pth,,\n")
    (info / "direct_url.json").write_text(f'{{"url": "file://{tmp_path}/checkout", "dir_info": {{"editable": true}}}}')
    before = libraries(site, "tiny", more=(source,))
    assert list(before) == ["tiny-dist"]
    (source / "tiny/inner.py").write_text("X = 2\n")
    assert libraries(site, "tiny", more=(source,)) != before


def test_an_editable_distribution_with_a_finder_counts_by_its_content(site: Path, tmp_path: Path) -> None:
    folder = tmp_path / "checkout/tiny"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("X = 1\n")
    finder = f"import sys\nMAPPING: dict[str, str] = {{'tiny': {str(folder)!r}}}\nNAMESPACES = {{}}\n"
    (site / "__editable___tiny_1_0_finder.py").write_text(finder)
    before = libraries(site, "tiny")
    (folder / "__init__.py").write_text("X = 2\n")
    assert libraries(site, "tiny") != before


def test_a_module_on_the_path_without_a_distribution_counts_by_its_content(site: Path) -> None:
    (site / "loose.py").write_text("X = 1\n")
    before = libraries(site, "loose")
    (site / "loose.py").write_text("X = 2\n")
    assert libraries(site, "loose") != before


def test_a_library_that_is_not_installed_counts_as_such(site: Path) -> None:
    assert libraries(site, "tiny") == {"tiny": "not installed"}
    install(site, "1.0")
    assert libraries(site, "tiny") == {"tiny-dist": "1.0"}


def test_a_namespace_counts_with_every_distribution_that_shares_it(site: Path) -> None:
    for name in ("one", "two"):
        info = site / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "RECORD").write_text(f"shared/{name}.py,,\n")
    assert libraries(site, "shared") == {"one": "1.0", "two": "1.0"}


def test_nothing_is_imported(site: Path) -> None:
    install(site, "1.0")
    (site / "tiny.py").write_text("raise SystemExit('imported')\n")
    assert libraries(site, "tiny") == {"tiny-dist": "1.0"}


def test_metadata_is_read_once_until_packages_change(site: Path) -> None:
    install(site, "1.0")
    memo = DictMemo()
    root = str(site.parent / "project")
    assert Code(root, memo, [str(site)]).environment(["tiny"]) == {"tiny-dist": "1.0"}
    (site / "tiny_dist-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: tiny-dist\nVersion: 9\n")
    assert Code(root, memo, [str(site)]).environment(["tiny"]) == {"tiny-dist": "1.0"}
    install(site, "2.0")
    assert Code(root, memo, [str(site)]).environment(["tiny"]) == {"tiny-dist": "2.0"}


def test_what_a_parameter_names_is_code_when_the_step_imports_by_name(project: Project) -> None:
    project.write(
        "pipeline.yaml",
        """
        version: 1
        steps:
          named: {uses: "work:make", with: {kind: shapes.round.Circle}}
          plain: {uses: "work:plain", with: {kind: shapes.round.Circle}}
        """,
    ).write(
        "work.py",
        """
        def make(*, kind):
            from importing import load

            return load(kind)


        def plain(*, kind):
            return kind
        """,
    ).write("shapes/round.py", "class Circle:\n    sides = 0\n\n\nclass Oval:\n    sides = 1\n").write(
        "importing.py",
        """
        import importlib


        def load(kind):
            module, _, name = kind.rpartition(".")
            return getattr(importlib.import_module(module), name).sides
        """,
    )
    assert project.treadle("run", "pipeline.yaml").code == 0
    project.write("shapes/round.py", "class Circle:\n    sides = 2\n\n\nclass Oval:\n    sides = 1\n")
    events = project.treadle("run", "pipeline.yaml", "--json").events()
    assert {event["step"] for event in events if event["event"] == "step_started"} == {"named"}
