"""What each tool says for the same mistakes: whether it stops, names the line, suggests, and how much it prints.

The mistakes are a misspelt key, a wrong type, an unknown step above, a circle, a step that stands twice; and all of
them but the circle in one file, to see how many are told at once.
"""

import os
import re
import resource
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from harness import tool, treadle

RUNS = 3
SHOWN = 90  # characters of a message in the table
FUNCTIONS = "def prep():\n    return 1\n\n\ndef use(value):\n    return value\n"


class Mistake(NamedTuple):
    """A file with a mistake: `lines` are those that are to blame, `right` is the word that should stand there.

    A message that lacks one of `names` does not name what is wrong.
    """

    name: str
    text: str
    lines: tuple[int, ...]
    names: tuple[str, ...]
    right: str = ""


class Tool(NamedTuple):
    """How a tool is asked, the name of its file, and its mistakes; `together` is the file with several."""

    name: str
    argv: Sequence[str]
    file: str
    mistakes: tuple[Mistake, ...]
    together: Mistake


class Answer(NamedTuple):
    """What a tool did: its exit code, all that it printed, and the median of its CPU times in seconds."""

    code: int
    text: str
    cpu: float


KEY, TYPE, ABOVE, CIRCLE, TWICE, ALL = (
    "misspelt key",
    "wrong type",
    "unknown step",
    "circle",
    "step twice",
    "four at once",
)

TREADLE = (
    Mistake(KEY, "version: 1\nsteps:\n  prep:\n    uses: work:prep\n    outt: [a]\n", (5,), ("outt",), "out"),
    Mistake(TYPE, "version: 1\nsteps:\n  prep:\n    uses: work:prep\n    retry: many\n", (5,), ("retry",)),
    Mistake(
        ABOVE,
        "version: 1\nsteps:\n  prep: {uses: work:prep}\n  two:\n    uses: work:use\n    in: {value: prpe}\n",
        (6,),
        ("prpe",),
        "prep",
    ),
    Mistake(
        CIRCLE,
        "version: 1\nsteps:\n  one: {uses: work:use, in: {value: two}}\n  two: {uses: work:use, in: {value: one}}\n",
        (3,),
        ("one", "two"),
    ),
    Mistake(TWICE, "version: 1\nsteps:\n  prep: {uses: work:prep}\n  prep: {uses: work:prep}\n", (4, 3), ("prep",)),
)
TREADLE_ALL = Mistake(
    ALL,
    "version: 1\nsteps:\n  prep:\n    uses: work:prep\n    outt: [a]\n    retry: many\n"
    "  two:\n    uses: work:use\n    in: {value: prpe}\n  two: {uses: work:prep}\n",
    (5, 6, 9, 10),
    ("outt", "retry", "prpe", "two"),
)

MAKE = (
    Mistake(KEY, "all: prep\nprep:\n\t@true\niclude x.mk\n", (4,), ("iclude",), "include"),
    Mistake(ABOVE, "all: two\nprep:\n\t@true\ntwo: prpe\n\t@true\n", (4,), ("prpe",), "prep"),
    Mistake(CIRCLE, "all: one\none: two\n\t@true\ntwo: one\n\t@true\n", (2,), ("one", "two")),
    Mistake(TWICE, "all: prep\nprep:\n\t@true\nprep:\n\t@true\n", (5, 3), ("prep",)),
)
MAKE_ALL = Mistake(
    ALL, "all: two\ntwo: prpe\n\t@true\ntwo: prpe\n\t@true\niclude x.mk\n", (2, 4, 6), ("prpe", "two", "iclude")
)

_RULE = "rule r\n  command = true\n"
NINJA = (
    Mistake(KEY, "rule r\n  comand = true\nbuild prep: r\n", (2,), ("comand",), "command"),
    Mistake(TYPE, f"pool p\n  depth = many\n{_RULE}  pool = p\nbuild prep: r\n", (2,), ("depth",)),
    Mistake(ABOVE, f"{_RULE}build prep: r\nbuild two: r prpe\n", (4,), ("prpe",), "prep"),
    Mistake(
        CIRCLE, f"{_RULE}build one: r two\nbuild two: r one\nbuild all: phony one\ndefault all\n", (3,), ("one", "two")
    ),
    Mistake(TWICE, f"{_RULE}build prep: r\nbuild prep: r\n", (4, 3), ("prep",)),
)
NINJA_ALL = Mistake(
    ALL,
    "pool p\n  depth = many\nrule r\n  comand = true\nbuild two: r prpe\nbuild two: r\n",
    (2, 4, 5, 6),
    ("depth", "comand", "prpe", "two"),
)


def _doit(name: str, **keys: str) -> str:
    body = "".join(f", {key!r}: {value}" for key, value in keys.items())
    return f"def task_{name}():\n    return {{'actions': ['true']{body}}}\n"


