"""Module names → source files, and files → syntax trees."""

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from treadle.domain.location import Location
from treadle.errors import TreadleError, did_you_mean

if TYPE_CHECKING:
    import ast

LARGEST = 8 << 20


class CodeError(TreadleError):
    """Code that a pipeline names cannot be found or read; `code` is the problem's code."""

    def __init__(self, code: str, text: str, hint: str = "", where: Location | None = None) -> None:
        self.code = code
        self.text = text
        self.hint = hint
        self.where = where
        super().__init__(text)


class UnknownName(CodeError):
    """A module has no such function; `known` are its names, `certain` is False where it makes names as it runs."""

    def __init__(self, text: str, hint: str, known: list[str], certain: bool) -> None:
        self.known = known
        self.certain = certain
        super().__init__("unknown-function", text, hint)


def find(module: str, folders: Sequence[str]) -> str | None:
    """The file of a module in the first folder that has it, a folder for a namespace package, or None."""
    relative = module.replace(".", os.sep)
    for folder in folders:
        base = os.path.join(folder, relative)
        for candidate in (os.path.join(base, "__init__.py"), base + ".py"):
            if os.path.isfile(candidate):
                return candidate
        if os.path.isdir(base) and not os.path.exists(base + ".py"):
            return base
    return None


def candidates(module: str, folders: Sequence[str]) -> Iterator[str]:
    """The places at which `find` looks, in its order."""
    relative = module.replace(".", os.sep)
    for folder in folders:
        base = os.path.join(folder, relative)
        yield from (os.path.join(base, "__init__.py"), base + ".py", base)


def locate(module: str, root: str, folders: Sequence[str]) -> str:
    """The file of a module of the project or of an installed package; raises CodeError with the nearest name."""
    found = find(module, (root, *folders)) if _is_name(module) else None
    if found is not None and found.endswith(".py"):
        return found
    parent, _, last = module.rpartition(".")
    folder = os.path.join(root, parent.replace(".", os.sep))
    names = []
    if os.path.isdir(folder):
        for entry in os.listdir(folder):
            stem = entry.removesuffix(".py")
            if stem != entry or os.path.isdir(os.path.join(folder, entry)):
                names.append(stem)
    known = [name for name in names if name.isidentifier()]
    hint = did_you_mean(last, known)
    if find(module, (os.path.join(root, "src"),)):
        hint = f"it lies below src/: `pip install -e .`, PYTHONPATH=src, or write src.{module}"
    elif not hint.startswith("did you mean"):
        hint = f"modules are looked for from the project's root ({root}); a treadle.toml in a folder makes it the root"
    raise CodeError("unknown-module", f"there is no module '{module}' in the project", hint)


def read_tree(path: str, shown: str, data: bytes | None = None) -> "ast.Module":
    """The syntax tree of a file, or of its given content; raises CodeError with the place of a syntax error."""
    import ast  # lazy: 5 ms that a run with nothing to do spares

    try:
        if data is None:
            with open(path, "rb") as file:
                data = file.read(LARGEST)
        return ast.parse(data)
    except SyntaxError as error:
        where = Location(shown, error.lineno or 1, error.offset or 1)
        raise CodeError("syntax-error", f"{error.msg}", "", where) from None
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        raise CodeError("unreadable-code", f"{shown} cannot be read: {error}", "") from None


def absolute(level: int, module: str | None, importer: str, is_package: bool) -> str:
    """The full name of a relative import seen in module `importer`."""
    if not level:
        return module or ""
    parts = importer.split(".")
    keep = len(parts) - level + (1 if is_package else 0)
    head = ".".join(parts[: max(0, keep)])
    return f"{head}.{module}" if module and head else module or head


def _is_name(module: str) -> bool:
    return all(part.isidentifier() for part in module.split("."))
