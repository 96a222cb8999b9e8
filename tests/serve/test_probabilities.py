"""Probabilities of classes: asked for by the names that MLServer and scikit-learn use, in every dialect."""

from collections.abc import Iterator
from typing import Any

import pytest

from support.served import THREE, FakeShelf, Served, Sums, a_version, serving
from treadle.domain.model import Signature
from treadle.domain.serving import Traffic

INFER = "/v2/models/m/infer"
INPUT = {"name": "x", "shape": [2, 3], "datatype": "FP64", "data": [1, 2, 3, 4, 5, 6]}
CLASSES = Signature(THREE.inputs, THREE.outputs, ("no", "yes"))
SHARES = [0.94, 0.06, 0.85, 0.15]


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(FakeShelf({1: Sums(a_version(1, CLASSES))})) as one:
        yield one


def outputs(served: Served, *names: str) -> dict[str, Any]:
    answer = served.ask("POST", INFER, {"inputs": [INPUT], "outputs": [{"name": name} for name in names]})
    assert answer.status == 200, answer.body
    return {one["name"]: one for one in answer.json()["outputs"]}


def test_v2_has_a_second_output(served: Served) -> None:
    described = served.ask("GET", "/v2/models/m").json()["outputs"]
    assert [one["name"] for one in described] == ["y", "predict_proba"]
    assert (described[1]["shape"], described[1]["parameters"]) == ([-1, 2], {"classes": '["no","yes"]'})
    found = outputs(served, "predict_proba")
    assert list(found) == ["predict_proba"]
    assert found["predict_proba"]["shape"] == [2, 2]
    assert found["predict_proba"]["data"] == pytest.approx(SHARES)
    assert list(outputs(served, "predict_proba", "y")) == ["predict_proba", "y"]
    assert outputs(served, "predict")["predict"]["data"] == [6, 15]
    assert "predict_proba" not in {
        one["name"] for one in served.ask("POST", INFER, {"inputs": [INPUT]}).json()["outputs"]
    }


@pytest.mark.parametrize(
    ("path", "key"), [("/invocations", "params"), ("/v1/models/m:predict", "parameters")]
)  # fmt: skip
def test_mlflow_and_v1_answer_them_in_place_of_classes(served: Served, path: str, key: str) -> None:
    body: dict[str, Any] = {"instances": [[1, 2, 3], [4, 5, 6]]}
    assert served.ask("POST", path, body).json() == {"predictions": [6, 15]}
    [first, second] = served.ask("POST", path, {**body, key: {"predict_proba": True}}).json()["predictions"]
    assert [*first, *second] == pytest.approx(SHARES)
    wrong = served.ask("POST", path, {**body, key: {"predict_proba": "yes"}})
    assert (wrong.status, "expected true or false" in wrong.body.decode()) == (400, True)


def test_rows_of_several_arms_keep_theirs() -> None:
    traffic = Traffic(name="m", unit="who", enrolled=1.0, salt_arm="s")
    shelf = FakeShelf({1: Sums(a_version(1, CLASSES)), 2: Sums(a_version(2, CLASSES))}, traffic)
    rows = [{"a": 1, "b": 2, "c": 3, "who": f"u{n}"} for n in range(20)]
    with serving(shelf) as one:
        answer = one.ask("POST", "/invocations", {"dataframe_records": rows, "params": {"predict_proba": True}})
        assert answer.headers["x-arm"] == "mixed"
        plain = one.ask("POST", "/invocations", {"dataframe_records": rows}).json()["predictions"]
        assert {6.0, 12.0} == set(plain)
        assert [second * 100 for _, second in answer.json()["predictions"]] == pytest.approx(plain)


def test_a_model_without_them_says_so() -> None:
    with serving(FakeShelf({1: Sums(a_version(1))})) as one:
        for path, body, text in (
            (INFER, {"inputs": [INPUT], "outputs": [{"name": "predict_proba"}]}, "this model has y"),
            ("/invocations", {"instances": [[1, 2, 3]], "params": {"predict_proba": True}}, "has no probabilities"),
        ):
            answer = one.ask("POST", path, body)
            assert (answer.status, text in answer.body.decode()) == (400, True), answer.body
