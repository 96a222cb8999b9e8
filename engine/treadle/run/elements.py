"""What stands in a list: its elements, each with its identity, without decoding what they hold.

An element is identified by its content: never by its place in the list, so that a list that grows at its
front costs one item.
"""

import os
from collections.abc import Iterator

from msgspec import Struct, msgpack, structs

from treadle.digest import of_bytes, of_value
from treadle.domain.artifact import Artifact
from treadle.domain.task import Element, Files, Given, Stored
from treadle.errors import CodecError
from treadle.store import Data, Objects
from treadle.store.files import signature
from treadle.store.objects import LIST, PROGRAM, is_folder
from treadle.store.tree import encode as encode_members

SHOWN = 60  # characters of an element in a message


class Found(Struct, frozen=True, array_like=True):
    """An element with its identity; `mark` is what tells that a file of the user's has not changed."""

    digest: str
    element: Element
    mark: tuple[int, int, int, int] | None = None

    @property
    def unchanged(self) -> bool:
        """Whether the user's file is still what was hashed."""
        if self.mark is None or not isinstance(self.element, Files):
            return True
        try:
            return signature(self.element.paths[0]) == self.mark
        except OSError:
            return False


_decode = msgpack.Decoder(Found).decode


class Elements:
    """The elements of a list, kept as bytes: a hundred thousand of them cost some 20 MB."""

    def __init__(self, found: Iterator[Found]) -> None:
        encode = msgpack.Encoder().encode
        self._encoded = [encode(one) for one in found]

    def __len__(self) -> int:
        return len(self._encoded)

    def __getitem__(self, index: int) -> Found:
        return _decode(self._encoded[index])


def of_artifact(artifact: Artifact, objects: Objects) -> Elements:
    """The elements of what a step made: a list, a folder (its files and folders, by name), or a file of JSON.

    Raises CodecError when it is none of these, or its content is lost.
    """
    if artifact.codec == LIST:
        return Elements(_stored(one) for one in objects.items(artifact))
    if artifact.codec == "folder" and is_folder(artifact):
        return Elements(map(_stored, _entries(artifact, objects)))
    if artifact.codec == "json" or (artifact.codec in ("file", PROGRAM) and artifact.name.endswith(".json")):
        return Elements(_given(objects.read(artifact)))
    what = f"the file {artifact.name}" if artifact.codec == "file" else f"a {artifact.codec}"
    raise CodecError(f"foreach needs a list, a folder or a JSON file with a list, and this is {what}")


def of_data(data: Data, contents: list[str]) -> Elements:
    """The files that a pattern of a data entry matched; `contents` are their digests."""
    if data.shape != "files":
        raise CodecError(f"foreach needs a pattern of files, and this data entry is a {data.shape}")
    rows = zip(data.paths, contents, data.signatures, strict=True)
    return Elements(
        Found(of_value(["file", os.path.splitext(path)[1], content]), Files("file", (path,)), mark)
        for path, content, mark in rows
    )


def label(element: Element) -> str:
    """An element for people, in short."""
    if isinstance(element, Given):
        text = element.json
    elif isinstance(element, Files):
        text = os.path.basename(element.paths[0])
    else:
        text = f"{element.artifact.name} {element.artifact.digest[:12]}".strip()
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _stored(artifact: Artifact) -> Found:
    return Found(f"{artifact.codec}:{artifact.digest}", Stored(artifact))


def _given(data: bytes) -> Iterator[Found]:
    import json  # lazy: 4 ms that a run with nothing to do spares

    try:
        values = json.loads(data)
    except ValueError as error:
        raise CodecError(f"foreach needs a list, and this is no JSON: {error}") from error
    if not isinstance(values, list):
        raise CodecError(f"foreach needs a list, and this is a {type(values).__name__}")
    for value in values:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"))
        yield Found(of_bytes(text.encode()), Given(text))


def _entries(folder: Artifact, objects: Objects) -> Iterator[Artifact]:
    """The files and folders right below a folder, as artifacts of their own."""
    below: dict[str, list[tuple[str, int]]] = {}
    members = objects.members(folder)
    for number, member in enumerate(members):
        top, slash, rest = member.name.partition("/")
        if slash:
            below.setdefault(top, []).append((rest, number))
        elif member.is_file:
            yield Artifact(member.digest, PROGRAM if member.executable else "file", member.size, member.name)
    for name, inside in sorted(below.items()):
        own = [structs.replace(members[number], name=rest) for rest, number in inside]
        manifest = objects.add_bytes(encode_members(own), "folder")
        yield Artifact(manifest.digest, "folder", sum(member.size for member in own), f"{name}/")
