"""Values through codecs: the same value gives the same bytes, and comes back equal."""

import collections
import enum
import math
import os
from pathlib import Path
from typing import Any

import numpy
import pytest

from treadle.authoring import ModelCard
from treadle.domain.artifact import Artifact
from treadle.errors import CodecError
from treadle.store import Objects, add_list, decode, encode
from treadle.store.codecs import BUILTIN

CODECS = list(BUILTIN.values())


class Colour(enum.StrEnum):
    RED = "red"


class Point(collections.namedtuple("Point", "x y")):
    __slots__ = ()


class Reversed:
    """A plug-in's codec: text in a file, backwards; or in a folder."""

    def __init__(self, folder: bool = False) -> None:
        self.name = "reversed"
        self.suffix = "" if folder else ".rev"
        self.folder = folder

    def accepts(self, value: Any) -> bool:
        return isinstance(value, complex)

    def write(self, value: Any, path: Path) -> None:
        if self.folder:
            path.mkdir()
        target = path / "value" if self.folder else path
        target.write_text(str(value)[::-1])

    def read(self, path: Path) -> Any:
        assert path.name == f"out{self.suffix}"
        return complex((path / "value" if self.folder else path).read_text()[::-1])


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return Objects(tmp_path / ".treadle" / "objects")


def through(value: Any, objects: Objects, tmp_path: Path, forced: str | None = None) -> tuple[str, Any]:
    made = encode(value, CODECS, objects, tmp_path / "scratch", "out", forced)
    return made.codec, decode(made, BUILTIN, objects, tmp_path / "scratch2")


@pytest.mark.parametrize(
    ("value", "codec"),
    [
        (None, "json"),
        (True, "json"),
        (10**40, "json"),
        (0.1, "json"),
        ("text", "text"),
        ("a\r\nb\x00\ud800", "text"),
        ("", "text"),
        (b"\0\xff", "bytes"),
        (bytearray(b"a"), "bytes"),
        ({"b": [1, 2.0, None], "a": {"é\ud800": "x"}}, "json"),
        ([], "json"),
        (collections.defaultdict(int, a=1), "json"),
        (collections.OrderedDict(b=1, a=2), "json"),
        ({Colour.RED: Colour.RED}, "json"),
        (numpy.float64(0.1), "json"),
        (numpy.int32(3), "json"),
        ([numpy.bool_(True), numpy.str_("a"), numpy.float32(0.5)], "json"),
    ],
)
def test_plain_values_come_back_equal(value: Any, codec: str, objects: Objects, tmp_path: Path) -> None:
    found, again = through(value, objects, tmp_path)
    assert (found, again) == (codec, value)


def test_numpy_scalars_come_back_plain(objects: Objects, tmp_path: Path) -> None:
    _, again = through([numpy.float64(0.5), numpy.int8(1), numpy.bool_(False)], objects, tmp_path)
    assert [type(item) for item in again] == [float, int, bool]


def test_tuples_come_back_as_lists(objects: Objects, tmp_path: Path) -> None:
    assert through((1, (2,), Point(3, 4)), objects, tmp_path)[1] == [1, [2], [3, 4]]


def test_special_floats_survive(objects: Objects, tmp_path: Path) -> None:
    _, (nan, inf, zero) = through([math.nan, -math.inf, -0.0], objects, tmp_path)
    assert (math.isnan(nan), inf, math.copysign(1, zero)) == (True, -math.inf, -1.0)


def test_equal_values_have_equal_bytes_and_unequal_ones_not(objects: Objects, tmp_path: Path) -> None:
    def name(value: Any) -> str:
        return encode(value, CODECS, objects, tmp_path / "s", "out").digest

    assert name({"a": 1, "b": 2}) == name({"b": 2, "a": 1}) == name(collections.OrderedDict(b=2, a=1))
    assert name(Colour.RED) == name("red")
    assert len({name(1), name(1.0), name(True), name([1]), name({"a": 1})}) == 5


def cyclic() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (object(), "output 'out' is a object, which no codec stores"),
        (numpy.zeros(2), "output 'out' is a numpy.ndarray, which no codec stores"),
        ({"a": [1, {2}]}, "a dict that cannot be stored as JSON: ['a'][1] is a set"),
        ({1: 2}, "it has the key 1, and keys must be text"),
        ([numpy.datetime64("2020-01-01")], "[0] is a numpy.datetime64"),
        (numpy.longdouble(1), "numpy.longdouble, which no codec stores"),
        (cyclic(), "it contains itself"),
        (Path("/nowhere/x.csv"), "the path /nowhere/x.csv, but there is nothing there"),
        (Path("/dev/null"), "there is neither a file nor a folder there"),
    ],
)
def test_what_no_codec_stores_is_named_with_what_to_do(value: Any, text: str, objects: Objects, tmp_path: Path) -> None:
    with pytest.raises(CodecError) as caught:
        encode(value, CODECS, objects, tmp_path / "scratch", "out")
    assert text in str(caught.value)
    advice = "create the file or folder" if isinstance(value, Path) else "declare `out: {out: {codec: pickle}}`"
    assert advice in str(caught.value)


def test_a_pickle_only_where_it_is_declared(objects: Objects, tmp_path: Path) -> None:
    assert through({1, 2}, objects, tmp_path, "pickle") == ("pickle", {1, 2})
    assert through({"a": 1}, objects, tmp_path, "pickle")[0] == "pickle"


