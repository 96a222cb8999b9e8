"""Read what was added to a prediction log since the last look: cheap when nothing was, and never a record twice."""

import os
from collections.abc import Iterable, Sequence
from typing import Any, BinaryIO

from msgspec import Struct

from treadle.domain.serving import Outcome, Prediction
from treadle.errors import StoreError
from treadle.store.database import os_failure
from treadle.store.predictions.segments import PREDICTIONS, Answers, Results, hour_name, read_frames
from treadle.store.predictions.window import MARGIN, Source, split_name


class Added(Struct, frozen=True):
    """What is new in a log, in no order."""

    predictions: Sequence[Prediction]
    outcomes: Sequence[Outcome]


class Overtaken(StoreError):
    """A segment was compacted before it was read to its end: read the log anew from the start."""


class Tail:
    """The growing end of a model's log, from the hour before `since` (seconds since the epoch) on."""

    def __init__(self, folder: str, since: float) -> None:
        self._folder = folder
        self._first = hour_name(int(max(since - MARGIN, 0) // 3600))
        self._offsets: dict[str, int] = {}
        self._open: dict[str, BinaryIO] = {}
        self._packed: set[str] = set()
        self._began = False

    def read(self) -> Added:
        """Everything added since the last call; raises StoreError, and Overtaken when only a new Tail can go on."""
        predictions: list[Prediction] = []
        outcomes: list[Outcome] = []
        try:
            names = sorted(os.listdir(self._folder))
        except FileNotFoundError:
            names = []
        except OSError as error:
            raise os_failure(error, self._folder) from error
        held = self._read_packed(names, predictions, outcomes)
        for name in names:
            kind, hour = split_name(name) if name.endswith(".log") else ("", "")
            if kind and hour >= self._first and name not in held:
                self._read_segment(name, predictions, outcomes)
        self._began = True
        return Added(predictions, outcomes)

    def close(self) -> None:
        """Let go of the segments."""
        for file in self._open.values():
            file.close()
        self._open.clear()

    def _read_segment(self, name: str, predictions: list[Prediction], outcomes: list[Outcome]) -> None:
        path = os.path.join(self._folder, name)
        try:
            if name not in self._open:
                self._open[name] = open(path, "rb")  # noqa: SIM115  kept: it can be read to its end after compaction
                self._offsets[name] = 0
            file, offset = self._open[name], self._offsets[name]
            if os.fstat(file.fileno()).st_size == offset:
                return
            file.seek(offset)
            data = file.read()
        except FileNotFoundError:
            return  # compacted since the folder was listed: the next look finds it there
        except OSError as error:
            raise os_failure(error, path) from error
        end = 0
        for frame, end in read_frames(data):  # noqa: B007
            if isinstance(frame, Answers):
                predictions += frame.records
            elif isinstance(frame, Results):
                outcomes += frame.records
        self._offsets[name] = offset + end

    def _read_packed(
        self, names: Sequence[str], predictions: list[Prediction], outcomes: list[Outcome]
    ) -> frozenset[str]:
        """Compacted hours: read on the first call; later they hold only what was read as segments."""
        held: set[str] = set()
        for name in names:
            if not name.endswith(".parquet.json"):
                continue
            source = _side_file(os.path.join(self._folder, name))
            if source is None or source.hour < self._first:
                continue
            held |= source.segments.keys()
            if name in self._packed:
                continue
            self._packed.add(name)
            if self._began:
                for segment in source.segments:
                    if segment not in self._offsets:
                        raise Overtaken(f"{self._folder}: an hour was compacted before it was read")
                    if segment in self._open:
                        self._read_segment(segment, predictions, outcomes)
                        self._open.pop(segment).close()
                continue
            from treadle.store.predictions import parquet  # lazy: only a controller that starts late needs it

            path = os.path.join(self._folder, name.removesuffix(".json"))
            if source.kind == PREDICTIONS:
                predictions += _predictions(parquet.rows_in(path))
            else:
                outcomes += parquet.outcomes_in(path)
        return frozenset(held)


def _side_file(path: str) -> Source | None:
    from msgspec import DecodeError, json  # lazy: only compacted logs have one

    try:
        with open(path, "rb") as file:
            return json.decode(file.read(), type=Source)
    except (OSError, DecodeError):
        return None


def _predictions(rows: Iterable[dict[str, Any]]) -> list[Prediction]:
    """Rows of Parquet as the requests that they came from; features are left out."""
    groups: dict[tuple[str, int, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["_request_id"], row["_version"], row["_arm"]), []).append(row)
    return [_prediction(group) for group in groups.values()]


def _prediction(rows: Sequence[dict[str, Any]]) -> Prediction:
    first = rows[0]
    return Prediction(
        request_id=first["_request_id"],
        at=first["_at"],
        version=first["_version"],
        arm=first["_arm"],
        units=[row["_unit"] for row in rows],
        propensity=first["_propensity"],
        latency=first["_latency_ms"] / 1000,
        status=first["_status"],
        rows=len(rows),
        features={},
        prediction=[row.get("prediction") for row in rows],
        positions=[row["_row"] for row in rows],
        shadow_of=first.get("_shadow_of"),
    )
