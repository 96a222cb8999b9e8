"""Runs, metrics, artifacts and models on an MLflow server as well: a real one, and one that is away.

The server is `mlflow server` of the interpreter that TREADLE_MLFLOW_PYTHON names (`pip install 'treadle[conformance]'`
in an environment of its own, as `.ci/run` makes one), on SQLite.
"""

import json
import os
import socket
import subprocess
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from support.project import Project, a_project
from support.world import NAME, World
from treadle.api.models import promote
from treadle.api.project import open_project
from treadle.api.tracking import AliasMirror
from treadle.mirror import anything
from treadle.mirror.models import TAG
from treadle.mirror.sender import send_all
from treadle.mlflow import Server, Unreachable
from treadle.store import Move

PYTHON = os.environ.get("TREADLE_MLFLOW_PYTHON", "")
needs_server = pytest.mark.skipif(not PYTHON, reason="TREADLE_MLFLOW_PYTHON names no interpreter that has mlflow")
PIPELINE = """
    version: 1
    name: demo
    params: {c: 1.0, note: plain}
    steps:
      rows: {uses: "work:rows"}
      fit: {uses: "work:fit", in: {rows: rows}, with: {c: "${params.c}"}}
      deploy: {uses: deploy.model, in: {model: fit, reference: rows}, with: {name: churn}}
"""
WORK = """
    import pandas as pd
    from sklearn.linear_model import LogisticRegression


    def rows():
        return pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0] * 10, "y": [0, 0, 1, 1] * 10})


    def fit(rows, *, c: float, ctx):
        for epoch in range(20):
            ctx.metric("loss", 1 / (epoch + 1), step=epoch)
        return LogisticRegression(C=c).fit(rows[["x"]], rows["y"])
"""
LOOK = """
    import json, sys
    import mlflow
    import pandas as pd

    mlflow.set_tracking_uri(sys.argv[1])
    client = mlflow.MlflowClient()


    def look():
        experiment = client.get_experiment_by_name("demo")
        found = []
        for run in client.search_runs([experiment.experiment_id], order_by=["start_time"]):
            history = client.get_metric_history(run.info.run_id, "fit.loss")
            found.append({
                "name": run.info.run_name, "status": run.info.status, "params": run.data.params,
                "loss": [[m.step, m.value] for m in history],
                "files": sorted(f.path for f in client.list_artifacts(run.info.run_id, "rows/out")),
            })
        model = mlflow.pyfunc.load_model("models:/churn@champion")
        answers = model.predict(pd.DataFrame({"x": [-5.0, 5.0]}))
        versions = sorted(int(v.version) for v in client.search_model_versions("name='churn'"))
        return {
            "runs": found, "versions": versions, "answers": [int(a) for a in answers],
            "inputs": model.metadata.signature.inputs.to_dict(),
        }


    for line in sys.stdin:
        print(json.dumps(look()), flush=True)
"""


def free_port() -> int:
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class MLflow:
    """`mlflow server` on SQLite, which can go away and come back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        words = [PYTHON, "-m", "mlflow", "server", "--workers", "1", "--host", "127.0.0.1", "--port", str(self.port)]
        words += ["--backend-store-uri", f"sqlite:///{self.folder}/db", "--artifacts-destination", f"{self.folder}/art"]
        with open(self.folder / "log", "ab") as log:
            env = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
            self._process = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True, env=env)
        limit = time.monotonic() + 420  # it imports for a long time where others work too
        while True:
            try:
                Server(self.uri).post("mlflow/experiments/search", max_results=1)
                return
            except Unreachable:
                assert time.monotonic() < limit, (self.folder / "log").read_text()
                time.sleep(0.3)

    def stop(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, 15)
            self._process.wait(30)
            self._process = None

    def champion(self) -> int:
        found = Server(self.uri).get("mlflow/registered-models/alias", name="churn", alias="champion")
        return int(found["model_version"]["version"])

    def until_champion(self, version: int) -> None:
        limit = time.monotonic() + 60
        while self.champion() != version:
            assert time.monotonic() < limit, self.champion()
            time.sleep(0.1)

    @contextmanager
    def client(self) -> "Iterator[Callable[[], dict[str, Any]]]":
        """What MLflow's own client sees, whenever it is asked."""
        words = [PYTHON, "-c", textwrap.dedent(LOOK), self.uri]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None and process.stdout is not None
            asked, told = process.stdin, process.stdout

            def look() -> dict[str, Any]:
                print(file=asked, flush=True)
                found: dict[str, Any] = json.loads(told.readline())
                return found

            yield look
            asked.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MLflow]:
    folder = tmp_path / "mlflow"
    folder.mkdir()
    one = MLflow(folder)
    yield one
    one.stop()


def a_tracked_project(tmp_path: Path, uri: str) -> Project:
    project = a_project(tmp_path).write("p.yaml", PIPELINE).write("work.py", WORK)
    return project.write("treadle.toml", f'track = {{mlflow = "{uri}"}}\n')


