"""How tables, arrays and models are stored: the same value always gives the same bytes."""

import io
import json
import re
import sys
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from treadle.authoring import CodecError
from treadle_steps import native
from treadle_steps.served import Served

# What scikit-learn's own models are made of, though skops does not list it: plain holders of data and its own checks.
HARMLESS = (
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
    "sklearn.utils.validation.check_array",
    "functools.partial",
    "numpy.dtype",
)
# What skops, zipfile and json raise for bytes that are no skops file, and what its parts raise when they do not fit
UNREADABLE = (
    *(ValueError, TypeError, LookupError, AttributeError, ImportError, EOFError, OSError, RuntimeError, AssertionError),
    *(zipfile.BadZipFile, zlib.error),
)
NAMED = re.compile(r'"__class__": "([^"]*)",\s*"__module__": "([^"]*)"')
EPOCH = (1980, 1, 1, 0, 0, 0)


class ParquetCodec:
    """Data frames and series of pandas and polars, lazy frames, and Arrow tables; all are read back as pandas.

    An argument that is annotated with another of these types gets that type.
    """

    name = "parquet"
    suffix = ".parquet"
    folder = False
    forms = (
        *("pandas.DataFrame", "pandas.Series", "pyarrow.Table"),
        *("polars.DataFrame", "polars.LazyFrame", "polars.Series"),
    )
    described = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".parquet", ".gz")

    def accepts(self, value: Any) -> bool:
        return not _names(value).isdisjoint(self.forms)

    def write(self, value: Any, path: Path) -> None:
        from pyarrow import parquet  # lazy: only a worker that has a table

        from treadle_steps import tables  # lazy: only a worker that has a table

        try:
            parquet.write_table(tables.to_arrow(value), path, compression="zstd", compression_level=1)
        except tables.REFUSALS as error:
            raise CodecError(tables.why_not(value) or f"this table cannot be stored as Parquet: {error}") from None

    def read(self, path: Path) -> Any:
        from treadle_steps import tables  # lazy: only a worker that reads a table

        return tables.read(path)

    def read_as(self, path: Path, form: str) -> Any:
        from treadle_steps import tables  # lazy: only a worker that reads a table

        return tables.read_as(path, form)

    def describe(self, path: Path) -> dict[str, Any]:
        from treadle_steps import describe  # lazy: only `treadle data` asks

        return describe.describe_table(path)

    def difference(self, before: Path, after: Path) -> dict[str, Any]:
        from treadle_steps import describe  # lazy: only `treadle data` asks

        return describe.difference(before, after)


class NpyCodec:
    """Arrays of numpy that hold numbers, dates or text; no pickles."""

    name = "npy"
    suffix = ".npy"
    folder = False

    def accepts(self, value: Any) -> bool:
        return "numpy.ndarray" in _names(value)

    def write(self, value: Any, path: Path) -> None:
        import numpy as np  # lazy: only a worker that has an array

        if np.ma.is_masked(value):
            raise CodecError("this array is masked, and a file of numpy holds no mask; fill it, or return both parts")
        try:
            # "w+b": what "wb" opens numpy writes by itself, and says nothing when the disk is full at its end
            with open(path, "w+b") as file:
                np.save(file, value, allow_pickle=False)
        except ValueError:
            raise CodecError("this array holds Python objects; make it numbers, dates or text") from None

    def read(self, path: Path) -> Any:
        import numpy as np  # lazy: only a worker that reads an array

        return np.load(path, allow_pickle=False)


