"""`treadle serve` from outside: what it says to each bad input, and that what it answers is in the log."""

import json
import re
import signal
import urllib.request

import pytest

from support.project import Project

PIPELINE = """
    version: 1
    steps:
      make: {uses: "work:make", out: [model, data]}
      deploy:
        uses: deploy.model
        in: {model: make.model, reference: make.data}
        with: {name: price}
"""
WORK = """
    import pandas as pd
    from sklearn.linear_model import LinearRegression


    def make():
        data = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0], "b": [1.0, 0.0, 1.0, 0.0]})
        return LinearRegression().fit(data, 2 * data["a"] + data["b"]), data
"""


def test_bad_input_is_named(project: Project) -> None:
    project.write("empty.yaml", "version: 1\nsteps:\n  one: {run: 'true'}\n").write("token", "short")
    for target, first, hint in (
        ("price", "error[unknown-model]: no model is called 'price'", "run a pipeline with a deploy.model step first"),
        ("empty.yaml", "error[nothing-to-serve]: empty.yaml has no step that deploys a model", "uses: deploy.model"),
    ):
        result = project.treadle("serve", target)
        assert (result.code, result.stdout) == (2, "")
        assert result.stderr.splitlines()[0] == first
        assert hint in result.stderr


@pytest.mark.slow
def test_from_training_to_an_answer(project: Project) -> None:
    project.write("p.yaml", PIPELINE).write("work.py", WORK)
    assert "not registered yet" in project.treadle("serve", "p.yaml").stderr
    ran = project.treadle("run", "p.yaml")
    assert ran.code == 0, ran.stdout + ran.stderr
    project.write("token", "short")
    assert "must be 16 or more characters" in project.treadle("serve", "price", "--token-file", "token").stderr
    assert "no version of 'price' is called 'nope'" in project.treadle("serve", "price@nope").stderr
    with project.start("serve", "p.yaml", "--port", "0") as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        found = re.fullmatch(r"serving price on (http://127.0.0.1:\d+) \(open to this machine alone\)\n", line)
        assert found, line
        taken = project.treadle("serve", "price", "--port", found[1].rsplit(":", 1)[1])
        assert (taken.code, "is taken" in taken.stderr) == (2, True)
        body = json.dumps({"dataframe_records": [{"a": 5, "b": 1}]}).encode()
        request = urllib.request.Request(f"{found[1]}/invocations", body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert json.load(answer)["predictions"] == pytest.approx([11.0])
            assert answer.headers["x-model-version"] == "1"
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=30)
    assert server.returncode == 0
    assert list((project.root / ".treadle/predictions/price").glob("predictions-*.log"))
