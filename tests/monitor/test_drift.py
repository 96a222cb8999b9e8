"""Vectors, windows and persistence, false alarms by simulation, and the page."""

import importlib
import sys
import xml.dom.minidom
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from support.sources import ROOT
from treadle.authoring import StepError
from treadle.code import DictMemo, Project
from treadle.load import load_pipeline
from treadle.plugins import Catalog
from treadle_steps import detectors, monitor, psi, spans, verdict, windows

EVEN = [1000] * 10


def table(seed: int, hours: int, each: int = 200, shift: float = 0.0, start: str = "2026-03-02") -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = hours * each
    at = pd.Timestamp(start) + pd.to_timedelta(np.sort(rng.random(rows)) * hours, unit="h")
    return pd.DataFrame(
        {"at": at, "x": rng.normal(shift, 1, rows), "y": rng.normal(size=rows), "zone": rng.choice(["a", "b"], rows)}
    )


def test_vectors() -> None:
    near = [40, 45, 45, 50, 50, 50, 50, 55, 55, 60]
    assert round(psi.index(EVEN, near), 6) == 0.011881
    assert round(psi.p_value(EVEN, near, 0.1), 8) == 0.99999998
    effective = 10_000 * 500 / 10_500
    assert round(effective, 3) == 476.190
    far = [10, 20, 30, 40, 50, 50, 60, 70, 80, 90]
    assert round(psi.index(EVEN, far), 6) == 0.293
    assert psi.p_value(EVEN, far, 0.1) == pytest.approx(3.8523e-06, rel=1e-4)


def test_without_a_least_effect_it_is_the_null_law() -> None:
    near = [40, 45, 45, 50, 50, 50, 50, 55, 55, 60]
    assert round(psi.p_value(EVEN, near, 0.0), 6) == 0.773616


def test_chi2_is_that_of_the_table_of_both_samples() -> None:
    from scipy.stats import chi2_contingency

    now_counts = [40, 45, 45, 50, 50, 50, 50, 55, 55, 60]
    before = pd.Series(np.repeat(np.arange(10), EVEN))
    now = pd.Series(np.repeat(np.arange(10), now_counts))
    expected = chi2_contingency([EVEN, now_counts]).pvalue
    assert detectors.chi2(before, now)["p_value"] == pytest.approx(expected)


def test_windows_differ_by_as_much_as_their_days() -> None:
    rng = np.random.default_rng(3)
    even = rng.multinomial(2000, np.full(10, 0.1), 60)
    assert psi.between_windows(even) < 0.0005
    score = np.linspace(-1.5, 1.5, 10) / np.linspace(-1.5, 1.5, 10).std()
    for size in (500, 50_000):  # the size of windows does not matter, a tilt of 0.15 has a variance of 0.0225
        laws = np.exp(rng.normal(0, 0.15, (400, 1)) * score)
        tilted = np.array([rng.multinomial(size, law / law.sum()) for law in laws])
        assert psi.between_windows(tilted) == pytest.approx(0.0225, rel=0.2)
    assert psi.between_windows(even[:1]) == 0.0


def test_in_a_season_windows_are_compared_with_those_of_their_hour() -> None:
    rng = np.random.default_rng(3)
    score, hours = np.linspace(-1.5, 1.5, 10), np.arange(168 * 4) % 168
    laws = np.exp((hours[:, None] % 24 > 12) * score)
    counts = np.array([rng.multinomial(500, law / law.sum()) for law in laws])
    assert psi.between_windows(counts) > 0.1
    assert psi.between_windows(counts, hours) < 0.005


def test_windows_that_differ_anyway_make_the_test_milder() -> None:
    now = [20, 30, 40, 45, 50, 50, 55, 60, 70, 80]
    chances = [psi.p_value(EVEN, now, 0.02, between) for between in (0.0, 0.001, 0.01, 0.1)]
    assert chances == sorted(chances) and chances[-1] > 10 * chances[0]
    assert psi.overdispersion(EVEN, now, 0.0) == 1.0
    assert psi.overdispersion(EVEN, now, 0.01) == pytest.approx(1 + 10_000 * 500 / 10_500 * 0.01 / 9)


