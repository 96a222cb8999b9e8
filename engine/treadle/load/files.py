"""Which files to check, and checking one whatever it is: pipelines, and schemas of tables."""

import os
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from treadle.code import Project
from treadle.document import grammar
from treadle.document.parse import Node, parse
from treadle.errors import Problem
from treadle.load import source
from treadle.load.pipeline import Context, Loaded, check_tree, in_order, shown_path
from treadle.plugins import Catalog

LOCKS = (".lock.yaml", ".lock.yml")
LEFT_OUT = ("node_modules", "__pycache__", "site-packages")


class LoadedFile(Struct, frozen=True):
    """One checked file: `kind` is pipeline or table; `loaded` is there for a pipeline that could be read."""

    path: str
    kind: str
    problems: tuple[Problem, ...]
    loaded: Loaded | None = None


def load_files(paths: Iterable[str], root: str, catalog: Catalog, project: Project) -> list[LoadedFile]:
    """Check files and folders; a path that is none, or holds nothing, is an entry with the problem."""
    found = []
    for path in paths:
        files, missing = pipeline_files(str(Path(root, path)))
        if missing:
            found.append(LoadedFile(path, "pipeline", tuple(missing)))
        found += [_load(file, root, catalog, project) for file in files]
    return found


def load_file(path: str, root: str, catalog: Catalog, project: Project) -> tuple[Problem, ...]:
    """Every problem of a pipeline file or a table schema; `path` as for `load_pipeline`."""
    return _load(path, root, catalog, project).problems


def pipeline_files(path: str) -> tuple[list[str], list[Problem]]:
    """The files that a path stands for: itself, or all pipelines and table schemas below a folder.

    Problems say that there is nothing at the path, or nothing to check below it.
    """
    if not Path(path).is_dir():
        if Path(path).exists():
            return [path], []
        return [], source.read(path, path)[1]
    found = []
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if _enters(folder, name))
        for name in sorted(names):
            if name.endswith(source.SUFFIXES) and not name.endswith(LOCKS):
                file = str(Path(folder, name))
                if _declares(file):
                    found.append(file)
    if not found:
        hint = "a pipeline is a .yaml file with `steps:`, a table schema one with `columns:`"
        return [], [Problem("nothing-to-check", f"there is no pipeline in {path}", None, hint, "warning")]
    return found, []


def _enters(folder: str, name: str) -> bool:
    if name.startswith(".") or name in LEFT_OUT:
        return False
    return not Path(folder, name, "pyvenv.cfg").exists()


def _declares(file: str) -> bool:
    """Say whether a file of a searched folder means to be ours: other tools write YAML too."""
    data, _ = source.read(file, file)
    if data is None:
        return False
    keys = {line.partition(b":")[0].strip(b"\"' ") for line in data.splitlines() if line[:1] not in (b" ", b"#", b"-")}
    if b"columns" in keys:
        return b"version" in keys
    if b"steps" not in keys:
        return False
    node, _ = parse(data, file)
    if node is None:
        return b"version" in keys
    steps = node.value.get("steps") if node.kind == "map" else None
    # Continuous-integration services have `steps:` too, as a list.
    return steps is not None and (steps.kind == "map" or "version" in node.value)


def _load(path: str, root: str, catalog: Catalog, project: Project) -> LoadedFile:
    shown = shown_path(path, root)
    data, problems = source.read(str(Path(root, path)), shown)
    if data is None:
        return LoadedFile(shown, "pipeline", tuple(problems))
    node, problems = parse(data, shown)
    if node is None:
        return LoadedFile(shown, "pipeline", in_order(problems))
    if _is_table(node):
        from treadle.document.table import TABLE  # lazy: the grammar of a format that most files are not

        return LoadedFile(shown, "table", in_order([*problems, *grammar.check(node, TABLE, shown)]))
    loaded = check_tree(node, problems, shown, Context(root, catalog, project))
    return LoadedFile(shown, "pipeline", loaded.problems, loaded)


def _is_table(node: Node) -> bool:
    return node.kind == "map" and "columns" in node.value and "steps" not in node.value
