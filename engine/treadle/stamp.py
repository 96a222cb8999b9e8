"""The stamp of a run that had nothing to do: everything that its decisions looked at, and what came of it.

While all of it stands as it stood, every decision would be the same, so the answer is. Standard library only, and
little of it: this is what runs when there is nothing to do. `api/stamping.py` makes stamps and says what goes in.

again
├── read        the stamp of this very command line, found in the nearest `.treadle/plans/` upwards
├── stands      interpreter, files, folders, absences, objects, ages
└── record      in one transaction: the results are those of the stamp, and this run is in the history
"""

import marshal
import os
import sys
import zlib

from treadle.version import __version__

TYPE_CHECKING = False  # importing typing for it would take 3 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

Sign = tuple[int, int, int, int] | bool
Signs = dict[str, Sign]

FORMAT = 2
RACY = 2_000_000_000  # nanoseconds; a file that changed so shortly before it was looked at may change again unseen
FIELDS = (
    *("root", "path", "pipeline", "plan", "params", "walks"),  # of the run
    *("tables", "fates"),  # of its answer: heads and rows, and how many steps met each fate
    *("signs", "variables", "objects", "sizes", "until", "results", "schema"),  # of what it looked at
)


class Stamp:
    """Plain data; everything but `at` is a field of the file.

    `signs` maps a path to its sign, see `sign_of`. `objects` are paths below `.treadle/objects/` with `sizes`. `until`
    is when the first result becomes too old, 0 for never. `results` is the state of the table of results, `schema`
    the version of the database.
    """

    __slots__ = ("at", *FIELDS)

    def __init__(self, at: str, **fields: object) -> None:
        self.at = at
        for name in FIELDS:
            setattr(self, name, fields[name])

    if TYPE_CHECKING:
        at: str
        root: str
        path: str
        pipeline: str
        plan: str
        params: bytes
        walks: tuple[str, ...]
        tables: list[tuple[tuple[str, ...], list[tuple[str, ...]]]]
        fates: dict[str, int]
        signs: Signs
        variables: dict[str, str | None]
        objects: list[str]
        sizes: list[int]
        until: float
        results: int
        schema: int


def sign_of(path: str) -> Sign:
    """What a path is: False nothing, True a folder of which no more counts, else size, mtime, ctime and inode."""
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True if found.st_mode & 0o170000 == 0o040000 else _signature(found)


def folder_sign(path: str) -> Sign:
    """The sign of a folder whose entries count; raises OSError."""
    return _signature(os.stat(path))


def at_rest(sign: Sign, began: int) -> bool:
    """Whether something with this sign cannot have changed since `began`, in nanoseconds, without another sign."""
    return isinstance(sign, bool) or (sign[2] <= began - RACY and not began - RACY < sign[1] <= began)


def name(words: "Sequence[str]", folder: str) -> str:
    """The name of the stamp of a command line given in a folder; the stamp itself holds both."""
    return f"stamp-{zlib.crc32(repr(_asked(words, folder)).encode('utf-8', 'surrogatepass')):08x}"


def write(stamp: Stamp, words: "Sequence[str]", folder: str) -> bytes:
    """The content of a stamp's file."""
    body = {field: getattr(stamp, field) for field in FIELDS}
    data = marshal.dumps((_interpreter(), _asked(words, folder), body))
    return b"%08x\n" % zlib.crc32(data) + data


def read(words: "Sequence[str]", folder: str) -> Stamp | None:
    """The stamp of a command line given in a folder, or None; whether it stands is another question."""
    own, top = name(words, folder), folder
    while True:
        path = os.path.join(top, ".treadle", "plans", own)
        try:
            with open(path, "rb") as file:
                head, data = file.read(9), file.read()
            break
        except OSError:
            if top == os.path.dirname(top):
                return None
            top = os.path.dirname(top)
    if head != b"%08x\n" % zlib.crc32(data):
        return None  # torn
    interpreter, asked, body = marshal.loads(data)
    if interpreter != _interpreter() or asked != _asked(words, folder) or tuple(body) != FIELDS:
        return None
    return Stamp(path, **body)


def stands(stamp: Stamp, now: float) -> bool:
    """Whether everything outside the database is as it was."""
    if stamp.until and now > stamp.until:
        return False
    return _signs_stand(stamp.signs) and _objects_stand(stamp)


def record(stamp: Stamp, run: "tuple[str, float, float, str]") -> bool:
    """Put a run (id, beginning, end, commit) into the history, if the results are still those of the stamp."""
    import sqlite3  # lazy: 5 ms, only when all else stands

    path = os.path.join(stamp.root, ".treadle", "state.db")
    if not os.access(path, os.W_OK):
        return False
    run_id, started, finished, commit = run
    try:
        connection = sqlite3.connect(path, timeout=30.0, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous=NORMAL")  # what a power loss forgets here did nothing
            connection.execute("BEGIN IMMEDIATE")
            if not _database_stands(connection.execute, stamp):
                return False
            connection.execute(
                "INSERT INTO runs (run_id, pipeline, path, plan, status, started, finished, beat, params, git, "
                "host, boot, pid, began) VALUES (?, ?, ?, ?, 'ok', ?, ?, ?, ?, ?, '', '', 0, '')",
                (run_id, stamp.pipeline, stamp.path, stamp.plan, started, finished, finished, stamp.params, commit),
            )
            for position, walk in enumerate(stamp.walks, 1):
                connection.execute("INSERT INTO run_walks VALUES (?, ?, ?)", (run_id, position, walk))
            connection.execute("COMMIT")
            return True
        finally:
            connection.close()
    except sqlite3.Error:
        return False  # damaged, read-only, of another version: the long way says which


def _database_stands(ask: "Callable[..., Any]", stamp: Stamp) -> bool:
    if ask("PRAGMA user_version").fetchone()[0] != stamp.schema:
        return False
    if ask("SELECT number FROM generation").fetchone() != (stamp.results,):
        return False
    found = [ask("SELECT 1 FROM walks WHERE digest = ?", (walk,)).fetchone() for walk in stamp.walks]
    return None not in found


def _signs_stand(signs: Signs) -> bool:
    stat = os.stat
    for path, sign in signs.items():
        if isinstance(sign, tuple):
            try:
                found = stat(path)
            except OSError:
                return False
            if (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino) != sign:
                return False
        elif sign_of(path) is not sign:
            return False
    return True


def _objects_stand(stamp: Stamp) -> bool:
    stat = os.stat
    top = os.path.join(stamp.root, ".treadle", "objects", "")
    try:
        return [stat(top + path).st_size for path in stamp.objects] == stamp.sizes
    except OSError:
        return False


def _signature(found: os.stat_result) -> tuple[int, int, int, int]:
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _asked(words: "Iterable[str]", folder: str) -> "tuple[str, ...]":
    return folder, *words


def _interpreter() -> tuple[int, str, str, str, tuple[str, ...]]:
    return FORMAT, __version__, sys.version, sys.executable, tuple(sys.path)
