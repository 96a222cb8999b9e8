"""A pipeline file → its spec, its signatures and every problem.

load_pipeline
├── source.read        bytes
├── parse              tree with places
├── grammar.check      shape
├── build.build        PipelineSpec
├── calls.read_signatures
├── check.check        meaning
├── named.check        what values name in installed packages
└── judged.check       values that their library judges
"""

import os
from bisect import bisect_right
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from treadle.code import Project
from treadle.document import grammar
from treadle.document.parse import Node, parse
from treadle.document.pipeline import PIPELINE
from treadle.domain.signature import Signature
from treadle.domain.spec import PipelineSpec
from treadle.errors import Problem
from treadle.load import judged, named, source
from treadle.load.build import build
from treadle.load.calls import read_signatures
from treadle.load.check import check
from treadle.load.facts import Facts
from treadle.load.places import Places
from treadle.plugins import Catalog


class Loaded(Struct, frozen=True):
    """What a file gave: its spec unless nothing could be built, every problem, the signatures by step."""

    spec: PipelineSpec | None
    problems: tuple[Problem, ...]
    signatures: dict[str, Signature]

    @property
    def ok(self) -> bool:
        """Whether the pipeline may run: warnings do not stop it."""
        return self.spec is not None and all(problem.severity != "error" for problem in self.problems)


def load_pipeline(path: str, root: str, catalog: Catalog, project: Project) -> Loaded:
    """Read and check a pipeline file; never raises for what a user wrote.

    `path` is relative to the project's `root`, or absolute. The problems are in the order of the file,
    one for each cause.
    """
    shown = shown_path(path, root)
    data, problems = source.read(str(Path(root, path)), shown)
    if data is None:
        return Loaded(None, tuple(problems), {})
    node, problems = parse(data, shown)
    if node is None:
        return Loaded(None, in_order(problems), {})
    return check_tree(node, problems, shown, Context(root, catalog, project))


class Context(Struct, frozen=True):
    """The surroundings of a file: the project's root and code, and what is installed."""

    root: str
    catalog: Catalog
    project: Project


def check_tree(node: Node, problems: list[Problem], shown: str, context: Context) -> Loaded:
    """The rest of loading, from a tree; `problems` are those of its text."""
    shape = [*problems, *grammar.check(node, PIPELINE, shown)]
    if node.kind != "map":
        return Loaded(None, in_order(shape), {})
    spec, quantities = build(node, shown)
    places = Places(node, shown)
    catalog = context.catalog
    signatures, unread = read_signatures(spec, places, catalog.steps, context.project)
    facts = Facts(spec, places, context.root, catalog.steps, catalog.executors, signatures, _broken(node, shape))
    meaning = [*quantities, *unread, *check(facts), *named.check(facts, context.project), *judged.check(facts)]
    return Loaded(spec, in_order([*shape, *_elsewhere(meaning, shape)]), signatures)


def shown_path(path: str, root: str) -> str:
    """The path as messages show it: relative to the root when it lies below it."""
    if not Path(path).is_absolute():
        return os.path.normpath(path)
    relative = os.path.relpath(path, root)
    return path if relative.startswith("..") else relative


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Problems by place, each said once; those of the whole file first."""
    unique = {(problem.code, problem.where, problem.text): problem for problem in problems}
    return tuple(sorted(unique.values(), key=_rank))


def _rank(problem: Problem) -> tuple[str, int, int, bool, str]:
    where = problem.where
    place = (where.path, where.line, where.column) if where is not None else ("", 0, 0)
    return (*place, problem.severity != "error", problem.code)


def _elsewhere(meaning: list[Problem], shape: list[Problem]) -> list[Problem]:
    """Leave out what stands inside a token that has the wrong shape: one cause, one problem."""
    spans: dict[int, list[tuple[int, int]]] = {}
    for problem in shape:
        if problem.where is not None:
            spans.setdefault(problem.where.line, []).append((problem.where.column, problem.length))
    if not spans:
        return meaning
    paths = {problem.where.path for problem in shape if problem.where is not None}
    return [
        problem
        for problem in meaning
        if problem.where is None
        or problem.where.path not in paths
        or not any(at <= problem.where.column < at + length for at, length in spans.get(problem.where.line, ()))
    ]


def _broken(root: Node, shape: list[Problem]) -> frozenset[str]:
    """The steps with a problem of shape between their name and the next step's."""
    steps = root.value.get("steps")
    if not shape or steps is None or steps.kind != "map":
        return frozenset()
    starts = sorted((key.line, key.column, name) for name, key in steps.keys.items() if name in steps.value)
    found = set()
    for problem in shape:
        if problem.where is not None:
            at = bisect_right(starts, (problem.where.line, problem.where.column, "\U0010ffff")) - 1
            if at >= 0:
                found.add(starts[at][2])
    return frozenset(found)
