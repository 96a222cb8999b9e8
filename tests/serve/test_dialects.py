"""Each dialect over a real socket: what its clients send, byte by byte, and what they get."""

import gzip
import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from support.served import MIXED, FakeShelf, Served, Sums, a_version, serving
from treadle.domain.model import Field, Signature

INFER = "/v2/models/m/infer"
NAMED = [{"name": n, "shape": [2], "datatype": "FP64", "data": [1, 2]} for n in "abc"]
TENSOR = {"name": "input-0", "shape": [2, 3], "datatype": "FP64", "data": [1, 2, 3, 4, 5, 6]}


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(FakeShelf({1: Sums(a_version(1))})) as one:
        yield one


def infer(served: Served, inputs: list[Any], **more: Any) -> Any:
    answer = served.ask("POST", INFER, {"inputs": inputs, **more})
    assert answer.status == 200, answer.body
    return answer.json()["outputs"][0]["data"]


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ([TENSOR], [6, 15]),
        ([{**TENSOR, "data": [[1, 2, 3], [4, 5, 6]]}], [6, 15]),
        ([{**TENSOR, "datatype": "INT32"}], [6, 15]),
        (NAMED, [3, 6]),
        ([{**one, "shape": [2, 1], "data": [[1], [2]]} for one in NAMED], [3, 6]),
        (list(reversed(NAMED)), [3, 6]),
    ],
)
def test_v2_json(served: Served, inputs: list[Any], expected: list[float]) -> None:
    assert infer(served, inputs) == expected


def test_v2_answers_in_the_protocol_s_shape(served: Served) -> None:
    answer = served.ask("POST", INFER, {"id": "q-7", "inputs": [TENSOR], "parameters": {"priority": 1, "unknown": "x"}})
    assert answer.json() == {
        "model_name": "m",
        "model_version": "1",
        "id": "q-7",
        "outputs": [{"name": "y", "datatype": "FP64", "shape": [2], "data": [6.0, 15.0]}],
    }
    marks = {name: answer.headers[name] for name in ("x-request-id", "x-model-version", "x-arm", "content-type")}
    assert marks == {
        "x-request-id": "q-7", "x-model-version": "1", "x-arm": "champion", "content-type": "application/json",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"datatype": "FP46"}, "input 'input-0': datatype 'FP46' is unknown; did you mean 'FP64'?"),
        ({"shape": [2, 2]}, "input 'input-0': 6 values, expected 4 for shape [2, 2]"),
        ({"shape": [3, 2]}, "input 'input-0': shape [3, 2], expected [n, 3]: a, b, c"),
        ({"shape": [-2, 3]}, "input 'input-0': shape [-2, 3] has a dimension that is not 0 or more"),
        ({"shape": [10**9, 10**9]}, "input 'input-0': shape [1000000000, 1000000000] is too large"),
        ({"shape": [0, 3], "data": []}, "the request has no rows; expected at least one"),
        ({"data": [[1, 2, 3], [4, 5]]}, "input 'input-0': data is ragged, expected shape [2, 3]"),
        ({"data": "x"}, "input 'input-0': data is 'x', expected a list"),
        ({"data": [1, 2, 3, 4, 5, None]}, "field 'c', row 1: the value is missing; expected a finite number"),
        ({"datatype": "FP16"}, "input 'input-0': FP16 goes as binary data only"),
        ({"parameters": {"binary_data_size": 8}}, "input 'input-0': binary_data_size is 8, but 0 bytes are left"),
    ],
)
def test_v2_says_what_is_wrong(served: Served, change: dict[str, Any], text: str) -> None:
    answer = served.ask("POST", INFER, {"inputs": [{**TENSOR, **change}]})
    assert (answer.status, answer.json()) == (400, {"error": text})


