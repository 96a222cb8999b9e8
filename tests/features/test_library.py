"""The step library from outside: what `treadle steps` says, its pages, and the schema that an editor uses."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from support.project import Project
from support.sources import ROOT
from treadle.api import library
from treadle.code import accepts
from treadle.code.schema import of_annotation

FILES = [*ROOT.glob("pipelines/*.yaml"), *ROOT.glob("examples/*/pipelines/*.yaml")]
PIPELINES = [path for path in FILES if "\nsteps:" in path.read_text(encoding="utf-8")]


@pytest.fixture(scope="module")
def editor() -> Draft202012Validator:
    schema = library.editor_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def test_pages_are_current() -> None:
    """Write them again with: treadle steps --markdown, treadle steps STEP --markdown."""
    steps = [step for step in library.list_steps() if step.call.startswith("treadle_steps.")]
    made = {f"{step.name}.md": library.page(step) for step in steps} | {"README.md": library.contents(steps)}
    kept = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs/steps").glob("*.md")}
    assert sorted(kept) == sorted(made)
    assert [name for name in made if kept[name] != made[name]] == []


def test_every_step_says_what_it_does() -> None:
    for step in library.list_steps():
        assert step.summary, step.name
        assert all(kind for _, kind, _ in step.params), f"{step.name}: a parameter without a type"
        Draft202012Validator.check_schema(step.schema)


def test_one_step_as_json_has_its_schema(project: Project) -> None:
    found = project.treadle("steps", "ingest.table", "--json").json()
    assert found["schema"]["properties"]["format"] == {"enum": ["auto", "csv", "jsonl", "parquet"], "default": "auto"}
    assert found["schema"]["properties"]["columns"]["anyOf"][0] == {"type": "array", "items": {"type": "string"}}
    wrong = project.treadle("steps", "ingest.tabel")
    assert wrong.code == 2
    assert "did you mean 'ingest.table'?" in wrong.stderr + wrong.stdout


def test_the_command_prints_schema_and_pages(project: Project) -> None:
    schema = project.treadle("steps", "--schema")
    assert schema.code == 0
    assert json.loads(schema.stdout) == json.loads(json.dumps(library.editor_schema()))
    page = project.treadle("steps", "split.random", "--markdown").stdout
    assert page.startswith("# split.random\n")
    assert "| `test_share` | `float` | `0.2` |" in page


@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.stem)
def test_our_own_pipelines_fit_the_editor_s_schema(editor: Draft202012Validator, path: Path) -> None:
    assert [error.message for error in editor.iter_errors(yaml.safe_load(path.read_text()))] == []


@pytest.mark.parametrize(
    ("step", "fits"),
    [
        ({"uses": "split.random", "in": {"data": "x"}, "with": {"test_share": 0.1}}, True),
        ({"uses": "split.random", "in": {"data": "x"}, "with": {"test_share": "${params.share}"}}, True),
        ({"uses": "split.random", "in": {"data": "x"}, "with": {"test_share": "much"}}, False),
        ({"uses": "split.random", "in": {"data": "x"}, "with": {"test_shar": 0.1}}, False),
        ({"uses": "split.random", "in": {"dta": "x"}}, False),
        ({"uses": "ingest.table", "in": {"source": "x"}, "with": {"format": "xml"}}, False),
        ({"uses": "ingest.table", "in": {"source": "x"}, "with": {"columns": ["a", "${params.b}"]}}, True),
        ({"uses": "ingest.table", "in": {"source": "x"}, "with": {"columns": ["a", 3]}}, False),
        ({"uses": "train.estimator", "in": {"data": "x"}, "with": {"depth": 3}}, True),
        ({"uses": "mine:step", "in": {"anything": "x"}, "with": {"whatever": 1}}, True),
    ],
)
def test_the_editor_sees_what_a_step_takes(editor: Draft202012Validator, step: dict[str, Any], fits: bool) -> None:
    assert editor.is_valid({"version": 1, "steps": {"x": {"uses": "m:f"}, "s": step}}) == fits


ANNOTATIONS = st.recursive(
    st.sampled_from(["str", "int", "float", "bool", "None", "Literal['a', 'b', 3]"]),
    lambda inner: st.one_of(
        inner.map(lambda a: f"list[{a}]"),
        inner.map(lambda a: f"dict[str, {a}]"),
        inner.map(lambda a: f"Optional[{a}]"),
        inner.map(lambda a: f"Annotated[{a}, 'x']"),
        st.tuples(inner, inner).map(" | ".join),
        st.tuples(inner, inner).map(lambda ab: f"Union[{', '.join(ab)}]"),
    ),
    max_leaves=4,
)
VALUES = st.recursive(
    st.sampled_from(["a", "c", 3, 4, 0.5, True, None]),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.sampled_from("pq"), inner, max_size=2)),
    max_leaves=4,
)


@given(annotation=ANNOTATIONS, value=VALUES)
def test_the_schema_takes_what_check_takes(annotation: str, value: Any) -> None:
    assert Draft202012Validator(of_annotation(annotation)).is_valid(value) == (accepts(annotation, value) is not False)
