"""Predict a table with a registered model, in a process of its own: a model file may hold anything."""

import os
import subprocess
import sys
import time

from msgspec import Struct, json

from treadle.api.models import find, formats
from treadle.api.project import open_project
from treadle.environment import provide
from treadle.errors import TreadleError, did_you_mean, input_error

KINDS = (".csv", ".jsonl", ".parquet")


class Predicted(Struct, frozen=True, kw_only=True):
    """What came of it: the model that answered as NAME/VERSION, rows, added columns, and the seconds it took."""

    model: str
    rows: int = 0
    columns: tuple[str, ...] = ()
    seconds: float = 0.0
    refused: str = ""


def predict(reference: str, source: str, target: str, path: str | os.PathLike[str] = ".") -> Predicted:
    """Predict the rows of `source` with NAME, NAME@ALIAS or NAME/VERSION, and write them to `target`.

    Raises InputError for an unknown model, an ending that is no table's, and for rows that the model does not take.
    """
    for option, name in (("--in", source), ("--out", target)):
        ending = os.path.splitext(name)[1].lower()
        if ending not in KINDS:
            hint = did_you_mean(ending, KINDS) or f"{', '.join(KINDS)}"
            raise input_error("bad-table", f"{option} {name} does not end with {', '.join(KINDS)}", None, hint)
    if not os.path.isfile(source):
        raise input_error("bad-table", f"{source} is not there")
    if os.path.exists(target) and os.path.samefile(source, target):
        raise input_error("bad-table", f"--in and --out are the same file, {source}", None, "name another one")
    project = open_project(path)
    version = find(project.store, reference)
    reference = f"{version.name}/{version.version}"
    words = [sys.executable, "-P", "-m", "treadle.api.predict", project.root, reference]
    places = [os.path.abspath(source), os.path.abspath(target)]
    done = subprocess.run([*words, *places], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd=project.root)
    if done.returncode:
        raise TreadleError(f"the process that predicted with {reference} ended with code {done.returncode}")
    made = json.decode(done.stdout.splitlines()[-1], type=Predicted)
    if made.refused:
        raise input_error("bad-table", made.refused.replace(places[0], source).replace(places[1], target))
    return made


def predict_here(root: str, reference: str, source: str, target: str) -> Predicted:
    """As `predict`, in this process."""
    provide("OMP_NUM_THREADS", "1")  # as the server has it: another number of threads may add in another order
    from treadle.serve.batch import predict_file  # lazy: Arrow and numpy, which only the process that predicts needs
    from treadle.serve.load import load  # lazy: only the process that predicts needs it

    project = open_project(root)
    sys.path.insert(0, project.root)
    version = find(project.store, reference)
    began = time.perf_counter()
    try:
        counts = predict_file(load(version, project.store.objects, formats(project)), source, target)
    except TreadleError as error:
        return Predicted(model=reference, refused=str(error))
    return Predicted(model=reference, rows=counts.rows, columns=counts.columns, seconds=time.perf_counter() - began)


if __name__ == "__main__":
    sys.stdout.write(json.encode(predict_here(*sys.argv[1:])).decode() + "\n")
