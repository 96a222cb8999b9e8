"""Validating 1,000,000 rows × 20 columns with 60 checks, in memory, beside pandera, pandas and polars by hand.

$ python benchmarks/validate.py            # five turns, the methods in turn
$ python benchmarks/validate.py --rows 100000 --runs 3

20 types, 20 not null, 15 ranges, 3 sets, 1 pattern, 1 unique key; 1,000 faults are planted and every method must find
them. A method that is not installed is left out. Times are CPU seconds and wall seconds of the checks alone.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent))

import harness

from treadle_steps import validate

BUDGET = 0.12
ZONES = [f"Z{number}" for number in range(1, 201)]
KINDS = ["card", "cash", "app"]
CITIES = ["Berlin", "Paris", "Rome", "Madrid", "Wien"]
NUMBERS = {f"n{number}": (0.0, 1.0) for number in range(10)}
RANGES = {"distance": (0, 300), "fare": (0, 500), "demand": (0, 10_000), "drivers": (0, 10_000), "hour": (0, 23)}
SETS = {"zone": ZONES, "kind": KINDS, "city": CITIES}
PATTERN = r"^[A-Z]{2}\d{3}$"


def frame(rows: int, faults: int) -> pd.DataFrame:
    """A table of 20 columns, with `faults` values out of range, outside their set, off the pattern or repeated."""
    draw = np.random.default_rng(0)
    data: dict[str, Any] = {
        "id": np.arange(rows) + 10_000_000,
        "hour": draw.integers(0, 24, rows),
        "demand": draw.integers(0, 500, rows),
        "drivers": draw.integers(0, 500, rows),
        "distance": draw.gamma(2, 3, rows).clip(0, 299),
        "fare": draw.gamma(2, 8, rows).clip(0, 499),
        **{name: np.array(values, dtype=object)[draw.integers(0, len(values), rows)] for name, values in SETS.items()},
        "plate": np.array([f"AB{number:03d}" for number in range(1000)], dtype=object)[draw.integers(0, 1000, rows)],
        **{name: draw.random(rows) for name in NUMBERS},
    }
    each = faults // 5
    places = draw.permutation(rows)
    data["distance"][places[:each]] = -1.0
    data["zone"][places[each : 2 * each]] = "nowhere"
    data["plate"][places[2 * each : 3 * each]] = "??"
    data["n3"][places[3 * each : 4 * each]] = np.nan
    data["id"][places[4 * each : 5 * each]] = data["id"][0]
    return pd.DataFrame(data)


def schema() -> dict[str, Any]:
    columns: dict[str, Any] = {"id": {"dtype": "int", "unique": True}}
    kinds = {"hour": "int", "demand": "int", "drivers": "int"}
    columns |= {name: {"dtype": kinds.get(name, "float"), "min": a, "max": b} for name, (a, b) in RANGES.items()}
    columns |= {name: {"dtype": "string", "in": values} for name, values in SETS.items()}
    columns |= {"plate": {"dtype": "string", "regex": PATTERN}}
    columns |= {name: {"dtype": "float", "min": a, "max": b} for name, (a, b) in NUMBERS.items()}
    return {"version": 1, "columns": columns}


def treadle(data: pd.DataFrame) -> int:
    found = validate.table(data, schema=schema(), on_fail="warn").report
    return sum(check["failed"] for check in found["checks"])


def pandas_by_hand(data: pd.DataFrame) -> int:
    bad = int(data["id"].duplicated().sum())
    for name in data.columns:
        bad += int(data[name].isna().sum())
    for name, (low, high) in {**RANGES, **NUMBERS}.items():
        bad += int(((data[name] < low) | (data[name] > high)).sum())
    for name, values in SETS.items():
        bad += int((~data[name].isin(values)).sum())
    return bad + int((~data["plate"].str.match(PATTERN)).sum())


def polars_by_hand(data: Any) -> int:
    import polars as pl

    checks = [pl.len() - pl.col("id").n_unique()]
    checks += [pl.col(name).is_null().sum() for name in data.columns]
    checks += [
        ((pl.col(name) < low) | (pl.col(name) > high)).sum() for name, (low, high) in {**RANGES, **NUMBERS}.items()
    ]
    checks += [(~pl.col(name).is_in(values)).sum() for name, values in SETS.items()]
    checks.append((~pl.col("plate").str.contains(PATTERN)).sum())
    return int(sum(data.select([check.alias(str(at)) for at, check in enumerate(checks)]).row(0)))


def pandera_schema(data: pd.DataFrame) -> int:
    import pandera.pandas as pa

    ranges = {**RANGES, **NUMBERS}
    columns = {"id": pa.Column(int, unique=True)}
    columns |= {name: pa.Column(data[name].dtype, pa.Check.in_range(*limits)) for name, limits in ranges.items()}
    columns |= {name: pa.Column(str, pa.Check.isin(values)) for name, values in SETS.items()}
    columns["plate"] = pa.Column(str, pa.Check.str_matches(PATTERN))
    try:
        pa.DataFrameSchema(columns).validate(data, lazy=True)
    except pa.errors.SchemaErrors as error:
        return len(error.failure_cases)
    return 0


def methods(data: pd.DataFrame) -> dict[str, tuple[Callable[[Any], int], Any]]:
    found: dict[str, tuple[Callable[[Any], int], Any]] = {
        "treadle": (treadle, data),
        "pandas by hand": (pandas_by_hand, data),
    }
    try:
        import polars as pl

        found["polars by hand"] = (polars_by_hand, pl.from_pandas(data))
    except ImportError:
        pass
    try:
        import pandera.pandas  # noqa: F401

        found["pandera"] = (pandera_schema, data)
    except ImportError:
        pass
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--page", action="store_true", help="put the table into docs/benchmarks.md")
    args = parser.parse_args()
    asked = methods(frame(args.rows, 1000))
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in asked}
    found = {}
    for turn in range(args.runs + 1):
        for name, (method, data) in asked.items():
            wall, cpu = time.perf_counter(), time.process_time()
            found[name] = method(data)
            if turn:
                times[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    by_hand = statistics.median(cpu for _, cpu in times["pandas by hand"])
    lines = ["| method | wall s | least | CPU s | CPU / pandas by hand | found |", "|---|---|---|---|---|---|"]
    for name, samples in times.items():
        walls, cpus = zip(*samples, strict=True)
        wall, cpu = statistics.median(walls), statistics.median(cpus)
        lines.append(f"| {name} | {wall:.3f} | {min(walls):.3f} | {cpu:.3f} | {cpu / by_hand:.2f} | {found[name]} |")
    facts = ", ".join(f"{key} {value}" for key, value in harness.machine().items())
    text = f"{facts}; {args.runs} turns; budget {BUDGET} s where pandas by hand takes 0.20 s.\n\n" + "\n".join(lines)
    print(text)
    if args.page:
        harness.fill_page(Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md", "validate", text)


if __name__ == "__main__":
    main()
