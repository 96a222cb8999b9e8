"""How long until the command line answers at all."""

import sys
from pathlib import Path

from harness import Case, tool, treadle

RUNS = 20


def workloads(folder: Path) -> dict[str, list[Case]]:
    (folder / "treadle.toml").write_text("")
    peers = [Case("python -c pass", [sys.executable, "-c", "pass"], folder)]
    for name in ("make", "ninja", "doit", "snakemake", "dvc"):
        if path := tool(name):
            peers.append(Case(name, [path, "--version"], folder))
    return {
        "--version": [Case("treadle", treadle("--version"), folder, budget=0.050), *peers],
        "--help": [Case("treadle", treadle("--help"), folder, budget=0.050), *peers[:1]],
    }
