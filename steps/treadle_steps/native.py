"""Models of XGBoost and LightGBM in the file formats of these libraries, which hold data alone.

A file is one that the library itself opens. What its class with scikit-learn's interface knows beside the trees
(parameters, classes, names) is a note in JSON: an attribute of the booster for XGBoost, which writes UBJSON, and for
LightGBM a line of its text that LightGBM reads over. Nothing here needs treadle: MLflow models carry this file along.
"""

import json
import re
from collections.abc import Callable
from typing import Any

NOTE = "treadle"
MARK = b"\ntreadle:"
LAST = "pandas_categorical:"  # begins the last line of LightGBM's text, which its reader looks for at the end
XGBOOST, LIGHTGBM = "xgboost", "lightgbm"
BARE = ("xgboost.core.Booster", "lightgbm.basic.Booster")
WRAPPERS = (
    *("xgboost.sklearn.XGBClassifier", "xgboost.sklearn.XGBRegressor", "xgboost.sklearn.XGBRanker"),
    *("xgboost.sklearn.XGBRFClassifier", "xgboost.sklearn.XGBRFRegressor"),
    *("lightgbm.sklearn.LGBMClassifier", "lightgbm.sklearn.LGBMRegressor", "lightgbm.sklearn.LGBMRanker"),
)
BEST = ("best_iteration", "best_score")  # what a LightGBM booster forgets in its text
SIZES = re.compile(r"\ntree_sizes=[^\n]*")
WHERE = re.compile(r"^\[[0-9:]+\] \S+: ")  # when and where in its own source
ENCODER = "sklearn.preprocessing._label.LabelEncoder"


class NoData(ValueError):
    """Something that is not plain data, such as a function of the user's own; or bytes that are no model."""


def package(value: Any) -> str:
    """The library whose format holds a value whole: xgboost, lightgbm, or none; nothing is imported for that."""
    kind = _kind(value)
    if kind in BARE:
        return kind.partition(".")[0]
    if kind not in WRAPPERS or vars(value).get("_Booster") is None:  # not fitted
        return ""
    try:
        _state(value)
    except NoData:
        return ""
    return kind.partition(".")[0]


def dump(value: Any) -> bytes:
    """The bytes of a file: equal for equal models. Raises NoData."""
    kind = _kind(value)
    if kind not in (*BARE, *WRAPPERS):
        raise NoData(f"a {kind} has no file format of its own here")
    bare = kind in BARE
    if not bare and vars(value).get("_Booster") is None:
        raise NoData("the model is not fitted")
    booster = value if bare else value._Booster
    note: dict[str, Any] = {} if bare else {"class": kind, "state": _state(value)}
    if kind.startswith(XGBOOST):
        return _ubj(booster, note)
    return _text(booster, {**note, "booster": [[name, _told(getattr(booster, name))] for name in BEST]})


def load(data: bytes) -> Any:
    """The model in a file, of the class that it had; raises NoData for bytes that are none."""
    return _of_text(data) if data.startswith(b"tree") else _of_ubj(data)


def names(model: Any) -> list[str] | None:
    """The columns that a bare booster reads, in order; None when it was trained without names."""
    if _kind(model).startswith(XGBOOST):
        return list(model.feature_names) if model.feature_names else None
    return list(model.feature_name())


def asker(model: Any) -> Callable[[Any], Any]:
    """What predicts a frame with a booster; text is a category, since boosters take no other text."""
    if _kind(model) == BARE[0]:
        from xgboost import DMatrix  # lazy: only who has a model of it needs it

        return lambda rows: model.predict(DMatrix(_with_categories(rows, model), enable_categorical=True))
    return lambda rows: model.predict(_with_categories(rows, model))


def _with_categories(rows: Any, model: Any) -> Any:
    if not hasattr(rows, "select_dtypes"):
        return rows
    text = list(rows.select_dtypes(exclude=["number", "bool", "category", "datetime"]).columns)
    booster = getattr(model, "_Booster", model)
    if text and _kind(booster) == BARE[0] and not hasattr(booster, "get_categories"):
        raise ValueError(f"'{text[0]}' is text: give it the categories of the training, or use XGBoost 3.1 or later")
    return rows.astype(dict.fromkeys(text, "category")) if text else rows


def _ubj(booster: Any, note: dict[str, Any]) -> bytes:
    raw = booster.save_raw("ubj")
    if note:
        copy = type(booster)()
        copy.load_model(raw)
        copy.set_attr(**{NOTE: _written(note)})
        raw = copy.save_raw("ubj")
    return bytes(raw)


