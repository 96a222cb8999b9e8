"""Ten minutes of requests with a swap every 5 s and a kill -9 of a worker every 20 s.

python benchmarks/soak.py [SECONDS]

The same test as tests/serve/test_workers.py::test_soak, longer; it also watches the memory of the workers.
"""

import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main(seconds: float) -> int:
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/serve")]
    import test_workers

    test_workers.SOAK, test_workers.SWAP, test_workers.KILL = seconds, 5.0, 4
    made: list[test_workers.Server] = []

    def start(workers: int) -> "test_workers.Server":
        made.append(test_workers.Server(Path(folder), workers))
        return made[-1]

    def watch() -> None:
        while True:
            time.sleep(10)
            sizes = [size(pid) for server in made for pid in server.workers()]
            print(
                f"{time.strftime('%H:%M:%S')} workers' memory, MiB: {', '.join(f'{one:.0f}' for one in sizes)}",
                flush=True,
            )

    threading.Thread(target=watch, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        try:
            test_workers.test_soak(start)
        finally:
            for server in made:
                server.stop()
    print("no wrong answer; lost: only what a killed worker had in its hands")
    return 0


def size(pid: int) -> float:
    """Resident memory of a process, MiB."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 2**20
    except (OSError, IndexError):
        return 0.0


if __name__ == "__main__":
    raise SystemExit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 600.0))