def test_v2_wrong_names(served: Served) -> None:
    cases = [
        ("POST", "/v2/models/nope/infer", 404, "no model is called 'nope'; served: m"),
        ("POST", "/v2/models/m/versions/9/infer", 404, "version 9 of model 'm' is not served; served: 1"),
        ("POST", "/v2/models/m/versions/x/infer", 400, "version 'x' is not a number"),
        ("GET", INFER, 405, "infer takes POST, not 'GET'"),
        ("POST", "/v2/repository/models/m/load", 501, "models are loaded when the registry's aliases move"),
        ("GET", "/v2/models/m/stats", 501, "stats is an extension of Triton that this server does not have"),
    ]
    for method, path, status, text in cases:
        answer = served.ask(method, path, {"inputs": [TENSOR]} if method == "POST" else None)
        assert answer.status == status
        assert answer.json()["error"].startswith(text)
    unknown = served.ask("POST", INFER, {"inputs": [TENSOR], "outputs": [{"name": "z"}]})
    assert (unknown.status, unknown.json()["error"]) == (400, "output 'z' is unknown; this model has y")
    assert served.ask("POST", "/v2/models/m/versions/1/infer", {"inputs": [TENSOR]}).status == 200


def binary(head: dict[str, Any], tail: bytes) -> tuple[bytes, dict[str, str]]:
    text = json.dumps(head).encode()
    return text + tail, {"inference_header_content_length": str(len(text))}


def test_v2_binary_both_ways(served: Served) -> None:
    tensor = {"name": "x", "shape": [2, 3], "datatype": "FP32", "parameters": {"binary_data_size": 24}}
    body, headers = binary(
        {"inputs": [tensor], "parameters": {"binary_data_output": True}}, struct.pack("<6f", *range(6))
    )
    answer = served.ask("POST", INFER, body, **headers)
    length = int(answer.headers["inference-header-content-length"])
    head = json.loads(answer.body[:length])
    assert answer.headers["content-type"] == "application/octet-stream"
    assert head["outputs"] == [{"name": "y", "datatype": "FP64", "shape": [2], "parameters": {"binary_data_size": 16}}]
    assert struct.unpack("<2d", answer.body[length:]) == (3.0, 12.0)


def test_v2_raw_request(served: Served) -> None:
    answer = served.ask("POST", INFER, struct.pack("<3d", 1, 2, 4), inference_header_content_length="0")
    length = int(answer.headers["inference-header-content-length"])
    assert struct.unpack("<d", answer.body[length:]) == (7.0,)


def test_v2_health_and_metadata(served: Served) -> None:
    assert served.ask("GET", "/v2/health/live").json() == {"live": True}
    assert served.ask("GET", "/v2/health/ready").json() == {"ready": True}
    assert served.ask("GET", "/v2").json()["extensions"] == ["binary_tensor_data", "model_repository"]
    assert served.ask("GET", "/v2/").status == 200
    assert served.ask("GET", "/v2/models/m/ready").json() == {"name": "m", "ready": True}
    assert served.ask("GET", "/v2/models/m/versions/1").json() == {
        "name": "m",
        "versions": ["1"],
        "platform": "treadle_fake",
        "inputs": [{"name": n, "datatype": "FP64", "shape": [-1]} for n in "abc"],
        "outputs": [{"name": "y", "datatype": "FP64", "shape": [-1]}],
    }
    assert served.ask("GET", "/v2/models").json() == {"models": ["m"]}
    assert served.ask("POST", "/v2/repository/index").json()[0]["state"] == "READY"


FORMS = [
    {"dataframe_split": {"columns": ["c", "b", "a"], "index": [0], "data": [[3, 2, 1]]}},
    {"dataframe_split": {"data": [[1, 2, 3]]}},
    {"dataframe_records": [{"a": 1, "b": 2, "c": 3}]},
    {"instances": [[1, 2, 3]]},
    {"instances": [{"a": 1, "b": 2, "c": 3}]},
    {"inputs": {"a": [1], "b": [2], "c": [3]}},
    {"inputs": [[1, 2, 3]], "params": {"unit_id": "u"}},
]


@pytest.mark.parametrize("form", FORMS)
def test_mlflow_forms(served: Served, form: dict[str, Any]) -> None:
    answer = served.ask("POST", "/invocations", form)
    assert (answer.status, answer.json()) == (200, {"predictions": [6.0]})


@pytest.mark.parametrize("body", ["a,b,c\n1,2,3\n", "c,b,a\r\n3,2,1\r\n", "1,2,3\n", "1,2,3", '"1","2","3"\n'])
def test_csv_with_and_without_a_header(served: Served, body: str) -> None:
    answer = served.ask("POST", "/invocations", body.encode(), content_type="text/csv; charset=utf-8")
    assert answer.json() == {"predictions": [6.0]}
    plain = served.ask("POST", "/invocations", body.encode(), content_type="text/csv", accept="text/csv")
    assert (plain.headers["content-type"], plain.body) == ("text/csv; charset=utf-8", b"6.0\n")


