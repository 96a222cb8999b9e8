"""Real processes: what is left when one is killed at the worst moment."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.sources import ROOT
from treadle.store.predictions import find_window, model_folder
from treadle.store.predictions.segments import Answers, Results
from treadle.store.predictions.window import load

SOAK, SWAP, KILL = 15.0, 1.0, 4  # seconds, seconds, swaps between kills; benchmarks/soak.py has longer ones


class Server:
    """A supervisor and its workers."""

    def __init__(self, folder: Path, workers: int, hang: float = 3.0) -> None:
        self.folder = folder
        (folder / "meeting").mkdir()
        self.promote(1)
        with (folder / "err").open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "tests/support/serve_files.py"), str(folder), str(workers), str(hang)],
                env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
                stderr=err,
            )
        self.connections: list[http.client.HTTPConnection] = []
        self.until(lambda: (folder / "port").exists(), "ready")
        self.port = int((folder / "port").read_text())

    def promote(self, version: int) -> None:
        (self.folder / "champion.part").write_text(str(version))
        (self.folder / "champion.part").rename(self.folder / "champion")

    def workers(self) -> list[int]:
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in listed.split()]

    def said(self) -> str:
        return (self.folder / "err").read_text()

    def until(self, done: Callable[[], bool], what: str, seconds: float = 40) -> None:
        end = time.monotonic() + seconds
        while not done():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < end, f"never: {what}\n{self.said()}"
            time.sleep(0.02)

    def connect(self) -> http.client.HTTPConnection:
        self.connections.append(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30))
        return self.connections[-1]

    def stop(self) -> None:
        for connection in self.connections:
            connection.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[int], Server]]:
    made: list[Server] = []

    def begin(workers: int) -> Server:
        made.append(Server(tmp_path, workers))
        return made[-1]

    yield begin
    for server in made:
        server.stop()


def predict(connection: http.client.HTTPConnection, value: float, request_id: str = "") -> tuple[int, bytes, str]:
    body = json.dumps({"instances": [[value, 0, 0]]})
    headers = {"content-type": "application/json", **({"x-request-id": request_id} if request_id else {})}
    connection.request("POST", "/invocations", body, headers)
    answer = connection.getresponse()
    return answer.status, answer.read(), answer.getheader("x-model-version") or ""


def logged(folder: Path) -> set[str]:
    window = find_window(model_folder(str(folder / ".treadle"), "m"), None)
    assert window is not None
    frames = [frame for source in window.sources for frame in load(source.path)[0]]
    return {record.request_id for frame in frames if isinstance(frame, Answers) for record in frame.records}


def test_kill_9_loses_nothing_that_was_answered(start: Callable[[int], Server]) -> None:
    server = start(1)
    answered: set[str] = set()
    killed = 0

    def ask(client: int) -> None:
        number = 0
        while killed < 3:
            connection = server.connect()
            try:
                while killed < 3:
                    number += 1
                    request_id = f"c{client}-{number}"
                    status, _, _ = predict(connection, 1, request_id)
                    if status == 200:
                        answered.add(request_id)
            except (OSError, http.client.HTTPException):
                time.sleep(0.01)  # its worker was killed
            finally:
                connection.close()

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        before = len(answered)
        server.until(lambda n=before: len(answered) > n + 200, "200 more answers")
        [worker] = server.workers()
        os.kill(worker, signal.SIGKILL)
        server.until(lambda w=worker: server.workers() not in ([w], []), "another worker")
        killed += 1
    for thread in threads:
        thread.join()
    assert len(answered) > 600
    assert answered - logged(server.folder) == set()
    assert server.said().count("was killed by SIGKILL; another takes its place") == 3


def test_a_stop_answers_what_is_under_way(start: Callable[[int], Server]) -> None:
    server = start(1)
    connection = server.connect()
    assert predict(connection, 1)[0] == 200
    slow = server.connect()
    slow.putrequest("POST", "/invocations")
    body = json.dumps({"instances": [[7, 0, 0]]}).encode()
    slow.putheader("content-type", "application/json")
    slow.putheader("content-length", str(len(body)))
    slow.endheaders(body[:5])  # under way when the stop comes
    time.sleep(0.2)
    began = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    slow.send(body[5:])
    answer = slow.getresponse()
    assert (answer.status, json.loads(answer.read())) == (200, {"predictions": [7.0]})
    assert answer.getheader("connection") == "close"
    assert server.process.wait(30) == 0
    assert time.monotonic() - began < 30  # SageMaker's patience
    assert len(logged(server.folder)) == 2


def test_a_model_that_hangs_is_killed_and_replaced(start: Callable[[int], Server]) -> None:
    server = start(1)
    [worker] = server.workers()
    with pytest.raises((OSError, http.client.HTTPException)):
        predict(server.connect(), 13)
    server.until(lambda: server.workers() not in ([worker], []), "another worker")
    assert "has not answered for 3 s and is killed" in server.said()

    def answers() -> bool:
        try:
            return predict(server.connect(), 1)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    server.until(answers, "an answer")


def test_workers_end_with_their_supervisor(start: Callable[[int], Server]) -> None:
    server = start(2)
    workers = server.workers()
    assert len(workers) == 2
    server.process.kill()
    server.process.wait()
    end = time.monotonic() + 20
    while any(Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes() for pid in workers):
        assert time.monotonic() < end, "workers live on"
        time.sleep(0.05)


def test_a_worker_that_is_born_as_its_supervisor_dies_ends_too(tmp_path: Path) -> None:
    """It is still importing: nobody is left to stop it, and it must not keep the port."""
    (tmp_path / "meeting").mkdir()
    (tmp_path / "champion").write_text("1")
    supervisor = subprocess.Popen(
        [sys.executable, str(ROOT / "tests/support/serve_files.py"), str(tmp_path), "1", "3.0", "1.0"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
    )
    children = Path(f"/proc/{supervisor.pid}/task/{supervisor.pid}/children")
    end = time.monotonic() + 60
    while not (born := children.read_text().split()):
        assert time.monotonic() < end and supervisor.poll() is None
    supervisor.kill()
    supervisor.wait()
    while Path(f"/proc/{born[0]}").exists():
        assert time.monotonic() < end, "the worker lives on"
        time.sleep(0.05)


def test_an_acknowledged_outcome_is_stored(start: Callable[[int], Server]) -> None:
    server = start(1)
    connection = server.connect()
    for number in range(20):
        body = json.dumps({"request_id": f"r{number}", "metric": "accepted", "value": number % 2 == 0})
        connection.request("POST", "/feedback", body, {"content-type": "application/json"})
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b'{"stored":1}')
    os.kill(server.workers()[0], signal.SIGKILL)
    folder = Path(model_folder(str(server.folder / ".treadle"), "m"))
    frames = [frame for path in folder.glob("outcomes-*.log") for frame in load(str(path))[0]]
    assert {o.request_id for f in frames if isinstance(f, Results) for o in f.records} == {f"r{n}" for n in range(20)}


def test_a_stop_reaches_a_worker_that_is_just_forked(start: Callable[[int], Server]) -> None:
    """The supervisor finds the killed worker and the stop in the same turn: it replaces the one and stops the other."""
    server = start(1)
    for worker in server.workers():
        os.kill(worker, signal.SIGKILL)
    server.stop()
    assert server.process.returncode == 0
    assert "did not stop" not in server.said()


@pytest.mark.slow
def test_soak(start: Callable[[int], Server]) -> None:
    """Swaps every second, a killed worker every 4 s: no wrong answer, none lost but those of the killed worker."""
    server = start(2)
    wrong: list[tuple[int, bytes, str]] = []
    lost: list[float] = []
    kills: list[float] = []
    stop = threading.Event()
    count = [0] * 6

    def ask(client: int) -> None:
        while not stop.is_set():
            connection = server.connect()
            try:
                while not stop.is_set():
                    status, body, version = predict(connection, 3)
                    if status != 200 or json.loads(body) != {"predictions": [3.0 * int(version)]}:
                        wrong.append((status, body, version))
                    count[client] += 1
                    time.sleep(0.002)
            except (OSError, http.client.HTTPException):
                lost.append(time.monotonic())
            finally:
                connection.close()

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + SOAK
    version = tick = 1
    while time.monotonic() < end:
        time.sleep(SWAP)
        version, tick = 3 - version, tick + 1
        server.promote(version)
        if tick % KILL == 0:
            kills.append(time.monotonic())
            os.kill(server.workers()[0], signal.SIGKILL)
            server.until(lambda: len(server.workers()) == 2, "two workers")
    stop.set()
    for thread in threads:
        thread.join()
    assert min(count) > 50
    assert wrong == []
    assert len(lost) <= 6 * len(kills)
    assert all(any(0 <= at - kill < 2 for kill in kills) for at in lost)
