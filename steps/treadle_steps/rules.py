"""The rules of a table schema, one check at a time: what was asked, how many rows fail, examples."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from treadle_steps import columns
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
    seen, limits = columns.texts(values), columns.extremes(values)
    allowed = 1 - share(rule.get("mostly"), 1.0)

    def found_in(check: str, bad: Any, words: str, allowed: float = allowed) -> None:
        """One more check: `bad` marks the rows that fail, None stands for none."""
        if bad is None:
            found.append(Check(name, check, severity, True, 0, 0.0, allowed, [], ""))
        else:
            found.append(judged(name, check, rule, bad, values, allowed, words, most))

    whole = limits is not None or (seen is not None and not seen.missing)
    missing = None if whole else values.isna().to_numpy()
    found_in("null", missing, "is missing", share((rule.get("null") or {}).get("max_share"), 0.0))
    for key, words in (("min", "is below"), ("max", "is above")):
        if key in rule:
            found_in(key, _beyond(key, rule[key], values, limits, missing), f"{words} {rule[key]}")
    if "in" in rule:
        found.append(_members(name, rule, values, seen, most))
    if "regex" in rule:
        pattern = rule["regex"]
        bad = columns.by_text(seen, values, lambda texts: ~texts.str.match(pattern).fillna(False).astype(bool))
        found_in("regex", bad, f"does not match {pattern}")
    if "length" in rule:
        low, high = rule["length"].get("min", 0), rule["length"].get("max", np.inf)
        bad = columns.by_text(seen, values, lambda texts: ~texts.str.len().between(low, high))
        found_in("length", bad, f"has not {low} to {high} characters")
    if rule.get("unique"):
        bad = columns.repeated(values)
        found_in("unique", bad if bad is None or missing is None else bad & ~missing, "stands more than once")
    return found


def _beyond(key: str, bound: Any, values: pd.Series, limits: Any, missing: Any) -> Any:
    """The rows below a `min` or above a `max`; None when the extremes show that there are none."""
    if limits is not None and (limits[0] >= bound if key == "min" else limits[1] <= bound):
        return None
    numbers = values.to_numpy() if isinstance(values.dtype, np.dtype) and values.dtype.kind in "iuf" else values
    bound = pd.Timestamp(bound) if is_moment(values) else bound
    bad = np.asarray(numbers < bound if key == "min" else numbers > bound, dtype=bool)
    return bad if missing is None else bad & ~missing


def _members(name: str, rule: dict[str, Any], values: pd.Series, seen: columns.Texts | None, most: int) -> Check:
    unseen, allowed = rule.get("unseen"), 1 - share(rule.get("mostly"), 1.0)
    if unseen:
        rule, allowed = {**rule, "severity": unseen.get("severity", "error")}, share(unseen["max_share"], 0.0)
    if seen is not None:
        bad = seen.rows(~seen.distinct.isin(rule["in"]).to_numpy())
    else:
        bad = ~values.isin(rule["in"]).to_numpy() & ~values.isna().to_numpy()
    check = "unseen" if unseen else "in"
    if bad is None:
        return Check(name, check, rule.get("severity", "error"), True, 0, 0.0, allowed, [], "")
    return judged(name, check, rule, bad, values, allowed, "is outside the allowed values", most)


def _whole(values: pd.Series) -> bool:
    if not pd.api.types.is_float_dtype(values.dtype):
        return False
    known = values.dropna().to_numpy()
    return bool((known == np.floor(known)).all())


def _plain(value: Any) -> Any:
    if value is None or value is pd.NaT or (isinstance(value, float) and np.isnan(value)):
        return None
    return value.item() if hasattr(value, "item") else value if isinstance(value, str | int | float) else str(value)
