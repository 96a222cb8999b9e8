"""Counters of one worker, and the Prometheus text of all workers together.

Workers meet in a folder: each writes its counters there every second and at its end, any of them answers `/metrics`
with the sum. What a killed worker counted stays in the sum, but for its last second.
Text format: https://prometheus.io/docs/instrumenting/exposition_formats/.
"""

import os
from bisect import bisect_left
from collections.abc import Iterable

from msgspec import DecodeError, Struct, json

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
HELP = {
    "requests_total": ("counter", "Requests by model, version, arm and HTTP status."),
    "latency_seconds": ("histogram", "Seconds from a whole request to its prediction."),
    "model_loaded_info": ("gauge", "Versions in memory and their arm."),
    "shadow_disagreement": ("gauge", "Mean absolute difference of shadow and seen predictions, or share that differ."),
    "shadow_dropped_total": ("counter", "Shadow predictions left out because the worker was busy."),
    "log_dropped_total": ("counter", "Predictions that were answered but could not be logged."),
    "log_written_total": ("counter", "Predictions written to the log."),
    "workers": ("gauge", "Workers that wrote their counters in the last five seconds."),
}


class Series(Struct, frozen=True, array_like=True):
    """One metric with its labels; equal ones are added up."""

    name: str
    labels: tuple[tuple[str, str], ...] = ()


class Histogram:
    """Counts per bucket, and the sum."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds


class Snapshot(Struct):
    """The counters of one worker at one moment, in seconds since the epoch."""

    at: float
    counters: list[tuple[Series, float]]
    histograms: list[tuple[Series, list[int], float]]
    loaded: list[Series]
    disagreement: list[tuple[Series, float, int]]


class Metrics:
    """What one worker counts."""

    def __init__(self) -> None:
        self._counters: dict[Series, float] = {}
        self._requests: dict[tuple[str, int, str, int], int] = {}
        self._latency: dict[tuple[str, int, str], Histogram] = {}
        self._disagreement: dict[str, list[float]] = {}
        self.loaded: dict[str, dict[str, int]] = {}  # model → arm → version

    def answered(self, model: str, version: int, arm: str, code: int, seconds: float) -> None:
        """Count a request that reached a model."""
        key = (model, version, arm, code)
        self._requests[key] = self._requests.get(key, 0) + 1
        histogram = self._latency.get(key[:3])
        if histogram is None:
            histogram = self._latency[key[:3]] = Histogram()
        histogram.observe(seconds)

    def refused(self, model: str, code: int) -> None:
        """Count a request that reached no model."""
        key = (model, 0, "", code)
        self._requests[key] = self._requests.get(key, 0) + 1

    def count(self, name: str, model: str, number: float = 1) -> None:
        """Add to a counter of a model."""
        series = Series(name, (("endpoint", model),))
        self._counters[series] = self._counters.get(series, 0) + number

    def disagreed(self, model: str, distance: float) -> None:
        """Take in how far a shadow prediction was from the one that was seen."""
        total = self._disagreement.setdefault(model, [0.0, 0])
        total[0] += distance
        total[1] += 1

    def snapshot(self, now: float) -> Snapshot:
        """All counters as plain data."""
        counters = list(self._counters.items())
        for (model, version, arm, code), number in self._requests.items():
            labels = (("endpoint", model), ("version", str(version or "")), ("arm", arm), ("code", str(code)))
            counters.append((Series("requests_total", labels), number))
        histograms = [
            (Series("latency_seconds", (("endpoint", m), ("version", str(v)), ("arm", a))), h.counts, h.total)
            for (m, v, a), h in self._latency.items()
        ]
        loaded = [
            Series("model_loaded_info", (("name", model), ("version", str(version)), ("arm", arm)))
            for model, arms in self.loaded.items()
            for arm, version in arms.items()
        ]
        apart = [
            (Series("shadow_disagreement", (("endpoint", m),)), t, int(n)) for m, (t, n) in self._disagreement.items()
        ]
        return Snapshot(now, counters, histograms, loaded, apart)


def publish(folder: str, name: str, snapshot: Snapshot) -> None:
    """Leave a worker's counters for the others; a worker that cannot is only missing from their sum."""
    part = os.path.join(folder, f".{name}")
    with open(part, "wb") as file:
        file.write(json.encode(snapshot))
    os.rename(part, os.path.join(folder, f"{name}.json"))


def collect(folder: str, own: str, snapshot: Snapshot) -> list[Snapshot]:
    """The counters of all workers, the own ones as they are now."""
    found = [snapshot]
    for entry in os.listdir(folder):
        if entry.endswith(".json") and entry != f"{own}.json":
            try:
                with open(os.path.join(folder, entry), "rb") as file:
                    found.append(json.decode(file.read(), type=Snapshot))
            except (OSError, DecodeError):
                continue
    return found


def exposition(snapshots: Iterable[Snapshot], now: float) -> str:
    """The sum of all snapshots in Prometheus' text format."""
    counters: dict[Series, float] = {}
    histograms: dict[Series, tuple[list[int], float]] = {}
    loaded: set[Series] = set()
    apart: dict[Series, tuple[float, int]] = {}
    alive = 0
    for one in snapshots:
        for series, value in one.counters:
            counters[series] = counters.get(series, 0) + value
        for series, counts, total in one.histograms:
            before = histograms.get(series, ([0] * len(counts), 0.0))
            histograms[series] = ([a + b for a, b in zip(before[0], counts, strict=True)], before[1] + total)
        for series, total, number in one.disagreement:
            old = apart.get(series, (0.0, 0))
            apart[series] = (old[0] + total, old[1] + number)
        if now - one.at < 5:
            alive += 1
            loaded |= set(one.loaded)
    lines: list[str] = []
    samples = list(counters.items())
    samples += [(series, 1.0) for series in loaded]
    samples += [(series, total / number) for series, (total, number) in apart.items() if number]
    samples.append((Series("workers"), float(alive)))
    for name, (kind, text) in HELP.items():
        lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
        if kind == "histogram":
            for series, (counts, total) in histograms.items():
                lines += _buckets(series, counts, total)
        lines += [
            f"{name}{_labels(s.labels)} {value:.17g}" for s, value in sorted(samples, key=_order) if s.name == name
        ]
    return "\n".join(lines) + "\n"


def _buckets(series: Series, counts: list[int], total: float) -> list[str]:
    lines, running = [], 0
    for bound, number in zip((*map(str, BUCKETS), "+Inf"), counts, strict=True):
        running += number
        lines.append(f"{series.name}_bucket{_labels((*series.labels, ('le', bound)))} {running}")
    tail = _labels(series.labels)
    return [*lines, f"{series.name}_sum{tail} {total:.17g}", f"{series.name}_count{tail} {running}"]


def _labels(labels: tuple[tuple[str, str], ...]) -> str:
    if not labels:
        return ""
    escaped = (v.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for _, v in labels)
    return "{" + ",".join(f'{name}="{value}"' for (name, _), value in zip(labels, escaped, strict=True)) + "}"


def _order(sample: tuple[Series, float]) -> tuple[tuple[str, str], ...]:
    return sample[0].labels
