"""`treadle export docker` from outside: what is in the folder and what must not be, and that it can be served.

That it builds and runs is shown by tests/containers/run.sh, which takes minutes, root, buildah and podman.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import urllib.request
import zipfile
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from support.project import Project
from support.sources import ROOT
from treadle.api.bundle import BundleShelf
from treadle.errors import TreadleError

OFFLINE = {"PIP_NO_INDEX": "1", "UV_OFFLINE": "1", "UV_NO_CACHE": "1"}
# read before any test: fixtures leave nothing of ours in the environment
CONTAINERS = {
    name: os.environ[name]
    for name in ("TREADLE_TEST_CONTAINERS", "TREADLE_BUILD_OPTIONS", "TREADLE_ROOTFS")
    if name in os.environ
}
PIPELINE = """
    version: 1
    steps:
      make: {uses: "work:make", out: [model, data]}
      deploy: {uses: deploy.model, in: {model: make.model, reference: make.data}, with: {name: price}}
"""
WORK = """
    import pandas as pd
    from sklearn.pipeline import make_pipeline
    from sklearn.linear_model import LinearRegression
    from shapes.double import Double


    def make():
        data = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0], "b": [1.0, 0.0, 1.0, 0.0]})
        return make_pipeline(Double(), LinearRegression()).fit(data, 2 * data["a"] + data["b"]), data
"""
DOUBLE = """
    from sklearn.base import BaseEstimator, TransformerMixin
    from shapes.factor import FACTOR


    class Double(TransformerMixin, BaseEstimator):
        def fit(self, x, y=None):
            self.feature_names_in_ = x.columns.to_numpy(dtype=object)
            return self

        def transform(self, x):
            return x * FACTOR
