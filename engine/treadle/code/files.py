"""Source files below a project: their content and summaries, found once and kept by what the files are now.

Content decides. Size, times and inode only save reading, and only for a file that was at rest when it was read.
"""

import os
import time
import zlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from msgspec import DecodeError, Struct, msgpack

from treadle.code import modules
from treadle.code.summary import Summary
from treadle.code.words import Word, words_of_script
from treadle.digest import of_bytes
from treadle.domain.signature import MAIN

if TYPE_CHECKING:
    from treadle.code.live import Main

FORMAT = "3"  # of summaries and of what is derived from them; a change makes them be found anew, and no key differ
AT_REST = 2_000_000_000  # nanoseconds: what changed later than this before it was read may change again unseen
LONG = 2_000  # characters from which on a source text is compressed
LONGEST = 1_000  # characters of a text that may name a file
NOT_CODE = frozenset(("__pycache__", "node_modules", "site-packages", "dist-packages"))

Stat = tuple[int, int, int, int]  # size, mtime_ns, ctime_ns, inode


class Memo(Protocol):
    """Where answers are kept from one command to the next."""

    def get(self, kind: str, key: str) -> bytes | None:
        """What was put under this key, or None."""

    def put(self, kind: str, key: str, value: bytes) -> None:
        """Keep a value."""


class _Content(Struct, frozen=True, array_like=True):
    stat: Stat
    digest: str


