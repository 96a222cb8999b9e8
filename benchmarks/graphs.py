"""One layered graph, written for every tool: each step digests what two steps above it made, and its own number.

Every output can be computed here too, so a tool that is fast because it is wrong does not pass.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

LAYERS = 10
MIDDLE = 5  # the layer whose steps may have a source of their own besides

SHELL = "{{ cat {inputs}; echo {number}; }} | sha256sum | cut -c1-64 > {output}"
SHELL_MIDDLE = "{{ cat {inputs}; head -n 1 {middle}; echo {number}; }} | sha256sum | cut -c1-64 > {output}"


class Step(NamedTuple):
    """A step: its number, name, and the names above it; in the first layer these are sources.

    `middle` is a source of its own, of which it reads the first line; empty for most.
    """

    number: int
    name: str
    above: tuple[str, str]
    first: bool
    last: bool
    middle: str = ""


class Graph(NamedTuple):
    """`size` steps in `layers`, as wide as that makes them; with `middle` the steps of layer 5 have one source more."""

    size: int
    layers: int = LAYERS
    middle: bool = False

    @property
    def width(self) -> int:
        return self.size // self.layers

    def steps(self) -> Iterator[Step]:
        width = self.width
        for number in range(self.size):
            layer, place = divmod(number, width)
            above = (number - width, (layer - 1) * width + (place + 1) % width)
            first = layer == 0
            names = (f"x{place}", f"x{(place + 1) % width}") if first else (f"s{above[0]}", f"s{above[1]}")
            own = f"y{place}" if self.middle and layer == MIDDLE else ""
            yield Step(number, f"s{number}", names, first, layer == self.layers - 1, own)

    def expected(self, edited: frozenset[str] = frozenset(), texts: Mapping[str, str] | None = None) -> dict[str, str]:
        """The digest that each step must have made, line end left out; `texts` are first lines of middle sources."""
        made: dict[str, str] = {}
        texts = texts or {}
        for step in self.steps():
            above = [source_text(n, n in edited) if step.first else made[n] + "\n" for n in step.above]
            if step.middle:
                above.append(texts.get(step.middle, source_text(step.middle)))
            made[step.name] = hashlib.sha256(f"{''.join(above)}{step.number}\n".encode()).hexdigest()
        return made

    def below(self, source: str) -> int:
        """How many steps lie below a source, those that read it included."""
        found: set[str] = set()
        for step in self.steps():
            if source in (*step.above, step.middle) or not found.isdisjoint(step.above):
                found.add(step.name)
        return len(found)


def source_text(name: str, edited: bool = False) -> str:
    return f"source {name}{' edited' if edited else ''}\n"


def write_sources(folder: Path, graph: Graph) -> None:
    for place in range(graph.width):
        (folder / "sources").mkdir(parents=True, exist_ok=True)
        (folder / "sources" / f"x{place}.txt").write_text(source_text(f"x{place}"))
    for step in graph.steps():
        if step.middle:
            (folder / "sources" / f"{step.middle}.txt").write_text(source_text(step.middle))
    (folder / "out").mkdir(exist_ok=True)


def _above(step: Step) -> list[str]:
    folder = "sources" if step.first else "out"
    return [f"{folder}/{step.above[0]}.txt", f"{folder}/{step.above[1]}.txt"]


def _files(step: Step) -> list[str]:
    return list(dict.fromkeys([*_above(step), *([f"sources/{step.middle}.txt"] if step.middle else [])]))


def _shell(step: Step) -> str:
    template = SHELL_MIDDLE if step.middle else SHELL
    inputs, middle = " ".join(_above(step)), f"sources/{step.middle}.txt"
    return template.format(inputs=inputs, middle=middle, number=step.number, output=f"out/{step.name}.txt")


def write_make(folder: Path, graph: Graph) -> None:
    write_sources(folder, graph)
    outputs = " ".join(f"out/{step.name}.txt" for step in graph.steps())
    rules = [f"all: {outputs}\n"]
    rules += [f"out/{s.name}.txt: {' '.join(_files(s))}\n\t@{_shell(s)}\n" for s in graph.steps()]
    (folder / "Makefile").write_text("\n".join(rules))


def write_ninja(folder: Path, graph: Graph) -> None:
    write_sources(folder, graph)
    lines = ["rule digest", "  command = $shell"]
    for step in graph.steps():
        lines += [f"build out/{step.name}.txt: digest {' '.join(_files(step))}", f"  shell = {_shell(step)}"]
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


def write_snakemake(folder: Path, graph: Graph) -> None:
    write_sources(folder, graph)
    lasts = [f"out/{step.name}.txt" for step in graph.steps() if step.last]
    lines = [f"rule all:\n    input: {lasts!r}\n"]
    for step in graph.steps():
        command = _shell(step).replace("{", "{{").replace("}", "}}")
        lines += [f"rule {step.name}:", f"    input: {_files(step)!r}", f"    output: 'out/{step.name}.txt'"]
        lines.append(f"    shell: {command!r}\n")
    (folder / "Snakefile").write_text("\n".join(lines))


def write_dvc(folder: Path, graph: Graph) -> None:
    """A project without git; `dvc init --no-scm` has to come after."""
    write_sources(folder, graph)
    lines = ["stages:"]
    for step in graph.steps():
        lines += [f"  {step.name}:", f"    cmd: {json.dumps(_shell(step))}", "    deps:"]
        lines += [f"    - {file}" for file in _files(step)]
        lines += ["    outs:", f"    - out/{step.name}.txt"]
    (folder / "dvc.yaml").write_text("\n".join(lines) + "\n")


WORK = '''"""The steps of the function variant."""

import hashlib
from pathlib import Path


def start(left: Path, right: Path, *, number: int) -> str:
    """The digest of two sources and a number."""
    return digest(left.read_text(), right.read_text(), number)


def merge(left: str, right: str, *, number: int) -> str:
    """The digest of what two steps made and a number."""
    return digest(left + "\\n", right + "\\n", number)


def middle(left: str, right: str, own: Path, *, number: int) -> str:
    """The digest of what two steps made, the first line of a source and a number."""
    return digest(left + "\\n", right + "\\n" + own.read_text().splitlines(keepends=True)[0], number)


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
    lines += [f"  {step.middle}: {{path: sources/{step.middle}.txt}}" for step in graph.steps() if step.middle]
    lines.append("steps:")
    for step in graph.steps():
        left, right = (f"data.{name}" if step.first else name for name in step.above)
        lines.append(f"  {step.name}:")
        if functions:
            name = "start" if step.first else "middle" if step.middle else "merge"
            lines += [f"    uses: work:{name}", f"    with: {{number: {step.number}}}"]
        else:
            template, places = SHELL_MIDDLE if step.middle else SHELL, "{in.left} {in.right}"
            command = template.format(inputs=places, middle="{in.own}", number=step.number, output="{out.made}")
            lines += [f"    run: '{command}'", "    out: {made: made.txt}"]
        own = f", own: data.{step.middle}" if step.middle else ""
        lines.append(f"    in: {{left: {left}, right: {right}{own}}}")
        if step.last:
            lines.append(f"    save: {{{'out' if functions else 'made'}: out/{step.name}.txt}}")
    (folder / "graph.yaml").write_text("\n".join(lines) + "\n")


def check_outputs(folder: Path, graph: Graph, last_only: bool, texts: Mapping[str, str] | None = None) -> None:
    """Compare what was made with what the sources say; raises AssertionError with the count of wrong ones."""
    expected = graph.expected(texts=texts)
    wanted = [step.name for step in graph.steps() if step.last or not last_only]
    wrong = []
    for name in wanted:
        file = folder / "out" / f"{name}.txt"
        # a text value may be stored as JSON, in quotes
        if not file.exists() or file.read_text().strip().strip('"') != expected[name]:
            wrong.append(name)
    assert not wrong, f"{len(wrong)} of {len(wanted)} outputs are missing or wrong, the first is {wrong[0]}"
