"""train.search beside scikit-learn's GridSearchCV: the same scores, digit for digit, and the time of each.

$ python benchmarks/search.py --rows 20000 --runs 3
"""

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.tree import DecisionTreeRegressor

sys.path.insert(0, str(Path(__file__).resolve().parent))

import harness

from treadle_steps.search import search

SPACE: dict[str, list[Any]] = {"max_depth": [3, 6, 9], "min_samples_leaf": [1, 10, 100]}
FIXED: dict[str, Any] = {"splitter": "best"}
NAME = "sklearn.tree.DecisionTreeRegressor"


def frame(rows: int) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    data = pd.DataFrame({f"x{number}": draw.normal(size=rows) for number in range(10)})
    return data.assign(y=np.sin(data["x0"]) + data["x1"] * data["x2"] + draw.normal(0, 0.1, rows))


def treadle(data: pd.DataFrame, jobs: int) -> dict[str, float]:
    found = search(data, estimator=NAME, target="y", space=SPACE, params=FIXED, cv=3, jobs=jobs)
    return {str(sorted(one["params"].items())): one["metrics"]["cv_mae"] for one in found.report["candidates"]}


def scikit_learn(data: pd.DataFrame, jobs: int) -> dict[str, float]:
    model = DecisionTreeRegressor(random_state=0, **FIXED)
    folds = KFold(3, shuffle=True, random_state=0)
    scoring = ["neg_mean_absolute_error", "neg_root_mean_squared_error", "r2"]  # as many as train.search reports
    found = GridSearchCV(model, SPACE, cv=folds, scoring=scoring, refit=scoring[0], n_jobs=jobs)
    found.fit(data.drop(columns="y"), data["y"])
    means = -found.cv_results_["mean_test_neg_mean_absolute_error"]
    params = found.cv_results_["params"]
    return dict(zip([str(sorted(one.items())) for one in params], map(float, means), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--page", action="store_true", help="put the table into docs/benchmarks.md")
    args = parser.parse_args()
    data = frame(args.rows)
    cases = {f"{m.__name__}, jobs={jobs}": (m, jobs) for jobs in (1, 2) for m in (treadle, scikit_learn)}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    scores = {}
    for _ in range(args.runs):
        for name, (method, jobs) in cases.items():
            wall, cpu = time.perf_counter(), time.process_time()
            scores[name] = method(data, jobs)
            times[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    alike = all(found == scores["treadle, jobs=1"] for found in scores.values())
    if not alike:
        raise SystemExit("the scores differ")
    lines = ["| method | wall s | least | CPU s of this process |", "|---|---|---|---|"]
    for name, samples in times.items():
        walls, cpus = zip(*samples, strict=True)
        lines.append(f"| {name} | {statistics.median(walls):.2f} | {min(walls):.2f} | {statistics.median(cpus):.2f} |")
    facts = ", ".join(f"{key} {value}" for key, value in harness.machine().items())
    text = f"{facts}; {args.rows:,} rows, {args.runs} turns; scores equal to the last digit.\n\n" + "\n".join(lines)
    print(text)
    if args.page:
        harness.fill_page(Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md", "search", text)


if __name__ == "__main__":
    main()
