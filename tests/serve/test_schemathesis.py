"""Schemathesis over the published OpenAPI document: no answer that the document does not describe."""

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from msgspec import json

from support.served import MIXED, FakeShelf, Sums, a_version, serving
from treadle.domain.model import Signature
from treadle.serve.openapi import document

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_every_operation_answers_as_the_document_says() -> None:
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

    with serving(FakeShelf({1: Sums(a_version(1, Signature(MIXED.inputs, MIXED.outputs, ("no", "yes"))))})) as served:
        schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{served.port}/openapi.json")
        operations = [found.ok() for found in schema.get_all_operations()]
        assert len(operations) >= 11
        assert "/endpoints/m/invocations" in {operation.path for operation in operations}
        for operation in operations:
            if operation.path == "/feedback":
                checks = [not_a_server_error, content_type_conformance]
            else:
                checks = [not_a_server_error, content_type_conformance, status_code_conformance]
            exercise(operation, checks)


def test_probabilities_are_in_the_document_and_drawn() -> None:
    """The test above sends what asks for them, in every dialect; for a model without classes it is not there."""
    classes = a_version(1, Signature(MIXED.inputs, MIXED.outputs, ("no", "yes")))
    told, plain = (document({"m": version}) for version in (classes, a_version(1, MIXED)))
    assert "predict_proba" not in json.encode(plain).decode()
    posts = {path: item["post"] for path, item in told["paths"].items() if "post" in item and path != "/feedback"}
    assert sorted(posts) == ["/endpoints/m/invocations", "/invocations", "/v1/models/m:predict", "/v2/models/m/infer"]
    for path, post in posts.items():
        schema = post["requestBody"]["content"]["application/json"]["schema"]
        whole = told["components"]["schemas"]["Inference-m"] if "$ref" in schema else schema
        assert "predict_proba" in json.encode(whole).decode(), path


def exercise(operation: Any, checks: list[Any]) -> None:
    """Send what the document allows to one operation."""

    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    @given(st.data())
    def call(data: st.DataObject) -> None:
        data.draw(operation.as_strategy()).call_and_validate(checks=checks, timeout=20)

    call()
