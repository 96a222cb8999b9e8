"""Hold a table against its schema before anything is learned from it."""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, NamedTuple, TypedDict

import numpy as np
import pandas as pd

from treadle.authoring import StepError, read_table_schema
from treadle_steps import psi, rowwise
from treadle_steps.refusals import need_columns
from treadle_steps.refusals import table as as_table
from treadle_steps.rules import Check, judged, of_column, share, stated

LONG = 100_000  # rows from which on threads are worth their start
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


class ValidationMetrics(TypedDict):
    """Rows looked at, rows set aside, and checks that failed as errors and as warnings."""

    rows: float
    failed_rows: float
    errors: float
    warnings: float


class Validated(NamedTuple):
    """The table that goes on, the report, the rows set aside, and the figures."""

    data: pd.DataFrame
    report: dict[str, Any]
    quarantine: pd.DataFrame
    metrics: ValidationMetrics


def table(
    data: pd.DataFrame,
    reference: pd.DataFrame | None = None,
    *,
    schema: str | dict[str, Any],
    on_fail: Literal["stop", "quarantine_rows", "warn"] = "stop",
    environment: str | None = None,
    sample_errors: int = 20,
    now: str | None = None,
) -> Validated:
    """Check every rule of a table schema and report all that fail, with examples.

    `schema` is a YAML file relative to the project's root, or the schema itself. When an error is found the step
    stops, or sets the rows aside that break a rule about rows, or only warns. `environment` leaves out columns that
    are expected elsewhere; `now` is the moment that freshness counts from (default: the current time).
    Raises StepError listing every failed check.

    Example:

        valid:
          uses: validate.table
          in: {data: trips}
          with: {schema: trips.schema.yaml, on_fail: quarantine_rows}
    """
    rules = read_table_schema(schema) if isinstance(schema, str) else schema
    frame = as_table(data)
    checks = _all_checks(rules, frame, reference, environment, sample_errors, now)
    broken = [check for check in checks if not check.ok and check.severity == "error"]
    warned = [check for check in checks if not check.ok and check.severity == "warn"]
    marked = np.zeros(len(frame), dtype=bool)
    whole = [check for check in broken if check.rows is None]
    for check in broken:
        if check.rows is not None:
            marked |= check.rows
    if broken and (on_fail == "stop" or (on_fail == "quarantine_rows" and whole)):
        raise StepError(
            _refusal(broken if on_fail == "stop" else whole), "treadle check finds mistakes in the schema itself"
        )
    aside = marked if on_fail == "quarantine_rows" else np.zeros(len(frame), dtype=bool)
    report = {
        "schema": schema if isinstance(schema, str) else "inline",
        "rows": len(frame),
        "ok": not broken,
        "checks": [{k: v for k, v in check._asdict().items() if k != "rows"} for check in checks],
    }
    figures = ValidationMetrics(
        rows=float(len(frame)), failed_rows=float(marked.sum()), errors=float(len(broken)), warnings=float(len(warned))
    )
    kept = frame[~aside].reset_index(drop=True) if aside.any() else frame
    return Validated(kept, report, frame[aside].reset_index(drop=True), figures)


def _all_checks(
    rules: dict[str, Any], frame: pd.DataFrame, reference: Any, environment: str | None, most: int, now: str | None
) -> list[Check]:
    columns = {
        name: rule
        for name, rule in rules["columns"].items()
        if environment is None or environment in rule.get("environments", [environment])
    }
    found: list[Check] = []
    judged_columns = _judged_columns(frame, columns, most)
    for name, rule in columns.items():
        if name in frame.columns:
            found += judged_columns[name]
        elif rule.get("required", True):
            severity = rule.get("severity", "error")
            found.append(stated(name, "required", severity, False, f"{name}: the column is not there"))
    found += _table_checks(rules, frame, most, now)
    skew = rules.get("skew")
    if skew and reference is not None:
        found += _skew(skew, frame, as_table(reference, "reference"), list(columns))
    return found


