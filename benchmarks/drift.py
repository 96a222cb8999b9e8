"""Drift of 1,000,000 rows × 50 columns from Parquet against a stored reference, beside its peers.

python benchmarks/drift.py                  each tool in a process of its own, three times
python benchmarks/drift.py --rows 100000    smaller

40 numbers and 10 texts of 20 levels; a quarter of the columns moved. Seconds of wall and CPU and the memory peak are of
the work alone: imports and what the tool may know beforehand (the reference's profile) are not in it.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TOOLS = ("treadle", "floor", "scipy", "evidently")


def make(folder: Path, rows: int) -> None:
    """The reference of 10,000 rows and the current rows, as Parquet."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(0)
    for name, size, shift in (("reference", 10_000, 0.0), ("current", rows, 0.6)):
        data: dict[str, Any] = {f"n{i}": rng.normal(shift * (i < 10), 1, size) for i in range(40)}
        levels = np.array([f"level {i}" for i in range(20)])
        for i in range(10):
            weight = np.ones(20) if name == "reference" or i >= 3 else np.linspace(0.2, 2, 20)
            data[f"t{i}"] = rng.choice(levels, size, p=weight / weight.sum())
        pd.DataFrame(data).to_parquet(folder / f"{name}.parquet", row_group_size=250_000)


def treadle(folder: Path) -> int:
    import pandas as pd

    from treadle_steps import monitor, psi

    before = pd.read_parquet(folder / "reference.parquet")
    card = {"profile": {name: psi.freeze(before[name]) for name in before}}
    with Clock():
        found = monitor.drift(card, folder / "current.parquet")
    return int(found.metrics["drifted"])


def floor(folder: Path) -> int:
    """Reading alone, column by column: what no tool can be faster than."""
    import pyarrow.parquet as pq

    with Clock():
        file = pq.ParquetFile(folder / "current.parquet")
        for name in file.schema_arrow.names:
            file.read(columns=[name])
    return -1


def scipy(folder: Path) -> int:
    import pandas as pd
    from scipy.stats import chi2_contingency, ks_2samp

    before = pd.read_parquet(folder / "reference.parquet")
    with Clock():
        now = pd.read_parquet(folder / "current.parquet")
        drifted = 0
        for name in before:
            if name[0] == "n":
                drifted += ks_2samp(before[name], now[name], method="asymp").pvalue < 0.05
            else:
                sides = [before[name].value_counts(), now[name].value_counts()]
                drifted += chi2_contingency(pd.concat(sides, axis=1).fillna(0).T).pvalue < 0.05
    return int(drifted)


def evidently(folder: Path) -> int:
    import pandas as pd
    from evidently import Report
    from evidently.presets import DataDriftPreset

    before = pd.read_parquet(folder / "reference.parquet")
    with Clock():
        now = pd.read_parquet(folder / "current.parquet")
        Report([DataDriftPreset()]).run(now, before).dict()
    return -1


class Clock:
    """Prints seconds of wall and CPU, and by how much the peak of memory grew, when the work is done."""

    def __enter__(self) -> None:
        self.memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def __exit__(self, *_: object) -> None:
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - self.memory
        took = {"wall": time.perf_counter() - self.wall, "cpu": time.process_time() - self.cpu, "mib": grown / 1024}
        print(json.dumps(took))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--tool", choices=("make", *TOOLS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.tool == "make":
        make(args.folder, args.rows)
        return
    if args.tool:
        print(json.dumps({"drifted": globals()[args.tool](args.folder)}))
        return
    with tempfile.TemporaryDirectory() as name:
        own = [sys.executable, __file__, "--tool", "make", "--folder", name, "--rows", str(args.rows)]
        subprocess.run(own, check=True)  # a child's peak would include ours
        print(f"{args.rows:,} rows × 50 columns\n")
        print("| tool | wall, best | CPU, best | memory | drifted |\n|---|---|---|---|---|")
        for tool in TOOLS:
            print(line(tool, Path(name), args.runs), flush=True)


def line(tool: str, folder: Path, runs: int) -> str:
    """A row of the table; a tool that is not installed says so."""
    samples = []
    for _ in range(runs):
        command = [sys.executable, __file__, "--tool", tool, "--folder", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1200)
        if done.returncode:
            return f"| {tool} | failed: {done.stderr.strip().splitlines()[-1][:80]} | | | |"
        samples.append({**json.loads(done.stdout.splitlines()[-2]), **json.loads(done.stdout.splitlines()[-1])})
    best = {key: min(sample[key] for sample in samples) for key in samples[0]}
    found = best["drifted"] if best["drifted"] >= 0 else ""
    return f"| {tool} | {best['wall']:.2f} s | {best['cpu']:.2f} s | {best['mib']:.0f} MiB | {found} |"


if __name__ == "__main__":
    main()
