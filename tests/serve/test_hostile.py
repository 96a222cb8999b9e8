"""Bytes that mean harm: always a 4xx in the protocol's own shape, and the server lives on."""

import gzip
import json
import random
import socket
import struct
import time
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.served import FakeShelf, Reply, Served, Sums, a_version, serving
from treadle.serve.limits import Limits

INFER = "/v2/models/m/infer"


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(FakeShelf({1: Sums(a_version(1))}), Limits(read=1.0, idle=1.0)) as one:
        yield one
        assert one.ask("POST", "/invocations", {"instances": [[1, 2, 3]]}).json() == {"predictions": [6.0]}


def refused(answer: Reply, path: str) -> None:
    assert 400 <= answer.status < 500, (answer.status, answer.body[:200])
    if answer.status == 415 and path == "/invocations":
        assert answer.headers["content-type"].startswith("text/plain")
    elif path == "/invocations":
        assert set(answer.json()) == {"error_code", "message"}
    else:
        assert list(answer.json()) == ["error"]


BODIES = [
    b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"inputs":' * 20_000, b"NaN", b'{"inputs": NaN}',
    b'{"inputs":[{"name":"x","shape":[1,3],"datatype":"FP64","data":[1,NaN,2]}]}',
    b'{"inputs":[{"name":"x","shape":[1,3],"datatype":"FP64","data":[1,Infinity,2]}]}',
    b'{"inputs":[{"name":"x","shape":[1,3],"datatype":"FP64","data":[1,1e999,2]}]}',
    b'{"inputs":[{"name":"x","shape":[1,3],"datatype":"FP64","data":[1,' + b"9" * 5000 + b",2]}]}",
    b'{"inputs":[{"name":"x","shape":[1,3],"datatype":"FP64","data":' + b"[" * 3000 + b"]" * 3000 + b"}]}",
    b'{"inputs":[{"name":"x","shape":[4611686018427387904,4],"datatype":"FP64","data":[1]}]}',
    b'{"inputs":[{"name":"x","shape":[1,3],"datatype":"FP64"}]}',
    b'{"inputs":[{"name":1,"shape":[1,3],"datatype":"FP64","data":[1,2,3]}]}',
    b'{"inputs":[{"name":"\\ud800","shape":[1],"datatype":"FP64","data":[1]}]}',
    b'{"instances":[[1,2,3],{"a":1}]}', b'{"instances":[{"a":1},[1,2,3]]}', b'{"instances":{"a":1}}',
    b'{"dataframe_split":{"columns":["a","a","b"],"data":[[1,2,3]]}}',
    b'{"dataframe_split":{"columns":[[],{},null],"data":[[1,2,3]]}}',
    b'{"inputs":{"a":{"b":{}}}}', b'{"inputs":{"a":[],"b":[],"c":[]}}',
    json.dumps({"dataframe_records": [{f"f{n}": n for n in range(10_000)}]}).encode(),
    json.dumps({"inputs": [{"name": f"f{n}", "shape": [1], "datatype": "FP64", "data": [1]} for n in range(9_999)]}
    ).encode(),
    json.dumps({"instances": [[0, 0, 0]] * 10_001}).encode(),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(BODIES)))
@pytest.mark.parametrize("path", [INFER, "/invocations", "/v1/models/m:predict", "/feedback"])
def test_bad_json(served: Served, path: str, number: int) -> None:
    refused(served.ask("POST", path, BODIES[number], content_type="application/json"), path)


CSV = [b"", b"\xff", b"a,b\n1,2\n", b"1,2,3\n1,2\n", b'"1,2,3', b"a,a,b,c\n1,2,3,4", b"nan,1,2", b"inf,1,2",
       b"1e999,1,2", b"1,2,\x00", b"x" * 200_000, b"a,b,c\n", b"\n\n", b"a,b,c,d\n1,2,3,4"]  # fmt: skip


@pytest.mark.parametrize("number", range(len(CSV)))
def test_bad_csv(served: Served, number: int) -> None:
    refused(served.ask("POST", "/invocations", CSV[number], content_type="text/csv"), "/invocations")


def tensor(**change: Any) -> bytes:
    return json.dumps(
        {
            "inputs": [
                {"name": "x", "shape": [1, 3], "datatype": "FP64", "parameters": {"binary_data_size": 24}, **change}
            ]
        }
    ).encode()


DATA = struct.pack("<3d", 1, 2, 3)
BINARY = [
    (tensor(), DATA[:-1], None),
    (tensor(), DATA + b"x", None),
    (tensor(), b"", None),
    (tensor(parameters={"binary_data_size": 2**63}), DATA, None),
    (tensor(parameters={"binary_data_size": -1}), DATA, None),
    (tensor(parameters={"binary_data_size": "24"}), DATA, None),
    (tensor(data=[1, 2, 3]), DATA, None),
    (tensor(shape=[2**40, 3]), DATA, None),
    (tensor(datatype="BYTES"), b"\xff\xff\xff\xff" + DATA[4:], None),
    (tensor(datatype="BYTES"), b"\x00" * 24, None),
    (tensor(datatype="BYTES", shape=[1, 3]), b"\x04\x00\x00\x00\xff\xff\xff\xff" * 3, None),
    (tensor(), struct.pack("<3d", 1, float("nan"), 3), None),
    (tensor(), struct.pack("<3d", 1, float("inf"), 3), None),
    (tensor(), DATA, "-1"), (tensor(), DATA, "99999999999999999999"), (tensor(), DATA, "x"), (tensor(), DATA, "1"),
    (tensor(), DATA, "1000000"), (b"", b"\x00" * 23, "0"), (b"", b"", "0"),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(BINARY)))