@pytest.mark.parametrize("size", [500, 50_000])
def test_a_day_s_effect_along_one_direction_keeps_its_level(size: int) -> None:
    """At a limit of nothing, days that differ by a tilt of known variance are called drift as often as α says: matched
    in two moments, the tail at 1 % is right within a third."""
    rng, score = np.random.default_rng(5), np.linspace(-1.5, 1.5, 10) / np.linspace(-1.5, 1.5, 10).std()
    laws = np.exp(rng.normal(0, 0.15, (4000, 1)) * score)
    days = np.array([rng.multinomial(size, law / law.sum()) for law in laws])
    before = [1_000_000] * 10
    fell = sum(psi.p_value(before, day, 1e-9, 0.0225) < 0.01 for day in days)
    assert 0.007 < fell / 4000 < 0.014


def test_windows_are_joined_until_they_are_full_and_the_last_waits_for_the_late() -> None:
    hour = 3600.0
    times = np.r_[np.full(5, 10.0), np.full(3, hour + 1), np.full(9, 2 * hour + 1), np.full(2, 3 * hour + 60)]
    made = windows.cut(times, hour, 0.0, 8)
    assert [(part.start, part.stop) for part in made.slices] == [(0, 8), (8, 17)]
    assert (made.starts, made.ends, made.late) == ([0.0, 2 * hour], [2 * hour, 3 * hour], 2)
    assert len(windows.cut(times, hour, 120.0, 8).slices) == 1  # the third window may still get rows
    mixed = windows.cut(times[::-1].copy(), hour, 0.0, 8)
    assert mixed.order is not None
    assert mixed.slices == made.slices


def test_drift_alarms_when_it_persists_and_not_before() -> None:
    before = table(1, 200)
    calm, moved = table(2, 6, start="2026-04-01"), table(3, 4, shift=1.2, start="2026-04-01T06:00")
    alarms = []
    for hours in range(1, 5):
        until = pd.Timestamp("2026-04-01T06:00") + pd.Timedelta(hours=hours)
        seen = pd.concat([calm, moved[moved["at"] < until]])
        seen = pd.concat([seen, seen.tail(1).assign(at=until)])  # a first row of the next window completes the last
        found = monitor.drift(before, seen, at="at")
        alarms.append(found.metrics["alarm"])
        assert found.report["columns"]["x"]["rejected"] == hours
        assert not found.report["columns"]["y"]["drifted"]
    assert alarms == [0.0, 0.0, 1.0, 1.0]


def test_the_prediction_alarms_earlier_and_by_itself() -> None:
    before = table(1, 200)
    seen = pd.concat([table(2, 6, start="2026-04-01"), table(3, 3, shift=0.6, start="2026-04-01T06:00")])
    plain = monitor.drift(before, seen, at="at", importance={"y": 1.0})
    assert plain.metrics["alarm"] == 0.0
    found = monitor.drift(before, seen, at="at", importance={"y": 1.0}, prediction="x")
    assert (found.metrics["alarm"], found.report["reason"]) == (1.0, "the prediction 'x' drifted")


def test_thin_windows_are_never_judged() -> None:
    found = monitor.drift(table(1, 100), table(2, 3, each=20, shift=5.0), at="at", min_rows=100)
    assert (found.metrics["windows"], found.metrics["alarm"]) == (0.0, 0.0)
    assert found.report["reason"] == "no window has 100 rows yet"


def test_counts_of_windows_add_up_to_those_of_all_rows() -> None:
    now = table(5, 10).sample(frac=1.0, random_state=1)
    made = windows.cut(windows.stamps(now["at"]), 3600.0)
    for name in ("x", "zone"):
        bins = psi.freeze(table(1, 50)[name])
        parts = psi.count_slices(bins, now[name], made.slices, made.order)
        kept = now.iloc[made.order].iloc[: made.slices[-1].stop]
        assert np.sum(parts, axis=0).tolist() == psi.count(bins, kept[name])


