"""How boosters and ONNX models are stored: in the data formats of their own libraries, before skops."""

import importlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from treadle.authoring import CodecError
from treadle_steps import graphs, native
from treadle_steps.served import Served


class _Booster(Served):
    name = ""
    folder = False
    alone = "treadle_steps.native"

    def accepts(self, value: Any) -> bool:
        return native.package(value) == self.name

    def write(self, value: Any, path: Path) -> None:
        try:
            path.write_bytes(native.dump(value))
        except native.NoData as error:
            hint = "declare `out: {NAME: {codec: skops}}` or a pickle"
            raise CodecError(f"this model cannot be stored as {self.name}: {error}; {hint}") from None

    def read(self, path: Path) -> Any:
        return self.read_model(path.read_bytes(), ())

    def read_model(self, data: bytes, trusted: Collection[str]) -> Any:
        """The model in a file of any origin: there is no code in this format, and nothing to trust."""
        try:
            return native.load(data)
        except native.NoData as error:
            raise CodecError(str(error)) from None
        except ImportError:
            raise _not_installed(self.name) from None

    def prepare(self, compiled: bool) -> None:
        """Import what answers, in the parent of a server's workers."""
        from treadle_steps.compiled import answer, frame  # noqa: F401  # lazy: only a server

        importlib.import_module(self.name)


class XGBoostCodec(_Booster):
    """Models of XGBoost, bare or with scikit-learn's interface, as UBJSON."""

    name = native.XGBOOST
    suffix = ".ubj"


class LightGBMCodec(_Booster):
    """Models of LightGBM, bare or with scikit-learn's interface, as its text."""

    name = native.LIGHTGBM
    suffix = ".txt"


class OnnxCodec(Served):
    """ONNX models that are whole in one file."""

    name = "onnx"
    suffix = ".onnx"
    folder = False
    alone = "treadle_steps.graphs"

    def accepts(self, value: Any) -> bool:
        return graphs.fits(value)

    def write(self, value: Any, path: Path) -> None:
        if not graphs.fits(value):
            raise CodecError(f"codec 'onnx' stores onnx.ModelProto, not {type(value).__name__}")
        try:
            path.write_bytes(graphs.dump(value))
        except graphs.NoGraph as error:
            raise CodecError(str(error)) from None

    def read(self, path: Path) -> Any:
        return self.read_model(path.read_bytes(), ())

    def read_model(self, data: bytes, trusted: Collection[str]) -> Any:
        """The model in a file of any origin: a graph of operations that onnxruntime knows, and nothing to trust."""
        try:
            return graphs.load(data)
        except graphs.NoGraph as error:
            raise CodecError(str(error)) from None
        except ImportError:
            raise _not_installed("onnx") from None

    def prepare(self, compiled: bool) -> None:
        """Import what answers, in the parent of a server's workers."""
        from treadle_steps.compiled import answer, frame  # noqa: F401  # lazy: only a server

        importlib.import_module("onnx")


def _not_installed(name: str) -> CodecError:
    hint = "pip install 'treadle[onnx]'" if name == "onnx" else f"pip install {name}"
    return CodecError(f"{name} is not installed here: {hint}")
