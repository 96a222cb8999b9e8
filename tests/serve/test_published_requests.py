"""What others publish as examples, and what our pages show, sent as it stands; and AWS's own client."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from support.served import FakeShelf, Served, Sums, a_version, serving
from support.sources import ROOT
from treadle.domain.model import Field, Signature

IRIS = Signature(tuple(Field(f"f{n}", "double") for n in range(4)), (Field("y", "double"),), ("a", "b"))
DIGITS = Signature(tuple(Field(f"pixel_{n}", "double") for n in range(64)), (Field("y", "double"),))


@pytest.fixture(scope="module")
def iris() -> Iterator[Served]:
    version = a_version(1, IRIS, "sklearn-iris")
    with serving(FakeShelf({1: Sums(version)}, name="sklearn-iris")) as one:
        yield one


def test_kserve_s_examples(iris: Served) -> None:
    """docs/samples/v1beta1/sklearn/v1/README.md and v2/README.md of kserve/kserve."""
    rows = [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]
    v1 = iris.ask("POST", "/v1/models/sklearn-iris:predict", {"instances": rows})
    assert v1.json()["predictions"] == pytest.approx([15.8, 15.5])
    v2 = b"""{
      "inputs": [
        {
          "name": "input-0",
          "shape": [2, 4],
          "datatype": "FP32",
          "data": [
            [6.8, 2.8, 4.8, 1.4],
            [6.0, 3.4, 4.5, 1.6]
          ]
        }
      ]
    }"""
    for content_type in ("application/json", "application/x-www-form-urlencoded"):  # curl -d without -H
        answer = iris.ask("POST", "/v2/models/sklearn-iris/infer", v2, content_type=content_type).json()
        [output] = answer["outputs"]
        assert (answer["model_name"], output["shape"]) == ("sklearn-iris", [2])
        assert output["data"] == pytest.approx([15.8, 15.5])


def test_mlserver_s_examples(iris: Served) -> None:
    """docs/examples/sklearn/README.md and docs/runtimes/sklearn.md of SeldonIO/MLServer."""
    x_0 = np.arange(64.0).reshape(1, 64)
    inference_request = {"inputs": [{"name": "predict", "shape": x_0.shape, "datatype": "FP32", "data": x_0.tolist()}]}
    with serving(FakeShelf({1: Sums(a_version(1, DIGITS, "mnist-svm"))}, name="mnist-svm")) as served:
        answer = served.ask("POST", "/v2/models/mnist-svm/infer", inference_request)
        assert answer.json()["outputs"][0]["data"] == [2016.0]
        versioned = served.ask("POST", "/v2/models/mnist-svm/versions/1/infer", inference_request)
        assert versioned.json()["outputs"] == answer.json()["outputs"]
    asked: dict[str, Any] = {
        "inputs": [{"name": "my-input", "datatype": "INT32", "shape": [2, 4], "data": [1, 2, 3, 4, 5, 6, 7, 8]}],
        "outputs": [{"name": "predict_proba"}],
    }
    [output] = iris.ask("POST", "/v2/models/sklearn-iris/infer", asked).json()["outputs"]
    assert (output["name"], output["shape"]) == ("predict_proba", [2, 2])


def test_the_runtime_client_of_aws(iris: Served) -> None:
    client = boto3.client(
        "sagemaker-runtime",
        endpoint_url=f"http://127.0.0.1:{iris.port}",
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=Config(retries={"max_attempts": 0}),
    )
    answer = client.invoke_endpoint(
        EndpointName="sklearn-iris",
        Body="1,2,3,4\n5,6,7,8\n",
        ContentType="text/csv",
        Accept="text/csv",
        CustomAttributes="unit_id=rider-1",
        InferenceId="order-17",
    )
    assert answer["Body"].read() == b"10.0\n26.0\n"
    assert answer["ContentType"].startswith("text/csv")
    assert answer["CustomAttributes"] == "arm=champion,version=1"
    assert answer["InvokedProductionVariant"] == "champion"
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-request-id"] == "order-17"
    body = json.dumps({"instances": [[1, 2, 3, 4]]})
    answer = client.invoke_endpoint(EndpointName="sklearn-iris", Body=body, ContentType="application/json")
    assert json.loads(answer["Body"].read()) == {"predictions": [10.0]}
    for name, sent, status, text in (
        ("nope", body, 404, "no model is called 'nope'"),
        ("sklearn-iris", '{"instances": [[1, 2]]}', 400, "row 0: 2 values, expected 4"),
    ):
        with pytest.raises(ClientError, match=text) as caught:
            client.invoke_endpoint(EndpointName=name, Body=sent, ContentType="application/json")
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


def test_the_lines_of_our_own_page(tmp_path: Path) -> None:
    page = (ROOT / "docs/serving.md").read_text()
    lines = [line for block in re.findall(r"```sh\n(.*?)```", page, re.S) for line in block.splitlines()]
    asked = [line for line in lines if line.startswith("curl ")]
    assert len(asked) >= 6
    values = "; ".join(line for line in lines if re.match(r"\w+=", line))
    doubles = ("ts_hour_sin", "ts_hour_cos", "ts_weekday_sin", "ts_weekday_cos")
    kinds = [("zone", "string"), *((name, "double") for name in ("temperature", "rain", "distance"))]
    kinds += [("demand", "long"), ("drivers", "long"), *((name, "double") for name in doubles)]
    priced = Signature(tuple(Field(*kind) for kind in kinds), (Field("multiplier", "double"),))
    with serving(FakeShelf({1: Sums(a_version(1, priced))}, name="surge-pricing")) as served:
        for line in asked:
            words = line.replace("localhost:8080", f"127.0.0.1:{served.port}").replace("curl ", "curl -sS --fail ", 1)
            done = subprocess.run(
                ["bash", "-c", f"{values}\n{words}"], capture_output=True, text=True, timeout=30, cwd=tmp_path
            )
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
            assert json.loads(done.stdout)
