"""Python's scopes: which names a piece of code takes from its module.

A name that a function binds is its own, a comprehension has its own names, a class body's names are not seen by
its methods. Where both are possible the name counts as free: wider, never staler.
"""

import ast
from collections.abc import Iterator, Sequence

from treadle.code.canonical import FRAMES, is_docstring, parsed, reads_annotations

COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Scoped(ast.NodeVisitor):
    """A visitor that knows which names are free where it stands; docstrings and blind annotations are not visited."""

    def __init__(self) -> None:
        self._scopes: list[set[str]] = []

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._each(node.decorator_list)
        self._arguments(node.args, reads_annotations(node))
        if reads_annotations(node) and node.returns is not None:
            self.visit(parsed(node.returns))
        body = node.body[1:] if is_docstring(node.body[0]) else node.body
        self._scopes.append(_own_names(node.args, body))
        self._each(body)
        self._scopes.pop()

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.visit_FunctionDef(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._arguments(node.args, False)
        self._scopes.append(_own_names(node.args, [ast.Expr(node.body)]))
        self.visit(node.body)
        self._scopes.pop()

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._each(node.decorator_list)
        self._each(node.bases)
        self._each([keyword.value for keyword in node.keywords])
        for statement in node.body[1:] if is_docstring(node.body[0]) else node.body:
            if isinstance(statement, ast.AnnAssign):
                self.visit(parsed(statement.annotation))
            self.visit(statement)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.visit(node.target)
        if node.value is not None:
            self.visit(node.value)

    def generic_visit(self, node: ast.AST) -> None:
        if isinstance(node, COMPREHENSIONS):
            self._comprehension(node)
        else:
            super().generic_visit(node)

    def _comprehension(self, node: ast.AST) -> None:
        generators: list[ast.comprehension] = getattr(node, "generators", [])
        self.visit(generators[0].iter)
        own = {name.id for each in generators for name in ast.walk(each.target) if isinstance(name, ast.Name)}
        self._scopes.append(own)
        for position, each in enumerate(generators):
            if position:
                self.visit(each.iter)
            self._each(each.ifs)
        for field in ("elt", "key", "value"):
            part = getattr(node, field, None)
            if part is not None:
                self.visit(part)
        self._scopes.pop()

    def _arguments(self, args: ast.arguments, annotations: bool) -> None:
        self._each(args.defaults)
        self._each([default for default in args.kw_defaults if default is not None])
        if annotations:
            for arg in _all_arguments(args):
                if arg.annotation is not None:
                    self.visit(parsed(arg.annotation))

    def _each(self, nodes: Sequence[ast.AST]) -> None:
        for node in nodes:
            self.visit(node)

    def free(self, name: str) -> bool:
        """Whether a name is not bound by a function or comprehension around."""
        return not any(name in scope for scope in self._scopes)


def _all_arguments(args: ast.arguments) -> list[ast.arg]:
    found = [*args.posonlyargs, *args.args, *args.kwonlyargs]
    return [*found, *(arg for arg in (args.vararg, args.kwarg) if arg is not None)]


def _own_names(args: ast.arguments, body: Sequence[ast.stmt]) -> set[str]:
    """The names that a function binds, without those that it imports or declares global."""
    own: set[str] = set()
    foreign: set[str] = set()
    for statement in body:
        for node in _in_scope(statement):
            if isinstance(node, FRAMES):
                own.add(node.name)
            elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                own.add(node.id)
            elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
                own.add(node.name)
            elif isinstance(node, ast.MatchMapping) and node.rest:
                own.add(node.rest)
            elif isinstance(node, ast.Global):
                foreign.update(node.names)
            elif isinstance(node, ast.Import | ast.ImportFrom):
                foreign.update(alias.asname or alias.name.partition(".")[0] for alias in node.names)
    return (own - foreign) | {arg.arg for arg in _all_arguments(args)}


def _in_scope(node: ast.AST) -> Iterator[ast.AST]:
    """A statement's nodes that belong to the scope it stands in."""
    yield node
    if isinstance(node, (*FRAMES, ast.Lambda)):
        return
    if isinstance(node, COMPREHENSIONS):
        for inner in ast.walk(node):
            if isinstance(inner, ast.NamedExpr):
                yield inner.target
        return
    for child in ast.iter_child_nodes(node):
        yield from _in_scope(child)
