"""Runs the benchmarks: `python benchmarks/run.py [NAME ...] [--runs N] [--json FILE] [--page]`."""

import argparse
import importlib
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import harness  # noqa: E402
import plot  # noqa: E402

NAMES = (
    "startup",
    "check",
    "noop",
    "change",
    "cold",
    "warm",
    "large",
    "closure",
    "hashing",
    "sweep",
    "watch",
    "tracking",
    "messages",
)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks/run.py", description="Time treadle beside its peers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"what to run: {', '.join(NAMES)} (default: all)")
    parser.add_argument("--runs", type=int, help="timed runs of each case (default: each benchmark's own)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample there")
    parser.add_argument("--page", action="store_true", help="put the tables into docs/benchmarks.md")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a budget is missed or a case failed")
    options = parser.parse_args(argv)
    names = options.names or list(NAMES)
    if unknown := sorted(set(names) - set(NAMES)):
        parser.error(f"no benchmark is called {', '.join(unknown)}; known: {', '.join(NAMES)}")
    rows: list[harness.Row] = []
    for name in names:
        rows += run(name, options.runs, HERE.parent / "docs" / "benchmarks.md" if options.page else None)
    if options.json:
        harness.write_json(options.json, rows)
    missed = [row for row in rows if row.error or harness.verdict(row).startswith("missed")]
    return 1 if options.strict and missed else 0


def run(name: str, runs: int | None, page: Path | None) -> list[harness.Row]:
    """One benchmark in a folder of its own; prints its tables as they come."""
    module = importlib.import_module(name)
    rows: list[harness.Row] = []
    with tempfile.TemporaryDirectory(prefix=f"treadle-{name}-") as folder:
        if hasattr(module, "text"):  # it is about words, and has tables of its own
            text = module.text(Path(folder), runs or module.RUNS)
            print(text, end="\n\n", flush=True)
            if page:
                harness.fill_page(page, name, f"{_facts()}; {runs or module.RUNS} runs.\n\n{text}")
            return rows
        for workload, cases in module.workloads(Path(folder)).items():
            found = harness.measure(workload, cases, runs or module.RUNS)
            print(harness.table(found), end="\n\n", flush=True)
            rows += found
    if page:
        count = runs or module.RUNS
        groups = [
            harness.table([row for row in rows if row.workload == w]) for w in dict.fromkeys(r.workload for r in rows)
        ]
        harness.fill_page(
            page, name, "\n\n".join([f"{_facts()}; {count} runs.", f"![medians](benchmarks-{name}.svg)", *groups])
        )
        plot.write(page.parent / f"benchmarks-{name}.svg", rows)
    return rows


def _facts() -> str:
    machine = harness.machine()
    text = ", ".join(f"{key} {value}" for key, value in machine.items())
    shared = machine["load"] > machine["cores"] + 1
    return f"{text} (others worked on this machine too: compare CPU and ratios, not wall times)" if shared else text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
