"""The elements of lists: identity by content, and little memory."""

import json
import tracemalloc
from pathlib import Path

import pytest

from treadle.domain.artifact import Artifact
from treadle.domain.location import Location
from treadle.domain.plan import PlannedStep
from treadle.domain.task import Files, Given, Stored
from treadle.errors import CodecError
from treadle.run import elements
from treadle.run.items import Items
from treadle.store import Objects, add_list
from treadle.store.files import signature


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    (tmp_path / ".treadle/objects").mkdir(parents=True)
    return Objects(tmp_path / ".treadle/objects")


def test_plain_elements_are_known_by_their_value(objects: Objects) -> None:
    artifact = objects.add_bytes(b'[{"b": 1, "a": [2]}, 1, 1.0, "1", {"a": [2], "b": 1}]', "json")
    found = elements.of_artifact(artifact, objects)
    digests = [found[n].digest for n in range(len(found))]
    assert digests[0] == digests[4]
    assert len(set(digests)) == 4
    assert found[0].element == Given('{"a":[2],"b":1}')


def test_artifacts_are_known_by_digest_and_codec_not_by_name(objects: Objects) -> None:
    parts = [Artifact("a" * 64, "file", 1, "x"), Artifact("a" * 64, "file", 1, "y"), Artifact("a" * 64, "text", 1)]
    found = elements.of_artifact(add_list(objects, parts), objects)
    assert found[0].digest == found[1].digest != found[2].digest
    assert found[1].element == Stored(parts[1])


def test_a_folder_is_the_list_of_what_is_in_it(objects: Objects, tmp_path: Path) -> None:
    for name in ("in/b.txt", "in/sub/one", "in/sub/deep/two", "in/a.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    found = elements.of_artifact(objects.add_folder(tmp_path / "in"), objects)
    made = [one.artifact for n in range(len(found)) if isinstance(one := found[n].element, Stored)]
    assert [(one.name, one.codec) for one in made] == [("a.txt", "file"), ("b.txt", "file"), ("sub/", "folder")]
    assert objects.verify(made[2])
    assert made[2] == objects.add_folder(tmp_path / "in/sub")


def test_a_file_that_changed_is_not_what_was_hashed(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    found = elements.Found("d", Files("file", (str(path),)), signature(path))
    assert found.unchanged
    path.write_text("newer")
    assert not found.unchanged
    path.unlink()
    assert not found.unchanged


def test_what_is_no_list(objects: Objects) -> None:
    for artifact in (
        objects.add_bytes(b"{}", "json"),
        objects.add_bytes(b"x", "parquet"),
        Artifact("x", "file", 1, "y"),
    ):
        with pytest.raises(CodecError, match="foreach needs a list"):
            elements.of_artifact(artifact, objects)


def test_a_hundred_thousand_items_cost_little_memory(objects: Objects) -> None:
    count = 100_000
    artifact = objects.add_bytes(json.dumps([{"shard": n} for n in range(count)]).encode(), "json")
    tracemalloc.start()
    try:
        found = elements.of_artifact(artifact, objects)
        state = Items(PlannedStep(id="s", kind="function", call="w:f", where=Location("x", 1, 1)), len(found), 0.001)
        state.open(range(count))
        while not state.over:
            for index in state.take(2):
                state.done(index, {"out": Artifact(found[index].digest, "json", 10, "out.json")}, 0.001)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept / count < 500