def test_bad_binary(served: Served, number: int) -> None:
    head, tail, length = BINARY[number]
    answer = served.ask("POST", INFER, head + tail, inference_header_content_length=length or str(len(head)))
    refused(answer, INFER)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=80), st.integers(0, 200), st.randoms(use_true_random=False))
def test_damaged_binary(served: Served, noise: bytes, cut: int, chance: random.Random) -> None:
    good = bytearray(tensor() + DATA)
    for _ in range(3):
        good[chance.randrange(len(good))] = chance.randrange(256)
    body = bytes(good[:cut]) + noise if cut < len(good) else bytes(good)
    answer = served.ask("POST", INFER, body, inference_header_content_length=str(len(tensor())))
    assert answer.status == 200 or 400 <= answer.status < 500, answer.body
    assert answer.status == 200 or list(answer.json()) == ["error"]


leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
KEYS = st.sampled_from(["inputs", "name", "shape", "datatype", "data", "a", "b", "instances", "columns"])
trees = st.recursive(leaves, lambda sub: st.lists(sub, max_size=4) | st.dictionaries(
    KEYS, sub, max_size=5), max_leaves=20)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trees, st.sampled_from([INFER, "/invocations", "/v1/models/m:predict", "/feedback"]), st.sampled_from(
    ["inputs", "instances", "dataframe_split", "dataframe_records", "outcomes"]))  # fmt: skip
def test_any_json(served: Served, tree: Any, path: str, key: str) -> None:
    for body in (tree, {key: tree}):
        answer = served.ask("POST", path, body)
        if answer.status != 200:
            refused(answer, path)


def test_bombs_do_not_grow(served: Served) -> None:
    for encoding, pack in (("gzip", gzip.compress), ("deflate", zlib.compress)):
        bomb = pack(b"[" + b"0," * 100_000_000, 9) if encoding == "gzip" else pack(b"0" * 200_000_000, 9)
        assert len(bomb) < 1_000_000
        answer = served.ask("POST", INFER, bomb, content_encoding=encoding)
        assert answer.status == 413
        refused(answer, INFER)
        truncated = served.ask("POST", INFER, pack(b"{}" * 1000)[:-4], content_encoding=encoding)
        refused(truncated, INFER)
        refused(served.ask("POST", INFER, b"{}", content_encoding=encoding), INFER)
    refused(served.ask("POST", INFER, b"{}", content_encoding="br"), INFER)


def test_a_body_of_100_mb_is_refused_and_not_kept(served: Served) -> None:
    head = b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", served.port), timeout=30) as client:
        client.sendall(head + b"content-length: 104857600\r\n\r\n")
        block = b"x" * (1 << 20)
        try:
            for _ in range(100):
                client.sendall(block)
        except (BrokenPipeError, ConnectionResetError):
            pytest.fail("the connection was reset before the answer could be read")
        answer = client.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"error_code":"INVALID_PARAMETER_VALUE"' in answer
    chunked = (
        head + b"transfer-encoding: chunked\r\n\r\n" + (b"100000\r\n" + b"x" * (1 << 20) + b"\r\n") * 8 + b"0\r\n\r\n"
    )
    assert served.raw(chunked).startswith(b"HTTP/1.1 413 ")


SMUGGLED = [
    b"POST /ping HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /ping HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdef",
    b"POST /ping HTTP/1.1\r\nhost: x\r\ncontent-length: +5\r\n\r\nabcde",
    b"POST /ping HTTP/1.1\r\nhost: x\r\ncontent-length: 0x5\r\n\r\nabcde",
    b"POST /ping HTTP/1.1\r\nhost: x\r\ntransfer-encoding: xchunked\r\n\r\nabcde",
    b"POST /ping HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n",
    b"GET /ping HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n",
    b"GET /ping HTTP/1.1\r\nhost : x\r\n\r\n",
    b"GET /ping HTTP/1.1\r\n host: x\r\n\r\n",
    b"GET /ping HTTP/1.1\nhost: x\n\n\x00",
    b"GET /ping HTTP/9.9\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET /ping HTTP/1.1\r\nhost: x\r\nx: " + b"y" * 40_000 + b"\r\n\r\n",
    b"GET /ping HTTP/1.1\r\nhost: x\r\n" + b"a: b\r\n" * 200 + b"\r\n",
    b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET /ping HTTP/1.1\r\nhost: x\r\nx: a\x00b\r\n\r\n",
]


