"""False alarms of the drift default over 30 days of hourly windows, and how soon real drift is seen.

python benchmarks/drift_rates.py            full size, as Markdown
python benchmarks/drift_rates.py --runs 5   fewer months

Counts are drawn from the law of each window, so that months of 50,000 rows an hour take seconds; the bins, the test,
the false discovery rate over the columns and the persistence are those of monitor.drift.
"""

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np

from treadle_steps import psi, verdict

COLUMNS, BINS, HOURS, REFERENCE = 20, 11, 720, 10_000


def month(rows: int, day_effect: float, rng: np.random.Generator, shift: float = 0.0) -> tuple[Any, Any, Any]:
    """Reference counts (columns, bins), its hourly history (columns, 168, bins), current (columns, hours, bins).

    `day_effect` is the deviation of a tilt that each day draws for each column; `shift` a tilt that stays: a PSI of
    about its square.
    """
    even = np.full(BINS - 1, 1 / (BINS - 1))
    score = np.linspace(-1.5, 1.5, BINS - 1)
    score = (score - score.mean()) / score.std()

    def draw(hours: int, more: float) -> Any:
        tilt = np.repeat(rng.normal(0, day_effect, (COLUMNS, -(-hours // 24))), 24, axis=1)[:, :hours] + more
        law = even * np.exp(tilt[..., None] * score)
        law /= law.sum(axis=-1, keepdims=True)
        counts = rng.multinomial(rows, law)
        return np.concatenate([counts, np.zeros((*counts.shape[:2], 1), dtype=int)], axis=2)  # nothing is missing

    history = draw(168, 0.0)
    reference = history.sum(axis=1)
    scale = max(1.0, reference.sum(axis=1).max() / REFERENCE)
    return np.round(reference / scale), history, draw(HOURS, shift)


def alarms(rows: int, day_effect: float, runs: int, shift: float = 0.0, overdispersed: bool = True) -> list[list[bool]]:
    """For each month, hour by hour, whether the dataset alarms by the defaults: 20 columns of equal importance, one of
    them the prediction (limit 0.02, 2 of 3 windows)."""
    rng = np.random.default_rng(rows + int(1000 * day_effect))
    names = [f"c{number}" for number in range(COLUMNS)]
    weight = verdict.weights(names, None)
    found = []
    for _ in range(runs):
        reference, history, current = month(rows, day_effect, rng, shift)
        spread = [psi.overdispersion(history[c]) if overdispersed else 1.0 for c in range(COLUMNS)]
        fallen = np.zeros((HOURS, COLUMNS), dtype=bool)
        for hour in range(HOURS):
            chances = [
                psi.p_value(reference[c], current[c, hour], 0.02 if c == 0 else 0.1, spread[c]) for c in range(COLUMNS)
            ]
            fallen[hour] = psi.rejected(chances, 0.01)
        raised = []
        for hour in range(HOURS):
            alarmed = [
                names[c]
                for c in range(COLUMNS)
                if verdict.persists(fallen[: hour + 1, c].tolist(), *((2, 3) if c == 0 else (3, 4)))
            ]
            raised.append(verdict.dataset(alarmed, weight, names[0], 0.3, known=False).raised)
        found.append(raised)
    return found


def rows(runs: int) -> Iterator[str]:
    for day_effect in (0.0, 0.05, 0.15):
        for size in (100, 500, 2000, 10_000, 50_000):
            months = alarms(size, day_effect, runs)
            hours = sum(sum(month) for month in months)
            yield f"| no drift, day effect {day_effect} | {size:,} | {hours / runs / HOURS:.3%} | {hours / runs:.2f} |"
    for shift, value in ((0.3, 0.09), (0.5, 0.25)):
        for size in (100, 500, 2000):
            months = alarms(size, 0.0, max(1, runs // 4), shift)
            firsts = [month.index(True) + 1 if True in month else HOURS for month in months]
            seen = sum(True in month for month in months) / len(months)
            text = f"seen in {seen:.0%} of months, first after {np.median(firsts):.0f} h"
            yield f"| all columns drift, PSI about {value} | {size:,} | {text} | |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    print("| setting | rows per hour | hours with an alarm | alarms in 30 days |\n|---|---|---|---|")
    for line in rows(parser.parse_args().runs):
        print(line, flush=True)


if __name__ == "__main__":
    main()