MLFLOW_WRONG = [
    ({"dataframe_split": [1]}, "dataframe_split is [1], expected an object with columns, data and index"),
    ({"dataframe_split": {"data": [[1, 2, 3]], "x": 1}}, "dataframe_split is {'data': [[1, 2, 3]], 'x': 1}"),
    ({"instances": [[1, 2, 3]], "inputs": [[1, 2, 3]]}, "the request has 'instances', 'inputs'; expected an object"),
    ({"rows": []}, "the request has 'rows'; expected an object with exactly one of dataframe_split"),
    ({}, "the request has no keys"),
    ([[1, 2, 3]], "the request is [[1, 2, 3]]; expected an object"),
    ({"instances": [[1, 2, 3]], "signature_name": "s"}, "signature_name is not supported"),
    ({"instances": [[1, 2]]}, "row 0: 2 values, expected 3: a, b, c"),
    ({"instances": [[1, 2, 3]], "params": 7}, "params is 7, expected an object"),
    ({"inputs": {"a": [1], "b": [2, 3], "c": [3]}}, "field 'a': 1 values, expected 2, one a row"),
]


@pytest.mark.parametrize(("body", "text"), MLFLOW_WRONG)
def test_mlflow_says_what_is_wrong(served: Served, body: Any, text: str) -> None:
    answer = served.ask("POST", "/invocations", body)
    assert answer.status == 400
    assert answer.json()["error_code"] == "BAD_REQUEST"
    assert answer.json()["message"].startswith(text)


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/json; charset=latin-1", "application/json; x=1", "text/csv; header=x"],
)
def test_what_is_not_spoken_is_415_in_plain_text(served: Served, content_type: str) -> None:
    answer = served.ask("POST", "/invocations", b"{}", content_type=content_type)
    assert (answer.status, answer.headers["content-type"]) == (415, "text/plain; charset=utf-8")
    assert answer.body.startswith(b"Content-Type ")


def test_pings_and_version(served: Served) -> None:
    for path in ("/ping", "/health"):
        answer = served.ask("GET", path)
        assert (answer.status, answer.body, answer.headers["content-type"]) == (200, b"\n", "application/json")
    assert served.ask("HEAD", "/ping").status == 200
    assert b'"' not in served.ask("GET", "/version").body


def test_kserve_v1(served: Served) -> None:
    assert served.ask("POST", "/v1/models/m:predict", {"instances": [[1, 2, 3]]}).json() == {"predictions": [6.0]}
    assert served.ask("GET", "/v1/models").json() == {"models": ["m"]}
    assert served.ask("GET", "/v1/models/m").json() == {"name": "m", "ready": True}
    wrong = served.ask("POST", "/v1/models/m:predict", {"instances": []})
    assert (wrong.status, wrong.json()) == (400, {"error": "instances is [], expected a list of rows"})
    assert served.ask("POST", "/v1/models/q:predict", {"instances": [[1, 2, 3]]}).status == 404


def test_sagemaker_contract(served: Served) -> None:
    answer = served.ask(
        "POST",
        "/invocations",
        b"1,2,3\n",
        content_type="text/csv",
        **{
            "X-Amzn-SageMaker-Inference-Id": "order-17",
            "X-Amzn-SageMaker-Custom-Attributes": "unit_id=rider-1,trace=x",
        },
    )
    assert answer.headers["x-request-id"] == "order-17"
    assert answer.headers["x-amzn-sagemaker-custom-attributes"] == "arm=champion,version=1"
    assert served.ask("GET", "/execution-parameters").json()["MaxPayloadInMB"] == 6
    other = served.ask("POST", "/invocations", {"instances": [[1, 2, 3]]}, **{"X-Amzn-SageMaker-Target-Model": "q"})
    assert other.status == 404


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_compressed_both_ways(served: Served, encoding: str) -> None:
    rows = {"instances": [[n, 0, 0] for n in range(500)]}
    pack = gzip.compress if encoding == "gzip" else zlib.compress
    body = pack(json.dumps(rows).encode())
    answer = served.ask(
        "POST",
        "/invocations",
        body,
        content_type="application/json",
        content_encoding=encoding,
        accept_encoding=encoding,
    )
    assert answer.headers["content-encoding"] == encoding
    unpacked = gzip.decompress(answer.body) if encoding == "gzip" else zlib.decompress(answer.body)
    assert json.loads(unpacked)["predictions"] == list(map(float, range(500)))


