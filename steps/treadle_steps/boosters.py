"""How boosters and ONNX models are stored: in the data formats of their own libraries, before skops."""

import importlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from treadle.authoring import CodecError
from treadle_steps import graphs, native
from treadle_steps.served import Served


class _Format(Served):
    """A codec over a module with `dump`, `load` and the error that they raise."""

    name = ""
    folder = False
    alone = ""
    how: Any = None
    wrong: type[ValueError] = ValueError

    def write(self, value: Any, path: Path) -> None:
        try:
            path.write_bytes(self.how.dump(value))
        except self.wrong as error:
            hint = "declare `out: {NAME: {codec: skops}}` or a pickle"
            raise CodecError(f"this model cannot be stored as {self.name}: {error}; {hint}") from None

    def read(self, path: Path) -> Any:
        return self.read_model(path.read_bytes(), ())

    def read_model(self, data: bytes, trusted: Collection[str]) -> Any:
        """The model in a file of any origin: there is no code in these formats, and nothing to trust."""
        try:
            return self.how.load(data)
        except self.wrong as error:
            raise CodecError(str(error)) from None
        except ImportError:
            raise _not_installed(self.name) from None

    def prepare(self, compiled: bool) -> None:
        """Import what answers, in the parent of a server's workers."""
        from treadle_steps.compiled import answer, frame  # noqa: F401  # lazy: only a server

        importlib.import_module(self.name)


class _Booster(_Format):
    alone = "treadle_steps.native"
    how, wrong = native, native.NoData

    def accepts(self, value: Any) -> bool:
        return native.package(value) == self.name


class XGBoostCodec(_Booster):
    """Models of XGBoost, bare or with scikit-learn's interface, as UBJSON."""

    name = native.XGBOOST
    suffix = ".ubj"


class LightGBMCodec(_Booster):
    """Models of LightGBM, bare or with scikit-learn's interface, as its text."""

    name = native.LIGHTGBM
    suffix = ".txt"


class OnnxCodec(_Format):
    """ONNX models that are whole in one file."""

    name = "onnx"
    suffix = ".onnx"
    alone = "treadle_steps.graphs"
    how, wrong = graphs, graphs.NoGraph

    def accepts(self, value: Any) -> bool:
        return graphs.fits(value)


def _not_installed(name: str) -> CodecError:
    hint = "pip install 'treadle[onnx]'" if name == "onnx" else f"pip install {name}"
    return CodecError(f"{name} is not installed here: {hint}")