class Files:
    """The files of one command: each is looked at once, however many steps reach it."""

    def __init__(self, root: str, memo: Memo) -> None:
        self.root = root
        self.memo = memo
        self.read = 0  # files read, and
        self.summarized = 0  # files parsed: what tests count
        self.looked: dict[str, Stat | bool] = {}  # all that answers depended on: what it was, or whether it was there
        self._stats: dict[str, Stat | None] = {}
        self._contents: dict[str, str] = {}
        self._summaries: dict[str, Summary] = {}
        self._found: dict[tuple[str, tuple[str, ...]], str | None] = {}
        self._words: dict[str, bool] = {}
        self._now = time.time_ns()
        self._main: tuple[Main | None, str] | None = None

    def main(self) -> "Main | None":
        """What the program that runs defines itself, read once; None where it is the command line."""
        if self._main is None:
            from treadle.code.live import read_main  # lazy: the syntax tree, only for functions of the program itself

            path, main = os.path.join(self.root, f"<{MAIN}>.py"), read_main()
            self._main = main, path
            if main is not None:
                digest = of_bytes(main.text.encode("utf-8", "surrogatepass"))
                self._contents[path] = digest
                self._stats[path] = (len(main.text), 0, 0, int(digest[:15], 16))  # it has no file, and changes with it
        return self._main[0]

    def find(self, module: str, folders: Sequence[str]) -> str | None:
        """The file of a module, the folder of a namespace package, or None; looked for once."""
        if module == MAIN and self.main() is not None and self._main is not None:
            return self._main[1]
        key = (module, tuple(folders))
        if key not in self._found:
            self._found[key] = found = modules.find(module, folders) if module else None
            for path in modules.candidates(module, folders) if module else ():
                self._note(path)
                if path == found:
                    break
        return self._found[key]

    def stat(self, path: str) -> Stat | None:
        """Size, times and inode of a file or folder; None when it is not there."""
        if path not in self._stats:
            try:
                info = os.stat(path)
                self._stats[path] = (info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino)
            except OSError:
                self._stats[path] = None
            self.looked[path] = self._stats[path] or False
        return self._stats[path]

    def at_rest(self, stat: Stat | None) -> bool:
        """Whether a file has been as it is for long enough that a change would show in its times."""
        return stat is None or max(stat[1], stat[2]) < self._now - AT_REST

    def state(self, paths: Iterable[str]) -> str | None:
        """What tells whether any of these files and folders changed; None when one is not at rest."""
        stats = [self.stat(path) for path in paths]
        return of_bytes(repr(stats).encode()) if all(map(self.at_rest, stats)) else None

    def content(self, path: str) -> str:
        """The digest of a file's bytes; empty when it cannot be read."""
        return self._content(path)[0]

    def summary(self, path: str) -> Summary:
        """What a source file is worth to keys; raises CodeError when it cannot be read."""
        if path not in self._summaries:
            digest, data = self._content(path)
            kept = self.memo.get(f"summary-{FORMAT}", digest)
            try:
                found = msgpack.decode(kept, type=Summary) if kept is not None else None
            except DecodeError:
                found = None
            self._summaries[path] = found or self._summarize(path, digest, data)
        return self._summaries[path]

    def inside(self, text: str, home: str) -> str | None:
        """A path, from the root or after `@` from `home`, as seen from the project's root; None when outside."""
        if "/" not in text and text[:1] not in ("", "@", "."):
            return text  # nearly all words of commands
        base, path = (home, text.lstrip("@").lstrip("/")) if text.startswith("@") else (self.root, text)
        path = os.path.normpath(os.path.join(base, path))
        return path[len(self.root) + 1 :] if path.startswith(self.root + os.sep) else None

    def named(self, word: str) -> bool:
        """Whether a word of a command names a file of the project."""
        if word not in self._words:
            path = self.inside(word, "")
            self._words[word] = path is not None and self.is_file(path)
        return self._words[word]

    def file(self, text: str) -> str | None:
        """The file of the project that a text names, relative to its root; None where it names none."""
        short = len(text) < LONGEST and text.isprintable()
        return self.inside(text, "") if short and self.named(text) else None

    def script(self, relative: str) -> tuple[list[Word], list[str]]:
        """The words of a shell script of the project, as seen from the root and from its folder; its PYTHONPATH."""
        path = os.path.join(self.root, relative)
        return words_of_script(_read(path).decode("utf-8", "replace"), os.path.dirname(relative))

    def is_file(self, relative: str) -> bool:
        """Whether there is such a file in the project."""
        path = os.path.join(self.root, relative) if relative[:1] == "/" else f"{self.root}/{relative}"
        try:
            there = os.access(path, os.F_OK)  # most words name nothing, which takes no exception to say
        except ValueError:
            there = False
        self.looked.setdefault(path, there)
        return there and os.path.isfile(path)

    def is_folder(self, path: str) -> bool:
        """Whether there is such a folder."""
        self._note(path)
        return os.path.isdir(path)

    def exists(self, relative: str) -> bool:
        """Whether there is such a file or folder in the project."""
        return self.stat(os.path.join(self.root, relative)) is not None

    def package(self, name: str, path: str | None) -> tuple[list[str], list[str]]:
        """The modules of a package and of its inner packages, of the whole project for an empty name; its folders."""
        if name and (path is None or (path.endswith(".py") and not path.endswith("__init__.py"))):
            return ([name] if path else []), []
        top = os.path.dirname(path) if path is not None and path.endswith(".py") else path or self.root
        found, folders = [], []
        for folder, inner, names in os.walk(top):
            self.stat(folder)
            folders.append(folder)
            inner[:] = sorted(each for each in inner if _may_be_code(folder, each))
            below = os.path.relpath(folder, top)
            parts = [*([name] if name else []), *([] if below == "." else below.split(os.sep))]
            for file in sorted(names):
                if file.endswith(".py") and file[:-3].isidentifier():
                    found.append(".".join(parts if file == "__init__.py" else [*parts, file[:-3]]))
        return [module for module in found if module], folders

    def _note(self, path: str) -> None:
        if path not in self.looked:
            self.looked[path] = os.path.exists(path)

    def _content(self, path: str) -> tuple[str, bytes | None]:
        if path in self._contents:
            return self._contents[path], None
        stat = self.stat(path)
        kept = self.memo.get("content", path)
        if kept is not None and stat is not None:
            try:
                content = msgpack.decode(kept, type=_Content)
            except DecodeError:
                content = None
            if content is not None and content.stat == stat:
                self._contents[path] = content.digest
                return content.digest, None
        data = _read(path)
        self.read += 1
        digest = of_bytes(data)
        self._contents[path] = digest
        if stat is not None and self.at_rest(stat):
            self.memo.put("content", path, msgpack.encode(_Content(stat, digest)))
        return digest, data

    def _summarize(self, path: str, digest: str, data: bytes | None) -> Summary:
        from treadle.code.summarize import summarize  # lazy: the syntax tree, only for files that changed

        self.summarized += 1
        main = self._main[0] if self._main is not None and self._main[1] == path else None
        if main is not None:
            data = main.text.encode("utf-8", "surrogatepass")
        made = summarize(_read(path) if data is None else data)
        self.memo.put(f"summary-{FORMAT}", digest, msgpack.encode(made.summary))
        for part, text in made.sources.items():
            self.memo.put("source", part, packed(text))
        return made.summary


def packed(text: str) -> bytes:
    """A source text as it is kept: compressed when it is long."""
    data = text.encode("utf-8", "surrogatepass")
    return b"z" + zlib.compress(data, 1) if len(data) > LONG else b"t" + data


def unpacked(data: bytes) -> str:
    """The text that `packed` made."""
    raw = zlib.decompress(data[1:]) if data[:1] == b"z" else data[1:]
    return raw.decode("utf-8", "surrogatepass")


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(modules.LARGEST)
    except OSError as error:
        raise modules.CodeError("unreadable-code", f"{path} cannot be read: {error.strerror}", "") from None


def _may_be_code(folder: str, name: str) -> bool:
    if name in NOT_CODE or not name.isidentifier():
        return False
    return not os.path.exists(os.path.join(folder, name, "pyvenv.cfg"))
