"""False alarms of the drift default over 30 days of hourly windows, and how soon real drift is seen.

python benchmarks/drift_rates.py            full size, as Markdown
python benchmarks/drift_rates.py --runs 5   fewer months

Counts are drawn from the law of each window, so that months of 50,000 rows an hour take seconds; the bins, the test,
the false discovery rate over the columns and the persistence are those of monitor.drift.
"""

import argparse
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy.special import betaincinv

from treadle_steps import psi, verdict

COLUMNS, BINS, HOURS, REFERENCE = 20, 11, 720, 10_000


class Setting(NamedTuple):
    """Rows an hour; the deviation of a tilt that each day draws for each column; a tilt that stays, which is a PSI of
    about its square; the weeks of the reference."""

    rows: int
    day_effect: float
    shift: float = 0.0
    weeks: int = 1


def month(setting: Setting, rng: np.random.Generator) -> tuple[Any, Any, Any]:
    """Reference counts (columns, bins), its hourly history (columns, hours, bins), current (columns, hours, bins)."""
    even = np.full(BINS - 1, 1 / (BINS - 1))
    score = np.linspace(-1.5, 1.5, BINS - 1)
    score = (score - score.mean()) / score.std()

    def draw(hours: int, more: float) -> Any:
        tilt = np.repeat(rng.normal(0, setting.day_effect, (COLUMNS, -(-hours // 24))), 24, axis=1)[:, :hours] + more
        law = even * np.exp(tilt[..., None] * score)
        law /= law.sum(axis=-1, keepdims=True)
        counts = rng.multinomial(setting.rows, law)
        return np.concatenate([counts, np.zeros((*counts.shape[:2], 1), dtype=int)], axis=2)  # nothing is missing

    history = draw(168 * setting.weeks, 0.0)
    reference = history.sum(axis=1)
    scale = max(1.0, reference.sum(axis=1).max() / REFERENCE)
    return np.round(reference / scale), history, draw(HOURS, setting.shift)


def alarms(setting: Setting, runs: int, overdispersed: bool = True) -> list[list[bool]]:
    """For each month, hour by hour, whether the dataset alarms by the defaults: 20 columns of equal importance, one of
    them the prediction (limit 0.02, 2 of 3 windows)."""
    rng = np.random.default_rng(setting.rows + int(1000 * setting.day_effect))
    names = [f"c{number}" for number in range(COLUMNS)]
    weight = verdict.weights(names, None)
    found = []
    for _ in range(runs):
        reference, history, current = month(setting, rng)
        spread = [psi.between_windows(history[c]) if overdispersed else 0.0 for c in range(COLUMNS)]
        chances = np.array(
            [psi.p_values(reference[c], current[c], 0.02 if c == 0 else 0.1, spread[c]) for c in range(COLUMNS)]
        )
        fallen = np.array([psi.rejected(chances[:, hour].tolist(), 0.01) for hour in range(HOURS)])
        raised = []
        for hour in range(HOURS):
            alarmed = [
                names[c]
                for c in range(COLUMNS)
                if verdict.persists(fallen[max(0, hour - 3) : hour + 1, c].tolist(), *((2, 3) if c == 0 else (3, 4)))
            ]
            raised.append(verdict.dataset(alarmed, weight, names[0], 0.3, known=False).raised)
        found.append(raised)
    return found


def rows(runs: int) -> Iterator[str]:
    for day_effect, weeks in ((0.0, 1), (0.05, 1), (0.15, 1), (0.15, 4)):
        for size in (100, 500, 2000, 10_000, 50_000):
            months = alarms(Setting(size, day_effect, weeks=weeks), runs)
            hours = sum(sum(month) for month in months) / runs / HOURS
            days = sum(any(month[start : start + 24]) for month in months for start in range(0, HOURS, 24))
            within = sum(any(month) for month in months)
            name = f"no drift, day effect {day_effect}, a reference of {weeks} week{'s' * (weeks > 1)}"
            share = f"{days} of {30 * runs} (at most {most(days, 30 * runs):.2%})"
            yield f"| {name} | {size:,} | {hours:.2%} | {share} | {within} of {runs} |"
    for shift, value in ((0.3, 0.09), (0.5, 0.25), (0.8, 0.64)):
        for day_effect in (0.0, 0.15):
            for size in (100, 500, 2000, 50_000):
                found = alarms(Setting(size, day_effect, shift), max(1, runs // 3))
                firsts = [month.index(True) + 1 if True in month else HOURS for month in found]
                name = f"all columns drift, PSI about {value}, day effect {day_effect}"
                text = f"first alarm after {np.median(firsts):.0f} h"
                yield f"| {name} | {size:,} | {text} | | {sum(map(any, found))} of {len(found)} |"


def most(events: int, trials: int) -> float:
    """The greatest rate that so few events leave possible: the upper 95 % bound of a binomial (Clopper and Pearson)."""
    return float(betaincinv(events + 1, trials - events, 0.95)) if events < trials else 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    print("| setting | rows per hour | hours with an alarm | days with one | months with one |\n|---|---|---|---|---|")
    for line in rows(parser.parse_args().runs):
        print(line, flush=True)


if __name__ == "__main__":
    main()
