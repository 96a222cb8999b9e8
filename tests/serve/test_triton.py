"""Triton's own Python client against the server: what it sends by default is binary both ways."""

from collections.abc import Iterator

import numpy as np
import pytest

from support.served import MIXED, FakeShelf, Served, Sums, a_version, serving

http = pytest.importorskip("tritonclient.http", reason="tritonclient[http] is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
BATCH = np.arange(12, dtype=np.float64).reshape(4, 3)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(FakeShelf({1: Sums(a_version(1))})) as one:
        yield one


@pytest.fixture
def client(served: Served) -> Iterator["http.InferenceServerClient"]:
    found = http.InferenceServerClient(f"127.0.0.1:{served.port}")
    yield found
    found.close()


def an_input(values: np.ndarray, name: str = "x", datatype: str = "FP64", binary: bool = True) -> "http.InferInput":
    found = http.InferInput(name, list(values.shape), datatype)
    found.set_data_from_numpy(values, binary_data=binary)
    return found


def test_health_and_metadata(client: "http.InferenceServerClient") -> None:
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("m")
    assert not client.is_model_ready("nope")
    assert client.get_server_metadata()["name"] == "treadle"
    assert [one["name"] for one in client.get_model_metadata("m", "1")["inputs"]] == ["a", "b", "c"]
    assert client.get_model_repository_index()[0]["name"] == "m"


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False, None])
@pytest.mark.parametrize("compression", [None, "gzip", "deflate"])
def test_infer(
    client: "http.InferenceServerClient", binary_in: bool, binary_out: bool | None, compression: str | None
) -> None:
    outputs = None if binary_out is None else [http.InferRequestedOutput("y", binary_data=binary_out)]
    result = client.infer(
        "m",
        [an_input(BATCH, binary=binary_in)],
        outputs=outputs,
        request_id="r-1",
        request_compression_algorithm=compression,
        response_compression_algorithm=compression,
        timeout=1000,
        priority=1,
    )
    assert result.as_numpy("y").tolist() == BATCH.sum(axis=1).tolist()
    assert result.get_response()["id"] == "r-1"


def test_a_large_answer_comes_compressed(client: "http.InferenceServerClient") -> None:
    rows = np.zeros((2000, 3))
    result = client.infer("m", [an_input(rows)], response_compression_algorithm="gzip")
    assert result.as_numpy("y").tolist() == [0.0] * 2000


@pytest.mark.parametrize("datatype", ["FP16", "FP32", "FP64", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT64"])
def test_every_numeric_type(client: "http.InferenceServerClient", datatype: str) -> None:
    from tritonclient.utils import triton_to_np_dtype

    values = np.array([[1, 2, 3]], dtype=triton_to_np_dtype(datatype))
    assert client.infer("m", [an_input(values, datatype=datatype)]).as_numpy("y").tolist() == [6.0]


def test_an_error_is_our_text(client: "http.InferenceServerClient") -> None:
    with pytest.raises(http.InferenceServerException, match="no model is called 'nope'; served: m"):
        client.infer("nope", [an_input(BATCH)])
    with pytest.raises(http.InferenceServerException, match="version 7 of model 'm' is not served"):
        client.infer("m", [an_input(BATCH)], model_version="7")
    with pytest.raises(http.InferenceServerException, match="field 'b', row 0: nan is not a finite number"):
        client.infer("m", [an_input(np.array([[1, np.nan, 2]]))])


@pytest.mark.parametrize("binary", [True, False])
def test_bytes_and_booleans(binary: bool) -> None:
    with serving(FakeShelf({1: Sums(a_version(1, MIXED))})) as one:
        client = http.InferenceServerClient(f"127.0.0.1:{one.port}")
        inputs = [
            an_input(np.array(["Zürich".encode(), b""], dtype=np.object_), "zone", "BYTES", binary),
            an_input(np.array([1, 2]), "riders", "INT64", binary),
            an_input(np.array([True, False]), "rain", "BOOL", binary),
        ]
        assert client.infer("m", inputs).as_numpy("y").tolist() == [2.0, 2.0]
        client.close()
