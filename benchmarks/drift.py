"""Drift of 1,000,000 rows × 50 columns from Parquet against a stored reference, beside its peers.

python benchmarks/drift.py                  each tool in a process of its own, five rounds
python benchmarks/drift.py --rows 100000    smaller

40 numbers and 10 texts of 20 levels; a quarter of the columns moved. Seconds of wall and CPU and the memory peak are of
the work alone: imports and what the tool may know beforehand (the reference's profile) are not in it; the second figure
of memory is the whole process. The tools take turns, and each stands beside the floor of its own round: counts by hand.
Evidently runs in the environment that benchmarks/install_drift_peers.sh makes, once, where that is there.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

TOOLS = ("reading", "floor", "treadle", "scipy", "evidently")
EVIDENTLY = Path(__file__).with_name(".drift-peers") / "bin/python"


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
    import jinja2  # noqa: F401  imports are not in it, and these come late
    import pandas as pd
    import pyarrow.parquet  # noqa: F401
    import scipy.special  # noqa: F401

    from treadle_steps import monitor, psi

    before = pd.read_parquet(folder / "reference.parquet")
    card = {"profile": {name: psi.freeze(before[name]) for name in before}}
    with Clock():
        found = monitor.drift(card, folder / "current.parquet")
    return int(found.metrics["drifted"])


def floor(folder: Path) -> int:
    """The least that a PSI needs, by hand: read a column, count its bins or codes, one after the other; no test, no
    windows, no report."""
    import numpy as np
    import pandas as pd
    import pyarrow.parquet as pq

    before = pd.read_parquet(folder / "reference.parquet")
    edges = {name: np.quantile(before[name], np.linspace(0, 1, 11)[1:-1]) for name in before if name[0] == "n"}
    levels = {name: before[name].value_counts() for name in before if name[0] == "t"}
    counts = {name: np.diff([0, *np.searchsorted(np.sort(before[name]), edges[name]), len(before)]) for name in edges}
    drifted = 0
    with Clock():
        file = pq.ParquetFile(folder / "current.parquet", read_dictionary=list(levels))
        for name in before:
            column = file.read(columns=[name]).column(0)
            if name in edges:
                values, above = column.to_numpy(), np.zeros(9, dtype=int)
                for start in range(0, len(values), 16_384):
                    block = values[start : start + 16_384]
                    above += [np.count_nonzero(block >= edge) for edge in edges[name]]
                now, then = -np.diff([len(values), *above, 0]), counts[name]
            else:
                codes = column.unify_dictionaries().combine_chunks()
                found = np.bincount(codes.indices.to_numpy(), minlength=len(codes.dictionary))
                now = pd.Series(found, codes.dictionary.to_pylist()).reindex(levels[name].index).to_numpy()
                then = levels[name].to_numpy()
            p, q = (then + 0.5) / (then.sum() + 5), (now + 0.5) / (now.sum() + 5)
            drifted += bool(((p - q) * np.log(p / q)).sum() > 0.1)
    return drifted


def reading(folder: Path) -> int:
    """Reading alone, column by column."""
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
        took["whole"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(took))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
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
        print("| tool | CPU, median | of the floor's in its round | wall, median | memory | drifted |")
        print("|---|---|---|---|---|---|")
        for text in table(Path(name), args.runs):
            print(text, flush=True)


def table(folder: Path, runs: int) -> Iterator[str]:
    """A row for each tool; in a round each is run once."""
    samples: dict[str, list[dict[str, float]]] = {tool: [] for tool in TOOLS}
    ratios: dict[str, list[float]] = {tool: [] for tool in TOOLS}
    missing: dict[str, str] = {}
    for number in range(runs):
        for tool in TOOLS:
            if tool in missing or (tool == "evidently" and number):
                continue  # one run of minutes says enough
            found = measure(tool, folder)
            if isinstance(found, str):
                missing[tool] = found
                continue
            samples[tool].append(found)
            ratios[tool].append(found["cpu"] / (samples["floor"][-1]["cpu"] if samples["floor"] else found["cpu"]))
    for tool in TOOLS:
        if tool in missing:
            yield f"| {tool} | {missing[tool]} | | | | |"
            continue
        middle = {key: median(one[key] for one in samples[tool]) for key in samples[tool][0]}
        ratio = "" if tool == "reading" else f"{median(ratios[tool]):.2f}"
        drifted = f"{middle['drifted']:.0f}" if middle["drifted"] >= 0 else ""
        memory = f"{middle['mib']:.0f} of {middle['whole']:.0f} MiB"
        yield f"| {tool} | {middle['cpu']:.2f} s | {ratio} | {middle['wall']:.2f} s | {memory} | {drifted} |"


def measure(tool: str, folder: Path) -> dict[str, float] | str:
    """One run in a process of its own, or why there is none."""
    python = str(EVIDENTLY) if tool == "evidently" else sys.executable
    if tool == "evidently" and not EVIDENTLY.exists():
        return "not installed"
    command = [python, __file__, "--tool", tool, "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=3600)
    if done.returncode:
        return f"failed: {(done.stderr.strip().splitlines() or [str(done.returncode)])[-1][:80]}"
    figures: dict[str, float] = {}
    for line in done.stdout.splitlines()[-2:]:
        figures |= json.loads(line)
    return figures


if __name__ == "__main__":
    main()
