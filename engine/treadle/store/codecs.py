"""Values to artifacts and back.

encode                       decode
├── choose: forced, or the   ├── list: decode each item
│   first that accepts       ├── built in, one file: read and prove the bytes, parse them
├── built in: bytes          └── others: prove and show the object as a file or folder, Codec.read
└── others: Codec.write, then add the file or folder
"""

import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from stat import S_IXUSR
from typing import TYPE_CHECKING, Any

from treadle.authoring import PATH, Codec, ModelCard
from treadle.domain.artifact import Artifact
from treadle.errors import CodecError, did_you_mean
from treadle.store import tree
from treadle.store.objects import LIST, PROGRAM, Objects, add_list, is_folder
from treadle.store.scratch import temporary

if TYPE_CHECKING:
    from pathlib import Path

MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")  # it becomes a part of a URL and of a path
_PICKLED = "\nelse declare `out: {{{}: {{codec: pickle}}}}`"
CARD = "card"  # the codec of a model's card: an output stored by it is registered


class _Whole:
    """A codec whose values are bytes in memory, so that what was proved is what is read."""

    name = ""
    suffix = ""
    folder = False

    def accepts(self, value: Any) -> bool:
        raise NotImplementedError

    def dump(self, value: Any) -> bytes:
        raise NotImplementedError

    def parse(self, data: bytes) -> Any:
        raise NotImplementedError

    def write(self, value: Any, path: "Path") -> None:
        """Store the value in a file."""
        path.write_bytes(self.dump(value))

    def read(self, path: "Path") -> Any:
        """Return the value stored in a file."""
        return self.parse(path.read_bytes())


class JsonCodec(_Whole):
    """None, numbers, text, lists, tuples and dicts with text as keys, all the way down; tuples come back as lists.

    Keys are sorted; NaN and the infinities are written as Python does; numpy scalars become plain numbers.
    A top-level text is left to the text codec.
    """

    name = "json"
    suffix = ".json"

    def accepts(self, value: Any) -> bool:
        return not isinstance(value, str | ModelCard) and misfit(value) == ""

    def dump(self, value: Any) -> bytes:
        import json  # lazy: 4 ms that a run with nothing to do spares

        try:
            return json.dumps(_plain(value), sort_keys=True, separators=(",", ":")).encode("ascii")
        except (TypeError, ValueError, RecursionError) as error:
            raise CodecError(f"this value is no JSON: {misfit(value) or error}") from error

    def parse(self, data: bytes) -> Any:
        import json  # lazy: 4 ms that a run with nothing to do spares

        try:
            return json.loads(data)
        except ValueError as error:
            raise CodecError(f"stored JSON does not read back: {error}") from error


class CardCodec(JsonCodec):
    """The card of a model, which the engine registers; comes back as a dict."""

    name = CARD

    def accepts(self, value: Any) -> bool:
        return isinstance(value, ModelCard) and misfit(value) == ""

    def dump(self, value: Any) -> bytes:
        if not isinstance(value, dict) or not MODEL_NAME.fullmatch(str(value.get("name", ""))):
            text = "a model's name has letters, digits, '.', '_' and '-', begins with a letter or digit"
            raise CodecError(f"{text} and is part of its card: {{name: …}}")
        return super().dump(value)


class TextCodec(_Whole):
    """A str, as UTF-8."""

    name = "text"
    suffix = ".txt"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, str)

    def dump(self, value: Any) -> bytes:
        if not isinstance(value, str):
            raise CodecError(f"codec 'text' stores str, not {_kind(value)}")
        return value.encode("utf-8", "surrogatepass")

    def parse(self, data: bytes) -> Any:
        try:
            return data.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise CodecError(f"stored text does not read back: {error}") from error


class BytesCodec(_Whole):
    """bytes, and bytearray, which comes back as bytes."""

    name = "bytes"
    suffix = ".bin"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, bytes | bytearray)

    def dump(self, value: Any) -> bytes:
        if not self.accepts(value):
            raise CodecError(f"codec 'bytes' stores bytes, not {_kind(value)}")
        return bytes(value)

    def parse(self, data: bytes) -> Any:
        return data


