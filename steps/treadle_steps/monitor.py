"""Compare what arrives now with what the model was accepted on."""

from typing import Any, Literal, NamedTuple, TypedDict

from treadle.authoring import StepError
from treadle_steps import detectors, psi, verdict
from treadle_steps import reference as past
from treadle_steps.drift_page import render
from treadle_steps.reference import Reference
from treadle_steps.refusals import is_moment, is_number, one_of
from treadle_steps.source import Source, need, open_source
from treadle_steps.windows import Windows, cut, seconds, stamps
from treadle_steps.words import suggestion

MOVED = 3  # bins named in the report of a column
PREDICTION_DELTA = 0.02


class DriftMetrics(TypedDict):
    """Whether the dataset alarms (1 or 0), the greatest PSI of the last window, how many columns drifted, their share
    and importance, the rows and windows judged."""

    alarm: float
    psi_max: float
    drifted: float
    share_drifted: float
    importance_drifted: float
    rows: float
    windows: float


class Drift(NamedTuple):
    """The report by column, the figures, and the report as a page."""

    report: dict[str, Any]
    metrics: DriftMetrics
    page: str


class Terms(NamedTuple):
    """The parameters of a test, checked."""

    deltas: dict[str, float]
    fdr: float
    min_rows: int
    persist: tuple[int, int]
    persist_prediction: tuple[int, int]
    prediction: str | None
    season: bool
    rolling: tuple[float, float] | None  # span, lag


def drift(
    reference: Any,
    current: Any,
    *,
    columns: list[str] | None = None,
    exclude: list[str] | None = None,
    method: str = "psi_min_effect",
    delta: float = 0.1,
    deltas: dict[str, float] | None = None,
    fdr: float = 0.01,
    min_rows: int = 100,
    at: str | None = None,
    window: str = "1h",
    lateness: str = "0s",
    persist: str = "3/4",
    prediction: str | None = None,
    persist_prediction: str = "2/3",
    importance: dict[str, float] | None = None,
    alarm_share: float = 0.3,
    season: Literal["auto", "week", "off"] = "auto",
    rolling: str | None = None,
    lag: str = "1d",
) -> Drift:
    """Test for each column whether its PSI against the reference is above `delta`, at a false discovery rate.

    `reference` is a table or a card of `deploy.model`; `current` a table, or a Parquet file or folder, read column by
    column. With `at`, the column of event times, rows are cut into windows, and a column drifts when `persist` of the
    last ones reject (`persist_prediction` for `prediction`, whose limit is 0.02). `season: week` compares with the same
    hours of the week, as `auto` does when the reference holds four weeks; `rolling: 28d` with the windows before,
    `lag` back. Without `columns`, those of both sides are judged, but for dates and text that never repeats.
    Detectors other than `psi_min_effect` judge the last window. Raises StepError for fewer than `min_rows` rows
    (missing data is never success; with windows, `windows` is 0), for unknown columns and for a column that changed its
    kind.

    Example:

        drift:
          uses: monitor.drift
          in: {reference: split.test, current: data.live}
          with: {at: ts, window: 1d, columns: [zone, demand, drivers, temperature]}
    """
    now = open_source(current, "current")
    _check(fdr, delta, method, season)
    if at is not None:
        need(now, at, "at:")
    every = _length(window)
    if at is None and now.rows < min_rows:
        raise StepError(f"current has {now.rows:,} rows, fewer than {min_rows:,}", "wait for more, or lower min_rows")
    before = past.read(reference, columns, at, every, min_rows)
    never = [at] if at is not None and at not in (columns or []) else []
    chosen, skipped = _choose(before, now, columns, [*(exclude or []), *never])
    limits = _limits(chosen, delta, deltas or {}, prediction)
    whole = Windows(None, [slice(0, now.rows)], [0.0], [0.0], 0)
    made = whole if at is None else cut(stamps(now.column(at)), every, seconds(lateness, "lateness"), min_rows)
    terms = Terms(
        limits,
        fdr,
        min_rows,
        verdict.k_of_m(persist, "persist") if at else (1, 1),
        verdict.k_of_m(persist_prediction, "persist_prediction") if at else (1, 1),
        prediction,
        season == "week" or (season == "auto" and past.seasonal(before, every)),
        None if rolling is None else (seconds(rolling, "rolling"), seconds(lag, "lag")),
    )
    judged = {name: _judge(name, before, now, made, terms) for name in chosen} if made.slices else {}
    if method != "psi_min_effect" and judged:
        _other(method, before, now, made, judged)
    _persist(judged, terms)
    weight = verdict.weights(chosen, importance or before.importance)
    alarmed = [name for name, facts in judged.items() if facts["drifted"]]
    known = bool(importance or before.importance)
    alarm = verdict.dataset(alarmed, weight, prediction, alarm_share, known)
    if not judged:
        alarm = verdict.Alarm(False, f"no window has {min_rows:,} rows yet", 0.0)
    for name, facts in judged.items():
        facts |= {"importance": weight[name], "verdict": verdict.sentence(name, facts)}
    report = {"method": method, "delta": delta, "fdr": fdr, "alarm": alarm.raised, "reason": alarm.reason}
    report |= {"windows": _spans(made), "late_rows": made.late, "columns": judged, "skipped": skipped}
    figures = _figures(judged, len(chosen), made, alarm)
    return Drift(report, figures, render(report, before.profiles))