def test_an_unknown_or_unfit_forced_codec_is_refused(objects: Objects, tmp_path: Path) -> None:
    with pytest.raises(CodecError, match="did you mean 'json'"):
        through(1, objects, tmp_path, "jsn")
    with pytest.raises(CodecError, match="this value is no JSON: it is a set"):
        through({1}, objects, tmp_path, "json")
    with pytest.raises(CodecError, match="stores bytes, not int"):
        through(1, objects, tmp_path, "bytes")
    with pytest.raises(CodecError, match="is to be a folder"):
        through(1, objects, tmp_path, "folder")
    with pytest.raises(CodecError, match="no name for an output"):
        encode(1, CODECS, objects, tmp_path, "../x")


def test_a_file_of_the_user_is_copied_and_comes_back_with_its_name(objects: Objects, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"m")
    made = encode(tmp_path / "model.onnx", CODECS, objects, tmp_path / "scratch", "out")
    assert made.name == "model.onnx"
    (tmp_path / "model.onnx").write_bytes(b"changed")
    place = decode(made, BUILTIN, objects, tmp_path / "scratch2")
    assert (place.name, place.read_bytes()) == ("model.onnx", b"m")


def test_one_file_in_the_scratch_folder_can_be_two_outputs(objects: Objects, tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    (tmp_path / "scratch" / "a.csv").write_text("1")
    made = [encode(tmp_path / "scratch" / "a.csv", CODECS, objects, tmp_path / "scratch", n) for n in ("a", "b")]
    assert made[0] == made[1]
    assert objects.read(made[0]) == b"1"


def test_a_folder_comes_back_as_a_folder(objects: Objects, tmp_path: Path) -> None:
    (tmp_path / "m" / "sub").mkdir(parents=True)
    (tmp_path / "m" / "sub" / "a").write_text("1")
    codec, place = through(tmp_path / "m", objects, tmp_path)
    assert (codec, place.name, (place / "sub" / "a").read_text()) == ("folder", "m", "1")


def test_a_program_stays_one(objects: Objects, tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    for forced in (None, "file"):
        made = encode(tool, CODECS, objects, tmp_path / "s", "out", forced)
        assert made.codec == "program"
        shown = decode(made, BUILTIN, objects, tmp_path / "s2")
        objects.restore(made, tmp_path / "bin" / "tool")
        assert os.access(shown, os.X_OK) and os.access(tmp_path / "bin" / "tool", os.X_OK)


@pytest.mark.parametrize("folder", [False, True])
def test_a_codec_of_a_plug_in_sees_a_path_with_its_suffix(folder: bool, objects: Objects, tmp_path: Path) -> None:
    codec = Reversed(folder)
    made = encode(1 + 2j, [*CODECS, codec], objects, tmp_path / "scratch", "out")
    assert (made.codec, made.name) == ("reversed", "out/" if folder else "out.rev")
    assert objects.has(made)
    assert decode(made, {"reversed": codec}, objects, tmp_path / "s2") == 1 + 2j
    assert decode(made, lambda name: codec, objects, tmp_path / "s3") == 1 + 2j
    with pytest.raises(CodecError, match="codec 'reversed', which stored this value, is not installed"):
        decode(made, {}, objects, tmp_path / "s4")


def test_a_list_of_artifacts_is_read_as_a_list_of_values(objects: Objects, tmp_path: Path) -> None:
    items = [encode(value, CODECS, objects, tmp_path / "s", "out") for value in (1, "a", [2])]
    whole = add_list(objects, [*items, add_list(objects, items[:1])])
    assert decode(whole, BUILTIN, objects, tmp_path / "s") == [1, "a", [2], [1]]


@pytest.mark.parametrize("value", [1, "a", b"a", 3j])
def test_damage_is_found_while_reading(value: Any, objects: Objects, tmp_path: Path) -> None:
    codec = Reversed()
    made = encode(value, [*CODECS, codec], objects, tmp_path / "s", "out")
    path = Path(objects.path(made.digest))
    content = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(bytes(len(content)))
    with pytest.raises(CodecError, match="damaged"):
        decode(made, {"reversed": codec}, objects, tmp_path / "s2")
    assert not objects.has(made)


@pytest.mark.parametrize(("codec", "data"), [("json", b"{"), ("text", b"\xff"), ("list", b"{}")])
def test_bytes_that_do_not_read_back_are_an_error_of_the_codec(codec: str, data: bytes, objects: Objects) -> None:
    made = objects.add_bytes(data, codec)
    with pytest.raises(CodecError, match="does not read back"):
        decode(Artifact(made.digest, codec, made.size), BUILTIN, objects, "/nowhere")


@pytest.mark.parametrize("name", sorted(set(BUILTIN) - {"list", "program"}))
def test_a_builtin_codec_keeps_the_protocol(name: str, tmp_path: Path) -> None:
    codec = BUILTIN[name]
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "f").write_text("x")
    place = tmp_path / "source"
    card = ModelCard("demand", metrics={"mae": 1.0})
    value = {"text": "a", "bytes": b"a", "file": place / "f", "folder": place, "card": card}.get(name, [1])
    path = tmp_path / f"x{codec.suffix}"
    codec.write(value, path)
    assert codec.accepts(value) == (name != "pickle")
    assert path.is_dir() == codec.folder
    again = codec.read(path)
    assert again == (path if name in ("file", "folder") else value)
    assert os.path.exists(path)
