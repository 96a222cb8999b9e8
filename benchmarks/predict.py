"""One prediction, compiled and by scikit-learn, in turn: `python benchmarks/predict.py [--runs N]`.

CPU time of the process, median over rounds; the columns of the request are ready, as a server hands them over.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from treadle_steps.compiled import answer
from treadle_steps.compiled.frame import columns_of, dtype_of

ROUNDS = 9


def models() -> dict[str, tuple[Any, list[str], bool]]:
    """name → estimator, columns, whether it tells classes."""
    numbers = [f"x{n}" for n in range(10)]
    prepared = ColumnTransformer(
        [("n", StandardScaler(), numbers), ("c", OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["zone"])]
    )
    return {
        "logistic pipeline": (make_pipeline(StandardScaler(), LogisticRegression()), numbers, True),
        "ridge": (Ridge(), numbers, False),
        "ridge, scaled and one-hot": (Pipeline([("p", prepared), ("m", Ridge())]), [*numbers, "zone"], False),
        "histogram boosting, 200": (HistGradientBoostingRegressor(max_iter=200), numbers, False),
        "boosting, 200": (GradientBoostingRegressor(n_estimators=200), numbers, False),
        "forest, 100": (RandomForestRegressor(100, max_depth=8), numbers, False),
    }


def microseconds(work: Callable[[Any], object], given: Any, times: int) -> float:
    """CPU time of one call."""
    began = time.process_time_ns()
    for _ in range(times):
        work(given)
    return (time.process_time_ns() - began) / times / 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="calls in a round")
    runs = parser.parse_args().runs
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({f"x{n}": rng.normal(size=2_000) for n in range(10)})
    frame["zone"] = rng.choice(list("abcde"), 2_000)
    y = frame.x0 * 2 + frame.x1 + rng.normal(size=2_000)
    print(f"{'model':27} {'rows':>4} {'compiled':>10} {'predict':>10} {'times':>6}  verdict")
    for name, (model, columns, classes) in models().items():
        model.fit(frame[columns], y > 0 if classes else y)
        fields = [{"name": one, "dtype": dtype_of(frame[one])} for one in columns]
        verdict = answer.verdict(model, fields, frame[columns].head(200))
        card = {"signature": {"inputs": fields}, "compiled": verdict}
        served = answer.predictor(model, card, frame[columns].head(3).to_dict("records"))
        for rows in (1, 16, 64):
            part = frame[columns].head(rows)
            ready = columns_of(part, fields)
            pairs = [
                (microseconds(served, ready, runs), microseconds(model.predict, part, max(3, runs // 40)))
                for _ in range(ROUNDS)
            ]
            ours, theirs = (statistics.median(samples) for samples in zip(*pairs, strict=True))
            print(
                f"{name:27} {rows:4} {ours:7.1f} us {theirs:7.1f} us {theirs / ours:6.1f}  {verdict[:40]}", flush=True
            )


if __name__ == "__main__":
    main()
