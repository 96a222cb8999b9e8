"""From an entry of the registry to a model that answers; the only place where the engine makes a model of bytes.

load
├── the format is one that this project allows
├── Objects.read              the bytes, proved against the digest in the registry
├── ModelFormat.read_model    with the allow-list of the project's settings, never one of the file's
└── ModelFormat.predictor     compiled where that was proved: such a form is data, and needs no library of models

It is meant for a worker process of its own: a model file may hold anything.
"""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct, to_builtins

from treadle.authoring import Answer, Codec
from treadle.domain.model import ModelVersion
from treadle.errors import CodecError, StoreError, TreadleError
from treadle.plugins import Catalog
from treadle.serve.aside import Aside
from treadle.settings import ModelFormats
from treadle.store import Objects
from treadle.store.objects import is_folder

PICKLE = "pickle"


class ModelRefused(TreadleError):
    """A model that must not, or cannot, be loaded; the text says why and what to do."""


class Formats(Struct, frozen=True):
    """How models may be loaded here: the project's settings, what is installed, and which versions were made here."""

    allowed: ModelFormats
    catalog: Catalog
    made_here: Callable[[ModelVersion], bool]


class LoadedModel:
    """A predictor over what the model's format offers."""

    def __init__(self, version: ModelVersion, answer: Answer) -> None:
        self.version = version
        self._answer = answer

    def predict(self, columns: Mapping[str, Any]) -> Any:
        return self._answer(columns)

    def probabilities(self, columns: Mapping[str, Any]) -> Any:
        return self._answer.probabilities(columns)  # type: ignore[attr-defined]

    def put_aside(self) -> "LoadedModel":
        """Have the model itself, where a compiled form answers, made in a process beside this one."""
        original = getattr(self._answer, "original", None)
        if original is not None and not original.loaded:
            self._answer.original = Aside(original)  # type: ignore[attr-defined]
        return self

    def close(self) -> None:
        close = getattr(getattr(self._answer, "original", None), "close", None)
        if close is not None:
            close()

    def complete(self) -> None:
        complete = getattr(self._answer, "complete", None)
        if complete is not None:
            complete()


def load(version: ModelVersion, objects: Objects, formats: Formats) -> LoadedModel:
    """The model of a version, ready to answer; raises ModelRefused with the reason before anything of it is run.

    Its bytes are proved at once. With a compiled form the model itself is made later: by `complete`, or for a row that
    needs it; what it is refused for is raised then.
    """
    if is_folder(version.artifact):
        raise _refused(version, "its model is a folder", "let the step return the model itself")
    if version.format == PICKLE:
        _need_pickles(version, formats)
    codec = _codec(version, formats)
    try:
        data = objects.read(version.artifact)
    except (CodecError, StoreError) as error:
        raise _refused(
            version, str(error), f"run {version.pipeline or 'its pipeline'} again: it makes it anew"
        ) from None

    def read() -> Any:
        try:
            return codec.read_model(data, formats.allowed.trusted)
        except CodecError as error:
            raise _unreadable(version, error) from None

    if version.format == PICKLE:
        try:
            model = codec.parse(data)
        except CodecError as error:
            raise _unreadable(version, error) from None
        codec = next((one for one in formats.catalog.codecs() if _serves(one) and one.accepts(model)), codec)
        read = lambda: model  # noqa: E731
    if not _serves(codec):
        raise _refused(
            version, f"nothing installed serves the format '{version.format}'", "train with scikit-learn's interface"
        )
    card = {**version.card, "name": version.name, "compiled": version.compiled}
    card["signature"] = to_builtins(version.signature)
    try:
        return LoadedModel(version, codec.predictor(read, card, version.example, _form(version, objects)))
    except CodecError as error:
        raise _unreadable(version, error) from None


def _form(version: ModelVersion, objects: Objects) -> bytes:
    """The compiled form, its digest proved; empty when it is lost: then it is made of the model anew."""
    try:
        return objects.read(version.form) if version.form is not None else b""
    except (CodecError, StoreError):
        return b""


def _unreadable(version: ModelVersion, error: CodecError) -> ModelRefused:
    names = str(error).partition("does not trust: ")[2]
    listed = ", ".join(f'"{name}"' for name in names.split(", "))
    hint = f"types you know to be safe go into treadle.toml: models = {{trusted = [{listed}]}}"
    return _refused(version, str(error), hint if names else "")


def _need_pickles(version: ModelVersion, formats: Formats) -> None:
    if not formats.allowed.allow_pickle:
        text = "it is a pickle, which may run any code when it is loaded"
        raise _refused(version, text, "store it with skops, or allow it: models = {allow_pickle = true}")
    if not formats.made_here(version):
        text = "it is a pickle that no run recorded here made"
        raise _refused(version, text, "run its pipeline here")


def _codec(version: ModelVersion, formats: Formats) -> Any:
    try:
        return formats.catalog.codec(version.format)
    except TreadleError as error:
        raise _refused(version, str(error), "install the plug-in that it came from") from None


def _serves(codec: Codec) -> bool:
    return hasattr(codec, "read_model") and hasattr(codec, "predictor")


def _refused(version: ModelVersion, text: str, hint: str) -> ModelRefused:
    return ModelRefused(f"{version.name} version {version.version} is refused: {text}" + (f"; {hint}" if hint else ""))