class SkopsCodec(Served):
    """Estimators of scikit-learn, and of others with its base class, through skops; boosters have formats of their own.

    Only artifacts that a run recorded here made reach `read`, and their digest was proved; the types
    that such a file names are trusted for that reason, and for no other.
    """

    name = "skops"
    suffix = ".skops"
    folder = False

    def accepts(self, value: Any) -> bool:
        estimator = any(n.startswith("sklearn.base.") and n.endswith(".BaseEstimator") for n in _full_names(value))
        return estimator and not native.package(value)

    def write(self, value: Any, path: Path) -> None:
        from skops import io as skops  # lazy: only a worker that has a model

        try:
            data = skops.dumps(value)
        except (TypeError, ValueError, AttributeError, NotImplementedError) as error:
            raise CodecError(f"this model cannot be stored by skops: {error}") from None
        lost = _unreachable(data)
        if lost:
            try:
                self._load(data)
            except UNREADABLE:
                text = f"it holds {lost}, which no module has under this name, so that it could not be read back"
                raise CodecError(f"this model cannot be stored by skops: {text}") from None
        path.write_bytes(_steady(data))

    def read(self, path: Path) -> Any:
        return self._load(path.read_bytes())

    def _load(self, data: bytes) -> Any:
        from skops import io as skops  # lazy: only a worker that reads a model

        return skops.loads(data, trusted=skops.get_untrusted_types(data=data))

    def read_model(self, data: bytes, trusted: Collection[str]) -> Any:
        """The model in a skops file of any origin; raises CodecError for types that are not on a list of ours."""
        from skops import io as skops  # lazy: only a worker that reads a model

        try:
            named = set(skops.get_untrusted_types(data=data))
            strange = sorted(named - {*HARMLESS, *trusted})
            if not strange:
                return skops.loads(data, trusted=sorted(named))
        except UNREADABLE as error:
            raise CodecError(f"this is no skops file: {type(error).__name__}: {error}") from None
        raise CodecError(f"the file names types that this project does not trust: {', '.join(strange)}")

    def prepare(self, compiled: bool) -> None:
        """Import what answers, in the parent of a server's workers."""
        from treadle_steps.compiled import answer  # noqa: F401  # lazy: only a server

        if not compiled:
            from skops import io  # noqa: F401  # lazy: only a server that has no compiled form

            from treadle_steps.compiled import build, frame  # noqa: F401  # lazy: only a server that has no compiled form


def _names(value: Any) -> set[str]:
    """`package.Class` for every class of the value, without importing anything."""
    return {f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(value).__mro__}


def _full_names(value: Any) -> set[str]:
    return {f"{kind.__module__}.{kind.__name__}" for kind in type(value).__mro__}


def _unreachable(data: bytes) -> str:
    """A function or class that a skops archive names and that no module has, such as a lambda; or nothing."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        named = set(NAMED.findall(archive.read("schema.json").decode()))
    for name, module in sorted(named):
        if module in sys.modules and not hasattr(sys.modules[module], name):
            return f"{module}.{name}"
    return ""


def _steady(data: bytes) -> bytes:
    """A skops archive with times fixed and objects numbered in order of appearance instead of by address."""
    numbers: dict[int, int] = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        schema = json.loads(archive.read("schema.json"))
        files = {name: archive.read(name) for name in archive.namelist() if name != "schema.json"}
    renamed: dict[str, str] = {}
    schema = _renumbered(schema, numbers, files, renamed)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        members = {"schema.json": json.dumps(schema, sort_keys=True).encode()}
        members |= {renamed.get(name, name): content for name, content in files.items()}
        for name in sorted(members):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, members[name], zipfile.ZIP_DEFLATED, 1)
    return out.getvalue()


def _renumbered(node: Any, numbers: dict[int, int], files: dict[str, bytes], renamed: dict[str, str]) -> Any:
    if isinstance(node, list):
        return [_renumbered(item, numbers, files, renamed) for item in node]
    if not isinstance(node, dict):
        return node
    found: dict[str, Any] = {}
    for key in sorted(node):
        value = node[key]
        if key == "__id__" and isinstance(value, int):
            found[key] = numbers.setdefault(value, len(numbers))
        elif key == "file" and isinstance(value, str) and value in files:
            suffix = Path(value).suffix
            found[key] = renamed.setdefault(value, f"{len(renamed)}{suffix}")
        else:
            found[key] = _renumbered(value, numbers, files, renamed)
    return found
