"""MLflow's scoring protocol, and SageMaker's on the same path: JSON in four forms and CSV → tables → predictions.

Source: mlflow/pyfunc/scoring_server/__init__.py and utils/proto_json_utils.py; SageMaker's CSV has no header row.
"""

import csv
import io
from collections.abc import Sequence
from typing import Any

from msgspec import DecodeError, json

from treadle.domain.model import Field, Signature
from treadle.serve.refusal import Refusal, shown
from treadle.serve.tables import Checker, Table, listing

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
EXPECTED = "expected an object with exactly one of " + ", ".join(FORMS)
CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "ENDPOINT_NOT_FOUND",
    405: "BAD_REQUEST",
    408: "DEADLINE_EXCEEDED",
    413: "INVALID_PARAMETER_VALUE",
    415: "INVALID_PARAMETER_VALUE",
    429: "REQUEST_LIMIT_EXCEEDED",
    500: "INTERNAL_ERROR",
    501: "NOT_IMPLEMENTED",
    503: "TEMPORARILY_UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
TRUE, FALSE = ("true", "True", "1"), ("false", "False", "0")

_decode = json.Decoder().decode
_encode = json.Encoder().encode


def media(content_type: bytes | None) -> tuple[str, str]:
    """`json` or `csv` and the CSV's `header` parameter; anything else is refused with 415."""
    parts = [part.strip().lower() for part in (content_type or b"").decode("latin-1").split(";")]
    if parts[0] not in ("application/json", "text/csv"):
        given = shown(parts[0]) if parts[0] else "missing"
        raise Refusal(415, f"Content-Type is {given}, expected application/json or text/csv")
    header = ""
    for part in parts[1:]:
        name, _, value = part.partition("=")
        value = value.strip('"')
        if name == "charset" and value in ("utf-8", "utf8"):
            continue
        if name == "header" and parts[0] == "text/csv" and value in ("present", "absent"):
            header = value
            continue
        raise Refusal(415, f"Content-Type has the parameter {shown(part)}, expected charset=utf-8")
    return ("csv" if parts[0] == "text/csv" else "json"), header