def _judged_columns(frame: pd.DataFrame, columns: dict[str, Any], most: int) -> dict[str, list[Check]]:
    """The checks of each column that is there; for a long table in threads, which Arrow and numpy let run."""
    present = [(name, rule, frame[name]) for name, rule in columns.items() if name in frame.columns]
    if len(frame) < LONG:
        return {name: of_column(name, rule, values, most) for name, rule, values in present}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with ThreadPoolExecutor(cores) as pool:
        made = pool.map(lambda one: of_column(one[0], one[1], one[2], most), present)
        return {name: checks for (name, _, _), checks in zip(present, made, strict=True)}


def _table_checks(rules: dict[str, Any], frame: pd.DataFrame, most: int, now: str | None) -> list[Check]:
    table = rules.get("table", {})
    found: list[Check] = []
    rows = table.get("rows", {})
    least, greatest = rows.get("min", 0), rows.get("max", float("inf"))
    if rows:
        fits = least <= len(frame) <= greatest
        words = f"the table has {len(frame):,} rows, not {least:,} to {greatest:,}"
        found.append(stated("", "rows", "error", fits, words))
    if "key" in table:
        need_columns(frame, table["key"], "key:")
        bad = frame.duplicated(table["key"], keep="first").to_numpy()
        found.append(judged(", ".join(table["key"]), "key", {}, bad, None, 0.0, "the key stands more than once", most))
    if "fresh" in table:
        found.append(_fresh(table["fresh"], frame, now))
    extra = [name for name in frame.columns if name not in rules["columns"]]
    policy = table.get("extra_columns", "allow")
    if extra and policy != "allow":
        words = f"columns that the schema does not name: {', '.join(extra[:10])}"
        found.append(stated("", "extra_columns", "warn" if policy == "warn" else "error", False, words))
    for rule in table.get("expect", []):
        bad = ~rowwise.holds(rule["expr"], frame).to_numpy()
        name = rule.get("name", rule["expr"])
        found.append(judged(name, "expect", rule, bad, None, 1 - share(rule.get("mostly"), 1.0), "is not so", most))
    return found


def _fresh(rule: dict[str, Any], frame: pd.DataFrame, now: str | None) -> Check:
    need_columns(frame, [rule["column"]], "fresh:")
    moments = pd.to_datetime(frame[rule["column"]], utc=True)
    age = (pd.Timestamp.now("UTC") if now is None else pd.Timestamp(now, tz="UTC")) - moments.max()
    limit = pd.Timedelta(seconds=_seconds(rule["max_age"]))
    words = f"{rule['column']}: the newest row is {age} old, older than {rule['max_age']}"
    return stated(rule["column"], "fresh", rule.get("severity", "error"), age <= limit, words)


def _seconds(age: str | float) -> float:
    """A duration of a schema, such as 1h30m, in seconds."""
    if not isinstance(age, str):
        return float(age)
    return sum(float(number) * UNITS[unit] for number, unit in re.findall(r"([0-9.]+)(ms|[smhdw])", age))


def _skew(rule: dict[str, Any], frame: pd.DataFrame, reference: pd.DataFrame, columns: list[str]) -> list[Check]:
    found = []
    for name in columns:
        if name in frame.columns and name in reference.columns:
            value = psi.index(*psi.counts(reference[name], frame[name]))
            words = f"{name}: the PSI against the reference is {value:.3f}, above {rule['psi']}"
            found.append(stated(name, "skew", rule.get("severity", "error"), value <= rule["psi"], words))
    return found


def _refusal(checks: list[Check]) -> str:
    lines = [f"{len(checks)} check{'' if len(checks) == 1 else 's'} failed:"]
    for check in checks:
        shown = ", ".join(f"row {e['row']}: {e['value']!r}" for e in check.examples[:3])
        lines.append(f"  {check.message}{f' ({shown})' if shown else ''}")
    return "\n".join(lines)