def waiting(project: Project) -> list[str]:
    return sorted(path.stem for path in (project.root / ".treadle" / "mlflow").glob("*.waiting"))


def until_sent(project: Project) -> None:
    limit = time.monotonic() + 240
    while waiting(project):
        assert time.monotonic() < limit, (project.root / ".treadle" / "mlflow" / "log").read_text()
        time.sleep(0.2)


def end_sender(root: Path) -> None:
    """End the process that waits for a server which will not come."""
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"treadle.mirror" in words and str(root).encode() in words:
            os.kill(int(place.name), 9)


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="the test finds the sender through /proc")
def test_a_server_that_is_away_fails_no_run_and_the_next_one_says_so(tmp_path: Path) -> None:
    project = a_tracked_project(tmp_path, f"http://user:hunter22@127.0.0.1:{free_port()}")
    project.write("p.yaml", 'version: 1\nname: demo\nsteps: {one: {uses: "work:one"}}\n')
    project.write("work.py", "def one():\n    return 1\n")
    first = project.treadle("run", "p.yaml")
    assert (first.code, "still to be sent" in first.stderr) == (0, False)
    assert len(waiting(project)) == 1
    end_sender(project.root)
    time.sleep(0.2)
    second = project.treadle("run", "p.yaml")
    assert second.code == 0
    assert "note  1 earlier run still to be sent to http://127.0.0.1" in second.stderr
    assert len(waiting(project)) == 2
    end_sender(project.root)
    assert "hunter22" not in (project.root / ".treadle" / "mlflow" / "log").read_text() + second.stderr


def test_a_project_without_the_setting_has_no_outbox(tmp_path: Path) -> None:
    project = a_project(tmp_path).write("p.yaml", 'version: 1\nname: demo\nsteps: {one: {run: "true"}}\n')
    project.treadle("run", "p.yaml", "-q")
    assert not (project.root / ".treadle" / "mlflow").exists()


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ('track = {mlflow = "localhost:5000"}', "'track.mlflow' takes an address, not 'localhost:5000'"),
        ("track = {mlflo = 1}", "no setting is called 'track.mlflo'"),
        ('track = {artifacts = "much"}', "'track.artifacts' takes a size, not 'much'"),
    ],
)
def test_wrong_settings(setting: str, says: str, tmp_path: Path) -> None:
    project = a_project(tmp_path).write("treadle.toml", setting + "\n")
    found = project.treadle("runs")
    assert found.code == 2
    assert says in found.stderr
    assert "treadle.toml:1:1" in found.stderr


def test_data_on_a_server_that_nobody_named(tmp_path: Path) -> None:
    project = a_project(tmp_path).write(
        "p.yaml",
        """
        version: 1
        name: demo
        data: {champion: {url: "models:/churn@champion"}}
        steps: {one: {uses: "work:one", in: {model: data.champion}}}
        """,
    )
    project.write("work.py", "def one(model):\n    return 1\n")
    found = project.treadle("run", "p.yaml", "-q")
    assert found.code == 1
    assert "data 'champion': models:/churn@champion: no MLflow server is known" in found.stdout
    assert "MLFLOW_TRACKING_URI" in found.stdout


def test_aliases_that_the_loop_moves_are_sent(tmp_path: Path) -> None:
    """A server that answers like MLflow, as far as aliases go; what moves them is the store, as in a rollout."""
    world = World(tmp_path)
    with AliasServer() as there:
        (world.root / "treadle.toml").write_text(f'[track]\nmlflow = "{there.url}"\n')
        world.register()
        mirrored = AliasMirror(open_project(world.root))
        mirrored.look()
        assert there.moved == []
        world.clock.advance(1)
        world.register()
        move = Move(
            name=NAME, alias="champion", version=2, at=world.clock(), actor="rollout r1", reason="the ramp held"
        )
        world.store.models.move(move)
        end = time.monotonic() + 60
        while ("champion", "22") not in there.moved:
            mirrored.look()
            assert time.monotonic() < end, there.moved
            time.sleep(0.05)
    world.close()


class AliasServer:
    """The calls of MLflow that a registry without new runs gets; version N here is NN there."""

    def __init__(self, answers: bool = True) -> None:
        self.answers, self.asked = answers, False
        self.moved: list[tuple[str, str]] = []
        self.meanwhile: Callable[[], object] | None = None  # happens once, before the champion is said to be moved
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                tags = [{"version": f"{n}{n}", "tags": [{"key": TAG, "value": str(n)}]} for n in (1, 2)]
                self.answer({"model_versions": tags})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if owner.answers:
                    owner.moved.append((body["alias"], body["version"]))
                if body["alias"] == "champion" and owner.meanwhile is not None:
                    happens, owner.meanwhile = owner.meanwhile, None
                    happens()
                self.answer({})

            def answer(self, body: object) -> None:
                owner.asked = True
                data = json.dumps(body).encode()
                self.send_response(200 if owner.answers else 503)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "AliasServer":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_aliases_for_a_server_that_was_away_are_sent_when_it_is_back(tmp_path: Path) -> None:
    world = World(tmp_path)
    with AliasServer(answers=False) as there:
        (world.root / "treadle.toml").write_text(f'[track]\nmlflow = "{there.url}"\n')
        project = open_project(world.root)
        mirrored = AliasMirror(project, pause=0.0)
        world.register()
        mirrored.look()
        end = time.monotonic() + 60
        while not there.asked:
            assert time.monotonic() < end
            time.sleep(0.05)
        end_sender(world.root)  # as it ends by itself after a minute without an answer
        there.answers = True
        while ("champion", "11") not in there.moved:
            mirrored.look()
            assert time.monotonic() < end, there.moved
            time.sleep(0.05)
        while anything(project.store.folder):
            assert time.monotonic() < end
            time.sleep(0.05)
    world.close()


