"""Find an estimator by its dotted name, give it parameters and a seed."""

import importlib
import inspect
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline

from treadle.authoring import StepError
from treadle_steps.words import suggestion


def make(name: str, params: Mapping[str, Any], seed: int | None) -> Any:
    """Return the unfitted estimator that `name` says, with `params` and, where it has one, `random_state`.

    `name` is a class, a function that returns an estimator, or an estimator itself (then cloned).
    Raises StepError when the name or a parameter is unknown, and for code of the project: a change of code that is
    named only in a parameter would not be seen, so a project's own estimator is trained by a step of its own.
    """
    found = _find(name)
    if isinstance(found, BaseEstimator):
        made = clone(found)
        _need_params(name, params, made.get_params(deep=True))
        made.set_params(**params)
    elif callable(found):
        made = _call(name, found, params)
    else:
        raise StepError(
            f"estimator '{name}' is a {type(found).__name__}", "name a class, such as sklearn.linear_model.Ridge"
        )
    if not (hasattr(made, "fit") and hasattr(made, "get_params")):
        raise StepError(
            f"estimator '{name}' is no scikit-learn estimator: it has no fit or no get_params",
            "name a class with the scikit-learn interface",
        )
    return _seeded(made, seed)


def final(model: Any) -> Any:
    """The estimator that predicts: the last one of a Pipeline, else the model itself."""
    return model.steps[-1][1] if isinstance(model, Pipeline) else model


def _find(name: str) -> Any:
    path, _, attribute = name.replace(":", ".").rpartition(".")
    if not path:
        raise StepError(f"estimator '{name}' has no module", "write the full name: sklearn.linear_model.Ridge")
    module = _import(path, name)
    if not hasattr(module, attribute):
        known = [n for n in (getattr(module, "__all__", None) or dir(module)) if n[:1].isupper()]
        raise StepError(f"estimator '{name}': '{path}' has no '{attribute}'", suggestion(attribute, known))
    return getattr(module, attribute)


def _import(path: str, name: str) -> ModuleType:
    try:
        module = importlib.import_module(path)
    except ModuleNotFoundError as error:
        top, _, rest = path.partition(".")
        if error.name == top:
            raise StepError(
                f"estimator '{name}': no module called '{top}' is installed", f"pip install {top}?"
            ) from None
        if rest and error.name and path.startswith(error.name):
            parent = importlib.import_module(error.name.rpartition(".")[0])
            known = [*getattr(parent, "__all__", ()), *getattr(parent, "_submodules", ())]
            hint = suggestion(error.name.rpartition(".")[2], known)
            raise StepError(f"estimator '{name}': no module called '{error.name}'", hint) from None
        raise
    file = getattr(module, "__file__", None)
    if file and Path(file).resolve().is_relative_to(Path.cwd()) and "site-packages" not in Path(file).parts:
        raise StepError(
            f"estimator '{name}' is code of this project",
            "train it in a step of your own (a function that takes the table and returns the model):"
            " a change of code that is named only in a parameter would not be seen",
        )
    return module


def _call(name: str, function: Any, params: Mapping[str, Any]) -> Any:
    try:
        arguments = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return function(**params)
    if not any(a.kind is a.VAR_KEYWORD for a in arguments.values()):
        _need_params(name, params, arguments)
    try:
        return function(**params)
    except TypeError as error:
        raise StepError(f"estimator '{name}' was not made: {error}", "see `params` of this step") from error


def _need_params(name: str, params: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    for key in params:
        if key not in known:
            text = f"estimator '{name}' has no parameter '{key}'"
            raise StepError(text, suggestion(key, known) or "known: " + ", ".join(sorted(known)))


def _seeded(made: Any, seed: int | None) -> Any:
    if seed is None:
        return made
    open_seeds = {
        key: seed
        for key, value in sorted(made.get_params(deep=True).items())
        if value is None and (key == "random_state" or key.endswith("__random_state"))
    }
    return made.set_params(**open_seeds) if open_seeds else made