def test_a_season_compares_with_the_same_hours_of_the_week() -> None:
    before = table(1, 24 * 28, each=120)
    night = (before["at"].dt.day_of_week == 0) & (before["at"].dt.hour < 6)
    before["x"] = np.where(night, before["x"] + 2, before["x"])
    now = table(2, 5, each=300, start="2026-04-06")
    now["x"] = now["x"] + 2  # as every Monday at this hour

    def alarm(reference: pd.DataFrame, **season: str) -> float:
        return monitor.drift(reference, now, at="at", columns=["x"], **season).metrics["alarm"]  # type: ignore[arg-type]

    assert alarm(before, season="off") == 1.0
    assert alarm(before, season="week") == 0.0
    assert alarm(before) == 0.0, "four weeks are there, so it is the default"
    three = before[before["at"] >= before["at"].min() + pd.Timedelta(days=7)]
    assert alarm(three) == 1.0, "three weeks are not enough to know an hour of the week"
    assert alarm(three, season="week") == 0.0


def test_a_rolling_reference_follows_slow_change() -> None:
    before = table(1, 100)
    now = table(2, 24 * 6, start="2026-05-01")
    now["x"] += 1.5
    assert monitor.drift(before, now, at="at", columns=["x"]).metrics["alarm"] == 1.0
    assert monitor.drift(before, now, at="at", columns=["x"], rolling="3d", lag="1d").metrics["alarm"] == 0.0


@pytest.mark.parametrize("as_list", [False, True])
def test_parquet_is_judged_as_the_table(tmp_path: Path, as_list: bool) -> None:
    now = table(2, 6, shift=0.8).assign(zone=lambda t: t["zone"].where(t["x"] < 1))
    now.to_parquet(tmp_path / "now.parquet")
    path: Any = [str(tmp_path / "now.parquet")] if as_list else tmp_path
    by_file = monitor.drift(table(1, 100), path, at="at")
    by_table = monitor.drift(table(1, 100), now, at="at")
    assert by_file.report["columns"] == by_table.report["columns"]
    (tmp_path / "bad.parquet").write_text("no")
    with pytest.raises(StepError, match="cannot be read as Parquet"):
        monitor.drift(table(1, 100), tmp_path / "bad.parquet")


@pytest.mark.parametrize("shift", [0.0, 0.5])
@pytest.mark.parametrize("name", ["psi_min_effect", "ks", "wasserstein", "js", "chi2"])
def test_every_detector_sees_a_move_and_no_ghost(name: str, shift: float) -> None:
    rng = np.random.default_rng(4)
    before, now = pd.Series(rng.normal(size=3000), name="x"), pd.Series(rng.normal(shift, 1, 3000), name="x")
    assert (detectors.load(name)(before, now)["p_value"] < 0.01) is (shift > 0)


def test_the_domain_classifier_reads_text() -> None:
    rng = np.random.default_rng(4)
    old, new = rng.choice(["late", "rude", "fine"], (600, 4)), rng.choice(["late", "surge", "fine"], (600, 4))
    before, same, now = (pd.Series([" ".join(words) for words in rows]) for rows in (old[:300], old[300:], new))
    assert detectors.domain_classifier(before, same)["p_value"] > 0.01
    assert detectors.domain_classifier(before, now)["p_value"] < 0.01


def test_another_method_by_name_and_what_it_needs() -> None:
    before, now = table(1, 10), table(2, 10, shift=1.0)
    found = monitor.drift(before, now, columns=["x", "y"], method="ks")
    assert found.report["columns"]["x"]["statistic"] == "ks"
    assert [name for name, facts in found.report["columns"].items() if facts["drifted"]] == ["x"]
    card = {"profile": {"x": psi.freeze(before["x"])}}
    with pytest.raises(StepError, match="needs the rows of the reference"):
        monitor.drift(card, now, method="ks")
    with pytest.raises(StepError, match="ks compares numbers"):
        monitor.drift(before, now, columns=["zone"], method="ks")


def test_the_dataset_rule() -> None:
    names = list("abcdefgh")
    weight = {**dict.fromkeys(names, 0.1), "a": 0.2, "b": 0.2}
    assert not verdict.dataset(["h", "g"], weight, None, 0.3, True).raised
    assert verdict.dataset(["h", "g", "f"], weight, None, 0.3, True).raised
    assert verdict.dataset(["a", "c"], weight, None, 0.5, True).reason.endswith("of the 5 most important columns")
    assert not verdict.dataset(["a", "c"], weight, None, 0.5, False).raised
    assert verdict.dataset(["h"], weight, "h", 0.9, True).raised


