"""The project under test: thirteen steps that store something with every codec, a `foreach` and a `retry`.

Every step says that it began in a log outside of the project, by which steps that ran again are found.
"""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

PIPELINE = """\
version: 1
name: subject
data:
  rows: {path: "data/*.txt"}
steps:
  numbers: {uses: "work:numbers", in: {files: data.rows}}
  text: {uses: "work:text", in: {files: data.rows}, retry: {times: 1, backoff: 1ms}}
  raw: {uses: "work:raw", in: {files: data.rows}}
  object: {uses: "work:thing", in: {files: data.rows}, out: {object: {codec: pickle}}}
  place: {uses: "work:place", in: {files: data.rows}}
  tree: {uses: "work:tree", in: {files: data.rows}}
  many: {uses: "work:many", in: {files: data.rows}}
  table: {uses: "heavy:table", in: {files: data.rows}}
  array: {uses: "heavy:array", in: {files: data.rows}}
  model: {uses: "heavy:model", in: {files: data.rows}}
  squares: {uses: "work:square", in: {number: numbers}, foreach: numbers}
  short:
    run: echo "$TREADLE_SCRATCH short" >> "$SUBJECT_LOG"; cat {in.raw} > {out.short}; head -c 9 {in.text} >> {out.short}
    in: {text: text, raw: raw, array: numbers}
    out: {short: short.txt}
  report:
    run: echo "$TREADLE_SCRATCH report" >> "$SUBJECT_LOG"; cat {in.text} {in.short} {in.tree}/a/* > {out.report}
    in: {text: text, short: short, tree: tree, squares: squares}
    out: {report: report.txt}
    save: {report: out/report.txt}
"""

WORK = """\
import os
import shutil
from pathlib import Path


class Point:
    def __init__(self, x, y):
        self.x, self.y = x, y


def began(name):
    scratch = os.environ["TREADLE_SCRATCH"]
    with open(os.environ["SUBJECT_LOG"], "ab", buffering=0) as log:
        log.write(f"{scratch} {name}\\n".encode())
    return Path(scratch)


def _words(files):
    return [word for file in files for word in Path(file).read_text().split()]


def numbers(files) -> list:
    began("numbers")
    return [len(word) for word in _words(files)]


def text(files) -> str:
    scratch = began("text")
    if scratch.name.endswith("-1"):
        raise RuntimeError("the first attempt always fails")
    return " ".join(_words(files))


def raw(files) -> bytes:
    began("raw")
    return " ".join(_words(files)).encode() * 3000


def thing(files):
    began("object")
    return Point(len(files), _words(files))


def place(files) -> Path:
    path = began("place") / "words.txt"
    path.write_text("\\n".join(_words(files)))
    return path


def tree(files) -> Path:
    folder = began("tree") / "tree"
    (folder / "a" / "b").mkdir(parents=True)
    for number, word in enumerate(_words(files)[:3]):
        (folder / "a" / f"{number}.txt").write_text(word)
    (folder / "a" / "b" / "same.txt").write_text("same")
    shutil.rmtree(folder / "a" / "b")
    (folder / "link").symlink_to("a/0.txt")
    return folder


def many(files) -> list:
    scratch = began("many")
    made = []
    for number, word in enumerate(_words(files)[:3]):
        path = scratch / f"{number}.txt"
        path.write_text(word * 2)
        made.append(path)
    return made


def square(number) -> dict:
    began(f"squares {number}")
    return {"of": number, "is": number**2}
"""

HEAVY = """\
from work import _words, began


def table(files):
    import pyarrow as pa

    began("table")
    return pa.table({"word": _words(files)})


def array(files):
    import numpy as np

    began("array")
    return np.array([len(word) for word in _words(files)])


def model(files):
    from sklearn.linear_model import LinearRegression

    began("model")
    lengths = [len(word) for word in _words(files)]
    return LinearRegression().fit([[x] for x in lengths], lengths)
"""

