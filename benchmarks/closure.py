"""The code that a step reaches, in a project of 300 modules: nothing kept, everything kept, one module edited."""

import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from harness import Case

RUNS = 10
MODULES = 300
FUNCTIONS = 6
FLOOR = "import ast, pathlib; [ast.parse(p.read_bytes()) for p in pathlib.Path('flow').glob('*.py')]"
LOOK = """
import sys
from treadle.api.project import open_project
project = open_project('.')
closure = project.code.closure('flow.m0:f0')
assert len(closure.parts) == int(sys.argv[1]), len(closure.parts)
project.store.memo.flush()
"""


def workloads(folder: Path) -> dict[str, list[Case]]:
    cases = []
    for name in ("cold", "warm", "one module edited"):
        own = folder / name.replace(" ", "-")
        write(own)
        prepare: Callable[[], None] = Forget(own) if name == "cold" else Edit(own, name != "warm")
        cases.append(Case(f"treadle {name}", [sys.executable, "-P", "-c", LOOK, str(parts())], own, prepare=prepare))
    cases.append(Case("python: start and ast.parse of each file", [sys.executable, "-c", FLOOR], folder / "cold"))
    cases.append(
        Case(
            "python: start and import treadle.api",
            [sys.executable, "-P", "-c", "import treadle.api.project"],
            folder / "warm",
        )
    )
    return {f"closure of a step, {MODULES} modules": cases}


def write(root: Path) -> None:
    """Modules whose first functions call those of two modules further on; the rest of each is not reached."""
    (root / "flow").mkdir(parents=True, exist_ok=True)
    (root / "treadle.toml").touch()
    (root / "flow/__init__.py").touch()
    for number in range(MODULES):
        (root / f"flow/m{number}.py").write_text(module(number), encoding="utf-8")


def module(number: int) -> str:
    below = [n for n in (2 * number + 1, 2 * number + 2) if n < MODULES]
    lines = ["import json", "import pandas as pd", *(f"from flow import m{n}" for n in below), f"LIMIT = {number}", ""]
    for at in range(FUNCTIONS):
        calls = " + ".join(f"m{n}.f0(x)" for n in below) if at == 0 else ""
        lines += [
            f"def f{at}(x, *, scale=1.0):",
            f'    """Function {at} of module {number}."""',
            "    rows = [(key, value * scale) for key, value in sorted(x.items()) if value is not None]  # a comment",
            "    if len(rows) > LIMIT:",
            "        rows = rows[:LIMIT]",
            "    frame = pd.DataFrame(rows, columns=['key', 'value']).groupby('key').agg({'value': 'mean'})",
            f"    return json.dumps(len(frame)), {calls or at}",
            "",
        ]
    return "\n".join(lines)


def parts() -> int:
    """What the closure is made of: in each module a function, a constant and two libraries."""
    return 4 * MODULES


class Forget:
    """Throws the store away."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(self) -> None:
        shutil.rmtree(self.root / ".treadle", ignore_errors=True)


class Edit:
    """Makes the first look, once the files are at rest; then, if asked, edits another function before each look."""

    def __init__(self, root: Path, edits: bool) -> None:
        self.root = root
        self.edits = edits
        self.turn = 0

    def __call__(self) -> None:
        self.turn += 1
        if self.turn == 1:
            time.sleep(2.1)
        if self.edits:
            path = self.root / "flow/m150.py"
            path.write_text(module(150).replace("is not None", f"is not {self.turn}"), encoding="utf-8")