class PickleCodec(_Whole):
    """Any value that cloudpickle can pickle; only where the pipeline file asks for it, as pickles are code."""

    name = "pickle"
    suffix = ".pkl"

    def accepts(self, value: Any) -> bool:
        return False

    def dump(self, value: Any) -> bytes:
        import pickle  # lazy: only pickles need it

        try:
            return pickle.dumps(value, protocol=5)  # classes by name, so that equal values have equal bytes
        except (pickle.PicklingError, AttributeError, TypeError):
            import cloudpickle  # lazy: 30 ms that only closures and the like need

            return bytes(cloudpickle.dumps(value, protocol=5))

    def parse(self, data: bytes) -> Any:
        import pickle  # lazy: only pickles need it

        try:
            return pickle.loads(data)  # noqa: S301 -- its digest was proved against the record of a run made here
        except (pickle.UnpicklingError, EOFError, ImportError, AttributeError, LookupError, ValueError) as error:
            raise CodecError(f"a stored pickle does not read back: {type(error).__name__}: {error}") from error


class _Place:
    """A path the step made: its content is stored, and it comes back as the path of a read-only copy."""

    name = ""
    suffix = ""
    folder = False

    def accepts(self, value: Any) -> bool:
        return _is_path(value) and (os.path.isdir(value) if self.folder else os.path.isfile(value))

    def write(self, value: Any, path: "Path") -> None:
        """Copy what the path names."""
        import shutil  # lazy: not used by `encode`, which stores the original

        if not (isinstance(value, str) or _is_path(value)) or os.path.isdir(value) != self.folder:
            raise CodecError(f"codec '{self.name}' stores the path of a {self.name} that exists, not {_kind(value)}")
        if self.folder:
            shutil.copytree(value, path, symlinks=True)
        else:
            shutil.copyfile(value, path)

    def read(self, path: "Path") -> Any:
        """Return the path itself."""
        return path


class FileCodec(_Place):
    """A pathlib.Path of a file."""

    name = "file"


class ProgramCodec(FileCodec):
    """A file that may be executed; the file codec stores it so, and it is shown so again."""

    name = PROGRAM

    def accepts(self, value: Any) -> bool:
        return False


class FolderCodec(_Place):
    """A pathlib.Path of a folder."""

    name = "folder"
    folder = True


class ListCodec(_Whole):
    """A list of artifacts: what a matrix or foreach makes, and how a list is stored whose elements are no JSON."""

    name = LIST
    suffix = ".json"

    def accepts(self, value: Any) -> bool:
        return False

    def dump(self, value: Any) -> bytes:
        raise CodecError(f"codec 'list' stores lists, not {_kind(value)}")

    def parse(self, data: bytes) -> Any:
        raise CodecError("a list of artifacts is read item by item")


BUILTIN: Mapping[str, Codec] = {
    codec.name: codec
    for codec in (
        JsonCodec(),
        CardCodec(),
        TextCodec(),
        BytesCodec(),
        FileCodec(),
        ProgramCodec(),
        FolderCodec(),
        PickleCodec(),
        ListCodec(),
    )
}


def encode(
    value: Any,
    codecs: Sequence[Codec],
    objects: Objects,
    scratch: str | os.PathLike[str],
    name: str,
    forced: str | None = None,
) -> Artifact:
    """Store the value of output `name` with codec `forced`, or the first of `codecs` that accepts it.

    `scratch` is a folder of the step's own: files returned from there are taken, others are copied.
    Raises CodecError when no codec fits, naming the type and what to do; StoreError.
    """
    if not tree.safe(name) or "/" in name:
        raise CodecError(f"'{name}' is no name for an output")
    if isinstance(value, list | tuple) and (forced == LIST or (forced is None and not _is_stored(value, codecs))):
        return _each(value, codecs, objects, scratch, name)
    return _encode_one(value, codecs, objects, scratch, name, forced)


