"""Error rates by simulation, with the runs and the binomial bound stated.

The same functions at full size: python benchmarks/error_rates.py
"""

import importlib
import statistics
from types import ModuleType

import pytest

from support.sources import ROOT

RUNS, UNITS = 120, 2500


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("error_rates")


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("number", range(9))
def test_a_true_null_falls_no_more_often_than_alpha(rates: ModuleType, number: int, sign: int) -> None:
    fell = rates.bet(rates.NULLS[number], UNITS, RUNS, sign)
    assert sum(fell) <= rates.most(RUNS), rates.NULLS[number].name  # 13 of 120 at α = 0.05: three standard errors


def test_a_naive_test_would_fail_this_bound(rates: ModuleType) -> None:
    """The bound can fail: the difference of pooled means under a ramp and a drifting rate is no evidence at all."""
    setting = rates.NULLS[-1]
    fell = []
    rng = rates.np.random.default_rng(1)
    for _ in range(20):
        drawn = rates.np.array(rates.draw(setting, UNITS, rng))
        one, zero = drawn[drawn[:, 0] == 1, 2], drawn[drawn[:, 0] == 0, 2]
        fell.append(one.mean() - zero.mean() > 1.64 * (one.var() / len(one) + zero.var() / len(zero)) ** 0.5)
    assert sum(fell) > rates.most(20)


def test_a_margin_holds_at_its_border(rates: ModuleType) -> None:
    border = rates.Setting("at the margin", rates.still(0.5), rates.still(0.12), rates.still(0.10))
    assert sum(rates.bet(border, UNITS, RUNS, 1, -0.02)) <= rates.most(RUNS)


@pytest.mark.parametrize("deviation", [1.0, 1.5])
def test_heavy_tails(rates: ModuleType, deviation: float) -> None:
    assert sum(rates.heavy(deviation, 2000, 60)) <= rates.most(60)


def test_counts_in_blocks(rates: ModuleType) -> None:
    assert sum(rates.counted(0.05, 0.25, 60, 300)) <= rates.most(300)
    assert sum(rates.counted(0.1, 0.1, 60, 300)) <= rates.most(300)


def test_sample_ratio(rates: ModuleType) -> None:
    assert sum(stop is not None for stop in rates.mismatch(0.5, 20_000, 200)) <= rates.most(200, 0.001)
    caught = rates.mismatch(0.48, 20_000, 100)
    assert sum(stop is not None for stop in caught) >= 85  # 95 % in the long run
    assert 8_000 <= statistics.median([stop or 10**9 for stop in caught]) <= 14_000  # 10,700


def test_power_and_the_median_stop(rates: ModuleType) -> None:
    better = rates.Setting("better", rates.still(0.5), rates.still(0.10), rates.still(0.12))
    stops = rates.stopping(better, 20_000, 60)
    assert sum(stop is not None for stop in stops) >= 50  # 95 % in the long run
    assert statistics.median([stop or 10**9 for stop in stops]) <= 1.3 * 7_668  # the fixed n for 80 %
    worse = rates.Setting("worse", rates.still(0.5), rates.still(0.10), rates.still(0.07))
    harm = rates.stopping(worse, 20_000, 40, -1)
    assert statistics.median([stop or 10**9 for stop in harm]) <= 3_500  # 2,090 in the long run