def test_the_page_is_one_file_that_says_each_verdict() -> None:
    before = table(1, 20).rename(columns={"y": "<b>y</b>"})
    now = table(2, 20, shift=1.0).rename(columns={"y": "<b>y</b>"})
    found = monitor.drift(before, now)
    page = found.page
    for facts in found.report["columns"].values():
        assert facts["verdict"].split(":")[0].replace("<b>y</b>", "").strip() in page
    assert "<b>y</b>" not in page
    assert "&lt;b&gt;y&lt;/b&gt; is as before" in page
    assert "x drifted: PSI" in page
    few = monitor.drift(before, now.head(120), min_rows=100, delta=0.9, deltas={"<b>y</b>": 0.001}).report["columns"]
    assert "looks moved (PSI" in few["<b>y</b>"]["verdict"] and "so few rows" in few["<b>y</b>"]["verdict"]
    assert page.count("<svg") == 3
    assert "http" not in page
    assert "prefers-color-scheme:dark" in page
    svg = page[page.index("<svg") : page.index("</svg>") + 6]
    assert len(xml.dom.minidom.parseString(svg).getElementsByTagName("rect")) == 20


MISTAKES = {
    "window: ⟦soon⟧": "no duration",
    "window: ⟦0s⟧": "no length",
    "lateness: ⟦5 minutes⟧": "such as 15m",
    "persist: ⟦5/4⟧": "not k of m windows",
    "method: ⟦kss⟧": "mean 'ks'",
    "fdr: ⟦3⟧": "no rate",
    "delta: ⟦0.0⟧": "no effect",
    "rolling: ⟦a week⟧": "no duration",
}


@pytest.mark.parametrize("marked", MISTAKES)
def test_check_tells_a_wrong_parameter_at_its_place(marked: str, tmp_path: Path) -> None:
    """No step has run: `up` would find it an hour later, `run` after whatever comes before the monitor."""
    head = "version: 1\nname: p\ndata: {d: {path: d}}\nsteps:\n  a:\n    uses: monitor.drift\n"
    head += "    in: {reference: data.d, current: data.d}\n"
    before, _, rest = f"    with: {{{marked}}}".partition("⟦")
    token, _, after = rest.partition("⟧")
    (tmp_path / "d").touch()
    (tmp_path / "p.yaml").write_text(f"{head}{before}{token}{after}\n", encoding="utf-8")
    catalog, code = Catalog.from_entry_points(), Project(str(tmp_path), DictMemo(), sys.path)
    [found] = load_pipeline("p.yaml", str(tmp_path), catalog, code).problems
    assert found.where is not None
    assert (found.code, found.where.line, found.where.column) == ("refused-value", 8, len(before) + 1)
    assert MISTAKES[marked] in f"{found.text} {found.hint}"


def test_spans_of_several_units() -> None:
    assert [spans.seconds(text, "x") for text in ("90s", "1h30m", "250ms", "1.5h", 7)] == [90, 5400, 0.25, 5400, 7]


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("drift_rates")


@pytest.mark.parametrize(("day_effect", "rate"), [(0.0, 0.0), (0.05, 0.0), (0.15, 0.015)])
@pytest.mark.parametrize("rows", [100, 2000, 50_000])
def test_five_months_of_hours_without_drift(rates: ModuleType, rows: int, day_effect: float, rate: float) -> None:
    """Days with an alarm: none, or three standard errors above what a week of reference that varies itself allows."""
    months = rates.alarms(rates.Setting(rows, day_effect), 5)
    days = [any(month[start : start + 24]) for month in months for start in range(0, 720, 24)]
    assert len(days) == 150
    assert sum(days) <= 150 * rate + 3 * (150 * rate * (1 - rate)) ** 0.5


def test_a_month_of_real_drift_is_seen_within_hours(rates: ModuleType) -> None:
    [month] = rates.alarms(rates.Setting(500, 0.0, shift=0.5), 1)
    assert month.index(True) + 1 <= 4


def test_day_effects_alarm_where_overdispersion_is_not_looked_at(rates: ModuleType) -> None:
    """The simulation can fail: without φ the prediction's limit of 0.02 is passed on busy days."""
    [month] = rates.alarms(rates.Setting(50_000, 0.15), 1, overdispersed=False)
    assert sum(month) > 0
