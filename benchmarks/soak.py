"""Requests at 80 % of the limit, with a swap every 5 s and a kill -9 of a worker every 20 s: ten minutes, or SECONDS.

python benchmarks/soak.py [SECONDS]

`treadle serve` with two workers and two versions of a model of scikit-learn, 200 boosted trees over ten columns, made
and registered by a pipeline: both are compiled, and every answer is compared with what the version itself predicts, to
the last bit. The limit is what this client gets from the two workers with all its connections busy. Ends with 1 for a
wrong answer, for a request that was lost without a kill, and for memory that grew.
"""

import asyncio
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import uvloop
from msgspec import json

from treadle.plugins import Catalog
from treadle.store import Move, open_store

CONNECTIONS, SHARE = 16, 0.8
SWAP, KILL, LIMIT = 5.0, 20.0, 5.0  # seconds
GROWTH = 1.1  # of the largest worker between the first and the last third
PAGE = os.sysconf("SC_PAGE_SIZE")
PIPELINE = """version: 1
name: soak
params: {seed: 1}
steps:
  fit: {uses: "work:fit", with: {seed: "${params.seed}"}, out: [model, rows]}
  deploy: {uses: deploy.model, in: {model: fit.model, reference: fit.rows}, with: {name: m}}
"""
WORK = """import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor


def fit(*, seed):
    x = np.random.default_rng(0).normal(size=(4000, 10))
    y = seed * np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2]
    x = pd.DataFrame(x, columns=[f"x{n}" for n in range(10)])
    return HistGradientBoostingRegressor(max_iter=200, random_state=seed).fit(x, y), x
"""
ROWS = 200  # different requests
ASK = b"POST /invocations HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"


class Sample(NamedTuple):
    """Memory of the largest worker and of the supervisor, MiB, at a moment of the soak in seconds."""

    at: float
    worker: float
    supervisor: float


class Server:
    """`treadle serve` in a project that has registered two versions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, text in (("treadle.toml", ""), ("p.yaml", PIPELINE), ("work.py", WORK)):
            (folder / name).write_text(text)
        words = [sys.executable, "-m", "treadle"]
        for seed in (1, 2):
            subprocess.run([*words, "run", "p.yaml", "-p", f"seed={seed}"], cwd=folder, check=True, capture_output=True)
        self.models = open_store(folder).models
        for version in self.models.versions("m"):
            print(f"version {version.version} is served by {version.compiled}", flush=True)
        self.promote(1)
        words += ["serve", "m", "--workers", "2", "--port", "0"]
        with (folder / "err").open("w") as err:
            self.process = subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=err, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"http://127.0.0.1:(\d+)", line)
        assert found, line + self.said()
        self.port = int(found[1])

    def known(self) -> list[tuple[bytes, dict[bytes, bytes]]]:
        """Requests, and what each version, asked without a server, answers."""
        store = open_store(self.folder)
        table = np.random.default_rng(5).normal(size=(ROWS, 10))
        frame = pd.DataFrame(table, columns=[f"x{n}" for n in range(10)])
        codec = Catalog.from_entry_points().codec("skops")
        answers = {}
        for version in self.models.versions("m"):
            told = codec.read(Path(store.objects.path(version.artifact.digest))).predict(frame)
            answers[b"%d" % version.version] = [b'{"predictions":[%b]}' % json.encode(float(one)) for one in told]
        bodies = [json.encode({"instances": [row]}) for row in table.tolist()]
        return [(body, {name: told[place] for name, told in answers.items()}) for place, body in enumerate(bodies)]

    def promote(self, version: int) -> None:
        now = time.time()
        self.models.move(Move(name="m", alias="champion", version=version, at=now, actor="soak", reason="a swap"))

    def workers(self) -> list[int]:
        """The workers, oldest first."""
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in listed.split()]

    def said(self) -> str:
        return (self.folder / "err").read_text()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)


class Seen:
    """What the clients saw; `known` are the requests' bodies with the answer of each version."""

    def __init__(self, known: list[tuple[bytes, dict[bytes, bytes]]]) -> None:
        self.known = known
        self.answered = 0
        self.wrong: list[bytes] = []
        self.lost: list[float] = []
        self.kills: list[float] = []
        self.latencies: list[float] = []