def _encode_one(
    value: Any,
    codecs: Sequence[Codec],
    objects: Objects,
    scratch: str | os.PathLike[str],
    name: str,
    forced: str | None = None,
) -> Artifact:
    codec = _choose(value, codecs, name, forced)
    if isinstance(codec, _Whole):
        return objects.add_bytes(codec.dump(value), codec.name, name + codec.suffix)
    if isinstance(codec, _Place):
        return _store_place(value, codec, objects, os.fspath(scratch), name)
    part = os.path.join(temporary(os.fspath(scratch)), name + codec.suffix)
    os.makedirs(os.path.dirname(part))
    from pathlib import Path  # lazy: 4 ms that built-in codecs spare

    try:
        codec.write(value, Path(part))
    except CodecError as error:
        raise CodecError(f"output '{name}': {error}{_PICKLED.format(name) if forced is None else ''}") from error
    if not os.path.exists(part):
        raise CodecError(f"codec '{codec.name}' wrote nothing for output '{name}'")
    if codec.folder:
        return objects.add_folder(part, codec.name, name + codec.suffix, give=True)
    return objects.add_file(part, codec.name, name + codec.suffix, give=True)


def decode(
    artifact: Artifact,
    codecs: Mapping[str, Codec] | Callable[[str], Codec],
    objects: Objects,
    scratch: str | os.PathLike[str],
    form: str = "",
) -> Any:
    """The value of an artifact, with the digest of its content proved.

    `form` is the full name of the type it is wanted as: `pathlib.Path` gives the stored file or folder itself, others
    what the codec offers; where it does not offer it, and without one, the value is what the codec reads.

    `codecs` finds a codec by name; it is asked only for those that are not built in. Files and folders appear
    under `scratch`. Raises CodecError when the content is missing or damaged (it is
    moved aside then) or its codec is not installed.
    """
    if artifact.codec == LIST:
        return [decode(item, codecs, objects, scratch, form) for item in objects.items(artifact)]
    codec = BUILTIN.get(artifact.codec)
    if codec is None:
        codec = codecs.get(artifact.codec) if isinstance(codecs, Mapping) else codecs(artifact.codec)
    if codec is None:
        text = f"codec '{artifact.codec}', which stored this value, is not installed"
        raise CodecError(f"{text}; install the plug-in it came from, or run the step again")
    if isinstance(codec, _Whole) and not is_folder(artifact) and form != PATH:
        return codec.parse(objects.read(artifact))
    place = objects.hand_out(artifact, os.path.join(scratch, artifact.digest[:16]))
    from pathlib import Path  # lazy: 4 ms that built-in codecs spare

    if form == PATH:
        return Path(place)
    return codec.read_as(Path(place), form) if form in getattr(codec, "forms", ()) else codec.read(Path(place))  # type: ignore[attr-defined]


def _each(
    values: Sequence[Any], codecs: Sequence[Codec], objects: Objects, scratch: str | os.PathLike[str], name: str
) -> Artifact:
    """A list that is no JSON, such as one of frames or paths: every element is an artifact of its own."""
    made = []
    for position, value in enumerate(values):
        try:
            made.append(_encode_one(value, codecs, objects, scratch, name))
        except CodecError as error:
            text = str(error).replace(f"output '{name}' is", f"output '{name}': [{position}] is", 1)
            raise CodecError(text) from error
    return add_list(objects, made)


def _is_stored(value: Any, codecs: Sequence[Codec]) -> bool:
    return any(codec.accepts(value) for codec in (*codecs, *BUILTIN.values()))


def _choose(value: Any, codecs: Sequence[Codec], name: str, forced: str | None) -> Codec:
    if forced is not None:
        for codec in codecs:
            if codec.name == forced:
                return codec
        if forced in BUILTIN:
            return BUILTIN[forced]
        hint = did_you_mean(forced, [*(codec.name for codec in codecs), *BUILTIN])
        raise CodecError(f"output '{name}': no codec is called '{forced}'; {hint}".rstrip("; "))
    for codec in (*codecs, *BUILTIN.values()):
        if codec.accepts(value):
            return codec
    raise CodecError(f"output '{name}' is {_refusal(value)}\n{_advice(value, name)}")


