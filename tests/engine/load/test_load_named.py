"""Names of estimators and their parameters are read from installed packages, and never imported for that."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from treadle.code import DictMemo, Project
from treadle.errors import Problem
from treadle.load import load_pipeline
from treadle.plugins import Catalog

HEAD = """
version: 1
data: {rows: {path: rows.csv}}
steps:
  read: {uses: ingest.table, in: {source: data.rows}}
  fit:
    uses: train.estimator
    in: {data: read}
"""


def problems(folder: Path, rest: str) -> list[Problem]:
    (folder / "rows.csv").write_text("a,y\n1,2\n")
    (folder / "p.yaml").write_text(HEAD + textwrap.indent(textwrap.dedent(rest), "    "))
    found = load_pipeline("p.yaml", str(folder), Catalog.from_entry_points(), Project(str(folder), DictMemo()))
    return list(found.problems)


def under_the_caret(folder: Path, problem: Problem) -> str:
    assert problem.where is not None
    return (folder / "p.yaml").read_text().splitlines()[problem.where.line - 1][problem.where.column - 1 :]


@pytest.mark.parametrize(
    ("rest", "word", "text", "hint"),
    [
        (
            "with: {target: y, estimator: sklearn.linear_model.Rigde}",
            "sklearn.linear_model.Rigde",
            "'sklearn.linear_model' has no 'Rigde'",
            "did you mean 'Ridge'?",
        ),
        (
            "with: {target: y, estimator: sklearn.linear_modell.Ridge}",
            "sklearn.linear_modell",
            "there is no module 'sklearn.linear_modell'",
            "is it whole",
        ),
        (
            "with: {target: y, estimator: sklearn.linear_model.Ridge, params: {alhpa: 2}}",
            "alhpa",
            "'sklearn.linear_model.Ridge' has no parameter 'alhpa'",
            "did you mean 'alpha'?",
        ),
        (
            "with: {target: y, estimator: sklearn.linear_model.Ridge, alhpa: 2}",
            "alhpa",
            "'sklearn.linear_model.Ridge' has no parameter 'alhpa'",
            "did you mean 'alpha'?",
        ),
        (
            "with: {target: y, estimator: sklearn.linear_model.Ridge}\nmatrix: {alhpa: [1, 2]}\nselect: {min: cv_mae}",
            "alhpa",
            "'sklearn.linear_model.Ridge' has no parameter 'alhpa'",
            "did you mean 'alpha'?",
        ),
    ],
)
def test_a_wrong_name_has_its_place(tmp_path: Path, rest: str, word: str, text: str, hint: str) -> None:
    [found] = problems(tmp_path, rest)
    assert found.text == text
    assert found.hint.startswith(hint)
    assert under_the_caret(tmp_path, found).startswith(word)


@pytest.mark.parametrize(
    "rest",
    [
        "with: {target: y, estimator: sklearn.linear_model.Ridge, alpha: 2, params: {tol: 0.1}}",
        "with: {target: y, estimator: sklearn.ensemble.HistGradientBoostingRegressor, max_iter: 3}",
        "with: {target: y, estimator: notinstalled.models.Thing, anything: 1}",
        "with: {target: y, estimator: '${params.kind}'}",
    ],
)
def test_what_is_right_or_cannot_be_known_is_left_alone(tmp_path: Path, rest: str) -> None:
    found = problems(tmp_path, rest)
    assert [one for one in found if one.code in ("unknown-name", "unknown-argument")] == []


def test_names_that_a_module_makes_as_it_runs_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "lazy.py").write_text("def __getattr__(name): ...\n")
    assert problems(tmp_path, "with: {target: y, estimator: lazy.Model, depth: 1}") == []


@pytest.mark.parametrize("package", ["xgboost.XGBRegressor", "lightgbm.LGBMRegressor"])
def test_boosters_are_read_too(tmp_path: Path, package: str) -> None:
    pytest.importorskip(package.partition(".")[0])
    assert problems(tmp_path, f"with: {{target: y, estimator: {package}, n_estimators: 5}}") == []
    [found] = problems(tmp_path, f"with: {{target: y, estimator: {package}s}}")
    assert found.code == "unknown-name"


def test_nothing_is_imported(tmp_path: Path) -> None:
    problems(tmp_path, "with: {target: y, estimator: sklearn.linear_model.Ridge, alhpa: 2}")
    code = "import sys; from treadle.__main__ import main\ntry: main()\nfinally: print('sklearn' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, "check", "p.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "alhpa" in done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize(
    ("given", "word", "text"),
    [
        ("features: [a, 3]", "3]", "takes list[str] | None: 3 does not fit"),
        ("cv: '3'", "'3'", "takes int, not '3'"),
    ],
)
def test_the_part_that_does_not_fit_has_the_caret(tmp_path: Path, given: str, word: str, text: str) -> None:
    [found] = problems(tmp_path, f"with: {{target: y, estimator: sklearn.svm.SVC, {given}}}")
    assert text in found.text
    assert under_the_caret(tmp_path, found).startswith(word)
    assert found.code == "wrong-argument-type"
