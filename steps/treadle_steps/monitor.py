"""Compare what arrives now with what the model was accepted on."""

from typing import Any, NamedTuple, TypedDict

import pandas as pd

from treadle.authoring import StepError
from treadle_steps import psi
from treadle_steps.refusals import need_columns, table


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
    reference: pd.DataFrame,
    current: pd.DataFrame,
    *,
    columns: list[str] | None = None,
    exclude: list[str] | None = None,
    delta: float = 0.1,
    fdr: float = 0.01,
    min_rows: int = 100,
) -> Drift:
    """Test for each column whether its PSI against the reference is above `delta`, at a false discovery rate.

    Both tables are one window each. Raises StepError for fewer than `min_rows` rows: missing data is never success.
    """
    before, now = table(reference, "reference"), table(current, "current")
    if len(now) < min_rows:
        raise StepError(f"current has {len(now):,} rows, fewer than {min_rows:,}", "wait for more, or lower min_rows")
    chosen = columns or [name for name in before.columns if name in now.columns and name not in (exclude or [])]
    need_columns(before, chosen, "columns:", "the reference")
    need_columns(now, chosen, "columns:", "the current table")
    counted = {name: psi.counts(before[name], now[name]) for name in chosen}
    chances = [psi.p_value(*counted[name], delta) for name in chosen]
    fallen = psi.rejected(chances, fdr)
    report = {
        name: {"psi": psi.index(*counted[name]), "p_value": chance, "drifted": drifted}
        for name, chance, drifted in zip(chosen, chances, fallen, strict=True)
    }
    greatest = max((float(found["psi"]) for found in report.values()), default=0.0)
    number = float(sum(fallen))
    figures = DriftMetrics(
        psi_max=greatest, drifted=number, share_drifted=number / max(1, len(chosen)), rows=float(len(now))
    )
    return Drift({"delta": delta, "fdr": fdr, "columns": report}, figures)
