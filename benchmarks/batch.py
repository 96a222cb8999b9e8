"""predict.batch over ten million rows beside the plain loop that one writes by hand: rows a second, peak of memory.

$ python benchmarks/batch.py [--rows N] [--runs N] [--page]

Each method is a process of its own: it reads the same Parquet file in pieces of 65,536 rows, predicts with the same
model, writes identifier and prediction to Parquet. The predictions are compared to the last bit.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import harness

ROWS = 10_000_000
PIECE = 65_536
COLUMNS = [f"x{number}" for number in range(10)]


def make(folder: Path, rows: int) -> None:
    """The table, written piece by piece, and a model fitted on its beginning."""
    import joblib
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from pyarrow import parquet
    from sklearn.linear_model import Ridge

    draw = np.random.default_rng(0)
    writer = None
    for start in range(0, rows, PIECE):
        count = min(PIECE, rows - start)
        numbers = {name: draw.normal(size=count).round(4) for name in COLUMNS}
        part = pd.DataFrame({"id": np.arange(start, start + count), **numbers, "note": "as it is"})
        table = pa.Table.from_pandas(part, preserve_index=False)
        if writer is None:
            writer = parquet.ParquetWriter(
                folder / "rows.parquet", table.schema, compression="zstd", compression_level=1
            )
            target = part[COLUMNS].sum(axis=1) + draw.normal(size=count)
            joblib.dump(Ridge().fit(part[COLUMNS], target), folder / "model")
        writer.write_table(table)
    if writer is not None:
        writer.close()


def by_treadle(folder: Path) -> Path:
    import joblib

    from treadle_steps.predict import batch

    return batch(joblib.load(folder / "model"), folder / "rows.parquet", keep=["id"], chunk=PIECE).predictions


def by_hand(folder: Path) -> Path:
    import joblib
    import pandas as pd
    import pyarrow as pa
    from pyarrow import parquet

    model, target, writer = joblib.load(folder / "model"), folder / "hand.parquet", None
    for piece in parquet.ParquetFile(folder / "rows.parquet").iter_batches(PIECE, columns=["id", *COLUMNS]):
        part = piece.to_pandas()
        made = pd.DataFrame({"id": part["id"], "prediction": model.predict(part[COLUMNS])})
        table = pa.Table.from_pandas(made, preserve_index=False)
        writer = writer or parquet.ParquetWriter(target, table.schema, compression="zstd", compression_level=1)
        writer.write_table(table)
    if writer is not None:
        writer.close()
    return target


def whole(folder: Path) -> Path:
    import joblib
    import pandas as pd

    model, target = joblib.load(folder / "model"), folder / "whole.parquet"
    data = pd.read_parquet(folder / "rows.parquet", columns=["id", *COLUMNS])
    data.assign(prediction=model.predict(data[COLUMNS]))[["id", "prediction"]].to_parquet(target)
    return target


METHODS = {"treadle": by_treadle, "pyarrow loop by hand": by_hand, "pandas, whole table": whole}


def cases(folder: Path, rows: int) -> list[harness.Case]:
    """One process for each method; it says how long its work took, without its imports."""
    here = str(Path(__file__).resolve())
    return [
        harness.Case(
            name, [sys.executable, here, "--method", name, "--folder", str(folder)], folder, told=True, steps=rows
        )
        for name in METHODS
    ]


def same(folder: Path) -> bool:
    """Whether all methods wrote the same identifiers and the same predictions."""
    from pyarrow import parquet

    first, *others = (parquet.ParquetFile(folder / f"{number}.out") for number in range(len(METHODS)))
    names = ["id", "prediction"]
    return all(other.read(names).equals(first.read(names)) for other in others)


def work(name: str, folder: Path) -> None:
    tempfile.tempdir = str(folder)
    import pandas  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import sklearn.linear_model  # noqa: F401

    began = time.perf_counter()
    made = METHODS[name](folder)
    took = time.perf_counter() - began
    made.replace(folder / f"{list(METHODS).index(name)}.out")
    print(took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--page", action="store_true", help="put the table into docs/benchmarks.md")
    parser.add_argument("--method", choices=METHODS, help=argparse.SUPPRESS)
    parser.add_argument("--make", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.make:
        make(args.folder, args.rows)
        return
    if args.method:
        work(args.method, args.folder)
        return
    with tempfile.TemporaryDirectory(prefix="treadle-batch-") as place:
        folder = Path(place)
        subprocess.run([sys.executable, __file__, "--make", "--rows", str(args.rows), "--folder", place], check=True)
        rows = harness.measure(f"{args.rows:,} rows", cases(folder, args.rows), args.runs, warmup=0)
        if not same(folder):
            raise SystemExit("the methods do not agree")
    lines = ["| method | median s | CPU s | rows/s | peak RSS |", "|---|---|---|---|---|"]
    for row in rows:
        if row.error:
            raise SystemExit(f"{row.tool}: {row.error}")
        rate = f"{args.rows / row.wall:,.0f}"
        lines.append(f"| {row.tool} | {row.wall:.1f} | {row.cpu:.1f} | {rate} | {row.rss / 2**20:.0f} MiB |")
    facts = ", ".join(f"{key} {value}" for key, value in harness.machine().items())
    text = f"{facts}; {args.runs} runs of {args.rows:,} rows, predictions equal to the last bit.\n\n" + "\n".join(lines)
    print(text)
    if args.page:
        harness.fill_page(Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md", "batch", text)


if __name__ == "__main__":
    main()
