"""Make of a model what a server needs to know of it."""

from importlib.metadata import version
from typing import Any

import pandas as pd

from treadle_steps.refusals import kind_of, known_keys, need_columns, table

NEEDED = ("scikit-learn", "numpy", "pandas", "skops")
ROLLOUT = (
    "metric", "unit", "shadow", "steps", "ramp", "success", "guardrails", "limits", "on_inconclusive", "rollback",
    "after", "target", "goal", "margin", "alpha", "maturity", "champion", "challenger", "approve",
)  # fmt: skip


def model(
    model: Any,
    report: dict[str, Any] | None = None,
    reference: pd.DataFrame | None = None,
    *,
    name: str,
    rollout: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Write the card of a model: its name, input fields, target, metrics, requirements and rollout.

    The card and the model are artifacts of the run; serving them is up to whoever reads the card.
    Raises StepError for a rollout key that is not known, and when the reference lacks a feature.
    """
    fields = [{"name": str(field)} for field in getattr(model, "feature_names_in_", [])]
    if reference is not None and fields:
        frame = table(reference, "reference")
        need_columns(frame, [field["name"] for field in fields], "the model's feature", "the reference")
        fields = [{**field, "dtype": kind_of(frame[field["name"]])} for field in fields]
    return {
        "name": name,
        "inputs": fields,
        "target": getattr(model, "target_name_", None),
        "metrics": (report or {}).get("metrics", {}),
        "requirements": {library: version(library) for library in NEEDED},
        "rollout": known_keys(rollout or {}, ROLLOUT, "rollout"),
    }
