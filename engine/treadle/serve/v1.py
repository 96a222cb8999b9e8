"""KServe's V1 protocol: `{"instances": […]}` → `{"predictions": […]}`."""

from typing import Any

from msgspec import DecodeError, json

from treadle.serve.refusal import Refusal, shown
from treadle.serve.tables import Checker, Table, listing

_decode = json.Decoder().decode


def parse(body: bytes, checker: Checker) -> tuple[Table, dict[str, Any]]:
    """The table of a request, and its other keys that may name a unit (`parameters`); raises Refusal."""
    try:
        document = _decode(body)
    except (DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Refusal(400, f"the request is not JSON: {shown(str(error))}") from None
    if type(document) is not dict or "instances" not in document:
        raise Refusal(400, f"the request is {shown(document)}, expected an object with the list 'instances'")
    unknown = [name for name in document if name not in ("instances", "parameters", "signature_name")]
    if unknown:
        raise Refusal(400, f"the request has {listing([shown(n) for n in unknown])}; expected instances alone")
    rows, parameters = document["instances"], document.get("parameters") or {}
    if type(rows) is not list or not rows:
        raise Refusal(400, f"instances is {shown(rows)}, expected a list of rows")
    if type(parameters) is not dict:
        raise Refusal(400, f"parameters is {shown(parameters)}, expected an object")
    return (checker.records(rows) if type(rows[0]) is dict else checker.rows(rows)), parameters
