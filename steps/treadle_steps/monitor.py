"""Compare what arrives now with what the model was accepted on."""

from typing import Any, Literal, NamedTuple, TypedDict

import pandas as pd

from treadle.authoring import StepError
from treadle_steps import psi
from treadle_steps.refusals import is_moment, is_number, need_columns, one_of, suggestion, table

MOVED = 3  # bins named in the report of a column
METHODS = ("psi_min_effect",)


class DriftMetrics(TypedDict):
    """The greatest PSI, how many columns drifted and their share, and the rows judged."""

    psi_max: float
    drifted: float
    share_drifted: float
    rows: float


class Drift(NamedTuple):
    """The report by column, and the figures."""

    report: dict[str, Any]
    metrics: DriftMetrics


def drift(
    reference: pd.DataFrame | dict[str, Any],
    current: pd.DataFrame,
    *,
    columns: list[str] | None = None,
    exclude: list[str] | None = None,
    method: Literal["psi_min_effect"] = "psi_min_effect",
    delta: float = 0.1,
    deltas: dict[str, float] | None = None,
    fdr: float = 0.01,
    min_rows: int = 100,
) -> Drift:
    """Test for each column whether its PSI against the reference is above `delta`, at a false discovery rate.

    `reference` is a table, or the card that `deploy.model` made with a reference. Both sides are one window each, and
    its rows are taken as independent. `deltas` gives single columns a limit of their own. Without `columns`, those of
    both sides are judged, but for dates and for text that never repeats: these always move; the report names what was
    left out. Raises StepError for fewer than `min_rows` rows (missing data is never success), for unknown columns and
    for a column that changed its kind.
    """
    now = table(current, "current")
    one_of(method, METHODS, "method")
    if not 0 < fdr < 1 or not delta > 0:
        raise StepError(f"fdr is {fdr} and delta is {delta}", "fdr is between 0 and 1, such as 0.01; delta above 0")
    if len(now) < min_rows:
        raise StepError(f"current has {len(now):,} rows, fewer than {min_rows:,}", "wait for more, or lower min_rows")
    before = _reference(reference)
    chosen, skipped = _choose(before, now, columns, exclude or [])
    unknown = [name for name in deltas or {} if name not in chosen]
    if unknown:
        raise StepError(f"deltas: '{unknown[0]}' is not judged", suggestion(unknown[0], chosen))
    limits = {name: float((deltas or {}).get(name, delta)) for name in chosen}
    profiles = {name: before[name] if isinstance(before, dict) else psi.freeze(before[name]) for name in chosen}
    counted = {name: psi.count(profiles[name], now[name]) for name in chosen}
    chances = [psi.p_value(profiles[name]["counts"], counted[name], limits[name]) for name in chosen]
    fallen = psi.rejected(chances, fdr)
    report = {
        name: {"p_value": chance, "drifted": drifted, "delta": limits[name], **_moves(profiles[name], counted[name])}
        for name, chance, drifted in zip(chosen, chances, fallen, strict=True)
    }
    number = float(sum(fallen))
    figures = DriftMetrics(
        psi_max=max(float(found["psi"]) for found in report.values()),
        drifted=number,
        share_drifted=number / len(chosen),
        rows=float(len(now)),
    )
    return Drift({"method": method, "delta": delta, "fdr": fdr, "columns": report, "skipped": skipped}, figures)


def _reference(reference: Any) -> pd.DataFrame | dict[str, Any]:
    """The table, or the profile of each column out of a model's card."""
    if not isinstance(reference, dict):
        return table(reference, "reference")
    profile = reference.get("profile")
    if not isinstance(profile, dict) or not profile:
        raise StepError(
            "the reference is a mapping without a profile", "give deploy.model a reference, or give a table"
        )
    return profile


def _choose(
    before: pd.DataFrame | dict[str, Any], now: pd.DataFrame, columns: list[str] | None, exclude: list[str]
) -> tuple[list[str], dict[str, str]]:
    """The columns to judge, and why each other one is left out."""
    known = [str(name) for name in before]
    for name in exclude:
        if name not in known and name not in now.columns:
            raise StepError(f"exclude: '{name}' is no column", suggestion(name, known))
    if columns is not None:
        for name in columns:
            if name not in known:
                raise StepError(f"columns: '{name}' is no column of the reference", suggestion(name, known))
        need_columns(now, columns, "columns:", "the current table")
        chosen, skipped = [name for name in columns if name not in exclude], dict.fromkeys(exclude, "excluded")
    else:
        skipped = {str(name): "not in the reference" for name in now.columns if name not in known}
        for name in known:
            reason = "excluded" if name in exclude else _unfit(before, now, name)
            if reason:
                skipped[name] = reason
        chosen = [name for name in known if name not in skipped]
    if not chosen:
        raise StepError("no column is left to judge: " + "; ".join(f"{n}: {why}" for n, why in skipped.items()))
    return chosen, skipped


def _unfit(before: pd.DataFrame | dict[str, Any], now: pd.DataFrame, name: str) -> str:
    if name not in now.columns:
        return "not in the current table"
    if isinstance(before, dict):
        return ""
    column = before[name]
    if is_moment(column):
        return "a date always moves"
    if not is_number(column) and len(column) > 1 and column.nunique() == len(column):
        return "text that never repeats"
    return ""


def _moves(profile: dict[str, Any], counted: list[int]) -> dict[str, Any]:
    """PSI, the shares of missing and unseen values, and the bins that moved most."""
    before = profile["counts"]
    added = psi.parts(before, counted)
    n, m = max(1, sum(before)), max(1, sum(counted))
    order = sorted(range(len(added)), key=lambda at: -added[at])[:MOVED]
    names = psi.labels(profile)
    found: dict[str, Any] = {
        "psi": psi.index(before, counted),
        "missing": {"reference": before[-1] / n, "current": counted[-1] / m},
        "moved": [
            {"bin": names[at], "reference": before[at] / n, "current": counted[at] / m, "psi": float(added[at])}
            for at in order
            if added[at] > 0
        ],
    }
    if "values" in profile:
        found["unseen"] = counted[-2] / m
    return found
