"""`python serve_files.py FOLDER WORKERS`: a real supervisor and real workers over a registry that is one small file.

FOLDER/champion holds the version to serve; the port is written to FOLDER/port when all workers are ready.
"""

import os
import sys
import time
from pathlib import Path

from support.served import Sums, a_version
from treadle.errors import StoreError
from treadle.serve.limits import Limits
from treadle.serve.predictor import Predictor
from treadle.serve.shelf import State
from treadle.serve.supervise import Orders, bind, supervise
from treadle.serve.worker import Serving, work


class Hanging(Sums):
    """Never comes back from a row whose sum is 13."""

    def predict(self, columns):  # type: ignore[no-untyped-def]
        found = super().predict(columns)
        if (found == 13 * self.version.version).any():
            time.sleep(600)
        return found


class FileShelf:
    """What FOLDER/champion says."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "champion"

    def state(self, name: str) -> State:
        try:
            return State(int(self._path.read_text()))
        except (OSError, ValueError) as error:
            raise StoreError(str(error)) from error

    def load(self, name: str, version: int) -> Predictor:
        return Hanging(a_version(version))


def main(folder: Path, workers: int, hang: float, importing: float = 0.0) -> int:
    listening = bind("127.0.0.1", 0)
    limits = Limits(hang=hang, stop=10.0)
    serving = Serving(
        models=("m",), workers=workers, store=str(folder / ".treadle"), meeting=str(folder / "meeting"), limits=limits,
        token=None, loopback=True, shelf=lambda: FileShelf(folder), supervisor=os.getpid(),
    )  # fmt: skip

    def ready() -> None:
        (folder / "port.part").write_text(str(listening.getsockname()[1]))
        (folder / "port.part").rename(folder / "port")

    def run(sock, board, number):  # type: ignore[no-untyped-def]
        time.sleep(importing)  # as `treadle serve` does in its workers
        return work(serving, sock, board, number)

    return supervise(listening, run, Orders(workers=workers, hang=hang, stop=12.0, compact=lambda: None, ready=ready))


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), int(sys.argv[2]), *map(float, sys.argv[3:])))