"""


@pytest.fixture
def shop(project: Project) -> Project:
    project.write("p.yaml", PIPELINE).write("work.py", WORK).write("shapes/double.py", DOUBLE)
    project.write("shapes/factor.py", "FACTOR = 2\n").write("shapes/__init__.py", "").write("unrelated.py", "KEY = 1\n")
    project.write(".env", "SECRET=hunter2\n").write("shapes/secret.txt", "hunter2\n")
    project.write("treadle.toml", 'jobs = 1\nmodels = {trusted = ["shapes.double.Double"]}\n')
    ran = project.treadle("run", "p.yaml")
    assert ran.code == 0, ran.stdout + ran.stderr
    return project


@pytest.mark.slow
def test_the_folder_holds_what_serves_and_nothing_else(shop: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    made = shop.treadle("export", "docker", "price", "-o", "image", env=OFFLINE)
    assert made.code == 0, made.stderr
    folder = shop.root / "image"
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    [model] = [name for name in names if "/objects/" in name]
    [wheel] = [name for name in names if name.endswith(".whl")]
    assert names == sorted([
        ".dockerignore", "Dockerfile", "entrypoint", "requirements.txt", "sbom.json", wheel, model,
        "model/price/version.json", "project/treadle.toml",
        "project/shapes/__init__.py", "project/shapes/double.py", "project/shapes/factor.py",
    ])  # fmt: skip
    assert made.stdout.splitlines() == [
        "exported price/1 to image: 12 files",
        "  no index could be asked: requirements.txt has versions without hashes",
        "  docker build -t price image && docker run --rm -p 8080:8080 price",
    ]
    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b"hunter2" not in everything and str(shop.root).encode() not in everything
    requirements = (folder / "requirements.txt").read_text()
    assert all(re.fullmatch(r"[a-z0-9-]+==\S+|\./treadle-\S+\.whl", line) for line in requirements.splitlines())
    assert {"scikit-learn", "skops", "uvloop"} <= {line.partition("==")[0] for line in requirements.splitlines()}
    assert subprocess.run(["sh", "-n", str(folder / "entrypoint")], check=False).returncode == 0
    with zipfile.ZipFile(folder / wheel) as packed:
        assert {"treadle/__main__.py", "treadle_steps/codecs.py"} <= set(packed.namelist())
    bill(folder)
    again = shop.treadle("export", "docker", "p.yaml", "-o", "image", env=OFFLINE)
    assert (again.code, again.stderr.splitlines()[0]) == (2, "error[folder-not-empty]: image is not empty")
    served(folder, tmp_path_factory.mktemp("elsewhere"), shop)


def bill(folder: Path) -> None:
    """The bill of materials holds to the published schema of CycloneDX, and names what is pinned, and the model."""
    text = (folder / "sbom.json").read_text()
    validator = JsonStrictValidator(SchemaVersion.V1_5)
    assert validator.validate_str(text) is None
    assert validator.validate_str(text.replace('"library"', '"libary"')) is not None
    found = json.loads(text)
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.5")
    pinned = re.findall(r"^([a-z0-9-]+)==(\S+)$", (folder / "requirements.txt").read_text(), re.M)
    assert [(one["name"], one["version"]) for one in found["components"] if one["type"] == "library"] == pinned
    [model] = [one for one in found["components"] if one["type"] == "machine-learning-model"]
    assert (model["name"], model["version"]) == ("price", "1")
    assert len({one["bom-ref"] for one in found["components"]}) == len(found["components"])


def served(folder: Path, elsewhere: Path, shop: Project) -> None:
    """Where there is only what the image has, the model answers, and a model that was changed does not."""
    project = Project(elsewhere, shop.home)
    for path in (folder / "project").rglob("*"):
        if path.is_file():
            project.write(path.relative_to(folder / "project").as_posix(), path.read_bytes())
    with project.start("serve", str(folder / "model"), "--port", "0") as server:
        try:
            assert server.stdout is not None
            found = re.search(r"http://\S+", server.stdout.readline())
            assert found
            body = json.dumps({"instances": [{"a": 5, "b": 1}]}).encode()
            with urllib.request.urlopen(f"{found[0]}/v1/models/price:predict", body, timeout=30) as answer:
                assert json.load(answer)["predictions"] == pytest.approx([11.0])
        finally:
            server.send_signal(signal.SIGTERM)
            server.communicate(timeout=30)
    [model] = (folder / "model").rglob("objects/*/*")
    os.chmod(model, 0o644)
    model.write_bytes(model.read_bytes() + b"x")
    with pytest.raises(TreadleError, match="was damaged"):
        BundleShelf(str(folder / "model"), str(elsewhere)).load("price", 1)


def test_bad_input_is_named(project: Project) -> None:
    for words, said in (
        (["export", "docker", "price", "-o", "x"], "error[unknown-model]: no model is registered here"),
        (["serve", "./nothing"], "error[nothing-to-serve]: ./nothing cannot be read"),
        (["serve", "."], "error[nothing-to-serve]: . holds no NAME/version.json"),
    ):
        refused = project.treadle(*words)
        assert refused.code == 2 and refused.stderr.startswith(said), refused.stderr
    assert not (project.root / "x").exists()


def test_the_container_script_is_a_shell_script() -> None:
    assert subprocess.run(["sh", "-n", str(ROOT / "tests/containers/run.sh")], check=False).returncode == 0


@pytest.mark.slow
def test_the_image_is_built_and_answers_in_all_dialects(request: pytest.FixtureRequest) -> None:
    """Really built with buildah and run with podman, where that is asked for and can be done."""
    missing = [tool for tool in ("buildah", "podman", "runc", "curl") if shutil.which(tool) is None]
    if not CONTAINERS.get("TREADLE_TEST_CONTAINERS"):
        pytest.skip("takes minutes and a package index: TREADLE_TEST_CONTAINERS=1, or the image to build on")
    if missing or os.geteuid() != 0:
        pytest.skip(f"needs root and {', '.join(missing) or 'no more'}")
    project = request.getfixturevalue("shop")
    assert project.treadle("export", "docker", "price", "-o", "built").code == 0
    base = CONTAINERS["TREADLE_TEST_CONTAINERS"].removeprefix("1")
    words = [
        "sh",
        str(ROOT / "tests/containers/run.sh"),
        str(project.root / "built"),
        "price",
        *([base] if base else []),
    ]
    env = {**os.environ, **CONTAINERS}
    done = subprocess.run(words, capture_output=True, text=True, timeout=1800, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "health check: ok" in done.stdout and "exit code 0" in done.stdout