DOIT = (
    Mistake(KEY, _doit("prep", file_deps="['a']"), (2,), ("file_deps",), "file_dep"),
    Mistake(TYPE, _doit("prep", file_dep="'a'"), (2,), ("file_dep",)),
    Mistake(ABOVE, _doit("prep") + _doit("two", task_dep="['prpe']"), (4,), ("prpe",), "prep"),
    Mistake(CIRCLE, _doit("one", task_dep="['two']") + _doit("two", task_dep="['one']"), (2,), ("one", "two")),
    Mistake(
        TWICE,
        "def task_prep():\n    for _ in range(2):\n        yield {'name': 'x', 'actions': ['true']}\n",
        (3,),
        ("prep:x",),
    ),
)
DOIT_ALL = Mistake(
    ALL,
    _doit("prep", file_deps="['a']")
    + _doit("one", file_dep="'a'")
    + _doit("two", task_dep="['prpe']")
    + "def task_x():\n    for _ in range(2):\n        yield {'name': 'x', 'actions': ['true']}\n",
    (2, 4, 6, 9),
    ("file_deps", "file_dep", "prpe", "x:x"),
)

SNAKEMAKE = (
    Mistake(KEY, 'rule prep:\n    inptu: "x"\n    output: "a"\n    shell: "true"\n', (2,), ("inptu",), "input"),
    Mistake(TYPE, 'rule prep:\n    output: "a"\n    threads: "many"\n    shell: "touch a"\n', (3,), ("threads",)),
    Mistake(
        ABOVE,
        'rule two:\n    input: "prpe"\n    output: "b"\n    shell: "true"\n'
        'rule prep:\n    output: "prep"\n    shell: "true"\n',
        (2,),
        ("prpe",),
        "prep",
    ),
    Mistake(
        CIRCLE,
        'rule one:\n    input: "b"\n    output: "a"\n    shell: "true"\n'
        'rule two:\n    input: "a"\n    output: "b"\n    shell: "true"\n',
        (1,),
        ("one", "two"),
    ),
    Mistake(
        TWICE,
        'rule prep:\n    output: "a"\n    shell: "true"\nrule prep:\n    output: "b"\n    shell: "true"\n',
        (4, 1),
        ("prep",),
    ),
)
SNAKEMAKE_ALL = Mistake(
    ALL,
    'rule two:\n    input: "prpe"\n    output: "b"\n    threads: "many"\n    shell: "true"\n'
    'rule prep:\n    inptu: "x"\n    output: "a"\n    shell: "true"\nrule prep:\n    output: "c"\n    shell: "true"\n',
    (2, 4, 7, 10),
    ("prpe", "threads", "inptu", "prep"),
)

_DVC = "stages:\n  prep:\n    cmd: echo 1 > prep.csv\n    outs: [prep.csv]\n"
DVC = (
    Mistake(KEY, "stages:\n  prep:\n    cmd: echo 1 > a\n    dep: [x]\n    outs: [a]\n", (4,), ("dep",), "deps"),
    Mistake(TYPE, "stages:\n  prep:\n    cmd: echo 1 > a\n    deps: 42\n", (4,), ("deps",)),
    Mistake(
        ABOVE, f"{_DVC}  two:\n    cmd: echo 1 > b\n    deps: [prpe.csv]\n    outs: [b]\n", (7,), ("prpe",), "prep"
    ),
    Mistake(
        CIRCLE,
        "stages:\n  one:\n    cmd: echo 1 > a\n    deps: [b]\n    outs: [a]\n"
        "  two:\n    cmd: echo 1 > b\n    deps: [a]\n    outs: [b]\n",
        (4,),
        ("one", "two"),
    ),
    Mistake(TWICE, f"{_DVC}  prep:\n    cmd: echo 1 > b\n    outs: [b]\n", (5, 2), ("prep",)),
)
DVC_ALL = Mistake(
    ALL,
    "stages:\n  prep:\n    cmd: echo 1 > a\n    dep: [x]\n    outs: 42\n"
    "  two:\n    cmd: echo 1 > b\n    deps: [prpe]\n  two:\n    cmd: echo 2 > c\n",
    (4, 5, 8, 9),
    ("dep", "outs", "prpe", "two"),
)


def tools() -> list[Tool]:
    """Treadle, and the peers that are installed."""
    known = (
        ("make", ("-n",), "Makefile", MAKE, MAKE_ALL),
        ("ninja", ("-n",), "build.ninja", NINJA, NINJA_ALL),
        ("doit", (), "dodo.py", DOIT, DOIT_ALL),
        ("snakemake", ("-n", "-c1"), "Snakefile", SNAKEMAKE, SNAKEMAKE_ALL),
        ("dvc", ("repro",), "dvc.yaml", DVC, DVC_ALL),
    )
    found = [Tool("treadle", treadle("check", "p.yaml"), "p.yaml", TREADLE, TREADLE_ALL)]
    for name, words, file, mistakes, together in known:
        path = tool(name)
        if path is not None:
            found.append(Tool(name, [path, *words], file, mistakes, together))
    return found


