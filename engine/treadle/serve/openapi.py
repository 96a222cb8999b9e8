"""The OpenAPI document of what is served, and a page that shows it without anything from elsewhere."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from treadle.domain.model import Field, ModelVersion
from treadle.serve.tensors import DTYPES, OF_FIELD
from treadle.serve.v2 import PREDICT, PROBABILITIES
from treadle.version import __version__

POLICY = (
    b"content-security-policy",
    b"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'",
)
TYPES: dict[str, dict[str, Any]] = {
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    "long": {"type": "integer", "format": "int64"},
    "float": {"type": "number", "format": "float"},
    "double": {"type": "number", "format": "double"},
    "string": {"type": "string"},
    "datetime": {"type": "string", "format": "date-time"},
}
ERRORS = {
    "400": "what was sent is wrong: the text names field, row, value and what was expected",
    "413": "too large, or too many rows",
    "415": "a Content-Type or Content-Encoding that is not supported",
    "429": "too many requests wait; Retry-After says when to come back",
    "500": "the model failed",
    "503": "not ready: a model is being loaded",
    "504": "waited too long",
}

FEEDBACK_ERRORS = {
    "400": ERRORS["400"],
    "401": "the token is missing or wrong",
    "403": "this place may not change state",
    "413": ERRORS["413"],
    "415": ERRORS["415"],
    "503": "could not be stored",
}


def document(models: Mapping[str, ModelVersion]) -> dict[str, Any]:
    """OpenAPI 3.1 of the models in memory."""
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {
        "Error": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}},
        "MlflowError": {
            "type": "object",
            "required": ["error_code", "message"],
            "properties": {"error_code": {"type": "string"}, "message": {"type": "string"}},
        },
        "Predictions": {
            "type": "object",
            "required": ["predictions"],
            "properties": {"predictions": {"type": "array"}},
        },
        "InferenceAnswer": _inference_answer(),
        "Outcome": _outcome(),
    }
    for name, version in models.items():
        schemas[f"Row-{name}"] = row_schema(version)
        schemas[f"Inference-{name}"] = _inference(version)
        paths[f"/v2/models/{name}/infer"] = {"post": _v2(name, version)}
        paths[f"/v2/models/{name}"] = {"get": _get(f"Inputs and outputs of {name}", "V2")}
        paths[f"/v2/models/{name}/ready"] = {"get": _get(f"Whether {name} answers", "V2")}
        paths[f"/v1/models/{name}:predict"] = {"post": _v1(name, version)}
        paths[f"/v1/models/{name}"] = {"get": _get(f"Whether {name} answers", "V1")}
        paths[f"/endpoints/{name}/invocations"] = {"post": _invocations(name, version, f"invocations-{name}")}
    if models:
        name, version = next(iter(models.items()))
        paths["/invocations"] = {"post": _invocations(name, version, "invocations")}
    for path, text in (("/v2", "Server metadata"), ("/v2/health/live", "Alive"), ("/v2/health/ready", "Ready")):
        paths[path] = {"get": _get(text, "V2")}
    for path in ("/ping", "/health"):
        paths[path] = {"get": _get("Ready", "MLflow and SageMaker", "MlflowError")}
    paths["/feedback"] = {"post": _feedback()}
    return {
        "openapi": "3.1.0",
        "info": {"title": f"treadle serve: {', '.join(models) or 'loading'}", "version": __version__},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def row_schema(version: ModelVersion) -> dict[str, Any]:
    """The JSON Schema of one row by field names."""
    fields = version.signature.inputs
    return {
        "type": "object",
        "properties": {field.name: _field(field) for field in fields},
        "required": [field.name for field in fields if field.required],
        "additionalProperties": False,
    }


def page() -> bytes:
    """The page at /docs: reads /openapi.json and lets the reader try each call."""
    return files("treadle.serve").joinpath("page.html").read_bytes()


def _field(field: Field) -> dict[str, Any]:
    schema = dict(TYPES[field.dtype])
    if not field.required:
        schema["type"] = [schema["type"], "null"]
    if field.choices is not None:
        schema["examples"] = list(field.choices[:20])
    return schema


def _answers(schema: str, error: str = "Error", codes: tuple[str, ...] = tuple(ERRORS)) -> dict[str, Any]:
    found = {"200": _content("answered", schema)}
    for code in codes:
        found[code] = _content(ERRORS[code], error)
        if error == "MlflowError" and code == "415":
            found[code] = {"description": ERRORS[code], "content": {"text/plain": {"schema": {"type": "string"}}}}
    return found


def _content(text: str, schema: str) -> dict[str, Any]:
    return {
        "description": text,
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }


def _body(schema: dict[str, Any], example: Any) -> dict[str, Any]:
    media: dict[str, Any] = {"schema": schema}
    if example is not None:
        media["example"] = example
    return {"required": True, "content": {"application/json": media}}


def _v2(name: str, version: ModelVersion) -> dict[str, Any]:
    example = None
    if version.example:
        first = version.example[0]
        example = {
            "inputs": [
                {"name": f.name, "datatype": OF_FIELD[f.dtype], "shape": [1], "data": [first.get(f.name)]}
                for f in version.signature.inputs
                if f.name in first
            ]
        }
    return {
        "summary": f"Predict with {name}",
        "tags": ["V2"],
        "operationId": f"infer-{name}",
        "requestBody": _body({"$ref": f"#/components/schemas/Inference-{name}"}, example),
        "responses": _answers("InferenceAnswer"),
    }


def _v1(name: str, version: ModelVersion) -> dict[str, Any]:
    schema = {
        "type": "object",
        "required": ["instances"],
        "properties": {
            "instances": {"type": "array", "minItems": 1, "items": {"$ref": f"#/components/schemas/Row-{name}"}},
            "parameters": _parameters(version),
        },
        "additionalProperties": False,
    }
    example = {"instances": [dict(row) for row in version.example[:1]]} if version.example else None
    return {
        "summary": f"Predict with {name}",
        "tags": ["V1"],
        "operationId": f"predict-{name}",
        "requestBody": _body(schema, example),
        "responses": _answers("Predictions"),
    }


def _invocations(name: str, version: ModelVersion, operation: str) -> dict[str, Any]:
    rows = {"type": "array", "minItems": 1, "items": {"$ref": f"#/components/schemas/Row-{name}"}}
    forms = [{form: rows, "params": _parameters(version)} for form in ("dataframe_records", "instances")]
    schema = {
        "oneOf": [
            {"type": "object", "required": list(form)[:1], "properties": form, "additionalProperties": False}
            for form in forms
        ]
    }
    example = {"dataframe_records": [dict(row) for row in version.example[:1]]} if version.example else None
    return {
        "summary": f"Predict with {name}; also dataframe_split, inputs and text/csv",
        "tags": ["MLflow and SageMaker"],
        "operationId": operation,
        "requestBody": _body(schema, example),
        "responses": _answers("Predictions", "MlflowError"),
    }


def _parameters(version: ModelVersion) -> dict[str, Any]:
    """What a request may ask besides: the unit that it belongs to, and probabilities where the model tells them."""
    known: dict[str, Any] = {"unit_id": {"type": ["string", "integer"], "description": "keeps to one arm of a rollout"}}
    if version.signature.probabilities:
        classes = ", ".join(version.signature.probabilities)
        text = f"true: the probability of each class in place of the class, in this order: {classes}"
        known["predict_proba"] = {"type": "boolean", "description": text}
    return {"type": "object", "properties": known}


def _feedback() -> dict[str, Any]:
    return {
        "summary": "Say what became of a prediction; repeated outcomes replace",
        "tags": ["Feedback"],
        "operationId": "feedback",
        "requestBody": _body(
            {"$ref": "#/components/schemas/Outcome"}, {"request_id": "0123-1", "metric": "accepted", "value": True}
        ),
        "responses": {
            "200": {"description": "stored, durably", "content": {"application/json": {"schema": {"type": "object"}}}},
            **{code: _content(text, "Error") for code, text in FEEDBACK_ERRORS.items()},
        },
    }  # fmt: skip


def _get(summary: str, tag: str, error: str = "Error") -> dict[str, Any]:
    plain = {"description": "yes", "content": {"application/json": {}}}
    return {"summary": summary, "tags": [tag], "responses": {"200": plain, "503": _content(ERRORS["503"], error)}}


def _inference(version: ModelVersion) -> dict[str, Any]:
    outputs = [field.name for field in version.signature.outputs]
    named: dict[str, Any] = {"type": "string", "enum": [*dict.fromkeys([*outputs, PREDICT])]}
    if version.signature.probabilities:
        named["enum"].append(PROBABILITIES)
        classes = ", ".join(version.signature.probabilities)
        named["description"] = f"{PROBABILITIES}: the probability of each class, in this order: {classes}"
    tensor = {
        "type": "object",
        "required": ["name", "shape", "datatype"],
        "properties": {
            "name": {"type": "string"},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
            "datatype": {"type": "string", "enum": list(DTYPES)},
            "parameters": {"type": "object"},
            "data": {"type": "array"},
        },
    }
    wanted = {
        "type": "object",
        "required": ["name"],
        "properties": {"name": named, "parameters": {"type": "object"}},
    }
    return {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string"},
            "parameters": {"type": "object"},
            "inputs": {"type": "array", "items": tensor},
            "outputs": {"type": "array", "items": wanted},
        },
    }


def _inference_answer() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["model_name", "outputs"],
        "properties": {
            "model_name": {"type": "string"},
            "model_version": {"type": "string"},
            "id": {"type": "string"},
            "outputs": {"type": "array", "items": {"type": "object", "required": ["name", "shape", "datatype"]}},
        },
    }


def _outcome() -> dict[str, Any]:
    text = {"type": "string", "maxLength": 512, "minLength": 1}
    return {
        "type": "object",
        "required": ["metric", "value"],
        "properties": {
            "request_id": text,
            "row": {"type": "integer", "minimum": 0},
            "unit": text,
            "metric": text,
            "value": {"type": ["number", "boolean", "string"]},
            "at": {"type": ["string", "number"], "description": "ISO 8601, or seconds since 1970"},
        },
        "oneOf": [{"required": ["request_id"]}, {"required": ["unit"]}],
        "additionalProperties": False,
    }
