"""A source file's bytes → its Summary, with the source text of every definition for those who ask what changed."""

import ast
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from treadle.code import literals
from treadle.code.canonical import FRAMES, digest_of, is_docstring, last_name
from treadle.code.names import Names, module_target
from treadle.code.summary import Definition, Summary, Target
from treadle.digest import of_bytes, of_value

LONGEST = 300  # characters of a text that may be a part of a path
READS_DOCSTRINGS = (b"__doc__", b"getsource", b"getdoc")
COMPOUND = (ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Match)


class Summarized(NamedTuple):
    """A summary, and the source text of its parts by their digest."""

    summary: Summary
    sources: dict[str, str]


class _Statement(NamedTuple):
    """A statement of a module with the tests of the branches that it stands in."""

    node: ast.stmt
    tests: tuple[ast.AST, ...]


def summarize(data: bytes) -> Summarized:
    """The summary of a file's bytes; one that does not parse counts by its bytes."""
    try:
        tree = ast.parse(data)
        return _Module(tree, data).summarized()
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Summarized(Summary(broken=of_bytes(data)), {})


class _Module:
    def __init__(self, tree: ast.Module, data: bytes) -> None:
        self._tree = tree
        self._lines = data.decode("utf-8", "replace").splitlines()
        self._docstrings = any(word in data for word in READS_DOCSTRINGS)
        self._walrus = b":=" in data
        self._bound: dict[str, list[_Statement]] = {}
        self._targets: dict[str, list[Target]] = {}
        self._effects: list[_Statement] = []
        self._main: list[_Statement] = []
        self._imports: list[Target] = []
        self._stars: list[Target] = []
        self._sources: dict[str, str] = {}

    def summarized(self) -> Summarized:
        for statement in _statements(self._tree.body, ()):
            self._sort(statement)
        targets = self._targets
        definitions = {name: self._definition(found, targets.get(name, ()), name) for name, found in self._named()}
        summary = Summary(
            definitions=definitions,
            effects=self._definition(self._effects) if self._effects else None,
            main=self._definition(self._main) if self._main else None,
            imports=tuple(dict.fromkeys(self._imports)),
            stars=tuple(dict.fromkeys(self._stars)),
        )
        return Summarized(summary, self._sources)

    def _named(self) -> Iterator[tuple[str, list[_Statement]]]:
        for name in sorted({*self._bound, *self._targets}):
            yield name, self._bound.get(name, [])

    def _sort(self, statement: _Statement) -> None:
        """What a statement of the module is to keys: an import, a definition, an effect, or nothing."""
        node = statement.node
        if isinstance(node, ast.If):
            self._main.append(statement)  # only the block of a script comes here whole
        elif isinstance(node, ast.Import):
            self._import(node, statement)
        elif isinstance(node, ast.ImportFrom):
            self._import_from(node, statement)
        elif isinstance(node, FRAMES):
            self._bound.setdefault(node.name, []).append(statement)
        elif is_docstring(node) or isinstance(node, ast.Pass):
            return
        else:
            names, outside = _assigned(node)
            for name in names:
                self._bound.setdefault(name, []).append(statement)
            if outside or not names or isinstance(node, COMPOUND):
                self._effects.append(statement)

    def _import(self, node: ast.Import, statement: _Statement) -> None:
        for alias in node.names:
            self._imports.append(Target(0, alias.name))
            self._alias(alias.asname or alias.name.partition(".")[0], module_target(alias), statement)

    def _import_from(self, node: ast.ImportFrom, statement: _Statement) -> None:
        origin = node.module or ""
        if origin == "__future__":
            return
        for alias in node.names:
            if alias.name == "*":
                self._stars.append(Target(node.level, origin))
                self._imports.append(Target(node.level, origin))
            else:
                target = Target(node.level, origin, alias.name)
                self._imports.append(target)
                self._alias(alias.asname or alias.name, target, statement)

    def _alias(self, name: str, target: Target, statement: _Statement) -> None:
        self._targets.setdefault(name, []).append(target)
        if statement.tests:  # which branch is taken counts, so the name is more than an alias
            self._bound.setdefault(name, []).append(statement)

    def _definition(
        self, statements: Sequence[_Statement], targets: Sequence[Target] = (), known_as: str = ""
    ) -> Definition:
        names = Names(self._walrus)
        nodes: list[ast.AST] = []
        triggers: set[str] = set()
        for statement in statements:
            own = isinstance(statement.node, ast.Import | ast.ImportFrom)
            for node in (*statement.tests, *(() if own else (statement.node,))):
                nodes.append(node)
                names.visit(node)
            if not own:
                triggers |= _triggers(statement.node)
        for target in targets:
            names.renamed(known_as, target)
        parts = [digest_of(nodes, self._docstrings)]
        parts += [f"{target.level} {target.module} {target.name}" for target in targets]
        digest = parts[0] if len(parts) == 1 else of_value(parts)
        texts = [self._source(statement.node) for statement in statements]
        texts = texts or [f"from {t.module} import {t.name}" if t.name else f"import {t.module}" for t in targets]
        self._sources[digest] = "\n".join(texts)
        return Definition(
            digest=digest,
            alias=not statements,
            uses=tuple(sorted(names.uses)),
            targets=tuple(dict.fromkeys(targets)),
            inner=tuple(sorted(names.inner, key=repr)),
            loads=tuple(sorted(names.loads)),
            patches=tuple(sorted(names.patches)),
            wide=tuple(sorted(names.wide)),
            opens=tuple(sorted(names.opens, key=repr)),
            unjoined=tuple(sorted(names.unjoined)),
            triggers=tuple(sorted(triggers)),
            writes=names.writes,
            path=_constant(statements),
            written=tuple(sorted(names.written)),
        )

    def _source(self, node: ast.stmt) -> str:
        decorators = getattr(node, "decorator_list", None)
        first = min([node.lineno, *(decorator.lineno for decorator in decorators or ())])
        return "\n".join(self._lines[first - 1 : node.end_lineno])


