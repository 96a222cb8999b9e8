"""Literal paths in code: `open("sql/x.sql")`, `Path("conf") / "a.yaml"`, `Path(__file__).parent / "x.json"`."""

import ast
import posixpath
import re

from treadle.code.canonical import last_name

HERE = "@"  # the folder of the source file
FILE = "@@"  # the source file itself
WHOLE = re.compile(r"<[\w.]+>")  # a name that stands for a path, or for a part of one
_JOINS = ("Path", "PurePath", "PosixPath", "join", "joinpath")
_READS = ("open", "fopen", "loadtxt", "genfromtxt", "memmap")
_LISTS = ("glob", "iglob", "rglob", "iterdir", "listdir", "scandir", "walk")
_MAKES = (
    *("write_text", "write_bytes", "touch", "unlink", "remove", "savefig", "save", "savez", "savez_compressed"),
    *("savetxt", "save_model", "dump", "to_csv", "to_parquet", "to_json", "to_pickle", "to_feather", "to_excel"),
)
_WRITES = ("savefig", "mkdir", "makedirs", "touch", "unlink", "remove", "rmtree")


def joined(node: ast.AST, named: bool = False) -> str | None:
    """The path that an expression of literals stands for, or None.

    With `named`, names and attributes of names may stand in it, as `<config.DATA>`; what they are is found out later.
    """
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.Name):
        return FILE if node.id == "__file__" else f"<{node.id}>" if named else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return _join([joined(node.left, named), joined(node.right, named)])
    if isinstance(node, ast.Attribute) and node.attr == "parent":
        return _parent(joined(node.value, named), 1)
    if isinstance(node, ast.Attribute) and named:
        base = joined(node.value, named)
        return f"{base[:-1]}.{node.attr}>" if base is not None and WHOLE.fullmatch(base) else None
    if isinstance(node, ast.Subscript) and last_name(node.value) == "parents":
        level = node.slice.value if isinstance(node.slice, ast.Constant) else None
        base = joined(node.value.value, named) if isinstance(node.value, ast.Attribute) else None
        return _parent(base, level + 1) if base is not None and isinstance(level, int) else None
    if isinstance(node, ast.JoinedStr) and named:
        parts = [joined(part.value if isinstance(part, ast.FormattedValue) else part, named) for part in node.values]
        return "".join(part for part in parts if part is not None) if None not in parts else None
    if isinstance(node, ast.Call):
        return _call(node, named)
    return None


def _call(node: ast.Call, named: bool) -> str | None:
    name = last_name(node.func)
    if name in ("resolve", "absolute", "expanduser") and isinstance(node.func, ast.Attribute) and not node.args:
        return joined(node.func.value, named)
    if name in ("abspath", "realpath", "str", "fspath") and len(node.args) == 1:
        return joined(node.args[0], named)
    if name == "dirname" and len(node.args) == 1:
        return _parent(joined(node.args[0], named), 1)
    if name in ("cwd", "getcwd") and named and not node.args:
        return ""
    if name == "with_name" and named and len(node.args) == 1 and isinstance(node.func, ast.Attribute):
        return _join([_parent(joined(node.func.value, named), 1), joined(node.args[0], named)])
    if name in _JOINS and node.args:
        parts = [joined(argument, named) for argument in node.args]
        if name == "joinpath" and isinstance(node.func, ast.Attribute):
            parts.insert(0, joined(node.func.value, named))
        elif name == "join" and last_name(getattr(node.func, "value", node)) != "path":
            return None  # ", ".join(…)
        return _join(parts)
    return None


def _join(parts: list[str | None]) -> str | None:
    known = [part for part in parts if part is not None]
    return posixpath.join(*known) if len(known) == len(parts) else None


def _parent(path: str | None, times: int) -> str | None:
    if path is None:
        return None
    for _ in range(times):
        path = HERE if path == FILE else posixpath.join(path, "..")
    return path


def like_a_path(text: str) -> bool:
    """Whether a text may name a file of the project."""
    if not 2 < len(text) < 300 or "\n" in text or "\0" in text or "://" in text or text.startswith(("/", ".", "~")):
        return False
    last = text.rpartition("/")[2]
    return "." in last.strip(".") or ("/" in text and text.startswith(HERE))


def listed(node: ast.Call) -> str:
    """The literal folder or pattern whose files a call lists; empty for any other call."""
    if last_name(node.func) not in _LISTS:
        return ""
    folder = None
    if isinstance(node.func, ast.Attribute) and last_name(node.func.value) not in ("glob", "os"):
        folder = joined(node.func.value)
        if folder is None:
            return ""  # a folder that is an input, or computed
    pattern = joined(node.args[0]) if node.args else None
    found = "/".join(part.lstrip(HERE).lstrip("/") for part in (folder, pattern) if part is not None)
    return found if not (folder or pattern or "").startswith(("/", "~")) else ""


def reads(node: ast.Call) -> bool:
    """Whether a call reads the file that it names."""
    name = last_name(node.func)
    if name == "open" or name in _READS:
        return not writes(node)
    return name.startswith(("read_", "load", "scan_", "from_file"))


def writes(node: ast.Call) -> bool:
    """Whether a call writes the file that it names."""
    name = last_name(node.func)
    if name in ("open", "fopen"):
        at = 0 if isinstance(node.func, ast.Attribute) and name == "open" else 1
        modes = [k.value for k in node.keywords if k.arg == "mode"] or node.args[at : at + 1]
        mode = modes[0].value if modes and isinstance(modes[0], ast.Constant) else "r"
        return isinstance(mode, str) and any(letter in mode for letter in "wax")
    return name in _WRITES or name.startswith(("to_", "write", "save", "dump"))


def makes(node: ast.Call) -> bool:
    """Whether a call surely writes the file that it names: `save_report(PATH)` may as well read it."""
    return last_name(node.func) in _MAKES or (last_name(node.func) in ("open", "fopen") and writes(node))
