"""What is installed reads as `importlib.metadata` reads it."""

import sys
from importlib import metadata
from pathlib import Path

from treadle.distributions import CODE, distributions
from treadle.plugins import GROUPS


def test_names_versions_and_entry_points_are_those_of_importlib() -> None:
    ours = dict(one.title() for one in distributions(sys.path))
    theirs = {one.metadata["Name"]: one.version for one in metadata.distributions()}
    assert ours == theirs
    groups: dict[str, dict[str, str]] = {}
    for one in distributions(sys.path):
        for group, entries in one.entry_points(GROUPS).items():
            groups.setdefault(group, {}).update(entries)
    found = metadata.entry_points()
    assert groups["treadle.steps"] == {entry.name: entry.value for entry in found.select(group="treadle.steps")}
    assert groups["treadle.codecs"] == {entry.name: entry.value for entry in found.select(group="treadle.codecs")}


def test_modules_are_those_of_the_recorded_files() -> None:
    ours = {one.title()[0]: one.tops() for one in distributions(sys.path)}
    for one in metadata.distributions():
        parts = [file.parts[0] for file in one.files or () if file.name.endswith(CODE)]
        modules = {
            part.partition(".")[0] for part in parts if not part.endswith((".dist-info", ".data")) and part != ".."
        }
        assert modules <= ours[one.metadata["Name"]], one.metadata["Name"]


def installed(folder: Path, name: str, **files: str) -> None:
    (folder / name).mkdir(parents=True)
    for file, text in files.items():
        (folder / name / file.replace("__", ".")).write_text(text)


def test_quoted_paths_extras_and_the_first_of_two(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    installed(
        first,
        "my_plug_in-2.0.dist-info",
        METADATA="Metadata-Version: 2.1\nName: my-plug-in\nVersion: 2.0\n\nVersion: not this\n",
        RECORD='"a,b/c.py",sha256=x,3\nplug/__init__.py,,\nalone.cpython-311-x86_64-linux-gnu.so,,\nplug/data.txt,,\n',
        entry_points__txt="[console_scripts]\nplug = plug:main\n\n[treadle.steps]\n# no\nplug.in = plug:step [fast]\n",
    )
    installed(second, "My_Plug_In-1.0.dist-info", METADATA="Name: my-plug-in\nVersion: 1.0\n")
    installed(second, "bare-1.dist-info")
    found = list(distributions([str(first), str(second), str(tmp_path / "gone")]))
    assert [one.title() for one in found] == [("my-plug-in", "2.0"), ("", "")]
    assert found[0].tops() == {"a,b", "plug", "alone"}
    assert found[0].entry_points(GROUPS) == {"treadle.steps": {"plug.in": "plug:step"}}
    assert found[1].tops() == set()


def test_older_kinds_are_left_to_importlib(tmp_path: Path) -> None:
    installed(tmp_path, "old.egg-info", **{"PKG-INFO": "Name: old\nVersion: 0.1\n", "top_level__txt": "older\n"})
    installed(tmp_path, "new-3.dist-info", METADATA="Name: new\nVersion: 3\n", RECORD="new.py,,\n")
    (tmp_path / "new.py").touch()  # the backport of importlib, once imported, leaves out what is not there
    found = {one.title(): one.tops() for one in distributions([str(tmp_path)])}
    assert found == {("old", "0.1"): {"older"}, ("new", "3"): {"new"}}