def _constant(statements: Sequence[_Statement]) -> str:
    """The path, or the text, that a name stands for that is assigned to once; empty for any other."""
    node = statements[0].node if len(statements) == 1 and not statements[0].tests else None
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        value: ast.expr | None = node.value
    else:
        value = node.value if isinstance(node, ast.AnnAssign) else None
    found = literals.joined(value, named=True) if value is not None else None
    return found if found is not None and len(found) < LONGEST else ""


def _statements(body: Sequence[ast.stmt], tests: tuple[ast.AST, ...]) -> Iterator[_Statement]:
    """The statements of a module, with those in the branches of if and try; what only type checkers see is left out."""
    for node in body:
        if isinstance(node, ast.If) and last_name(node.test) == "TYPE_CHECKING":
            yield from _statements(node.orelse, tests)
        elif isinstance(node, ast.If) and _is_main(node.test):
            yield _Statement(node, tests)
        elif isinstance(node, ast.If):
            yield from _statements(node.body, (*tests, node.test))
            yield from _statements(node.orelse, (*tests, ast.Not(), node.test))
        elif isinstance(node, ast.Try | ast.TryStar):
            tried = (*tests, ast.Constant("try"))
            yield from _statements(node.body, tried)
            for handler in node.handlers:
                caught = handler.type or ast.Constant("any")
                yield from _statements(handler.body, (*tests, ast.Constant("except"), caught))
            yield from _statements([*node.orelse, *node.finalbody], tried)
        else:
            yield _Statement(node, tests)


def _is_main(test: ast.expr) -> bool:
    return isinstance(test, ast.Compare) and "__name__" in (last_name(test.left), *map(last_name, test.comparators))


def _assigned(node: ast.stmt) -> tuple[set[str], bool]:
    """The names that a statement of a module binds, and whether it also assigns to something else."""
    names: set[str] = set()
    outside = isinstance(node, ast.Delete)
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            names.add(part.id)
        elif isinstance(part, ast.Attribute | ast.Subscript) and not isinstance(part.ctx, ast.Load):
            outside = True
        elif isinstance(part, ast.Import | ast.ImportFrom):  # inside a loop or a with
            names.update(alias.asname or alias.name.partition(".")[0] for alias in part.names)
        elif isinstance(part, FRAMES):
            names.add(part.name)
    if isinstance(node, ast.AnnAssign) and node.value is None:
        outside = False
    return names, outside


def _triggers(node: ast.stmt) -> set[str]:
    """The names that run when a definition is made: decorators, base classes, what an assignment calls."""
    found: list[ast.AST] = []
    if isinstance(node, FRAMES):
        found += [d.func if isinstance(d, ast.Call) else d for d in node.decorator_list]
        if isinstance(node, ast.ClassDef):
            found += [*node.bases, *(keyword.value for keyword in node.keywords)]
    elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign) and node.value is not None:
        found += [part.func for part in ast.walk(node.value) if isinstance(part, ast.Call)]
    return {ast.unparse(part) for part in found if isinstance(part, ast.Name | ast.Attribute)}
