"""`treadle serve` beside MLflow, BentoML, MLServer, FastAPI and the tuned floor, one after the other.

python benchmarks/serving.py [PEER ...] [--seconds 2] [--page] [--json FILE]

Two models (200 boosted trees; scaler and logistic regression) over ten columns, 1 and 100 rows, 1 and 16 connections.
Needs `wrk` (Debian: wrk). benchmarks/install_serving_peers.sh installs the peers; those that are missing are left out.
One worker each, one thread of wrk on the same cores. Ours checks every value, divides traffic and logs every
prediction; no peer does. The first answer is compared with the model's own. CPU and memory are those of all processes
of a server: CPU says more than requests per second on a machine that does other things too.
"""

import argparse
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import harness

HERE = Path(__file__).resolve().parent
PEERS = HERE / ".serving-peers"
OWN = HERE / "serving_peers"
TICK = os.sysconf("SC_CLK_TCK")
MODELS = ("linear", "trees")
BUDGETS = {("linear", 16): 12_000, ("trees", 16): 8_000}
PIPELINE = """version: 1
name: bench
steps:
  fit: {uses: "work:fit", out: [linear, trees, rows]}
  linear: {uses: deploy.model, in: {model: fit.linear, reference: fit.rows}, with: {name: linear}}
  trees: {uses: deploy.model, in: {model: fit.trees, reference: fit.rows}, with: {name: trees}}
"""
WORK = """import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def fit():
    x = np.random.default_rng(0).normal(size=(4000, 10))
    y = np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] + 0.1 * np.random.default_rng(1).normal(size=4000)
    x = pd.DataFrame(x, columns=[f"x{n}" for n in range(10)])
    linear = make_pipeline(StandardScaler(), LogisticRegression()).fit(x, (y > 0).astype(int))
    return linear, HistGradientBoostingRegressor(max_iter=200).fit(x, y), x
"""


class Start(NamedTuple):
    """From the command to the first answer: seconds, seconds of CPU, and MiB of all processes (shared parts once)."""

    server: str
    model: str
    wall: float
    cpu: float
    memory: float


class Row(NamedTuple):
    """What wrk saw, and what the server spent on it."""

    server: str
    model: str
    rows: int
    connections: int
    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    failed: int


class Server(NamedTuple):
    """How a server is started for a model, asked, and what it needs in its environment."""

    name: str
    command: list[str]
    folder: Path
    path: str
    body: bytes
    expected: list[float]
    env: dict[str, str] = {}


def rows_of(count: int) -> list[list[float]]:
    """The first rows of what the models were fitted on."""
    import numpy as np

    found: list[list[float]] = np.random.default_rng(0).normal(size=(4000, 10))[:count].tolist()
    return found


def body_for(name: str, count: int) -> bytes:
    """Each server's natural request for so many rows."""
    rows = rows_of(count)
    names = [f"x{n}" for n in range(10)]
    flat = [value for row in rows for value in row]
    v2 = {"inputs": [{"name": "input-0", "shape": [count, 10], "datatype": "FP64", "data": flat}]}
    bodies = {
        "treadle, V2": v2,
        "mlserver": v2,
        "treadle": {"dataframe_split": {"columns": names, "data": rows}},
        "mlflow": {"dataframe_split": {"columns": names, "data": rows}},
        "fastapi": [dict(zip(names, row, strict=True)) for row in rows],
        "bentoml": {"rows": rows},
    }
    return json.dumps(bodies.get(name, {"instances": rows})).encode()


def server_for(name: str, model: str, place: Path, port: int, count: int) -> Server:
    """How to start one server for one model."""
    own, python = (
        place / name / model,
        PEERS / (name if name in ("mlflow", "bentoml", "mlserver") else "fastapi") / "bin",
    )
    env = {"BENCH_MODEL": str(own / "model.joblib"), "OMP_NUM_THREADS": "1"}
    uvicorn = [str(python / "uvicorn"), "--port", str(port), "--log-level", "warning", "--no-access-log"]
    path, command, folder = "/predict", [], OWN
    if name.startswith("treadle"):
        command, folder = harness.treadle("serve", model, "--port", str(port)), place / "treadle"
        path = f"/v2/models/{model}/infer" if "V2" in name else "/invocations"
    elif name == "mlflow":
        command = [str(python / "mlflow"), "models", "serve", "-m", str(own / "model"), "--env-manager", "local"]
        command, path = [*command, "-p", str(port), "-w", "1"], "/invocations"
        env["PATH"] = f"{python}:{os.environ['PATH']}"
        env |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    elif name == "bentoml":
        command = [str(python / "bentoml"), "serve", "bento_service:Bench", "--port", str(port)]
        env |= {
            "BENTOML_DO_NOT_TRACK": "true",
            "BENTOML_HOME": str(place / "bento"),
            "PATH": f"{python}:{os.environ['PATH']}",
        }
    elif name == "mlserver":
        command, path = [str(python / "mlserver"), "start", str(own)], f"/v2/models/{model}/infer"
        env |= {f"MLSERVER_{key}_PORT": str(free_port()) for key in ("GRPC", "METRICS")}
        env |= {"MLSERVER_HTTP_PORT": str(port), "MLSERVER_DEBUG": "false", "MLSERVER_PARALLEL_WORKERS": "0"}
    elif name == "fastapi":
        command = [*uvicorn, "fastapi_app:app"]
    else:
        command = [*uvicorn, "tuned_app:app"]
        env |= {"BENCH_BARE": "1"} if name == "bare" else {}
    trained = place / ("treadle" if name.startswith("treadle") else name) / model / "expected.json"
    expected = [] if name == "bare" else json.loads(trained.read_text())[:count]
    return Server(name, command, folder, path, body_for(name, count), expected, env)