def _length(window: str) -> float:
    every = seconds(window, "window")
    if not every:
        raise StepError("window is 0", "give a length, such as 1h")
    return every


def _limits(chosen: list[str], delta: float, deltas: dict[str, float], prediction: str | None) -> dict[str, float]:
    """The least effect of each column; raises StepError for a name that is not judged."""
    for what, names in (("deltas", list(deltas)), ("prediction", [prediction] if prediction is not None else [])):
        for name in names:
            if name not in chosen:
                raise StepError(f"{what}: '{name}' is not judged", suggestion(name, chosen))
    return {name: PREDICTION_DELTA if name == prediction else delta for name in chosen} | deltas


def _figures(judged: dict[str, dict[str, Any]], columns: int, made: Windows, alarm: verdict.Alarm) -> DriftMetrics:
    drifted = sum(facts["drifted"] for facts in judged.values())
    return DriftMetrics(
        alarm=float(alarm.raised),
        psi_max=max((float(facts["psi"]) for facts in judged.values()), default=0.0),
        drifted=float(drifted),
        share_drifted=drifted / columns,
        importance_drifted=alarm.importance,
        rows=float(sum(part.stop - part.start for part in made.slices)),
        windows=float(len(made.slices)),
    )


def _spans(made: Windows) -> list[dict[str, float]]:
    """The windows that were judged, in seconds since the epoch."""
    parts = zip(made.starts, made.ends, made.slices, strict=True)
    return [{"from": start, "to": end, "rows": part.stop - part.start} for start, end, part in parts]


def _check(fdr: float, delta: float, method: str, season: str) -> None:
    one_of(method, detectors.names(), "method")
    one_of(season, ("auto", "week", "off"), "season")
    if not 0 < fdr < 1 or not delta > 0:
        raise StepError(f"fdr is {fdr} and delta is {delta}", "fdr is between 0 and 1, such as 0.01; delta above 0")


def _judge(name: str, before: Reference, now: Source, made: Windows, terms: Terms) -> dict[str, Any]:
    """A column's figures in the last window, and its p-values in the last windows that persistence looks at."""
    profile = before.profiles[name]
    counts = psi.count_slices(profile, now.column(name), made.slices, made.order)
    spread = past.phi(before, name)
    _, m = terms.persist_prediction if name == terms.prediction else terms.persist
    delta = terms.deltas[name]
    chances = []
    against = profile["counts"]
    for number in range(max(0, len(counts) - m), len(counts)):
        against = _against(name, before, made, counts, number, terms)
        chances.append(psi.p_value(against, counts[number], delta, spread))
    return {
        "statistic": "PSI",
        "value": psi.index(against, counts[-1]),
        "limit": delta,
        "p_value": chances[-1],
        "p_values": chances,
        "delta": delta,
        "phi": spread,
        "counts": {"reference": [int(n) for n in against], "current": counts[-1]},
        **_moves(profile, against, counts[-1]),
    }


