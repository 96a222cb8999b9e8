"""Sends waiting runs: what is new of each, again and again until it is over and the server has all of it.

send_all
└── until nothing waits, or the server stayed away for too long:
    ├── send_run         a run's description, points of metrics, what steps made, its end, its models
    └── send_aliases     the registry's aliases

Nothing arrives twice: a run is sought by its id before it is made, a version of a model likewise; parameters, tags,
files and aliases are the same when they are set again, and a point of a metric is known by its time and step.
"""

import os
import re
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from math import isfinite
from typing import Any

from msgspec import json

from treadle.digest import of_bytes
from treadle.domain import run as record
from treadle.domain.artifact import Artifact
from treadle.domain.run import RunRecord, StepRecord
from treadle.domain.track import Track
from treadle.errors import StoreError
from treadle.mirror import models, outbox
from treadle.mirror.outbox import Sent
from treadle.mlflow import FOUND_ALREADY, NOT_FOUND, Refused, Server, Unreachable, size_of
from treadle.run.tracks import SUFFIX, read_artifact, read_file
from treadle.settings import Tracking
from treadle.store import Store

PAUSE, LONGEST_PAUSE = 1.0, 10.0  # seconds between two looks at a run that goes on; while nobody answers
PATIENCE = 60.0  # seconds without an answer after which what waits is left to the next command
FORGOTTEN = 600.0  # seconds after which a run that nobody knows is not waited for any more
MANY = 100  # parameters or tags in one request, 900 metrics
LONGEST = 5000  # characters of a parameter or a tag
STATUS = {record.OK: "FINISHED", record.FAILED: "FAILED", record.INTERRUPTED: "KILLED"}
WORDS = re.compile(r"[^\w\-. /:]")


def send_all(store: Store, tracking: Tracking) -> None:
    """Send until nothing waits; raises StoreError. Does nothing when another process sends."""
    while True:
        with outbox.alone(store.folder) as first:
            if not first or not _send_until_done(store, tracking):
                return
        if not outbox.anything(store.folder):  # else what began just now saw that somebody was sending
            return


def _send_until_done(store: Store, tracking: Tracking) -> bool:
    """Send what waits; whether the server has all of it."""
    server = Server(tracking.mlflow)
    answered, pause, said = time.monotonic(), PAUSE, ""
    while True:
        going = False
        try:
            for run_id in outbox.waiting(store.folder):
                going = not send_run(server, store, run_id, tracking.artifacts) or going
            send_aliases(server, store)
            answered, pause, said = time.monotonic(), PAUSE, ""
        except Unreachable as error:
            if str(error) != said:
                said = str(error)
                _say(said)
            outbox.note_moved(store.folder)
            going, pause = True, min(2 * pause, LONGEST_PAUSE)
            if time.monotonic() - answered > PATIENCE and not store.history.living():
                return False
        if not going:
            return True
        time.sleep(pause)


def send_run(server: Server, store: Store, run_id: str, most: int) -> bool:
    """Send what is new of a run; whether it is over and all has arrived. Raises Unreachable, StoreError."""
    run = store.history.get(run_id)
    if run is None:  # it is about to begin, or was deleted with the database
        if outbox.age(store.folder, run_id) > FORGOTTEN:
            outbox.remove(store.folder, run_id)
        return False
    sent = outbox.load(store.folder, run_id)
    if sent.server != server.shown:
        sent = Sent(server=server.shown)
    try:
        _Run(server, store, run, sent, most).send()
    finally:
        outbox.save(store.folder, run_id, sent)
    if run.status == record.RUNNING:
        return False
    outbox.remove(store.folder, run_id)
    return True


def send_aliases(server: Server, store: Store) -> None:
    """Move aliases on the server as they moved here; raises Unreachable."""
    path = os.path.join(store.folder, outbox.FOLDER, f"aliases-{of_bytes(server.shown.encode())[:8]}.json")
    outbox.forget_moved(store.folder)  # before they are read: one that moves from now on is noted again
    before: dict[str, dict[str, str]] = {}
    with suppress(OSError, ValueError), open(path, "rb") as file:
        before = json.decode(file.read())
    now: dict[str, dict[str, str]] = {}
    for name in store.models.names():
        there = models.versions(server, name)
        now[name] = {alias: there[str(v)] for alias, v in store.models.aliases(name).items() if str(v) in there}
        for alias, version in now[name].items():
            if before.get(name, {}).get(alias) != version:
                server.post("mlflow/registered-models/alias", name=name, alias=alias, version=version)
        for alias in before.get(name, {}).keys() - store.models.aliases(name).keys():
            with suppress(Refused):
                server.delete("mlflow/registered-models/alias", name=name, alias=alias)
    if now != before:
        with open(path, "wb") as file:
            file.write(json.encode(now))


