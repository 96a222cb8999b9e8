"""Boosters and graphs from a run to answers: registered in formats of their own, served, batch, exported."""

import json
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from support.project import Project
from treadle.mirror.models import file_of, folder_of
from treadle.store import open_store

PIPELINE = """
    version: 1
    steps:
      make: {uses: "work:make", out: [classes, zones, graph, data]}
      one: {uses: deploy.model, in: {model: make.classes, reference: make.data}, with: {name: classes}}
      two: {uses: deploy.model, in: {model: make.zones, reference: make.data}, with: {name: zones}}
      three: {uses: deploy.model, in: {model: make.graph, reference: make.data}, with: {name: graph}}
"""
WORK = """
    import json

    import lightgbm
    import numpy as np
    import onnx
    import pandas as pd
    import xgboost


    def make():
        rng = np.random.default_rng(1)
        data = pd.DataFrame({"a": rng.normal(size=200), "b": rng.normal(size=200)})
        y = 2 * data.a + data.b
        zoned = data.assign(zone=pd.Categorical(np.tile(["x", "y"], 100)))
        h, kind = onnx.helper, onnx.TensorProto.FLOAT
        nodes = [h.make_node("MatMul", ["x", "w"], ["y"])]
        given = [h.make_tensor_value_info("x", kind, [None, 2])], [h.make_tensor_value_info("y", kind, [None, 1])]
        graph = h.make_graph(nodes, "g", *given, [h.make_tensor("w", kind, [2, 1], [2.0, 1.0])])
        graph = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
        h.set_model_props(graph, {"features": json.dumps(["a", "b"])})
        classes = lightgbm.LGBMClassifier(n_estimators=5, verbosity=-1).fit(data, np.where(y > 0, "up", "down"))
        zones = xgboost.XGBRegressor(n_estimators=5, enable_categorical=True)
        return classes, zones.fit(zoned, y + (zoned.zone == "x")), graph, zoned
"""
ROWS = pd.DataFrame({"a": [1.0, 0.5, -2.0], "b": [2.0, -1.0, 0.1], "zone": ["x", "y", "x"]})
LOOK = """
import json, sys
import mlflow
import pandas as pd
rows = pd.read_json(sys.stdin)
print(json.dumps([mlflow.pyfunc.load_model(place).predict(rows).tolist() for place in sys.argv[1:]]))
assert not {"treadle", "treadle_steps"} & set(sys.modules)
"""


def ask(url: str, model: str, columns: list[str], **params: Any) -> Any:
    body = json.dumps({"dataframe_split": json.loads(ROWS[columns].to_json(orient="split")), "params": params})
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"{url}/endpoints/{model}/invocations", body.encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["predictions"]


@pytest.mark.slow
def test_from_training_to_answers_in_the_formats_of_their_libraries(project: Project, tmp_path: Path) -> None:
    for needed in ("xgboost", "lightgbm", "onnxruntime"):
        pytest.importorskip(needed)
    ran = project.write("p.yaml", PIPELINE).write("work.py", WORK).treadle("run", "p.yaml")
    assert ran.code == 0, ran.stdout + ran.stderr
    shown = project.treadle("models", "show", "classes").stdout
    assert re.search(r"^  model +lightgbm, \d", shown, re.MULTILINE), shown
    models = open_store(project.root).models
    assert {name: models.versions(name)[0].format for name in models.names()} == {
        "classes": "lightgbm",
        "graph": "onnx",
        "zones": "xgboost",
    }
    ROWS.to_csv(project.root / "rows.csv", index=False)
    done = project.treadle("predict", "zones", "--in", "rows.csv", "--out", "told.csv")
    assert done.code == 0, done.stderr
    with project.start("serve", "p.yaml", "--port", "0") as server:
        assert server.stdout is not None
        found = re.search(r"http://127.0.0.1:\d+", server.stdout.readline())
        assert found
        classes = ask(found[0], "classes", ["a", "b"])
        chances = ask(found[0], "classes", ["a", "b"], predict_proba=True)
        zones, graph = ask(found[0], "zones", ["a", "b", "zone"]), ask(found[0], "graph", ["a", "b"])
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=30)
    assert classes == ["up", "up", "down"]
    assert [round(sum(row), 9) for row in chances] == [1, 1, 1]
    np.testing.assert_allclose(graph, [4, 0, -3.9], rtol=1e-6)
    assert zones == pd.read_csv(project.root / "told.csv")["prediction"].tolist()
    offline = {"PIP_NO_INDEX": "1", "UV_OFFLINE": "1", "UV_NO_CACHE": "1"}
    done = project.treadle("export", "docker", "classes", "-o", "image", env=offline)
    assert done.code == 0, done.stderr
    assert "lightgbm==" in project.read("image/requirements.txt")
    assert "install -y --no-install-recommends libgomp1" in project.read("image/Dockerfile")  # slim images lack it
    assert opened_by_mlflow(project, tmp_path) == [classes, graph, zones]


def opened_by_mlflow(project: Project, folder: Path) -> Any:
    """What MLflow's own loader answers, in a process that has nothing of treadle."""
    pytest.importorskip("mlflow")
    store = open_store(project.root)
    places = []
    for name in store.models.names():
        version = store.models.versions(name)[0]
        place = folder / "exported" / name
        files = {**folder_of(version), f"data/{file_of(version)}": store.objects.read(version.artifact)}
        for file, data in files.items():
            (place / file).parent.mkdir(parents=True, exist_ok=True)
            (place / file).write_bytes(data)
        places.append(str(place))
    words = [sys.executable, "-W", "ignore", "-c", LOOK, *places]
    done = subprocess.run(words, input=ROWS.to_json(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