def ask(one: Tool, mistake: Mistake, folder: Path, runs: int) -> Answer:
    """Put the file into a fresh folder and run the tool there; the first run is not timed."""
    folder.mkdir(parents=True)
    (folder / one.file).write_text(mistake.text)
    if one.name == "treadle":
        (folder / "work.py").write_text(FUNCTIONS)
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", "NO_COLOR": "1", "DVC_NO_ANALYTICS": "1"}
    if one.name == "dvc":
        subprocess.run([one.argv[0], "init", "--no-scm", "-q"], cwd=folder, env=env, check=True, capture_output=True)
    times = []
    for _ in range(runs + 1):
        before = _children()
        done = subprocess.run(
            one.argv,
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        times.append(_children() - before)
    text = done.stdout.replace(f"{folder}/", "").replace(str(folder), ".")
    return Answer(done.returncode, text, statistics.median(times[1:] or times))


def _children() -> float:
    """CPU seconds of all processes that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def named(answer: Answer, name: str) -> bool:
    """Whether the message has this word."""
    return re.search(rf"(?<![\w]){re.escape(name)}(?![\w])", answer.text) is not None


def suggested(answer: Answer, word: str) -> bool:
    """Whether some line offers this word for another."""
    lines = [line for line in answer.text.splitlines() if re.search(r"\b(mean|hint|known|expected|perhaps)\b", line)]
    return any(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", line) for line in lines)


def placed(answer: Answer, file: str, line: int) -> bool:
    """Whether the message has the line: `file:line`, or `line N` where the file is named as well."""
    return re.search(rf"{re.escape(file)}\"?(?::|, line ){line}\b", answer.text) is not None or (
        file in answer.text and re.search(rf"\bline {line}\b", answer.text) is not None
    )


def place(answer: Answer, one: Tool, mistake: Mistake) -> str:
    """In words: which of the lines to blame are named."""
    found = [line for line in mistake.lines if placed(answer, one.file, line)]
    if len(found) == len(mistake.lines):
        return "line" if len(found) == 1 else "both lines"
    return "one line" if found else "file" if one.file in answer.text else "none"


def told(answer: Answer, mistake: Mistake) -> str:
    """The first line that names what is wrong, else the last line."""
    lines = [line.strip() for line in answer.text.splitlines() if line.strip()]
    best = [
        line for line in lines if all(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", line) for name in mistake.names)
    ]
    line = (best or lines[-1:] or ["nothing"])[0]
    return (line if len(line) <= SHOWN else f"{line[:SHOWN]}…").replace("|", "/").replace("`", "'")


def row(one: Tool, mistake: Mistake, answer: Answer) -> str:
    fix = "" if not mistake.right else "yes" if suggested(answer, mistake.right) else "no"
    lines = len(answer.text.splitlines())
    traced = " (traceback)" if "Traceback (most recent call last)" in answer.text else ""
    cells = [
        *(mistake.name, one.name, str(answer.code), f"{answer.cpu * 1000:.0f} ms", f"{lines}{traced}"),
        *(place(answer, one, mistake), fix, f"`{told(answer, mistake)}`"),
    ]
    return f"| {' | '.join(cells)} |"


def text(folder: Path, runs: int) -> str:
    """The tables: every answer, mistake by mistake, and how many mistakes of one file are told at once."""
    asked = tools()
    answers = {
        (mistake.name, one.name): (one, mistake, ask(one, mistake, folder / f"{one.name}-{number}", runs))
        for one in asked
        for number, mistake in enumerate((*one.mistakes, one.together))
    }
    head = ["| mistake | tool | exit | cpu | lines printed | place | right word | says |", "|" + "---|" * 8]
    for name in (KEY, TYPE, ABOVE, CIRCLE, TWICE):
        head += [row(*answers[name, one.name]) for one in asked if (name, one.name) in answers]
    more = ["| four mistakes in one file | exit | cpu | mistakes named | with their line |", "|" + "---|" * 5]
    for one in asked:
        _, mistake, answer = answers[ALL, one.name]
        count, total = sum(named(answer, name) for name in mistake.names), len(mistake.names)
        lines = sum(placed(answer, one.file, line) for line in mistake.lines)
        more.append(f"| {one.name} | {answer.code} | {answer.cpu * 1000:.0f} ms | {count} of {total} | {lines} |")
    return "\n".join(head) + "\n\n" + "\n".join(more)