def _store_place(value: Any, codec: _Place, objects: Objects, scratch: str, name: str) -> Artifact:
    if not (isinstance(value, str) or _is_path(value)) or not (os.path.isdir if codec.folder else os.path.isfile)(
        value
    ):
        raise CodecError(f"output '{name}' is to be a {codec.name}, but it is {_refusal(value)}")
    own, real = True, os.fspath(value)
    if not _lies_in(scratch, real):
        real = os.path.realpath(real)
        own = real.startswith(os.path.realpath(scratch) + os.sep)
    label = os.path.basename(os.path.abspath(value)) or name
    if not label.isprintable():
        label = name  # such as bytes that are no UTF-8, which no record can hold
    if codec.folder:
        return objects.add_folder(real, codec.name, label, give=own)
    executable = codec.name == FileCodec.name and os.stat(real).st_mode & S_IXUSR
    return objects.add_file(real, PROGRAM if executable else codec.name, label, give=own)


def _lies_in(folder: str, path: str) -> bool:
    """Whether a path leads below a folder without links or detours, which is all that most need to be looked at for."""
    if not path.startswith(folder + os.sep):
        return False
    place = folder
    for part in path[len(folder) + 1 :].split(os.sep):
        place = os.path.join(place, part)
        if part == ".." or os.path.islink(place):
            return False
    return True


def _is_path(value: Any) -> bool:
    """Whether a value is a path; without the module of paths, which takes 4 ms to import, there is none."""
    module = sys.modules.get("pathlib")
    return module is not None and isinstance(value, module.PurePath)


def _refusal(value: Any) -> str:
    if _is_path(value):
        what = "neither a file nor a folder" if os.path.exists(value) else "nothing"
        return f"the path {value}, but there is {what} there"
    if isinstance(value, dict | list | tuple):
        return f"a {type(value).__name__} that cannot be stored as JSON: {misfit(value)}"
    return f"a {_kind(value)}, which no codec stores"


def _advice(value: Any, name: str) -> str:
    if _is_path(value):
        return "create the file or folder before the step returns its path"
    if hasattr(value, "__next__"):
        return "return a list of what it yields"
    return (
        "return a type that has a codec (numbers, text, lists and dicts of them, bytes, a pathlib.Path of a file "
        f"or folder, or what a plug-in stores), or declare `out: {{{name}: {{codec: pickle}}}}`"
    )


def _kind(value: Any) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def misfit(value: Any) -> str:
    """What keeps a value from being JSON, with its place in the value; empty when nothing does."""
    try:
        return _misfit(value, "")
    except RecursionError:
        return "it contains itself, or is nested too deeply"


def _misfit(value: Any, place: str) -> str:
    if value is None or isinstance(value, str | bool | int | float):
        return ""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                return f"{place or 'it'} has the key {key!r}, and keys must be text"
            found = _misfit(item, f"{place}[{key!r}]")
            if found:
                return found
        return ""
    if isinstance(value, list | tuple):
        for position, item in enumerate(value):
            found = _misfit(item, f"{place}[{position}]")
            if found:
                return found
        return ""
    if _is_numpy_scalar(value) and isinstance(value.item(), str | bool | int | float):
        return ""
    return f"{place or 'it'} is a {_kind(value)}"


def _plain(value: Any) -> Any:
    """The value in plain types, so that equal values give equal text."""
    if value is None or isinstance(value, bool):
        return value
    for kind in (int, float, str):
        if isinstance(value, kind):
            return value if type(value) is kind else kind(_unwrapped(value))
    if isinstance(value, dict):
        return {str(_unwrapped(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if _is_numpy_scalar(value):
        return _plain(value.item())
    raise TypeError(f"a {_kind(value)}")


def _unwrapped(value: Any) -> Any:
    """The member of an enumeration as its value: str() of it would give its name."""
    return getattr(value, "_value_", value)


def _is_numpy_scalar(value: Any) -> bool:
    if type(value).__module__ != "numpy":
        return False
    return any(kind.__name__ == "generic" for kind in type(value).__mro__)  # arrays have classes of their own too