def test_text_and_times_and_missing_values_in_every_dialect() -> None:
    row = {"zone": "Zürich", "riders": 2, "speed": None, "rain": False, "at": "2026-01-01T00:00:00"}
    kinds = {"zone": "BYTES", "riders": "INT64", "speed": "FP64", "rain": "BOOL", "at": "BYTES"}
    with serving(FakeShelf({1: Sums(a_version(1, MIXED))})) as one:
        inputs = [{"name": n, "shape": [1], "datatype": kinds[n], "data": [v]} for n, v in row.items()]
        assert infer(one, inputs) == [2.0]
        name = "Zürich".encode()
        inputs[0] = {
            "name": "zone", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 4 + len(name)},
        }  # fmt: skip
        body, headers = binary({"inputs": inputs}, len(name).to_bytes(4, "little") + name)
        assert one.ask("POST", INFER, body, **headers).json()["outputs"][0]["data"] == [2.0]
        assert one.ask("POST", "/invocations", {"dataframe_records": [row]}).json() == {"predictions": [2.0]}
        text = f"zone,riders,speed,rain,at\nZürich,2,,false,{row['at']}\n".encode()
        assert one.ask("POST", "/invocations", text, content_type="text/csv").json() == {"predictions": [2.0]}
        assert one.ask("POST", "/v1/models/m:predict", {"instances": [row]}).json() == {"predictions": [2.0]}
        wrong = one.ask("POST", "/invocations", b"Z,two,,false,\n", content_type="text/csv")
        assert wrong.json()["message"] == "field 'riders', row 0: 'two' is not an integer of 64 bits"


def test_several_outputs_are_one_tensor_each_or_one_of_two_dimensions() -> None:
    named = Signature((Field("a", "double"),), (Field("lo", "double"), Field("hi", "double")))
    tensor = {"name": "a", "shape": [2], "datatype": "FP64", "data": [1, 2]}
    with serving(FakeShelf({1: Sums(a_version(1, named), width=2)})) as one:
        outputs = one.ask("POST", INFER, {"inputs": [tensor]}).json()["outputs"]
        assert [(o["name"], o["shape"], o["data"]) for o in outputs] == [("lo", [2], [1, 2]), ("hi", [2], [2, 3])]
        only = one.ask("POST", INFER, {"inputs": [tensor], "outputs": [{"name": "hi"}]}).json()["outputs"]
        assert [o["name"] for o in only] == ["hi"]
        assert one.ask("POST", "/invocations", {"inputs": {"a": [1, 2]}}).json() == {"predictions": [[1, 2], [2, 3]]}
    plain = Signature((Field("a", "double"),))
    with serving(FakeShelf({1: Sums(a_version(1, plain), width=2)})) as one:
        output = one.ask("POST", INFER, {"inputs": [tensor]}).json()["outputs"][0]
        assert (output["name"], output["shape"], output["data"]) == ("predict", [2, 2], [1, 2, 2, 3])


def test_answers_that_json_has_no_word_for_are_null() -> None:
    class Odd(Sums):
        def predict(self, columns: Any) -> Any:
            return super().predict(columns) * float("nan")

    with serving(FakeShelf({1: Odd(a_version(1))})) as one:
        assert one.ask("POST", "/invocations", {"instances": [[1, 2, 3]]}).json() == {"predictions": [None]}
        assert infer(one, [TENSOR]) == [None, None]


def test_the_document_and_its_page(served: Served) -> None:
    document = served.ask("GET", "/openapi.json").json()
    assert {"/v2/models/m/infer", "/invocations", "/v1/models/m:predict", "/feedback"} <= document["paths"].keys()
    for path, verbs in document["paths"].items():
        example = (
            verbs.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
        )
        if example is not None:
            assert served.ask("POST", path, example).status == 200, path
    page = served.ask("GET", "/docs")
    assert page.status == 200
    assert b"http://" not in page.body and b"https://" not in page.body  # it works without a network
    assert served.ask("GET", "/").headers["location"] == "/docs"
