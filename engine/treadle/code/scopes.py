"""Python's scopes: which names a piece of code takes from its module.

A name that a function binds is its own, a comprehension has its own names, a class body's names are not seen by
its methods. Where both are possible the name counts as free: wider, never staler.
"""

import ast
from collections.abc import Callable, Sequence

from treadle.code.canonical import FRAMES, is_docstring, parsed, reads_annotations

COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_TARGETS = (ast.Tuple, ast.List, ast.Starred)


class Scoped(ast.NodeVisitor):
    """A visitor that knows which names are free where it stands; docstrings and blind annotations are not visited."""

    def __init__(self, walrus: bool = True) -> None:
        self.walrus = walrus  # without := in the file only statements bind names
        self._scopes: list[set[str]] = []
        self._visitors: dict[type[ast.AST], Callable[[ast.AST], object]] = {}

    def visit(self, node: ast.AST) -> None:
        """As the base class does, with the methods looked up once."""
        kind = type(node)
        if kind not in self._visitors:
            self._visitors[kind] = getattr(self, f"visit_{kind.__name__}", self.generic_visit)
        self._visitors[kind](node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._each(node.decorator_list)
        self._arguments(node.args, reads_annotations(node))
        if reads_annotations(node) and node.returns is not None:
            self.visit(parsed(node.returns))
        body = node.body[1:] if is_docstring(node.body[0]) else node.body
        self._scopes.append(_own_names(node.args, body, self.walrus))
        self._each(body)
        self._scopes.pop()

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.visit_FunctionDef(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._arguments(node.args, False)
        self._scopes.append(_own_names(node.args, [ast.Expr(node.body)], self.walrus))
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
            self._each(_children(node))

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


def _own_names(args: ast.arguments, body: Sequence[ast.stmt], walrus: bool) -> set[str]:
    """The names that a function binds, without those that it imports or declares global."""
    own: set[str] = set()
    foreign: set[str] = set()
    todo: list[ast.AST] = list(body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.expr):
            if isinstance(node, ast.Name):
                if not isinstance(node.ctx, ast.Load):
                    own.add(node.id)
            elif isinstance(node, COMPREHENSIONS):  # its targets are its own, but := binds around it
                todo += [inner.target for inner in ast.walk(node) if isinstance(inner, ast.NamedExpr)]
            elif not isinstance(node, ast.Lambda) and (walrus or isinstance(node, _TARGETS)):
                todo += _children(node)
            continue
        if isinstance(node, FRAMES):
            own.add(node.name)
            continue
        if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            own.add(node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            own.add(node.rest)
        elif isinstance(node, ast.Global):
            foreign.update(node.names)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            foreign.update(alias.asname or alias.name.partition(".")[0] for alias in node.names)
        todo += _children(node)
    return (own - foreign) | {arg.arg for arg in _all_arguments(args)}


def _children(node: ast.AST) -> list[ast.AST]:
    found: list[ast.AST] = []
    for name in node._fields:
        value = getattr(node, name, None)
        if isinstance(value, list):
            found += [item for item in value if isinstance(item, ast.AST)]
        elif isinstance(value, ast.AST):
            found.append(value)
    return found