def prepare(name: str, place: Path) -> None:
    """Fit the models in the server's own environment."""
    if name.startswith("treadle"):
        project = place / "treadle"
        if project.exists():
            return
        project.mkdir()
        (project / "treadle.toml").touch()
        (project / "bench.yaml").write_text(PIPELINE)
        (project / "work.py").write_text(WORK)
        subprocess.run(harness.treadle("run", "bench.yaml"), cwd=project, check=True, capture_output=True)
        peer, python, target = "treadle", sys.executable, project
    else:
        peer, target = name, place / name
        python = str(PEERS / (name if name in ("mlflow", "bentoml", "mlserver") else "fastapi") / "bin/python")
    subprocess.run([python, str(OWN / "prepare.py"), peer, str(target)], check=True, capture_output=True)


@contextmanager
def running(server: Server, port: int) -> Iterator[tuple[int, Start]]:
    """The server, once it has answered as the model does; raises AssertionError for another answer."""
    began = time.perf_counter()
    with open(os.devnull, "w") as out:
        process = subprocess.Popen(
            server.command, cwd=server.folder, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            env={**os.environ, **server.env},
        )  # fmt: skip
    try:
        found = first_answer(server, port, process)
        start = Start(server.name, "", time.perf_counter() - began, *spent(process.pid))
        if server.expected:
            gap = max(abs(a - b) for a, b in zip(found, server.expected, strict=True))
            assert gap <= 1e-9, f"{server.name} answers {found[:3]}, the model {server.expected[:3]}"
        yield process.pid, start
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def first_answer(server: Server, port: int, process: "subprocess.Popen[bytes]") -> list[float]:
    """Ask until there is an answer."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{server.path}", server.body, {"content-type": "application/json"}
    )
    end = time.monotonic() + 180
    while True:
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                found = json.load(answer)
        except (urllib.error.URLError, ConnectionError) as error:
            assert process.poll() is None, f"{server.name} ended with code {process.returncode}"
            assert time.monotonic() < end, f"{server.name} does not answer: {error}"
            time.sleep(0.02)
            continue
        if isinstance(found, list):
            return found
        values: list[float] = found["predictions"] if "predictions" in found else found["outputs"][0]["data"]
        return values


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            found += [int(child) for child in task.read_text().split()]
    return found


def spent(pid: int) -> tuple[float, float]:
    """Seconds of CPU, and MiB with what processes share counted once, of a process and its descendants."""
    ticks = memory = 0
    for one in family(pid):
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += sum(int(fields[at]) for at in (11, 12, 13, 14))
            memory += int(re.search(r"Pss:\s+(\d+)", Path(f"/proc/{one}/smaps_rollup").read_text())[1])  # type: ignore[index]
        except OSError:
            continue  # it has just ended
    return ticks / TICK, memory / 1024


def load(server: Server, model: str, port: int, pid: int, shape: tuple[int, int, int]) -> Row:
    """Ask for a while with one thread of wrk; `shape` is rows, connections and seconds."""
    rows, connections, seconds = shape
    with tempfile.TemporaryDirectory() as folder:
        body, script = Path(folder, "body"), Path(folder, "ask.lua")
        body.write_bytes(body_for(server.name, rows))
        script.write_text(
            f'wrk.method="POST"; local f=io.open("{body}"); wrk.body=f:read("*a"); '
            'wrk.headers["Content-Type"]="application/json"'
        )
        command = ["wrk", "-t1", f"-c{connections}", "--latency", "--timeout", "10s", "-s", str(script)]
        command.append(f"http://127.0.0.1:{port}{server.path}")
        subprocess.run([*command, "-d1s"], check=True, capture_output=True)
        before = spent(pid)[0]
        text = subprocess.run([*command, f"-d{seconds}s"], check=True, capture_output=True, text=True).stdout
        used = spent(pid)[0] - before
    count = int(re.search(r"(\d+) requests in", text)[1])  # type: ignore[index]
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])  # type: ignore[index]
    wrong = int(failed[1]) if failed else 0
    per = used / max(count, 1) * 1e6
    return Row(server.name, model, rows, connections, rate, at(text, "50%"), at(text, "99%"), per, wrong)


def at(text: str, share: str) -> float:
    """A percentile of wrk's, in milliseconds."""
    value, unit = re.search(rf"{share}\s+([\d.]+)(us|ms|s)", text).groups()  # type: ignore[union-attr]
    return float(value) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def importing() -> float:
    """Seconds of CPU of importing scikit-learn alone: what a start is judged by."""
    code = "import os, sklearn.ensemble; t = os.times(); print(t.user + t.system)"
    return min(float(subprocess.check_output([sys.executable, "-c", code])) for _ in range(3))


