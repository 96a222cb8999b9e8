"""What a shadow saw: requests that both models answered, failures, and how far the answers lie apart."""

from math import isfinite
from struct import unpack
from typing import Any

from treadle.domain.rollout import ShadowSeen
from treadle.domain.serving import Prediction

UNANSWERED = 10_000  # champion's answers that may wait for their shadow


class ShadowLog:
    """Counts since the rollout began; O(1) in the number of requests."""

    def __init__(self, challenger: int) -> None:
        self._challenger = challenger
        self._answers: dict[str, list[Any]] = {}
        self._requests = self._errors = 0
        self._rows = self._numbers = self._differ = 0
        self._absolute = self._squared = 0.0

    def take(self, record: Prediction) -> None:
        """Count a record if it is a shadow's, or keep it if one may follow."""
        if record.shadow_of is None:
            if record.status == 200 and record.arm == "champion":
                self._answers[record.request_id] = answers(record)
                while len(self._answers) > UNANSWERED:
                    del self._answers[next(iter(self._answers))]
            return
        if record.version != self._challenger:
            return
        self._requests += 1
        if record.status != 200:
            self._errors += 1
            return
        for own, other in zip(answers(record), self._answers.pop(record.request_id, []), strict=False):
            self._rows += 1
            self._differ += own != other
            if isinstance(own, float) and isinstance(other, float):
                self._numbers += 1
                self._absolute += abs(own - other)
                self._squared += (own - other) ** 2

    def seen(self) -> ShadowSeen:
        """Counts, and disagreement as `mae` and `rmse` of numbers and `share` of rows that differ."""
        found = {"share": self._differ / self._rows} if self._rows else {}
        if self._numbers:
            found["mae"] = self._absolute / self._numbers
            found["rmse"] = (self._squared / self._numbers) ** 0.5
        kept = {name: value for name, value in found.items() if isfinite(value)}
        return ShadowSeen(self._requests, self._errors, kept)


def answers(record: Prediction) -> list[Any]:
    """The predictions of a record, row by row."""
    if isinstance(record.prediction, bytes):
        return list(unpack(f"<{len(record.prediction) // 8}d", record.prediction))
    return list(record.prediction or ())