def parse_json(body: bytes, checker: Checker) -> tuple[Table, dict[str, Any]]:
    """The table and the `params` of a JSON request; raises Refusal."""
    try:
        document = _decode(body)
    except (DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Refusal(400, f"the request is not JSON: {shown(str(error))}") from None
    if type(document) is not dict:
        raise Refusal(400, f"the request is {shown(document)}; {EXPECTED}")
    forms = [form for form in FORMS if form in document]
    others = [name for name in document if name not in FORMS and name != "params"]
    if "signature_name" in document:
        raise Refusal(400, "signature_name is not supported; leave it out")
    if len(forms) != 1 or others:
        raise Refusal(400, f"the request has {listing([shown(n) for n in document]) or 'no keys'}; {EXPECTED}")
    params = document.get("params") or {}
    if type(params) is not dict:
        raise Refusal(400, f"params is {shown(params)}, expected an object")
    return _FORMS[forms[0]](document[forms[0]], checker), params


def wants_probabilities(params: dict[str, Any], signature: Signature) -> bool:
    """Whether `params` ask for probabilities in place of classes; raises Refusal where there are none."""
    wanted = params.get("predict_proba", False)
    if type(wanted) is not bool:
        raise Refusal(400, f"predict_proba is {shown(wanted)}, expected true or false")
    if wanted and not signature.probabilities:
        raise Refusal(400, "predict_proba: this model has no probabilities")
    return wanted


def parse_csv(body: bytes, header: str, checker: Checker) -> Table:
    """The table of a CSV body, with a header row when its first row names fields; raises Refusal."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refusal(400, f"the CSV is not UTF-8: byte {error.start}") from None
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error as error:
        raise Refusal(400, f"the CSV cannot be read: {error}") from None
    if not rows:
        raise Refusal(400, "the CSV has no rows; expected at least one")
    names: Sequence[str] = checker.fields
    known = set(checker.fields) | checker.units
    if header == "present" or (not header and any(cell.strip() in known for cell in rows[0])):
        names, rows = [cell.strip() for cell in rows[0]], rows[1:]
        if len(set(names)) != len(names):
            raise Refusal(400, f"the CSV's header names a column twice: {listing(names)}")
    for number, row in enumerate(rows):
        if len(row) != len(names):
            raise Refusal(400, f"row {number}: {len(row)} values, expected {len(names)}: {listing(names)}")
    fields = {field.name: field for field in checker.signature.inputs}
    columns: dict[str, Any] = {}
    for place, name in enumerate(names):
        cells = [row[place] for row in rows]
        columns[name] = [cell(fields[name], one) for one in cells] if name in fields else cells
    return checker.named(columns, len(rows))


def encode(values: Any) -> bytes:
    """`{"predictions": …}`: a list, nested for several outputs; NaN and infinities are null."""
    return _encode({"predictions": values.tolist()})


def encode_csv(values: Any) -> bytes:
    """One line a row, values separated by commas, no header: what SageMaker's clients ask for with Accept: text/csv."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows(values.tolist() if values.ndim == 2 else [[value] for value in values.tolist()])
    return out.getvalue().encode()


def error(refusal: Refusal) -> bytes:
    """An error in MLflow's shape."""
    return _encode({"error_code": CODES.get(refusal.status, "BAD_REQUEST"), "message": refusal.text})


def _split(value: Any, checker: Checker) -> Table:
    if type(value) is not dict or "data" not in value or not value.keys() <= {"columns", "data", "index"}:
        raise Refusal(400, f"dataframe_split is {shown(value)}, expected an object with columns, data and index")
    data, names = value["data"], value.get("columns")
    if type(data) is not list:
        raise Refusal(400, f"dataframe_split.data is {shown(data)}, expected a list of rows")
    if names is None:
        return checker.rows(data)
    if type(names) is not list or not all(type(name) is str for name in names):
        raise Refusal(400, f"dataframe_split.columns is {shown(names)}, expected a list of names")
    if tuple(names) == checker.fields:
        return checker.rows(data)
    if len(set(names)) != len(names):
        raise Refusal(400, f"dataframe_split.columns names a column twice: {listing(names)}")
    for number, row in enumerate(data):
        if type(row) is not list or len(row) != len(names):
            raise Refusal(400, f"row {number}: {shown(row)}, expected {len(names)} values: {listing(names)}")
    return checker.named({name: [row[place] for row in data] for place, name in enumerate(names)}, len(data))


def _records(value: Any, checker: Checker) -> Table:
    if type(value) is not list:
        raise Refusal(400, f"dataframe_records is {shown(value)}, expected a list of objects")
    return checker.records(value)


def _instances(value: Any, checker: Checker) -> Table:
    if type(value) is not list or not value:
        raise Refusal(400, f"instances is {shown(value)}, expected a list of rows")
    if type(value[0]) is dict:
        return checker.records(value)
    if type(value[0]) is not list and len(checker.fields) == 1:
        return checker.rows([[one] for one in value])
    return checker.rows(value)


def _inputs(value: Any, checker: Checker) -> Table:
    if type(value) is not dict:
        return _instances(value, checker)
    columns, rows = {}, 1
    for name, given in value.items():
        columns[name] = given if type(given) is list else [given]
        if columns[name] and all(type(one) is list and len(one) == 1 for one in columns[name]):
            columns[name] = [one[0] for one in columns[name]]
        rows = max(rows, len(columns[name])) if name in checker.fields or name in checker.units else rows
    return checker.named(columns, rows)


_FORMS = {"dataframe_split": _split, "dataframe_records": _records, "instances": _instances, "inputs": _inputs}


def cell(field: Field, cell: str) -> Any:
    """A CSV cell as the field's type; what does not convert is left for the check to name."""
    if field.dtype == "string":
        return cell
    text = cell.strip()
    if text == "":
        return None
    if field.dtype == "boolean":
        return True if text in TRUE else False if text in FALSE else cell
    try:
        if field.dtype in ("float", "double"):
            value = float(text)
            return value if value - value == 0 else (None if value != value and not field.required else cell)
        if field.dtype in ("integer", "long") and len(text) <= 20:
            return int(text) if "." not in text else float(text)
    except ValueError:
        return cell
    return cell