class _Run:
    """One look at one run."""

    def __init__(self, server: Server, store: Store, run: RunRecord, sent: Sent, most: int) -> None:
        self._server = server
        self._store = store
        self._run = run
        self._sent = sent
        self._most = most

    def send(self) -> None:
        if not self._sent.run:
            self._find_or_make()
        if not self._sent.described:
            self._describe()
        for step in self._run.steps.values():
            if step.id not in self._sent.steps:
                self._step(step)
        if self._run.status == record.RUNNING:
            self._live()
            return
        models.send(self._server, self._store, self._run, self._sent)
        self._end()

    def _find_or_make(self) -> None:
        experiment = self._experiment()
        rule = f"tags.`treadle.run_id` = '{self._run.run_id}'"
        found = self._server.post("mlflow/runs/search", experiment_ids=[experiment], filter=rule).get("runs")
        if not found:
            tags = {"treadle.run_id": self._run.run_id, "mlflow.source.name": self._run.path}
            made = self._server.post(
                "mlflow/runs/create",
                experiment_id=experiment,
                start_time=_milliseconds(self._run.started),
                run_name=self._run.run_id,
                tags=_pairs({**tags, "mlflow.source.type": "PROJECT"}),
            )
            found = [made["run"]]
        self._sent.run, self._sent.artifacts = found[0]["info"]["run_id"], found[0]["info"]["artifact_uri"]

    def _experiment(self) -> str:
        name = self._run.pipeline
        try:
            found = self._server.get("mlflow/experiments/get-by-name", experiment_name=name)
            return str(found["experiment"]["experiment_id"])
        except Refused as error:
            if error.code != NOT_FOUND:
                raise
        try:
            return str(self._server.post("mlflow/experiments/create", name=name)["experiment_id"])
        except Refused as error:
            if error.code != FOUND_ALREADY:
                raise
            return self._experiment()

    def _describe(self) -> None:
        params = {name: value if isinstance(value, str) else _json(value) for name, value in self._run.params.items()}
        for some in _parts(_pairs(params), MANY):
            self._log(params=some)
        self._sent.described = True

    def _step(self, step: StepRecord) -> None:
        """What a step that has ended measured and made."""
        track = read_artifact(step.track, self._store.objects) if step.track else None
        series = track.series if track else {}
        if track is not None:
            self._curves(step.id, track)
        at = _milliseconds(step.finished or self._run.started)
        told = [
            _metric(_name(step.id, name), value, at, 0) for name, value in step.metrics.items() if name not in series
        ]
        for some in _parts(told, MANY):
            self._log(metrics=some)
        if step.fate == record.RUN:
            for output, artifact in step.outputs.items():
                self._file(f"{step.id}/{output}", artifact)
        self._sent.steps.append(step.id)

    def _live(self) -> None:
        """What running steps have told so far."""
        folder = os.path.join(self._store.folder, "logs", self._run.run_id)
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
            track = read_file(os.path.join(folder, name)) if name.endswith(SUFFIX) else None
            if track is not None:
                self._curves(track.step, track)

    def _curves(self, step: str, track: Track) -> None:
        """The points that are new; those of an earlier attempt cannot be taken back there."""
        for name, points in track.series.items():
            key = _name(step, name)
            counted = key if track.attempt < 2 else f"{key}#{track.attempt}"
            after = self._sent.points.get(counted, -1)
            new = [point for point in points if point.index > after]
            for some in _parts(new, MANY):
                self._log(metrics=[_metric(key, p.value, _milliseconds(p.at), p.step) for p in some])
                self._sent.points[counted] = some[-1].index

    def _file(self, place: str, artifact: Artifact) -> None:
        """An output, unless it is too large, no single file, or no longer there."""
        if artifact.size > self._most or artifact.name.endswith("/") or artifact.codec in ("list", "folder"):
            return
        target = WORDS.sub("_", f"{place}/{artifact.name or place.rpartition('/')[2]}")
        if target in self._sent.files:
            return
        try:
            with open(self._store.objects.path(artifact.digest), "rb") as file:
                self._server.upload(f"{self._sent.artifacts}/{target}", file, size_of(file))
        except (OSError, StoreError, Refused) as error:
            _say(f"{self._run.run_id}: {target} was not sent: {error}")
        self._sent.files.append(target)

    def _end(self) -> None:
        run = self._run
        tags = {"treadle.tags": " ".join(self._store.tags.all().get(run.run_id, ()))}
        if run.git:
            tags |= {"mlflow.source.git.commit": run.git.rstrip("+"), "treadle.dirty": _json(run.git.endswith("+"))}
        failed = [step for step in run.steps.values() if step.failure is not None]
        if failed:
            tags["treadle.failure"] = f"{failed[0].id}: {failed[0].failure.message if failed[0].failure else ''}"
        self._log(tags=_pairs({name: value for name, value in tags.items() if value}))
        end = _milliseconds(run.finished)
        self._server.post("mlflow/runs/update", run_id=self._sent.run, status=STATUS[run.status], end_time=end)

    def _log(self, **lists: Any) -> None:
        try:
            self._server.post("mlflow/runs/log-batch", run_id=self._sent.run, **lists)
        except Refused as error:  # one that the server will never take must not keep the others
            _say(f"{self._run.run_id}: {error}")


def _name(step: str, name: str) -> str:
    """The name of a metric there: `STEP.METRIC`, with signs that MLflow does not take as underscores."""
    return WORDS.sub("_", f"{step}.{name}")[:240]


def _metric(key: str, value: float | None, at: int, step: int) -> dict[str, Any]:
    told: Any = value
    if value is None or not isfinite(value):
        told = "NaN" if value is None or value != value else "Infinity" if value > 0 else "-Infinity"
    return {"key": key, "value": told, "timestamp": at, "step": step}


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": WORDS.sub("_", name)[:240], "value": value[:LONGEST]} for name, value in values.items()]


def _parts(values: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    return (values[start : start + size] for start in range(0, len(values), size))


def _json(value: Any) -> str:
    return json.encode(value).decode()


def _milliseconds(at: float) -> int:
    return int(at * 1000)


def _say(text: str) -> None:
    """Into the sender's own log."""
    sys.stdout.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
    sys.stdout.flush()
