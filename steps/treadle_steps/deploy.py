"""Make of a model what a server needs to know of it."""

import platform
import re
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from typing import Any

import pandas as pd

from treadle.authoring import StepError
from treadle_steps import psi
from treadle_steps.estimators import final
from treadle_steps.refusals import kind_of, need_columns, table
from treadle_steps.rollout import checked

NEEDED = ("scikit-learn", "numpy", "scipy", "pandas", "skops")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")  # it becomes a part of a URL and of a path
RARE_VALUES = 1000  # a profile keeps all values of a column only when they are no more than these


def model(
    model: Any,
    report: dict[str, Any] | None = None,
    reference: pd.DataFrame | None = None,
    *,
    name: str,
    rollout: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Write the card of a model: its name, input fields, target, metrics, requirements, profile and rollout.

    The profile holds, for each feature, its bins and counts in the reference; `monitor.drift` takes the card as its
    reference. The card and the model are artifacts of the run; serving them is up to whoever reads the card.
    Raises StepError for a name that cannot be part of a path, for a rollout key that is not known, and when the
    reference lacks a feature.
    """
    if not NAME.fullmatch(name):
        raise StepError(
            f"the model's name is {name!r}", "use letters, digits, '.', '_' and '-', and begin with no sign"
        )
    if not hasattr(model, "predict"):
        raise StepError(f"the model is a {type(model).__name__}, which predicts nothing", "in: {model: a train step}")
    features = [str(field) for field in getattr(model, "feature_names_in_", [])]
    kinds: dict[str, str] = dict(getattr(model, "feature_kinds_", {}))
    profile: dict[str, Any] = {}
    if reference is not None:
        frame = table(reference, "reference")
        need_columns(frame, features, "the model's feature", "the reference")
        kinds = {field: kind_of(frame[field]) for field in features}
        profile = {field: psi.freeze(frame[field], RARE_VALUES) for field in features}
    classes = getattr(model, "classes_", None)
    return {
        "name": name,
        "estimator": f"{type(final(model)).__module__}.{type(final(model)).__qualname__}",
        "inputs": [{"name": field, **({"dtype": kinds[field]} if field in kinds else {})} for field in features],
        "target": getattr(model, "target_name_", None),
        "classes": None if classes is None else [str(label) for label in classes],
        "metrics": (report or {}).get("metrics", {}),
        "requirements": _requirements(model),
        "python": platform.python_version(),
        "profile": profile,
        "rollout": checked(rollout),
    }


def _requirements(model: Any) -> dict[str, str]:
    """Installed versions of what loads and runs the model, its own library included."""
    top = type(final(model)).__module__.partition(".")[0]
    found = {}
    for library in sorted({*NEEDED, *packages_distributions().get(top, [])}):
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue  # skops is not needed where models are stored in another format
    return found
