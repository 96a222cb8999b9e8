"""Project settings: `treadle.toml` or `[tool.treadle]`."""

import os
from typing import Any

from msgspec import Struct

from treadle.domain.location import Location
from treadle.errors import InputError, Problem, did_you_mean
from treadle.quantity import size

MARKS = ("treadle.toml", ".git")


class ModelFormats(Struct, frozen=True, kw_only=True):
    """Which model files a server may load: types that are trusted by name, and whether pickles made here are."""

    trusted: tuple[str, ...] = ()
    allow_pickle: bool = False


class Tracking(Struct, frozen=True):
    """Where runs are mirrored to: the address of an MLflow server, "" for nowhere; larger outputs are left out."""

    mlflow: str = ""
    artifacts: int = 16 << 20  # bytes of an output up to which it is sent along


class Settings(Struct, frozen=True, kw_only=True):
    """What a project has decided for all its pipelines; every field has a default that works."""

    root: str
    executor: str = "process"
    jobs: int = 0  # 0: all cores
    environment: str = "imports"
    isolation: str = "fresh"
    keep_runs: int = 50
    resources: dict[str, float] = {}  # what there is in all: cpu, memory in bytes, gpu, any token
    keep_predictions: int = 30  # days
    remote: str = ""  # where copies of objects lie: a folder or a URL, "" for nowhere
    models: ModelFormats = ModelFormats()
    track: Tracking = Tracking()


KINDS: dict[str, tuple[type, tuple[str, ...]]] = {
    "executor": (str, ()),
    "jobs": (int, ()),
    "environment": (str, ("strict", "imports", "off")),
    "isolation": (str, ("pool", "fresh", "inline")),
    "keep_runs": (int, ()),
    "resources": (dict, ()),
    "keep_predictions": (int, ()),
    "remote": (str, ()),
    "models": (dict, ()),
    "track": (dict, ()),
}


def find_root(start: str) -> str:
    """The nearest folder upwards from `start` with treadle.toml, [tool.treadle] or .git; else `start` itself."""
    folder = first = os.path.abspath(start)
    while True:
        if any(os.path.exists(os.path.join(folder, mark)) for mark in MARKS) or _in_pyproject(folder):
            return folder
        parent = os.path.dirname(folder)
        if parent == folder:
            return first
        folder = parent


def read_settings(root: str) -> Settings:
    """The settings of the project at `root`; raises InputError naming every key that is wrong."""
    path = os.path.join(root, "treadle.toml")
    table: dict[str, Any] = {}
    if os.path.exists(path):
        table = _toml(path) if os.path.getsize(path) else {}
    elif _in_pyproject(root):
        path = os.path.join(root, "pyproject.toml")
        table = _toml(path).get("tool", {}).get("treadle", {})
    problems = [problem for key, value in table.items() for problem in _check(path, key, value)]
    if problems:
        raise InputError(problems)
    if "resources" in table:
        table["resources"] = {name: _amount(name, value) for name, value in table["resources"].items()}
    if "models" in table:
        given = table["models"]
        table["models"] = ModelFormats(**{**given, "trusted": tuple(given.get("trusted", ()))})
    if "track" in table:
        given = table["track"]
        table["track"] = Tracking(given.get("mlflow", ""), size(given.get("artifacts", Tracking().artifacts)))
    return Settings(root=root, **table)


def memory() -> int:
    """Bytes of memory that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def gpus() -> int:
    """How many devices of NVIDIA's this machine shows."""
    try:
        return sum(name[:6] == "nvidia" and name[6:].isdecimal() for name in os.listdir("/dev"))
    except OSError:
        return 0


def _amount(name: str, value: Any) -> float:
    """How much there is of a resource; raises ValueError."""
    if name == "memory":
        return float(size(value))
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise ValueError(f"{value!r} is not an amount: write a number")
    return float(value)


def _in_pyproject(folder: str) -> bool:
    try:
        with open(os.path.join(folder, "pyproject.toml"), "rb") as file:
            return b"[tool.treadle" in file.read()
    except OSError:
        return False


def _toml(path: str) -> dict[str, Any]:
    import tomllib  # lazy: 3 ms, only for projects with settings

    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise InputError([Problem("bad-settings", str(error), Location(path, 1, 1))]) from None


def _check(path: str, key: str, value: Any) -> list[Problem]:
    where = Location(path, _line_of(path, key), 1)
    if key not in KINDS:
        return [Problem("unknown-setting", f"no setting is called '{key}'", where, did_you_mean(key, KINDS))]
    kind, choices = KINDS[key]
    if key == "models" and isinstance(value, dict):
        return _check_models(where, value)
    if key == "track" and isinstance(value, dict):
        return _check_track(where, value)
    if type(value) is not kind:
        return [Problem("bad-settings", f"'{key}' takes {kind.__name__}, not {value!r}", where)]
    if isinstance(value, dict):
        return [problem for name in value for problem in _check_amount(path, name, value[name])]
    if choices and value not in choices:
        return [Problem("bad-settings", f"'{key}' is one of {', '.join(choices)}, not {value!r}", where)]
    return []


def _check_amount(path: str, name: str, value: Any) -> list[Problem]:
    try:
        _amount(name, value)
    except (TypeError, ValueError, AttributeError) as error:
        return [Problem("bad-settings", f"resources: '{name}': {error}", Location(path, _line_of(path, name), 1))]
    return []


def _check_models(where: Location, block: dict[str, Any]) -> list[Problem]:
    found = []
    for key, value in block.items():
        if key not in ModelFormats.__struct_fields__:
            hint = did_you_mean(key, ModelFormats.__struct_fields__)
            found.append(Problem("unknown-setting", f"no setting is called 'models.{key}'", where, hint))
        elif key == "allow_pickle" and not isinstance(value, bool):
            found.append(Problem("bad-settings", f"'models.allow_pickle' takes bool, not {value!r}", where))
        elif key == "trusted" and not (isinstance(value, list) and all(isinstance(one, str) for one in value)):
            hint = 'trusted = ["package.module.Class"]'
            found.append(Problem("bad-settings", f"'models.trusted' takes a list of names, not {value!r}", where, hint))
    return found


def _check_track(where: Location, block: dict[str, Any]) -> list[Problem]:
    found = []
    for key, value in block.items():
        if key == "mlflow":
            if not isinstance(value, str) or not value.startswith(("http://", "https://")):
                hint = 'the address of a server: mlflow = "http://localhost:5000"'
                found.append(Problem("bad-settings", f"'track.mlflow' takes an address, not {value!r}", where, hint))
        elif key == "artifacts":
            try:
                size(value)
            except (TypeError, ValueError, AttributeError):
                text = f"'track.artifacts' takes a size, not {value!r}"
                found.append(Problem("bad-settings", text, where, 'artifacts = "16MiB", or 0 for none'))
        else:
            hint = did_you_mean(key, Tracking.__struct_fields__)
            found.append(Problem("unknown-setting", f"no setting is called 'track.{key}'", where, hint))
    return found


def _line_of(path: str, key: str) -> int:
    with open(path, encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            if line.strip().partition("=")[0].strip().strip("\"'[]").removeprefix("tool.treadle.") == key:
                return number
    return 1
