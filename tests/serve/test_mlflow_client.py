"""MLflow's own scoring client; its wire bytes and the table of refusals are in test_dialects.py."""

import json
import os
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from support.served import FakeShelf, Sums, a_version, serving

if TYPE_CHECKING:
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

FRAME = pd.DataFrame({"a": [1.0, 4.0], "b": [2.0, 5.0], "c": [3.0, 6.0]})


@pytest.fixture(scope="module")
def client() -> Iterator["ScoringServerClient"]:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own type hints
        from mlflow.pyfunc.scoring_server.client import ScoringServerClient
    with serving(FakeShelf({1: Sums(a_version(1))})) as served:
        found = ScoringServerClient("127.0.0.1", served.port)
        found.wait_server_ready(timeout=5)
        yield found


@pytest.mark.parametrize(
    "data",
    [
        FRAME,
        FRAME.to_numpy(),
        FRAME.to_numpy().tolist(),
        json.dumps({"dataframe_split": FRAME.to_dict(orient="split")}),
        json.dumps({"dataframe_records": FRAME.to_dict(orient="records")}),
        json.dumps({"instances": FRAME.to_dict(orient="records")}),
        json.dumps({"inputs": FRAME.to_dict(orient="list")}),
    ],
)
def test_its_client_gets_predictions(client: "ScoringServerClient", data: object) -> None:
    assert list(client.invoke(data).get_predictions()[0]) == [6.0, 15.0]


def test_its_client_sees_the_version_and_what_is_wrong(client: "ScoringServerClient") -> None:
    assert client.get_version().count(".") == 2
    assert list(client.invoke(FRAME, params={"unit_id": "u"}).get_predictions()[0]) == [6.0, 15.0]
    for data, text in (
        (FRAME.drop(columns="c"), "error code 400.*field 'c' is missing"),
        ("a,b,c\n1,2,3", "error code 400.*not JSON"),  # it always says that it sends JSON
        (json.dumps({"rows": []}), "error code 400.*exactly one of dataframe_split"),
    ):
        with pytest.raises(Exception, match=text):
            client.invoke(data)