def _against(
    name: str, before: Reference, made: Windows, counts: list[list[int]], number: int, terms: Terms
) -> list[int]:
    """The reference counts for one window: frozen, of its season, or rolling."""
    found: list[int] | None = None
    if terms.rolling is not None:
        found = past.rolling(made.starts, counts, made.starts[number], *terms.rolling)
    elif terms.season:
        found = past.season(before, name, made.starts[number], made.ends[number], terms.min_rows)
    frozen: list[int] = before.profiles[name]["counts"]
    return frozen if found is None else found


def _persist(judged: dict[str, dict[str, Any]], terms: Terms) -> None:
    """Which columns drifted: hypotheses fall at a false discovery rate over the columns of each window."""
    depth = max((len(facts["p_values"]) for facts in judged.values()), default=0)
    fallen: dict[str, list[bool]] = {name: [] for name in judged}
    for back in range(depth, 0, -1):
        here = [name for name in judged if len(judged[name]["p_values"]) >= back]
        for name, fell in zip(here, psi.rejected([judged[n]["p_values"][-back] for n in here], terms.fdr), strict=True):
            fallen[name].append(fell)
    for name, facts in judged.items():
        k, m = terms.persist_prediction if name == terms.prediction else terms.persist
        facts["rejected"], facts["windows"] = sum(fallen[name]), len(fallen[name])
        facts["drifted"] = verdict.persists(fallen[name], k, m)


def _other(method: str, before: Reference, now: Source, made: Windows, judged: dict[str, dict[str, Any]]) -> None:
    """The figures of another detector in place of the PSI's test, for the last window."""
    if before.frame is None:
        raise StepError(f"{method} needs the rows of the reference, and a card has only counts", "give a table")
    detect = detectors.load(method)
    part = made.slices[-1]
    for name, facts in judged.items():
        column = now.column(name)
        column = column.iloc[part] if made.order is None else column.iloc[made.order[part]]
        found = detect(before.frame[name], column)
        facts |= {"statistic": method, "value": found["value"], "limit": found["limit"]}
        facts["p_values"] = [*facts["p_values"][:-1], found["p_value"]]
        facts["p_value"] = found["p_value"]
        judged[name] = facts | {"p_values": [found["p_value"]]}


def _choose(
    before: Reference, now: Source, columns: list[str] | None, exclude: list[str]
) -> tuple[list[str], dict[str, str]]:
    """The columns to judge, and why each other one is left out."""
    known = [str(name) for name in before.profiles] if before.frame is None else [str(c) for c in before.frame.columns]
    for name in exclude:
        if name not in known and name not in now.names:
            raise StepError(f"exclude: '{name}' is no column", suggestion(name, known))
    if columns is not None:
        for name in columns:
            if name not in known:
                raise StepError(f"columns: '{name}' is no column of the reference", suggestion(name, known))
            need(now, name, "columns:")
        chosen, skipped = [name for name in columns if name not in exclude], dict.fromkeys(exclude, "excluded")
    else:
        skipped = {name: "not in the reference" for name in now.names if name not in known}
        for name in known:
            reason = "excluded" if name in exclude else _unfit(before, now, name)
            if reason:
                skipped[name] = reason
        chosen = [name for name in known if name not in skipped]
    if not chosen:
        raise StepError("no column is left to judge: " + "; ".join(f"{n}: {why}" for n, why in skipped.items()))
    return chosen, skipped


def _unfit(before: Reference, now: Source, name: str) -> str:
    if name not in now.names:
        return "not in the current table"
    if before.frame is None:
        return ""
    column = before.frame[name]
    if is_moment(column):
        return "a date always moves"
    if not is_number(column) and len(column) > 1 and column.nunique() == len(column):
        return "text that never repeats"
    return ""


def _moves(profile: dict[str, Any], before: list[int], counted: list[int]) -> dict[str, Any]:
    """PSI, the shares of missing and unseen values, and the bins that moved most."""
    added = psi.parts(before, counted)
    n, m = max(1, sum(before)), max(1, sum(counted))
    order = sorted(range(len(added)), key=lambda at: -added[at])[:MOVED]
    names = psi.labels(profile)
    found: dict[str, Any] = {
        "psi": psi.index(before, counted),
        "missing": {"reference": before[-1] / n, "current": counted[-1] / m},
        "moved": [
            {"bin": names[at], "reference": before[at] / n, "current": counted[at] / m, "psi": float(added[at])}
            for at in order
            if added[at] > 0
        ],
    }
    if "values" in profile:
        found["unseen"] = counted[-2] / m
    return found