STEPS = 13
SLOW = ("table", "array", "model")  # import numpy, pandas and scikit-learn: seconds for every run
WHOLE, QUICK = "pipeline.yaml", "quick.yaml"
DATA = {"data/a.txt": "a treadle keeps", "data/b.txt": "the spinning wheels turn"}

# In the process that forks the workers, before anything of treadle is imported: put a tracer at its side, or stand
# for one that tests/crash/warm.py forks from a process that has imported everything, until that one ends.
SITE = """\
import os
import sys

if "treadle.executors.nursery" in sys.orig_argv and "SUBJECT_TRACE" in os.environ:
    strace = os.environ.pop("SUBJECT_TRACE").split("\\n")
    os.execvp(strace[0], [*strace, *sys.orig_argv])
if "treadle.executors.nursery" in sys.orig_argv and "SUBJECT_DOOR" in os.environ:
    import _signal
    import _socket
    import struct

    door = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    door.connect(os.environ.pop("SUBJECT_DOOR"))
    words = sys.orig_argv[sys.orig_argv.index("treadle.executors.nursery") + 1 :]
    environment = [f"{name}={value}" for name, value in os.environ.items()]
    said = "\\0".join([os.getcwd(), str(len(words)), *words, *environment]).encode()
    handles = struct.pack("4i", int(words[0]), 0, 1, 2)
    door.sendmsg([said], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, handles)])
    os.close(int(words[0]))
    nursery = int(door.recv(32))

    def end(*_):
        try:
            os.kill(nursery, _signal.SIGTERM)
        except ProcessLookupError:  # it has just ended by itself
            pass

    _signal.signal(_signal.SIGTERM, end)
    code = int(door.recv(32) or b"1")
    if code < 0:
        _signal.signal(-code, _signal.SIG_DFL) if code != -_signal.SIGKILL else None
        os.kill(os.getpid(), -code)
    os._exit(code)
"""


class Subject(NamedTuple):
    """A copy of the project: one pipeline of all steps, one of the quick ones, and the log of what began."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "project"

    @property
    def log(self) -> Path:
        return self.folder / "began"

    @property
    def state(self) -> Path:
        return self.root / ".treadle"

    def environment(self) -> dict[str, str]:
        """Nothing of the machine's but the folders of its programs."""
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.folder / "home"),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": str(self.folder / "site"),
            "SUBJECT_LOG": str(self.log),
        }

    def began(self) -> list[tuple[str, str]]:
        """What began, in order: (run, step), for an item of a `foreach` (run, "step element")."""
        found = []
        for line in self.log.read_text().splitlines() if self.log.exists() else ():
            scratch, _, name = line.partition(" ")
            parts = Path(scratch).parts
            found.append((parts[parts.index("tmp", parts.index(".treadle")) + 1][: len("YYYYMMDD-HHMMSS-abcd")], name))
        return found

    def tree(self) -> dict[str, bytes]:
        """The user's files and their content."""
        files = (path for path in self.root.rglob("*") if path.is_file())
        found = {str(path.relative_to(self.root)): path.read_bytes() for path in files}
        return {name: data for name, data in found.items() if not name.startswith(".treadle/")}


def make(folder: Path) -> Subject:
    """The project as its user wrote it, nothing run yet."""
    subject = Subject(folder)
    quick = [line for line in PIPELINE.splitlines() if not line.strip().startswith(SLOW)]
    files = {"treadle.toml": "", WHOLE: PIPELINE, QUICK: "\n".join(quick), "work.py": WORK, "heavy.py": HEAVY, **DATA}
    write(subject.root, files.items())
    write(folder / "site", [("sitecustomize.py", SITE)])
    (folder / "home").mkdir()
    return subject


def copy(subject: Subject, folder: Path) -> Subject:
    """Another one in the same state."""
    shutil.copytree(subject.folder, folder, symlinks=True)
    return Subject(folder)


def write(root: Path, files: Iterable[tuple[str, str]]) -> None:
    for name, content in files:
        path = root / name
        os.makedirs(path.parent, exist_ok=True)
        path.write_text(content)
