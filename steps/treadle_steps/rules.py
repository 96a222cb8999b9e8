"""The rules of a table schema, one check at a time: what was asked, how many rows fail, examples."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from treadle_steps.refusals import is_moment

DTYPES: dict[str, Callable[[pd.Series], bool]] = {
    "string": lambda c: pd.api.types.is_string_dtype(c.dtype) or pd.api.types.is_object_dtype(c.dtype),
    "int": lambda c: pd.api.types.is_integer_dtype(c.dtype) or _whole(c),
    "float": lambda c: pd.api.types.is_numeric_dtype(c.dtype) and not pd.api.types.is_bool_dtype(c.dtype),
    "bool": lambda c: pd.api.types.is_bool_dtype(c.dtype),
    "datetime": is_moment,
    "date": is_moment,
    "category": lambda c: isinstance(c.dtype, pd.CategoricalDtype) or DTYPES["string"](c),
    "any": lambda c: True,
}


class Check(NamedTuple):
    """One rule judged on one table; `failed` rows out of `rows`, at most `limit` as a share may fail."""

    column: str
    check: str
    severity: str
    ok: bool
    failed: int
    share: float
    limit: float
    examples: list[dict[str, Any]]
    message: str
    rows: Any = None  # which rows fail, where the rule is about rows


def share(value: Any, default: float) -> float:
    """A share of a schema as a number: 0.02 or `2%`."""
    if value is None:
        return default
    return float(value[:-1]) / 100 if isinstance(value, str) else float(value)


def judged(
    column: str,
    check: str,
    rule: dict[str, Any],
    bad: Any,
    values: pd.Series | None,
    allowed: float,
    words: str,
    most: int,
) -> Check:
    """The check for rows marked `bad`, of which a share of `allowed` may fail."""
    bad = np.asarray(bad, dtype=bool)
    failed = int(bad.sum())
    found = failed / max(1, len(bad))
    ok = found <= allowed
    examples = []
    if failed and values is not None:
        examples = [{"row": int(row), "value": _plain(values.iloc[row])} for row in np.flatnonzero(bad)[:most]]
    message = "" if ok else f"{column}: {words} in {failed:,} of {len(bad):,} rows ({found:.2%}, at most {allowed:.2%})"
    return Check(column, check, rule.get("severity", "error"), ok, failed, found, allowed, examples, message, bad)


def stated(column: str, check: str, severity: str, ok: bool, message: str) -> Check:
    """A check about the table or a column as a whole."""
    return Check(column, check, severity, ok, 0 if ok else 1, 0.0, 0.0, [], "" if ok else message)


def of_column(name: str, rule: dict[str, Any], values: pd.Series, most: int) -> list[Check]:
    """Every rule of one column."""
    severity = rule.get("severity", "error")
    dtype = rule.get("dtype", "any")
    found: list[Check] = []
    if not DTYPES[dtype](values):
        return [stated(name, "dtype", severity, False, f"{name}: is {values.dtype}, not {dtype}")]
    found.append(stated(name, "dtype", severity, True, ""))
    missing = values.isna().to_numpy()
    allowed = 1 - share(rule.get("mostly"), 1.0)
    limit = share((rule.get("null") or {}).get("max_share"), 0.0)
    found.append(judged(name, "null", rule, missing, values, limit, "is missing", most))
    for key, words, compare in (("min", "is below", np.less), ("max", "is above", np.greater)):
        if key in rule:
            bound: Any = pd.Timestamp(rule[key]) if is_moment(values) else rule[key]
            bad = np.asarray(compare(values, bound)) & ~missing
            found.append(judged(name, key, rule, bad, values, allowed, f"{words} {rule[key]}", most))
    if "in" in rule:
        found.append(_members(name, rule, values, missing, allowed, most))
    if "regex" in rule:
        bad = ~values.astype("str").str.match(rule["regex"]).fillna(False).to_numpy(dtype=bool) & ~missing
        found.append(judged(name, "regex", rule, bad, values, allowed, f"does not match {rule['regex']}", most))
    if "length" in rule:
        length = values.astype("str").str.len().to_numpy()
        low, high = rule["length"].get("min", 0), rule["length"].get("max", np.inf)
        bad = ((length < low) | (length > high)) & ~missing
        found.append(judged(name, "length", rule, bad, values, allowed, f"has not {low} to {high} characters", most))
    if rule.get("unique"):
        bad = values.duplicated(keep="first").to_numpy() & ~missing
        found.append(judged(name, "unique", rule, bad, values, allowed, "stands more than once", most))
    return found


def _members(name: str, rule: dict[str, Any], values: pd.Series, missing: Any, allowed: float, most: int) -> Check:
    unseen = rule.get("unseen")
    bad = ~values.isin(rule["in"]).to_numpy() & ~missing
    if unseen:
        rule, allowed = {**rule, **{"severity": unseen.get("severity", "error")}}, share(unseen["max_share"], 0.0)
    return judged(name, "unseen" if unseen else "in", rule, bad, values, allowed, "is outside the allowed values", most)


def _whole(values: pd.Series) -> bool:
    if not pd.api.types.is_float_dtype(values.dtype):
        return False
    known = values.dropna().to_numpy()
    return bool((known == np.floor(known)).all())


def _plain(value: Any) -> Any:
    if value is None or value is pd.NaT or (isinstance(value, float) and np.isnan(value)):
        return None
    return value.item() if hasattr(value, "item") else value if isinstance(value, str | int | float) else str(value)
