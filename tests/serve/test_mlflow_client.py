"""MLflow's own scoring client; its wire bytes are in test_dialects.py, which needs no MLflow."""

import pandas as pd
import pytest

from support.served import FakeShelf, Sums, a_version, serving

scoring = pytest.importorskip(
    "mlflow.pyfunc.scoring_server.client", reason="mlflow is not installed: pip install 'treadle[conformance]'"
)


def test_its_client_gets_predictions() -> None:
    with serving(FakeShelf({1: Sums(a_version(1))})) as served:
        client = scoring.ScoringServerClient("127.0.0.1", served.port)
        client.wait_server_ready(timeout=5)
        frame = pd.DataFrame({"a": [1.0, 4.0], "b": [2.0, 5.0], "c": [3.0, 6.0]})
        assert list(client.invoke(frame).get_predictions()[0]) == [6.0, 15.0]
        assert client.invoke([[1, 2, 3]]).get_predictions()[0].tolist() == [6.0]
        with pytest.raises(Exception, match="field 'c' is missing"):
            client.invoke(frame.drop(columns="c"))
