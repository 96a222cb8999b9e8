"""One layered graph, written for every tool: each step digests what two steps above it made, and its own number.

Every output can be computed here too, so a tool that is fast because it is wrong does not pass.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

LAYERS = 10

SHELL = "{{ cat {inputs}; echo {number}; }} | sha256sum | cut -c1-64 > {output}"


class Step(NamedTuple):
    """A step: its number, name, and the names above it; in the first layer these are sources."""

    number: int
    name: str
    above: tuple[str, str]
    first: bool
    last: bool


class Graph(NamedTuple):
    """`size` steps in ten layers, as wide as that makes them."""

    size: int

    @property
    def width(self) -> int:
        return self.size // LAYERS

    def steps(self) -> Iterator[Step]:
        width = self.width
        for number in range(self.size):
            layer, place = divmod(number, width)
            above = (number - width, (layer - 1) * width + (place + 1) % width)
            first = layer == 0
            names = (f"x{place}", f"x{(place + 1) % width}") if first else (f"s{above[0]}", f"s{above[1]}")
            yield Step(number, f"s{number}", names, first, layer == LAYERS - 1)

    def expected(self, edited: frozenset[str] = frozenset()) -> dict[str, str]:
        """The digest that each step must have made, line end left out."""
        made: dict[str, str] = {}
        for step in self.steps():
            above = [source_text(n, n in edited) if step.first else made[n] + "\n" for n in step.above]
            made[step.name] = hashlib.sha256(f"{''.join(above)}{step.number}\n".encode()).hexdigest()
        return made


def source_text(name: str, edited: bool = False) -> str:
    return f"source {name}{' edited' if edited else ''}\n"


def write_sources(folder: Path, graph: Graph) -> None:
    for place in range(graph.width):
        (folder / "sources").mkdir(parents=True, exist_ok=True)
        (folder / "sources" / f"x{place}.txt").write_text(source_text(f"x{place}"))
    (folder / "out").mkdir(exist_ok=True)


def _files(step: Step) -> tuple[str, str]:
    folder = "sources" if step.first else "out"
    return f"{folder}/{step.above[0]}.txt", f"{folder}/{step.above[1]}.txt"


def _shell(step: Step) -> str:
    return SHELL.format(inputs=" ".join(_files(step)), number=step.number, output=f"out/{step.name}.txt")


def write_make(folder: Path, graph: Graph) -> None:
    write_sources(folder, graph)
    outputs = " ".join(f"out/{step.name}.txt" for step in graph.steps())
    rules = [f"all: {outputs}\n"]
    rules += [f"out/{s.name}.txt: {' '.join(_files(s))}\n\t@{_shell(s)}\n" for s in graph.steps()]
    (folder / "Makefile").write_text("\n".join(rules))


def write_ninja(folder: Path, graph: Graph) -> None:
    write_sources(folder, graph)
    lines = ["rule digest", "  command = { cat $in; echo $number; } | sha256sum | cut -c1-64 > $out"]
    for step in graph.steps():
        lines += [f"build out/{step.name}.txt: digest {' '.join(_files(step))}", f"  number = {step.number}"]
    (folder / "build.ninja").write_text("\n".join(lines) + "\n")


def write_doit(folder: Path, graph: Graph) -> None:
    write_sources(folder, graph)
    rows = [(step.name, list(_files(step)), _shell(step)) for step in graph.steps()]
    (folder / "dodo.py").write_text(
        "STEPS = [\n" + "".join(f"    {row!r},\n" for row in rows) + "]\n\n\n"
        "def task_s():\n"
        "    for name, above, command in STEPS:\n"
        "        yield {\n"
        "            'name': name,\n"
        "            'file_dep': above,\n"
        "            'targets': ['out/' + name + '.txt'],\n"
        "            'actions': [command],\n"
        "        }\n"
    )


WORK = '''"""The steps of the function variant."""

import hashlib
from pathlib import Path


def start(left: Path, right: Path, *, number: int) -> str:
    """The digest of two sources and a number."""
    return digest(left.read_text(), right.read_text(), number)


def merge(left: str, right: str, *, number: int) -> str:
    """The digest of what two steps made and a number."""
    return digest(left + "\\n", right + "\\n", number)


def digest(left: str, right: str, number: int) -> str:
    return hashlib.sha256(f"{left}{right}{number}\\n".encode()).hexdigest()
'''


def write_treadle(folder: Path, graph: Graph, functions: bool) -> None:
    """A project whose pipeline is the graph; the last layer is saved to `out/`, so that it can be checked."""
    write_sources(folder, graph)
    (folder / "treadle.toml").write_text('isolation = "pool"\n' if functions else "")
    (folder / "work.py").write_text(WORK)
    lines = ["version: 1", "name: graph", "data:"]
    lines += [f"  x{place}: {{path: sources/x{place}.txt}}" for place in range(graph.width)]
    lines.append("steps:")
    for step in graph.steps():
        left, right = (f"data.{name}" if step.first else name for name in step.above)
        lines.append(f"  {step.name}:")
        if functions:
            lines += [f"    uses: work:{'start' if step.first else 'merge'}", f"    with: {{number: {step.number}}}"]
        else:
            command = SHELL.format(inputs="{in.left} {in.right}", number=step.number, output="{out.made}")
            lines += [f"    run: '{command}'", "    out: {made: made.txt}"]
        lines.append(f"    in: {{left: {left}, right: {right}}}")
        if step.last:
            lines.append(f"    save: {{{'out' if functions else 'made'}: out/{step.name}.txt}}")
    (folder / "graph.yaml").write_text("\n".join(lines) + "\n")


def check_outputs(folder: Path, graph: Graph, last_only: bool) -> None:
    """Compare what was made with what the sources say; raises AssertionError with the count of wrong ones."""
    expected = graph.expected()
    wanted = [step.name for step in graph.steps() if step.last or not last_only]
    wrong = []
    for name in wanted:
        file = folder / "out" / f"{name}.txt"
        # a text value may be stored as JSON, in quotes
        if not file.exists() or file.read_text().strip().strip('"') != expected[name]:
            wrong.append(name)
    assert not wrong, f"{len(wrong)} of {len(wanted)} outputs are missing or wrong, the first is {wrong[0]}"