def _of_ubj(data: bytes) -> Any:
    import xgboost  # lazy: only who has a model of it needs it

    booster = xgboost.Booster()
    if data[:1] != b"{":  # XGBoost ends the process for some bytes that begin otherwise
        raise NoData("its bytes are no model of XGBoost")
    try:
        booster.load_model(bytearray(data))
        written = booster.attr(NOTE)
    except (xgboost.core.XGBoostError, UnicodeDecodeError) as error:
        reason = WHERE.sub("", str(error).strip().partition("\n")[0])
        raise NoData(f"its bytes are no model of XGBoost: {reason}") from None
    if written is None:
        return booster
    booster.set_attr(**{NOTE: None})
    note = _read(written)
    made = _wrapper(note, xgboost)
    if vars(made).get("n_jobs") is not None:
        booster.set_param({"nthread": made.n_jobs})
    made._Booster = booster
    return made


def _text(booster: Any, note: dict[str, Any]) -> bytes:
    whole: str = booster.model_to_string(num_iteration=-1)
    head, last, tail = whole.rpartition(LAST)
    return f"{head}{NOTE}:{_written(note)}\n{last}{tail}".encode()


def _of_text(data: bytes) -> Any:
    import lightgbm  # lazy: only who has a model of it needs it

    place = data.rfind(MARK)
    written = data[place + len(MARK) :].partition(b"\n")[0] if place >= 0 else b"{}"
    try:
        note = _read(written.decode())
        # with the sizes of its trees it is read in threads, where damage ends the process
        booster = lightgbm.Booster(model_str=SIZES.sub("", data.decode(), count=1))
    except (lightgbm.basic.LightGBMError, UnicodeDecodeError, ValueError) as error:
        raise NoData(f"its bytes are no model of LightGBM: {error}") from None
    for name, told in note.get("booster", ()):
        if name in BEST:
            setattr(booster, name, _meant(told))
    if "class" not in note:
        return booster
    made = _wrapper(note, lightgbm)
    made._Booster = booster
    return made


def _wrapper(note: dict[str, Any], library: Any) -> Any:
    """An estimator of the class in a note, which must be one that is known here, with the state that it had."""
    kind = note.get("class")
    if kind not in WRAPPERS or not str(kind).startswith(library.__name__):
        raise NoData(f"it names the class {kind}")
    made = getattr(library, str(kind).rpartition(".")[2])()
    try:
        state = _meant(note["state"])
        vars(made).update({name: value for name, value in state.items() if not name.startswith("__")})
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise NoData(f"its note does not read: {error}") from None
    return made


def _kind(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _state(value: Any) -> Any:
    return _told({name: own for name, own in sorted(vars(value).items()) if name != "_Booster"})


def _written(note: dict[str, Any]) -> str:
    return json.dumps(note, separators=(",", ":"))


def _read(written: str) -> dict[str, Any]:
    try:
        note = json.loads(written)
    except (ValueError, RecursionError) as error:
        raise NoData(f"its note is no JSON: {error}") from None
    if not isinstance(note, dict):
        raise NoData("its note is no map")
    return note


def _told(value: Any) -> Any:
    """A value in the words of JSON, maps and arrays with what they are; raises NoData for anything with code in it."""
    if value is None or isinstance(value, bool | int | float | str):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, list):
        return [_told(one) for one in value]
    if isinstance(value, tuple):
        return {"tuple": [_told(one) for one in value]}
    if isinstance(value, dict):
        return {"map": [[_told(name), _told(one)] for name, one in value.items()]}
    kind = _kind(value)
    if kind == ENCODER:
        return {"labels": _told(value.classes_)}
    if kind == "numpy.ndarray" and value.dtype.kind in "biufUO":
        return {"array": value.dtype.str, "shape": list(value.shape), "values": _told(value.reshape(-1).tolist())}
    if type(value).__module__ == "numpy" and value.dtype.kind in "biuf":
        return value.item()
    raise NoData(f"a {kind} is no plain data")


def _meant(told: Any) -> Any:
    """The value behind its words; raises KeyError, TypeError or ValueError for words of another kind."""
    if isinstance(told, list):
        return [_meant(one) for one in told]
    if not isinstance(told, dict):
        return told
    if "tuple" in told:
        return tuple(_meant(told["tuple"]))
    if "map" in told:
        return {_meant(name): _meant(one) for name, one in told["map"]}
    import numpy as np  # lazy: only a model with classes needs it

    if "labels" in told:
        from sklearn.preprocessing import LabelEncoder  # lazy: only LightGBM's classifier needs it

        encoder = LabelEncoder()
        encoder.classes_ = _meant(told["labels"])
        return encoder
    kind = np.dtype(told["array"])
    values = np.empty(len(told["values"]), dtype=kind)
    values[:] = _meant(told["values"])
    return values.reshape(told["shape"])