def compare(names: list[str], seconds: int, place: Path) -> tuple[list[Start], list[Row]]:
    """Every server in turn, each with both models."""
    starts, rows = [], []
    for name in names:
        try:
            prepare(name, place)
            for model in MODELS:
                one(name, model, seconds, place, starts, rows)
        except (AssertionError, subprocess.CalledProcessError) as error:
            print(f"{name}: {error}", file=sys.stderr)
        except KeyboardInterrupt:
            break  # what there is so far is worth a table
    return starts, rows


def one(name: str, model: str, seconds: int, place: Path, starts: list[Start], rows: list[Row]) -> None:
    """One server with one model."""
    port = free_port()
    with running(server_for(name, model, place, port, 1), port) as (pid, start):
        time.sleep(3)  # whatever a server does once it answers
        for count in (1, 100):
            for connections in (1, 16):
                server = server_for(name, model, place, port, count)
                rows.append(load(server, model, port, pid, (count, connections, seconds)))
                print(rows[-1], flush=True)
        starts.append(start._replace(model=model, memory=spent(pid)[1]))


def page(starts: list[Start], rows: list[Row], alone: float) -> str:
    """The tables as Markdown; budgets are of a machine of twice the speed, so the ratio to the bare answer counts."""
    lines = [
        "| start to the first answer | model | wall | CPU | CPU / importing scikit-learn | memory after load |",
        "|" + "---|" * 6,
    ]
    for one in starts:
        cells = [one.server, one.model, f"{one.wall:.2f} s", f"{one.cpu:.2f} s", f"{one.cpu / alone:.2f}"]
        lines.append("| " + " | ".join([*cells, f"{one.memory:.0f} MiB"]) + " |")
    lines += ["", f"Importing scikit-learn alone: {alone:.2f} s of CPU."]
    for model in MODELS:
        for count in (1, 100):
            lines += [
                "",
                f"| {model}, {count} row{'s' * (count > 1)} | c | requests/s | p50 ms | p99 ms | CPU us/request |",
                "|" + "---|" * 6,
            ]
            for row in rows:
                if (row.model, row.rows) == (model, count):
                    cells = [row.server, str(row.connections), f"{row.per_second:,.0f}", f"{row.p50_ms:.2f}"]
                    lines.append("| " + " | ".join([*cells, f"{row.p99_ms:.2f}", f"{row.cpu_us:,.0f}"]) + " |")
    return "\n".join(lines)


def main() -> int:
    known = ["bare", "tuned", "treadle", "treadle, V2", "fastapi", "mlserver", "bentoml", "mlflow"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", nargs="*", metavar="PEER", help=f"which: {'; '.join(known)} (default: all)")
    parser.add_argument("--seconds", type=int, default=2, help="of each load (default 2)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--page", action="store_true", help="put the tables into docs/benchmarks.md")
    args = parser.parse_args()
    need = {name: name if name in ("mlflow", "bentoml", "mlserver") else "fastapi" for name in known}
    names = [n for n in args.peers or known if n.startswith("treadle") or (PEERS / need[n] / "bin/python").exists()]
    alone = importing()
    with tempfile.TemporaryDirectory(prefix="treadle-serving-") as folder:
        starts, rows = compare(names, args.seconds, Path(folder))
    text = page(starts, rows, alone)
    print(text)
    if args.json:
        args.json.write_text(json.dumps([one._asdict() for one in (*starts, *rows)], indent=1) + "\n")
    if args.page:
        facts = ", ".join(f"{key} {value}" for key, value in harness.machine().items())
        harness.fill_page(HERE.parent / "docs/benchmarks.md", "serving", f"{facts}; {args.seconds} s each.\n\n{text}")
    return 1 if any(row.failed for row in rows) else 0


if __name__ == "__main__":
    raise SystemExit(main())
