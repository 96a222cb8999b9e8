"""Value ↔ file through codecs; those for plain values are here, the others come with plug-ins."""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from treadle.authoring import Codec
from treadle.domain.artifact import Artifact
from treadle.errors import CodecError
from treadle.store.objects import FOLDER, LIST, Objects

SMALL = 1 << 16


class JsonCodec:
    """None, bool, int, float, str and lists and maps of them; keys in order, so equal values give equal bytes."""

    name = "json"
    suffix = ".json"
    folder = False

    def accepts(self, value: Any) -> bool:
        return value is None or isinstance(value, bool | int | float | dict | list | tuple)

    def write(self, value: Any, path: Path) -> None:
        import json  # lazy: only a worker encodes values

        try:
            path.write_text(json.dumps(_plain(value, "value"), sort_keys=True, ensure_ascii=False), encoding="utf-8")
        except (TypeError, ValueError, RecursionError) as error:
            raise CodecError(str(error)) from None

    def read(self, path: Path) -> Any:
        import json  # lazy: only a worker decodes values

        return json.loads(path.read_bytes())


class TextCodec:
    """A str, as UTF-8."""

    name = "text"
    suffix = ".txt"
    folder = False

    def accepts(self, value: Any) -> bool:
        return type(value) is str

    def write(self, value: Any, path: Path) -> None:
        path.write_bytes(value.encode("utf-8", "surrogatepass"))

    def read(self, path: Path) -> Any:
        return path.read_bytes().decode("utf-8", "surrogatepass")


class BytesCodec:
    """Bytes as they are."""

    name = "bytes"
    suffix = ".bin"
    folder = False

    def accepts(self, value: Any) -> bool:
        return isinstance(value, bytes | bytearray)

    def write(self, value: Any, path: Path) -> None:
        path.write_bytes(bytes(value))

    def read(self, path: Path) -> Any:
        return path.read_bytes()


class PickleCodec:
    """Any value through cloudpickle; only where an output declares it, since pickles run code when read."""

    name = "pickle"
    suffix = ".pkl"
    folder = False

    def accepts(self, value: Any) -> bool:
        return False

    def write(self, value: Any, path: Path) -> None:
        import cloudpickle  # lazy: only for outputs that declare it

        with open(path, "wb") as file:
            cloudpickle.dump(value, file, protocol=5)

    def read(self, path: Path) -> Any:
        import cloudpickle  # lazy: only for outputs that declare it

        with open(path, "rb") as file:
            return cloudpickle.load(file)


def encode(
    value: Any, codecs: Sequence[Codec], objects: Objects, scratch: str, name: str, forced: str | None
) -> Artifact:
    """Store a value as an artifact called `name`.

    A Path is stored as the file or folder it names. Raises CodecError for a value that no codec takes.
    """
    os.makedirs(scratch, exist_ok=True)
    if isinstance(value, Path) and forced is None:
        return _store_path(value, objects, scratch)
    codec = next((c for c in codecs if (c.name == forced if forced else c.accepts(value))), None)
    if codec is None:
        if forced:
            raise CodecError(f"output '{name}': no codec is called '{forced}'")
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        hint = f"return a table, an array, a model or plain values, or declare `out: {{{name}: {{codec: pickle}}}}`"
        raise CodecError(f"output '{name}' is a {kind}, which no codec stores: {hint}")
    path = Path(scratch) / f"{name}{codec.suffix}"
    try:
        codec.write(value, path)
    except CodecError as error:
        raise CodecError(f"output '{name}': {error}") from None
    if codec.folder:
        return _with_codec(objects.add_folder(str(path), path.name, scratch), codec.name)
    return objects.add_file(str(path), codec.name, path.name)


def decode(
    artifact: Artifact, find: Mapping[str, Codec] | Callable[[str], Codec], objects: Objects, scratch: str
) -> Any:
    """The value of an artifact, whose bytes are proved on the way; raises CodecError when they are damaged."""
    folder = os.path.join(scratch, f"in-{artifact.digest[:16]}")
    if artifact.codec == LIST:
        return [decode(member, find, objects, scratch) for member in objects.members(artifact)]
    if artifact.codec in ("file", FOLDER):
        return Path(objects.hand_out(artifact, folder))
    codec = find[artifact.codec] if isinstance(find, Mapping) else find(artifact.codec)
    return codec.read(Path(objects.hand_out(artifact, folder)))


def add_list(objects: Objects, artifacts: Sequence[Artifact]) -> Artifact:
    """A list of artifacts as an artifact of its own."""
    from msgspec import json  # lazy: only a matrix or foreach without select needs it

    scratch = os.path.join(os.path.dirname(objects.folder), "tmp", f"list-{os.getpid()}")
    stored = objects.add_bytes(json.encode(artifacts), LIST, "list.json", scratch)
    os.rmdir(scratch)
    return stored


def _store_path(value: Path, objects: Objects, scratch: str) -> Artifact:
    if value.is_dir():
        return objects.add_folder(str(value), value.name, scratch)
    if not value.is_file():
        raise CodecError(f"the step returned the path {value}, but there is no such file")
    return objects.add_file(str(value), "file", value.name, keep=True)


def _with_codec(artifact: Artifact, codec: str) -> Artifact:
    return Artifact(artifact.digest, codec, artifact.size, artifact.name)


def _plain(value: Any, at: str) -> Any:
    """The value with numpy's scalars made plain; raises TypeError naming the place of what JSON cannot hold."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return float(value) if not math.isnan(value) else math.nan
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"{at} has the key {key!r}: JSON takes only text as keys")
        return {key: _plain(item, f"{at}[{key!r}]") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{at}[{number}]") for number, item in enumerate(value)]
    if type(value).__module__ == "numpy" and hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        return _plain(value.item(), at)
    raise TypeError(f"{at} is a {type(value).__module__}.{type(value).__qualname__}, which JSON cannot hold")
