"""Error rates of the rollout's tests by simulation: how often a true null falls, how soon a real effect is seen.

python benchmarks/error_rates.py            all settings at full size (about ten minutes of CPU), as Markdown
python benchmarks/error_rates.py --runs 50  smaller

Every test is looked at after every unit. The tests in tests/rollout run the same functions with fewer runs.
"""

import argparse
import statistics
from collections.abc import Callable, Iterator
from math import log, sqrt
from typing import NamedTuple

import numpy as np

from treadle.domain.rollout import Trial
from treadle.rollout import betting, blocks, confidence, srm

ALPHA = 0.05
Shares = Callable[[int], np.ndarray]


class Setting(NamedTuple):
    """The challenger's share, and the rate of each arm, unit by unit."""

    name: str
    share: Shares
    champion: Shares
    challenger: Shares


def still(value: float) -> Shares:
    return lambda units: np.full(units, value)


def climbing(low: float, high: float) -> Shares:
    return lambda units: np.linspace(low, high, units)


def waving(low: float, high: float) -> Shares:
    return lambda units: low + (high - low) * (0.5 + 0.5 * np.sin(np.linspace(0, 12 * np.pi, units)))


NULLS = (
    Setting("even split, rate 0.1", still(0.5), still(0.1), still(0.1)),
    Setting("even split, rate 0.5", still(0.5), still(0.5), still(0.5)),
    Setting("rare events, rate 0.02", still(0.5), still(0.02), still(0.02)),
    Setting("rare events, rate 0.002", still(0.5), still(0.002), still(0.002)),
    Setting("challenger has 5 %", still(0.05), still(0.1), still(0.1)),
    Setting("share ramps 0.05 to 0.5", climbing(0.05, 0.5), still(0.1), still(0.1)),
    Setting("rate drifts 0.05 to 0.25", still(0.5), climbing(0.05, 0.25), climbing(0.05, 0.25)),
    Setting("rate follows the day", still(0.5), waving(0.05, 0.3), waving(0.05, 0.3)),
    Setting("share ramps and rate drifts", climbing(0.05, 0.5), climbing(0.05, 0.25), climbing(0.05, 0.25)),
)


def draw(setting: Setting, units: int, rng: np.random.Generator) -> list[betting.Outcome]:
    """Units of one test in order of assignment."""
    share = setting.share(units)
    arm = rng.random(units) < share
    rate = np.where(arm, setting.challenger(units), setting.champion(units))
    outcome = (rng.random(units) < rate).astype(float)
    return list(zip(arm.astype(int).tolist(), share.tolist(), outcome.tolist(), strict=True))


def bet(setting: Setting, units: int, runs: int, sign: int = 1, effect: float = 0.0) -> list[bool]:
    """For each run, whether the hypothesis ever fell, looked at after every unit."""
    rng = np.random.default_rng(len(setting.name) * 1000 + sign)
    found = []
    for _ in range(runs):
        trial = betting.judge(Trial(), {"null": (sign, effect)}, draw(setting, units, rng))
        found.append(trial.wagers["null"].peak >= log(1 / ALPHA))
    return found


def stopping(setting: Setting, units: int, runs: int, sign: int = 1, chunk: int = 50) -> list[int | None]:
    """For each run, after how many units (to the next `chunk`) the hypothesis fell, or None."""
    rng = np.random.default_rng(7)
    found: list[int | None] = []
    for _ in range(runs):
        drawn, trial, stop = draw(setting, units, rng), Trial(), None
        for start in range(0, units, chunk):
            trial = betting.judge(trial, {"null": (sign, 0.0)}, drawn[start : start + chunk])
            if trial.wagers["null"].peak >= log(1 / ALPHA):
                stop = start + chunk
                break
        found.append(stop)
    return found


def heavy(deviation: float, units: int, runs: int) -> list[bool]:
    """For each run, whether the one-sided confidence sequence of lognormal outcomes ever left a true null out."""
    rng = np.random.default_rng(int(deviation * 100))
    found = []
    for _ in range(runs):
        arms = rng.random(units) < 0.5
        values = rng.lognormal(0, deviation, units)
        clip = float(np.exp(3.09 * deviation))  # the 99.9th percentile, fixed in advance
        trial, fell = Trial(), False
        for arm, value in zip(arms.tolist(), np.minimum(values, clip).tolist(), strict=True):
            trial = betting.judge(trial, {}, [(int(arm), 0.5, value)], bounded=False)
            if trial.sums.n >= 2 * confidence.UNITS:
                fell = fell or confidence.bounds(trial.sums, ALPHA, 5000)[0] > 0
        found.append(fell)
    return found


