"""Requests per second, latencies and CPU of `treadle serve`, beside the bare connection that it is built on.

python benchmarks/serving.py PROJECT MODEL [--seconds 3] [--json FILE]

PROJECT has a registered MODEL with an example. Needs `wrk` (Debian: wrk). The floor is the same HTTP code with a
handler that answers at once, in the same minute: compare ratios, not figures of two days. CPU is that of the worker.
"""

import argparse
import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import NamedTuple

TICK = os.sysconf("SC_CLK_TCK")
BUDGET = {1: "p50 0.3 ms (linear), 0.4 ms (200 trees)", 16: "12,000/s (linear), 8,000/s (200 trees)"}


class Row(NamedTuple):
    """What wrk saw, and what the server's process spent on it."""

    name: str
    connections: int
    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    failed: int


def load(name: str, url: str, body: Path, pid: int, connections: int, seconds: int) -> Row:
    """Ask one address for a while with one thread of wrk."""
    script = body.with_suffix(".lua")
    script.write_text(
        f'wrk.method="POST"; local f=io.open("{body}"); wrk.body=f:read("*a"); '
        'wrk.headers["Content-Type"]="application/json"'
    )
    command = ["wrk", "-t1", f"-c{connections}", "--latency", "-s", str(script), url]
    subprocess.run([*command, "-d1s"], check=True, capture_output=True)
    before = cpu(pid)
    text = subprocess.run([*command, f"-d{seconds}s"], check=True, capture_output=True, text=True).stdout
    spent = cpu(pid) - before
    count = int(re.search(r"(\d+) requests in", text)[1])  # type: ignore[index]
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])  # type: ignore[index]
    return Row(
        name, connections, rate, at(text, "50%"), at(text, "99%"), spent / count * 1e6, int(failed[1]) if failed else 0
    )


def at(text: str, share: str) -> float:
    """A percentile of wrk's, in milliseconds."""
    value, unit = re.search(rf"{share}\s+([\d.]+)(us|ms|s)", text).groups()  # type: ignore[union-attr]
    return float(value) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


def cpu(pid: int) -> float:
    """Seconds of user and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def floor(listening: socket.socket) -> None:
    """Answer every request at once: what HTTP alone costs."""
    import uvloop

    from treadle.serve.http import Listener
    from treadle.serve.limits import Limits

    async def run() -> None:
        answer = b'{"predictions":[1.0983220523549422]}'
        header = ((b"content-type", b"application/json"),)
        Listener(lambda request: request.reply(200, header, answer), Limits()).listen(listening, 64)
        await asyncio.Event().wait()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("model")
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    began = time.perf_counter()
    server = subprocess.Popen(
        [sys.executable, "-m", "treadle", "serve", args.model, "--port", "0"],
        cwd=args.project,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    url = re.search(r"http://\S+", server.stdout.readline())[0]  # type: ignore[index]
    print(f"start to ready: {time.perf_counter() - began:.2f} s")
    worker = int(Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()[0])
    listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
    listening.setblocking(False)
    bare = os.fork()
    if bare == 0:
        floor(listening)
        os._exit(0)
    rows = []
    try:
        with tempfile.TemporaryDirectory() as folder, urllib.request.urlopen(f"{url}/openapi.json") as answer:
            post = json.load(answer)["paths"]["/invocations"]["post"]
            body = Path(folder, "body.json")
            body.write_text(json.dumps(post["requestBody"]["content"]["application/json"]["example"]))
            for connections in (1, 16):
                for name, where, pid in (
                    ("treadle serve", f"{url}/invocations", worker),
                    ("HTTP alone", f"http://127.0.0.1:{listening.getsockname()[1]}/", bare),
                ):
                    rows.append(load(name, where, body, pid, connections, args.seconds))
                    print(table(rows[-1]))
                print(f"  budget: {BUDGET[connections]}")
    finally:
        os.kill(bare, 9)
        os.waitpid(bare, 0)
        server.terminate()
        server.wait(30)
    if args.json:
        args.json.write_text(json.dumps([row._asdict() for row in rows], indent=1))
    return 1 if any(row.failed for row in rows) else 0


def table(row: Row) -> str:
    """One line for people."""
    return (
        f"{row.name:14} c={row.connections:<3} {row.per_second:9,.0f}/s  p50 {row.p50_ms:.2f} ms  "
        f"p99 {row.p99_ms:.2f} ms  CPU {row.cpu_us:.0f} us/request  failed {row.failed}"
    )


if __name__ == "__main__":
    raise SystemExit(main())