@pytest.mark.parametrize("number", range(len(SMUGGLED)))
def test_smuggled_and_malformed_heads(served: Served, number: int) -> None:
    answer = served.raw(SMUGGLED[number] + b"GET /version HTTP/1.1\r\nhost: x\r\n\r\n", timeout=3)
    assert answer.startswith(b"HTTP/1.1 4") and b"200 OK" not in answer, answer  # what follows is not answered
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split()[1][:1] == b"4"
    assert b"connection: close" in head
    assert list(json.loads(body)) == ["error"]


def test_slow_clients_are_let_go(served: Served) -> None:
    began = time.monotonic()
    for start in (b"GET /ping HT", b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{"):
        with socket.create_connection(("127.0.0.1", served.port), timeout=20) as client:
            client.sendall(start)
            found = b""
            try:
                while part := client.recv(1000):
                    found += part
            except ConnectionResetError:
                pass
        assert found.startswith(b"HTTP/1.1 408 ")
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as client:
        assert client.recv(10) == b""  # says nothing at all
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    "path",
    ["/v2/models/..%2f..%2fetc%2fpasswd/infer", "/v2/models/../../etc/infer", "/v2/models/%00/infer",
     "/v2/models//infer", "/v2/models/m%2Finfer", "/v2/models/m/versions/..%2f1/infer",
     "/v2/models/m/versions/-1/infer", "/v1/models/..:predict",
     "/v2/models/m/versions/99999999999999999999/infer", "/v2/models/%ff%fe/infer", "/feedback/..", "//invocations"],
)  # fmt: skip
def test_paths_lead_nowhere(served: Served, path: str) -> None:
    answer = served.ask("POST", path, {"inputs": []})
    assert 400 <= answer.status < 500
    assert list(answer.json()) == ["error"]


ENDPOINT = "/endpoints/m/invocations"


@pytest.mark.parametrize("number", range(len(BODIES)))
def test_bad_json_at_an_endpoint(served: Served, number: int) -> None:
    answer = served.ask("POST", ENDPOINT, BODIES[number], content_type="application/json")
    assert (400 <= answer.status < 500, list(answer.json())) == (True, ["error_code", "message"]), answer.body[:200]


@pytest.mark.parametrize("number", range(len(CSV)))
def test_bad_csv_at_an_endpoint(served: Served, number: int) -> None:
    answer = served.ask("POST", ENDPOINT, CSV[number], content_type="text/csv")
    assert (400 <= answer.status < 500, list(answer.json())) == (True, ["error_code", "message"]), answer.body[:200]


@pytest.mark.parametrize(
    "name",
    ["..%2f..%2fetc%2fpasswd", "..", "../..", "%2e%2e", ".", "", "/", "%00", "m%00", "m%2F", "m/..", "m;x=1", "m ", "M",
     "%ff%fe", "m%0d%0ax-evil:%201", "m\t", "nobody", "x" * 10_000, "%F0%9F%98%80", "m?x", "m#x", "{m}", "${m}",
     "m/versions/1"],
)  # fmt: skip
def test_names_of_endpoints_lead_nowhere(served: Served, name: str) -> None:
    """A path that is no endpoint's is answered as any other, a name that nobody has in MLflow's shape."""
    data = f"POST /endpoints/{name}/invocations HTTP/1.1\r\nhost: x\r\nconnection: close\r\n".encode()
    data += b"content-type: application/json\r\ncontent-length: 25\r\n\r\n" + b'{"instances": [[1, 2,3]]}'
    head, _, body = served.raw(data, timeout=5).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 4"), head
    assert b"x-evil:" not in head.lower()
    assert list(json.loads(body)) in (["error"], ["error_code", "message"]), body[:200]


def test_a_wrong_endpoint_method_and_type(served: Served) -> None:
    found = served.ask("POST", "/endpoints/nobody/invocations", {"instances": [[1, 2, 3]]})
    assert (found.status, "no model is called 'nobody'; served: m" in found.json()["message"]) == (404, True)
    for method in ("GET", "PUT", "DELETE"):
        assert served.ask(method, ENDPOINT).status == 405
    odd = served.ask("POST", ENDPOINT, b"x", content_type="application/x-python-pickle")
    assert (odd.status, odd.headers["content-type"].partition(";")[0]) == (415, "text/plain")
    bomb = gzip.compress(b"0" * 200_000_000)
    assert served.ask("POST", ENDPOINT, bomb, content_encoding="gzip", content_type="text/csv").status == 413
    assert served.ask("POST", ENDPOINT, {"instances": [[1, 2, 3]]}).json() == {"predictions": [6.0]}


def test_headers_do_not_split_the_answer(served: Served) -> None:
    for value in (b"a\r\nx-evil: 1", b"a\nx-evil: 1", "é".encode(), b"x" * 300):
        data = (
            b"GET /v2/models/m/infer HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-request-id: " + value + b"\r\n\r\n"
        )
        assert b"x-evil" not in served.raw(data, timeout=3).lower()


def test_methods_and_upgrades(served: Served) -> None:
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        assert served.ask(method, "/invocations").status == 405
    upgrade = b"GET /ping HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
    assert served.raw(upgrade, timeout=3).startswith(b"HTTP/1.1 ")
    assert served.raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", timeout=3).startswith(b"HTTP/1.1 400 ")