def mismatch(share: float, units: int, runs: int, step: int = 100) -> list[int | None]:
    """For each run, after how many units the sample ratio test stopped a test that should be even, or None."""
    rng = np.random.default_rng(11)
    found: list[int | None] = []
    for _ in range(runs):
        challengers = np.cumsum(rng.binomial(step, share, units // step))
        stops = (
            (at + 1) * step
            for at, count in enumerate(challengers.tolist())
            if srm.log_e(((at + 1) * step - count, count), (0.5, 0.5)) >= srm.LIMIT
        )
        found.append(next(stops, None))
    return found


def counted(low: float, high: float, windows: int, runs: int, each: int = 100) -> list[bool]:
    """For each run, whether the blocks' e-value ever reached 1/α while both arms had the same, moving, rate."""
    rng = np.random.default_rng(13)
    found = []
    for _ in range(runs):
        state = blocks.Blocks()
        for rate in np.linspace(low, high, windows).tolist():
            a, b = (int(count) for count in rng.binomial(each, rate, 2))
            state = blocks.add(state, (a, each), (b, each))
        found.append(state.peak >= log(1 / ALPHA))
    return found


def most(runs: int, rate: float = ALPHA) -> int:
    """The greatest number of errors in so many runs that a true rate of `rate` explains: three standard errors."""
    return int(runs * rate + 3 * sqrt(runs * rate * (1 - rate)))


def rows(runs: int) -> Iterator[tuple[str, str, str]]:
    """Setting, figure, and the bound that the figure keeps."""
    bound = f"at most {most(runs)} of {runs}"
    for setting in NULLS:
        for sign, word in ((1, "better"), (-1, "worse")):
            fell = bet(setting, 10_000, runs, sign)
            yield f"{setting.name}: called {word}, 10,000 units", f"{sum(fell) / runs:.1%}", bound
    for deviation in (1.0, 1.5):
        fell = heavy(deviation, 4000, runs // 2)
        yield f"lognormal, σ = {deviation}, 4,000 units", f"{sum(fell) / len(fell):.1%}", f"≤ {most(runs // 2)}"
    fell = counted(0.05, 0.25, 100, runs)
    yield "counts of 100 windows, rate 0.05 to 0.25", f"{sum(fell) / runs:.1%}", bound
    fell = [stop is not None for stop in mismatch(0.5, 20_000, runs)]
    yield "sample ratio, even, 20,000 units, 200 looks", f"{sum(fell) / runs:.1%}", f"≤ {most(runs, 0.001)}"
    yield from _power(runs // 2)


def _power(runs: int) -> Iterator[tuple[str, str, str]]:
    cases = (
        (Setting("0.10 against 0.12", still(0.5), still(0.1), still(0.12)), 1, "fixed n for 80 %: 7,668"),
        (Setting("0.10 against 0.07", still(0.5), still(0.1), still(0.07)), -1, "harm"),
        (Setting("0.10 against 0.12, ramp", climbing(0.05, 0.5), still(0.1), still(0.12)), 1, "why the split is even"),
    )
    for setting, sign, note in cases:
        yield _stops(f"power, {setting.name}", stopping(setting, 20_000, runs, sign), note)
    yield _stops("sample ratio, 48 to 52", mismatch(0.48, 20_000, runs), "")


def _stops(name: str, stops: list[int | None], note: str) -> tuple[str, str, str]:
    seen = [stop for stop in stops if stop is not None]
    median = statistics.median([stop or 10**9 for stop in stops])
    return f"{name}, 20,000 units", f"{len(seen) / len(stops):.0%}, median stop {median:,.0f}", note


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=600)
    print("| setting | found | bound |\n|---|---|---|")
    for name, figure, bound in rows(parser.parse_args().runs):
        print(f"| {name} | {figure} | {bound} |", flush=True)


if __name__ == "__main__":
    main()
