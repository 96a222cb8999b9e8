"""Does a registered model load, and answer its own example? Found out in a process of its own, which may die of it."""

import os
import subprocess
import sys
import time

from msgspec import Struct, json

from treadle.api.models import find, formats
from treadle.api.project import open_project
from treadle.errors import TreadleError

LIMIT = 120.0  # seconds


class Loading(Struct, frozen=True, kw_only=True):
    """What came of loading: a reason for refusal, or the seconds it took and the answer to the example."""

    refused: str = ""
    seconds: float = 0.0
    predictions: list[object] = []


def try_model(reference: str, path: str | os.PathLike[str] = ".") -> Loading:
    """Load a model in a process of its own and ask it its example; raises InputError for an unknown model."""
    project = open_project(path)
    version = find(project.store, reference)
    words = [sys.executable, "-P", "-m", "treadle.api.loading", project.root, f"{version.name}/{version.version}"]
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT, cwd=project.root)
    except subprocess.TimeoutExpired:
        return Loading(refused=f"it did not load within {LIMIT:.0f} seconds")
    if done.returncode:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or [f"code {done.returncode}"]
        return Loading(refused=f"the process that loaded it ended: {last[0]}")
    return json.decode(done.stdout.splitlines()[-1], type=Loading)


def load_here(root: str, reference: str) -> Loading:
    """Load a model in this process and ask it its example."""
    from treadle.serve.columns import columns  # lazy: numpy, which only the process that loads needs
    from treadle.serve.load import load  # lazy: only the process that loads needs it

    project = open_project(root)
    sys.path.insert(0, project.root)
    version = find(project.store, reference)
    began = time.perf_counter()
    try:
        model = load(version, project.store.objects, formats(project))
        model.complete()  # the model itself as well, where a compiled form would answer without it
    except TreadleError as error:
        return Loading(refused=str(error))
    answers = model.predict(columns(version.example, version.signature.inputs)).tolist() if version.example else []
    return Loading(seconds=time.perf_counter() - began, predictions=answers)


if __name__ == "__main__":
    sys.stdout.write(json.encode(load_here(*sys.argv[1:])).decode() + "\n")
