"""Propose a table schema from data: what it may be tomorrow, not just what it was today."""

import json
import math
import re
from typing import Any, NamedTuple

import pandas as pd

from treadle_steps.refusals import is_moment, is_number, kind_of, need_plain, table

FEW = 20  # distinct values that may become a list of allowed ones
UNSEEN = 0.001  # Good-Turing: the greatest chance of a new value for which a list is proposed
ENOUGH = 1000  # rows from which on "never negative" is believed
MOSTLY = 0.999
IDENTIFIER = re.compile(r"(^|_)(id|key|uuid|guid|code)$", re.IGNORECASE)
PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Inferred(NamedTuple):
    """The schema as a map for `validate.table`, and as YAML with comments, to be read and committed."""

    schema: dict[str, Any]
    text: str


def infer(data: pd.DataFrame, *, roles: dict[str, str] | None = None) -> Inferred:
    """Propose a schema: types, presence, wide ranges, and allowed values where new ones are improbable.

    Presence is the observed share less three standard errors; a range is the 0.1 % and 99.9 % quantiles widened by
    1.5 interquartile ranges (or standard deviations, if that is more), never the observed minimum and maximum; values
    are listed when there are at most 20 and the Good-Turing estimate of a new one is below 0.1 %; a column is unique
    only when its role or name says identifier.
    `roles` maps columns to roles. Save the text: `save: {text: trips.schema.yaml}`.

    Example:

        proposed:
          uses: validate.infer
          in: {data: trips}
          save: {text: proposed.schema.yaml}
    """
    frame = table(data)
    columns = {str(name): _column(str(name), frame[name], (roles or {}).get(str(name), "")) for name in frame.columns}
    schema = {"version": 1, "table": {"rows": {"min": max(1, len(frame) // 10)}}, "columns": columns}
    return Inferred(schema, _yaml(schema, frame))


def _column(name: str, column: pd.Series, role: str) -> dict[str, Any]:
    need_plain(column)
    rows, known = len(column), column.dropna()
    kind = kind_of(column)
    rule: dict[str, Any] = {"dtype": kind}
    if role:
        rule["role"] = role
    if len(known) < rows:
        share = len(known) / rows
        least = max(0.0, share - 3 * math.sqrt(share * (1 - share) / rows))
        rule["null"] = {"max_share": round(1 - least, 4)}
    if not len(known):
        return rule
    if (role == "id" or (not role and IDENTIFIER.search(name))) and known.is_unique and kind != "float":
        return {**rule, "unique": True, **({} if role else {"role": "id"})}
    if kind in ("string", "category", "bool"):
        return {**rule, **_values(known, kind)}
    return {**rule, **_range(known)} if is_number(column) and not is_moment(column) else rule


def _values(known: pd.Series, kind: str) -> dict[str, Any]:
    counts = known.astype(str).value_counts()
    singletons = int((counts == 1).sum())
    if kind == "bool" or len(counts) > FEW or singletons / len(known) >= UNSEEN:
        return {}
    return {"in": sorted(str(value) for value in counts.index), "mostly": MOSTLY}


def _range(known: pd.Series) -> dict[str, Any]:
    values = known.astype(float)
    values = values[(values > -math.inf) & (values < math.inf)]
    if not len(values):
        return {}
    low, first, third, high = (float(q) for q in values.quantile([0.001, 0.25, 0.75, 0.999]))
    spread = 1.5 * max(third - first, float(values.std(ddof=0)))  # rain is 0 on most days: no range between quartiles
    least, most = _round_out(low - spread, down=True), _round_out(high + spread, down=False)
    if len(values) >= ENOUGH and float(values.min()) >= 0:
        least = 0.0
    plain = {"min": least, "max": most} if most > least else {}
    return {**{name: int(v) if v.is_integer() else v for name, v in plain.items()}, "mostly": MOSTLY} if plain else {}


def _round_out(value: float, down: bool) -> float:
    """Two significant digits away from the data: a limit that looks exact would be believed to be."""
    if value == 0 or not math.isfinite(value):
        return value
    step = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    return float(f"{(math.floor(value / step) if down else math.ceil(value / step)) * step:.6g}")


def _yaml(schema: dict[str, Any], frame: pd.DataFrame) -> str:
    lines = ["# proposed from data: read it, correct it, commit it", "version: 1", "table:"]
    lines.append(f"  rows: {{min: {schema['table']['rows']['min']}}}   # {len(frame):,} seen")
    lines.append("columns:")
    for name, rule in schema["columns"].items():
        inner = ", ".join(f"{key}: {_flow(value)}" for key, value in rule.items())
        lines.append(f"  {_text(name)}: {{{inner}}}{_comment(frame[name])}")
    return "\n".join(lines) + "\n"


def _comment(column: pd.Series) -> str:
    known = column.dropna()
    if not len(known):
        return "   # no value seen"
    if is_moment(column) or (is_number(column) and not pd.api.types.is_bool_dtype(column.dtype)):
        low, high = known.min(), known.max()
        shown = f"{low:.6g} to {high:.6g}" if is_number(column) else f"{low} to {high}"
        return f"   # seen: {shown}"
    return f"   # seen: {known.nunique():,} values"


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_text(str(item)) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return _text(value) if isinstance(value, str) else repr(value)


def _text(text: str) -> str:
    """A text as YAML: plain where that is safe, else in double quotes."""
    reserved = text.lower() in ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
    if PLAIN.fullmatch(text) and not reserved:
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(letter if letter.isprintable() else f"\\U{ord(letter):08x}" for letter in quoted)