def test_an_alias_that_moves_while_a_sender_is_about_to_end_is_sent_by_it(tmp_path: Path) -> None:
    """It has read the aliases already, and while it works nobody else can be started."""
    world = World(tmp_path)
    with AliasServer() as there:
        (world.root / "treadle.toml").write_text(f'[track]\nmlflow = "{there.url}"\n')
        project = open_project(world.root)
        for _ in range(2):
            world.register()
            world.clock.advance(1)
        to_two = Move(name=NAME, alias="champion", version=2, at=world.clock(), actor="ann", reason="better")
        there.meanwhile = lambda: promote(to_two, path=world.root)
        send_all(project.store, project.settings.track)
        assert [version for alias, version in there.moved if alias == "champion"] == ["11", "22"]
    world.close()


@needs_server
@pytest.mark.slow
def test_all_of_it_arrives_once_though_the_server_was_away(tmp_path: Path, server: MLflow) -> None:
    project = a_tracked_project(tmp_path, server.uri)
    assert project.treadle("run", "p.yaml", "-q").code == 0  # nobody answers
    end_sender(project.root)
    assert len(waiting(project)) == 1
    server.start()
    assert project.treadle("run", "p.yaml", "-q", "-p", "c=0.5").code == 0  # sends both
    until_sent(project)
    with server.client() as look:
        aliases_follow(project, server)
        found = look()
        ids = [run["run_id"] for run in reversed(project.treadle("runs", "list", "--json").json())]
        curve = [[epoch, 1 / (epoch + 1)] for epoch in range(20)]
        runs = found["runs"]
        assert [run["name"] for run in runs] == ids
        assert [run["status"] for run in runs] == ["FINISHED", "FINISHED"]
        assert [run["params"] for run in runs] == [{"c": "1.0", "note": "plain"}, {"c": "0.5", "note": "plain"}]
        assert [run["loss"] for run in runs] == [curve, curve]
        assert [run["files"] for run in runs] == [["rows/out/out.parquet"], []]  # the second found its rows unchanged
        assert (found["versions"], found["answers"]) == ([1, 2], [0, 1])
        assert found["inputs"] == [{"type": "double", "name": "x", "required": True}]
        # sent again from the beginning, nothing is there twice
        for run_id in ids:
            (project.root / ".treadle" / "mlflow" / f"{run_id}.waiting").write_text("{}")
        assert project.treadle("models", "promote", "churn", "1").code == 0
        until_sent(project)
        again = look()
        assert again["runs"] == found["runs"]
        assert again["versions"] == [1, 2]
    use_as_data(project)


def aliases_follow(project: Project, server: MLflow) -> None:
    """They arrive by themselves, whoever moves them: no run is needed."""
    runs = len(project.treadle("runs", "list", "--json").json())
    assert server.champion() == 1
    assert project.treadle("models", "promote", "churn", "2").code == 0
    server.until_champion(2)
    assert project.treadle("models", "rollback", "churn").code == 0
    server.until_champion(1)
    opened = open_project(project.root)
    mirrored = AliasMirror(opened)  # as `treadle up` looks while a rollout moves them
    ramp = Move(name="churn", alias="champion", version=2, at=time.time(), actor="rollout r1", reason="the ramp held")
    opened.store.models.move(ramp)
    mirrored.look()
    server.until_champion(2)
    assert len(project.treadle("runs", "list", "--json").json()) == runs


def use_as_data(project: Project) -> None:
    """A model there is the input of a pipeline here."""
    project.write(
        "use.yaml",
        """
        version: 1
        name: use
        data: {champion: {url: "models:/churn@champion"}}
        steps: {look: {uses: "look:look", in: {model: data.champion}}}
        """,
    )
    project.write(
        "look.py",
        """
        def look(model):
            return {"files": sum(path.is_file() for path in model.rglob("*"))}
        """,
    )
    assert project.treadle("run", "use.yaml", "-q").code == 0
    assert project.treadle("show", "last", "look", "--json").json()["metrics"] == {"files": 7.0}
    assert project.treadle("run", "use.yaml", "-q").stdout.startswith("nothing to do")
    assert project.treadle("models", "promote", "churn", "2").code == 0
