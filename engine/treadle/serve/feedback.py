"""`POST /feedback`: what became of predictions, by request id or by unit.

One object, a list of them, or `{"outcomes": [...]}`. Late, out of order and repeated ones are welcome: of the same
prediction and metric the latest `at` counts, so a client that is not sure sends again.
"""

from datetime import datetime
from typing import Any

from msgspec import DecodeError, json

from treadle.domain.serving import Outcome
from treadle.serve.refusal import Refusal, shown
from treadle.serve.tables import listing

KEYS = ("request_id", "row", "unit", "metric", "value", "at")
LONGEST = 512
_decode = json.Decoder().decode


def parse(body: bytes, now: float, limit: int) -> list[Outcome]:
    """The outcomes of a request that arrived `now`, in seconds since the epoch; raises Refusal."""
    try:
        document = _decode(body)
    except (DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Refusal(400, f"the request is not JSON: {shown(str(error))}") from None
    if type(document) is dict and set(document) == {"outcomes"}:
        document = document["outcomes"]
    items = document if type(document) is list else [document]
    if not items:
        raise Refusal(400, "the request has no outcomes; expected at least one")
    if len(items) > limit:
        raise Refusal(413, f"the request has {len(items)} outcomes, the limit is {limit}")
    return [_outcome(item, place, now) for place, item in enumerate(items)]


def _outcome(item: Any, place: int, now: float) -> Outcome:
    if type(item) is not dict:
        raise Refusal(400, f"outcome {place}: {shown(item)} is not an object with {listing(KEYS)}")
    unknown = [key for key in item if key not in KEYS]
    if unknown:
        raise Refusal(400, f"outcome {place}: key {shown(unknown[0])} is unknown; expected {listing(KEYS)}")
    request_id, unit = _text(item, place, "request_id"), _text(item, place, "unit")
    if bool(request_id) == bool(unit):
        raise Refusal(400, f"outcome {place}: expected either request_id or unit")
    metric = _text(item, place, "metric")
    if not metric:
        raise Refusal(400, f"outcome {place}: metric is missing; expected the name of what was measured")
    value: Any = item.get("value")
    if type(value) not in (bool, int, float, str):
        raise Refusal(400, f"outcome {place}: value is {shown(value)}, expected a number, true, false or text")
    if type(value) is str and len(value) > LONGEST:
        raise Refusal(400, f"outcome {place}: value has {len(value)} characters, the limit is {LONGEST}")
    if type(value) is int:
        if abs(value) > 1 << 53:
            raise Refusal(400, f"outcome {place}: value is {shown(value)}, beyond what a float holds exactly")
        value = float(value)
    row = item.get("row", 0)
    if type(row) is not int or not 0 <= row < 1 << 31:
        raise Refusal(400, f"outcome {place}: row is {shown(row)}, expected the row's place in its request")
    return Outcome(metric, value, _time(item.get("at"), place, now), now, request_id, row, unit)


def _text(item: dict[str, Any], place: int, key: str) -> str:
    value = item.get(key, "")
    if value is None:
        return ""
    if type(value) is not str or len(value) > LONGEST:
        raise Refusal(400, f"outcome {place}: {key} is {shown(value)}, expected text of at most {LONGEST} characters")
    return value


def _time(value: Any, place: int, now: float) -> float:
    if value is None:
        return now
    if type(value) in (int, float) and 0 <= value < 1e11:
        return float(value)
    if type(value) is str:
        try:
            return datetime.fromisoformat(value).timestamp()
        except (ValueError, OverflowError):
            pass
    text = f"outcome {place}: at is {shown(value)}, expected a time in ISO 8601 or seconds since 1970"
    raise Refusal(400, text)
