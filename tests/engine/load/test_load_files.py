"""Which files a path stands for, and what each of them is."""

from pathlib import Path

from treadle.code import DictMemo, Project
from treadle.load import LoadedFile, load_file, load_files, pipeline_files
from treadle.plugins import Catalog

PIPELINE = "version: 1\nsteps: {a: {run: make}}\n"
TABLE = "version: 1\ncolumns: {fare: {dtype: float}}\n"


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def names(root: Path) -> list[str]:
    return [str(Path(path).relative_to(root)) for path in pipeline_files(str(root))[0]]


def files(root: Path, *paths: str) -> list[LoadedFile]:
    return load_files(paths, str(root), Catalog({}), Project(str(root), DictMemo(), []))


def test_a_folder_holds_pipelines_and_table_schemas_among_others(tmp_path: Path) -> None:
    write(
        tmp_path,
        b_dot_yaml=PIPELINE,
        a__deep__t_dot_yml=TABLE,
        a_dot_lock_dot_yaml=PIPELINE,
        notes_dot_txt=PIPELINE,
        azure_dot_yaml="trigger: [main]\nsteps:\n- script: make\n",
        action_dot_yml="runs:\n  steps: {}\n",
        broken_dot_yaml="version: 1\nsteps: {a: [\n",
        template_dot_yaml="steps: {{ include }}: {{ x\n",
        _dot_treadle__x_dot_yaml=PIPELINE,
        _dot_git__x_dot_yaml=PIPELINE,
        env__pyvenv_dot_cfg="",
        env__lib__x_dot_yaml=PIPELINE,
        node_modules__x_dot_yaml=PIPELINE,
    )
    assert names(tmp_path) == ["b.yaml", "broken.yaml", "a/deep/t.yml"]


def test_a_list_of_steps_is_a_mistake_where_the_version_says_that_it_is_ours(tmp_path: Path) -> None:
    write(tmp_path, x_dot_yaml="version: 1\nsteps:\n- {run: make}\n")
    assert [p.code for p in files(tmp_path, ".")[0].problems] == ["wrong-type"]


def test_a_file_that_is_named_is_always_checked(tmp_path: Path) -> None:
    write(tmp_path, x_dot_txt="a: 1\n")
    assert pipeline_files(str(tmp_path / "x.txt")) == ([str(tmp_path / "x.txt")], [])
    assert {p.code for p in files(tmp_path, "x.txt")[0].problems} == {"unknown-key", "missing-key"}


def test_nothing_there(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    found = files(tmp_path, "no.yaml", "empty")
    assert [(one.path, [(p.code, p.severity) for p in one.problems]) for one in found] == [
        ("no.yaml", [("missing-file", "error")]),
        ("empty", [("nothing-to-check", "warning")]),
    ]


def test_each_file_is_checked_as_what_it_is(tmp_path: Path) -> None:
    write(
        tmp_path,
        good_dot_yaml=PIPELINE,
        table_dot_yaml=TABLE,
        bad__p_dot_yaml="version: 1\nsteps: {a: {run: make, after: [b]}}\n",
        bad__t_dot_yaml="version: 1\ncolumns: {fare: {dtype: flaot}}\n",
    )
    found = files(tmp_path, "good.yaml", "table.yaml", str(tmp_path / "bad"))
    assert [(one.path, one.kind, [p.code for p in one.problems]) for one in found] == [
        ("good.yaml", "pipeline", []),
        ("table.yaml", "table", []),
        ("bad/p.yaml", "pipeline", ["unknown-step"]),
        ("bad/t.yaml", "table", ["bad-value"]),
    ]
    assert found[0].loaded is not None and found[0].loaded.ok
    assert found[1].loaded is None


def test_one_file(tmp_path: Path) -> None:
    write(tmp_path, x_dot_yaml="version: 1\nsteps: {a: {run: make, after: [b]}}\n", y_dot_yaml="a: [\n")
    project = Project(str(tmp_path), DictMemo(), [])
    (problem,) = load_file("x.yaml", str(tmp_path), Catalog({}), project)
    assert str(problem.where) == "x.yaml:2:32"
    assert [p.code for p in load_file("y.yaml", str(tmp_path), Catalog({}), project)] == ["yaml-syntax"]
