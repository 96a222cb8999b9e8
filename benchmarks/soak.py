"""Requests at 80 % of the limit, with a swap every 5 s and a kill -9 of a worker every 20 s: ten minutes, or SECONDS.

python benchmarks/soak.py [SECONDS]

The limit is what this client gets from the two workers with all its connections busy. Ends with 1 for a wrong answer,
for a request that was lost without a kill, and for memory that grew.
"""

import asyncio
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import uvloop

ROOT = Path(__file__).resolve().parents[1]
CONNECTIONS, SHARE = 16, 0.8
SWAP, KILL, LIMIT = 5.0, 20.0, 5.0  # seconds
GROWTH = 1.1  # of the largest worker between the first and the last third
PAGE = os.sysconf("SC_PAGE_SIZE")
BODY = b'{"instances":[[3,0,0]]}'
ASK = b"POST /invocations HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"


class Sample(NamedTuple):
    """Memory of the largest worker and of the supervisor, MiB, at a moment of the soak in seconds."""

    at: float
    worker: float
    supervisor: float


class Seen:
    """What the clients saw."""

    def __init__(self) -> None:
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
        self.transport.write(ASK % (len(BODY), BODY))

    def data_received(self, data: bytes) -> None:
        self.data += data
        head, end, body = self.data.partition(b"\r\n\r\n")
        if not end or len(body) < int(head.split(b"content-length: ")[1].split(b"\r\n")[0]):
            return
        version = head.partition(b"x-model-version: ")[2].split(b"\r\n")[0]
        if not head.startswith(b"HTTP/1.1 200 ") or body != b'{"predictions":[%d.0]}' % (3 * int(version or 0)):
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


async def trouble(server: "object", seen: Seen, seconds: float, samples: list[Sample]) -> None:
    """Swap, kill, and look at the memory, until the time is up."""
    began = time.monotonic()
    version, swaps = 1, 0
    while time.monotonic() - began < seconds - 3:
        await asyncio.sleep(SWAP)
        version, swaps = 3 - version, swaps + 1
        server.promote(version)  # type: ignore[attr-defined]
        pids = server.workers()  # type: ignore[attr-defined]
        now = time.monotonic() - began
        samples.append(Sample(now, max(map(size, pids)), size(server.process.pid)))  # type: ignore[attr-defined]
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


async def soak(server: "object", seconds: float) -> list[str]:
    """Find the limit, then soak; returns what went wrong."""
    port = server.port  # type: ignore[attr-defined]
    free = Seen()
    await load(free, port, 0.0, LIMIT)
    limit = free.answered / LIMIT
    print(f"limit: {limit:,.0f}/s; soaking at {SHARE:.0%} of it for {seconds:.0f} s", flush=True)
    seen, samples = Seen(), list[Sample]()
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
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/serve")]
    import test_workers

    with tempfile.TemporaryDirectory() as folder:
        server = test_workers.Server(Path(folder), 2, hang=60.0)
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
