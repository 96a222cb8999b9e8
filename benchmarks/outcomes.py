"""Times reading `data: {predictions: NAME}`: `python benchmarks/outcomes.py [--rows N] [--packed]`.

A log of N answers of five doubles by 100,000 units, and one outcome for each, half by request and half by unit, in
random order, a tenth of them repeated. `--packed`: hours already compacted to Parquet. CPU and peak memory are those of
a process of its own.
"""

import argparse
import os
import random
import resource
import struct
import subprocess
import sys
import tempfile
import time

from treadle.domain.serving import Outcome, Prediction
from treadle.store.predictions import OUTCOMES, PREDICTIONS, SegmentWriter, find_window, model_folder
from treadle.store.predictions.parquet import compact, write_window
from treadle.store.predictions.segments import Answers, Fields, Results

NOON = 494_400 * 3600.0
HOURS = 12
UNITS = 100_000
BATCH = 16  # answers in a frame


def fill(folder: str, rows: int) -> None:
    """Write the log."""
    rng = random.Random(1)
    gap = HOURS * 3600 / rows
    units = [f"unit-{rng.randrange(UNITS)}" for _ in range(rows)]
    writer = SegmentWriter(folder, PREDICTIONS)
    for first in range(0, rows, BATCH):
        at = NOON + first * gap
        writer.describe(Fields(1, tuple("abcde"), ("y",)), at)
        records = []
        for n in range(first, min(first + BATCH, rows)):
            features, answer = struct.pack("<5d", *(n * 0.5 + m for m in range(5))), struct.pack("<d", n / 3)
            records.append(
                Prediction(f"{n:016x}", NOON + n * gap, 1, "champion", [units[n]], 0.0, 1e-4, 200, 1, features, answer)
            )
        writer.append(Answers(records), at)
    writer.close()
    outcomes = []
    for n in range(rows):
        at = NOON + n * gap + 1e-3
        known = {"request_id": f"{n:016x}"} if n % 2 else {"unit": units[n]}
        outcomes.append(Outcome("price", n / 7, at, at + rng.random() * 3600, **known))
    outcomes += [Outcome(o.metric, 1.0, o.at + 1e-4, o.received + 60, o.request_id, 0, o.unit) for o in outcomes[::10]]
    outcomes.sort(key=lambda one: one.received)
    writer = SegmentWriter(folder, OUTCOMES)
    for first in range(0, len(outcomes), BATCH):
        writer.append(Results(outcomes[first : first + BATCH]), outcomes[first].received)
    writer.close()


def read(folder: str, target: str) -> None:
    """What a run does to read the window, and its cost."""
    began = time.process_time()
    window = find_window(folder, None)
    assert window is not None
    found = time.process_time()
    write_window(window, target, os.path.dirname(target))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"found in {found - began:.2f} s, written in {time.process_time() - found:.2f} s of CPU, peak {peak:,.0f} MiB"
    )


def pack(folder: str) -> None:
    """Compact all hours, and its cost."""
    began = time.process_time()
    made = compact(folder, NOON + 100 * 3600, 10**6)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"compacted to {len(made)} files in {time.process_time() - began:.2f} s of CPU, peak {peak:,.0f} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--packed", action="store_true", help="compact the hours first")
    parser.add_argument("--step", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.step:
        word, root = args.step
        folder = model_folder(root, "m")
        {"fill": lambda: fill(folder, args.rows), "pack": lambda: pack(folder)}.get(
            word, lambda: read(folder, os.path.join(root, "window", "w.parquet"))
        )()
        return
    with tempfile.TemporaryDirectory() as root:
        os.mkdir(os.path.join(root, "window"))
        for step in ("fill", *(["pack"] if args.packed else []), "read"):
            subprocess.run([sys.executable, __file__, "--rows", str(args.rows), "--step", step, root], check=True)


if __name__ == "__main__":
    main()