class Client(asyncio.Protocol):
    """One connection that asks every `pace` seconds, at once when it is late; 0: as fast as it can."""

    def __init__(self, seen: Seen, port: int, pace: float) -> None:
        self.seen, self.port, self.pace = seen, port, pace
        self.loop = asyncio.get_running_loop()
        self.data = b""
        self.asked = 0.0
        self.number = random.randrange(ROWS)
        self.due = self.loop.time()
        self.stopped = False
        self.transport: asyncio.Transport | None = None

    async def connect(self) -> None:
        while not self.stopped:
            try:
                await self.loop.create_connection(lambda: self, "127.0.0.1", self.port)
                return
            except OSError:
                await asyncio.sleep(0.01)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self.data = b""
        self.ask()

    def ask(self) -> None:
        if self.stopped or self.transport is None:
            return
        self.asked = time.perf_counter()
        self.due += self.pace
        self.number = (self.number + 1) % ROWS
        body = self.seen.known[self.number][0]
        self.transport.write(ASK % (len(body), body))

    def data_received(self, data: bytes) -> None:
        self.data += data
        head, end, body = self.data.partition(b"\r\n\r\n")
        if not end or len(body) < int(head.split(b"content-length: ")[1].split(b"\r\n")[0]):
            return
        version = head.partition(b"x-model-version: ")[2].split(b"\r\n")[0]
        if not head.startswith(b"HTTP/1.1 200 ") or body != self.seen.known[self.number][1].get(version):
            self.seen.wrong.append(self.data)
        self.seen.answered += 1
        self.seen.latencies.append(time.perf_counter() - self.asked)
        self.asked, self.data = 0.0, b""
        wait = self.due - self.loop.time()
        if wait > 0.0005:
            self.loop.call_later(wait, self.ask)
        else:
            self.ask()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self.asked:
            self.seen.lost.append(time.monotonic())
            self.asked = 0.0
        if not self.stopped:
            self.task = self.loop.create_task(self.connect())

    def stop(self) -> None:
        self.stopped = True


async def load(seen: Seen, port: int, pace: float, seconds: float) -> None:
    """Ask over all connections for a while."""
    clients = [Client(seen, port, pace) for _ in range(CONNECTIONS)]
    for client in clients:
        await client.connect()
    await asyncio.sleep(seconds)
    for client in clients:
        client.stop()
    await asyncio.sleep(0.5)
    for client in clients:
        if client.transport is not None:
            client.transport.close()


async def trouble(server: Server, seen: Seen, seconds: float, samples: list[Sample]) -> None:
    """Swap, kill, and look at the memory, until the time is up."""
    began = time.monotonic()
    version, swaps = 1, 0
    while time.monotonic() - began < seconds - 3:
        await asyncio.sleep(SWAP)
        version, swaps = 3 - version, swaps + 1
        server.promote(version)
        pids = server.workers()
        now = time.monotonic() - began
        samples.append(Sample(now, max(map(size, pids)), size(server.process.pid)))
        if swaps % round(KILL / SWAP) == 0:
            seen.kills.append(time.monotonic())
            os.kill(pids[0], signal.SIGKILL)
        if swaps % 6 == 0:
            print(f"{now:5.0f} s: {seen.answered:,} answers, {len(seen.wrong)} wrong, {len(seen.lost)} lost in "
                  f"{len(seen.kills)} kills; worker {samples[-1].worker:.0f} MiB", flush=True)  # fmt: skip


def size(pid: int) -> float:
    """Resident memory of a process, MiB."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / 2**20
    except (OSError, IndexError):
        return 0.0


async def soak(server: Server, seconds: float) -> list[str]:
    """Find the limit, then soak; returns what went wrong."""
    port = server.port
    known = server.known()
    free = Seen(known)
    await load(free, port, 0.0, LIMIT)
    limit = free.answered / LIMIT
    print(f"limit: {limit:,.0f}/s; soaking at {SHARE:.0%} of it for {seconds:.0f} s", flush=True)
    seen, samples = Seen(known), list[Sample]()
    pace = CONNECTIONS / (SHARE * limit)
    await asyncio.gather(load(seen, port, pace, seconds), trouble(server, seen, seconds, samples))
    seen.latencies.sort()
    p50, p99 = (seen.latencies[int(len(seen.latencies) * share)] * 1000 for share in (0.5, 0.99))
    print(f"{seen.answered:,} answers ({seen.answered / seconds:,.0f}/s), p50 {p50:.2f} ms, p99 {p99:.2f} ms; "
          f"{len(seen.wrong)} wrong; {len(seen.lost)} lost in {len(seen.kills)} kills")  # fmt: skip
    return verdict(seen, samples)


def verdict(seen: Seen, samples: list[Sample]) -> list[str]:
    """What went wrong, in words."""
    found = [f"wrong answer: {seen.wrong[0]!r}"] if seen.wrong else []
    if any(not any(0 <= at - kill < 2 for kill in seen.kills) for at in seen.lost):
        found.append("requests were lost without a kill")
    if len(seen.lost) > CONNECTIONS * len(seen.kills):
        found.append("more requests were lost than a worker can have had in its hands")
    third = max(len(samples) // 3, 1)
    for name in ("worker", "supervisor"):
        first, last = (max(getattr(one, name) for one in part) for part in (samples[:third], samples[-third:]))
        print(f"memory, {name}: {first:.1f} MiB in the first third, {last:.1f} in the last")
        if last > GROWTH * first:
            found.append(f"the memory of the {name} grew from {first:.1f} to {last:.1f} MiB")
    return found


def main(seconds: float) -> int:
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                found = runner.run(soak(server, seconds))
        finally:
            server.stop()
            said = server.said()
    told = [line for line in said.splitlines() if ": version " not in line and "was killed by SIGKILL" not in line]
    print("\n".join(told) or "the server said nothing but versions in charge and workers killed")
    print("\n".join(found) or "no wrong answer; lost: only what a killed worker had in its hands; memory flat")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 600.0))
