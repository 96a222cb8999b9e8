"""What a piece of code uses: free names with their attribute chains, imports, literal paths, what cannot be followed.

Scopes are those of Python: a name that a function binds is its own, a comprehension has its own names, a class
body's names are not seen by its methods. Where both are possible the name counts as free: wider, never staler.
"""

import ast
from collections.abc import Iterator, Sequence

from treadle.code import literals
from treadle.code.canonical import FRAMES, is_docstring, last_name, parsed, reads_annotations
from treadle.code.summary import Opened, Target

MUTATORS = frozenset(
    ("append", "add", "update", "setdefault", "insert", "extend", "register", "pop", "remove", "clear", "subscribe")
)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_TEXT_AS_CODE = ("exec", "eval", "compile")


class Names(ast.NodeVisitor):
    """Collects from any number of statements; read its fields afterwards."""

    def __init__(self) -> None:
        self.uses: set[str] = set()
        self.inner: set[tuple[str, Target]] = set()
        self.loads: set[str] = set()
        self.patches: set[str] = set()
        self.wide: set[str] = set()
        self.opens: set[Opened] = set()
        self.unjoined: set[str] = set()
        self.writes = False
        self._scopes: list[set[str]] = []
        self._writing = 0
        self._reading = 0

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._use([node.id], node.lineno)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        chain = _chain(node)
        if chain is None:
            if node.attr == "__subclasses__":
                self.wide.add(f"package looks for subclasses in line {node.lineno}")
            if literals.joined(node) is None:
                self.visit(node.value)
        elif isinstance(node.ctx, ast.Load):
            self._use(chain, node.lineno)
        elif self._free(chain[0]):
            self.writes = True
            self.patches.add(".".join(chain[:-1]))
            self._use(chain[:-1], node.lineno)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        chain = _chain(node.value)
        if not isinstance(node.ctx, ast.Load) and chain is not None and self._free(chain[0]):
            self.writes = True
        self.generic_visit(node)

    def visit_Global(self, node: ast.Global) -> None:
        self.writes = True

    def visit_Call(self, node: ast.Call) -> None:
        name = last_name(node.func)
        chain = _chain(node.func)
        if chain is not None and len(chain) > 1 and name in MUTATORS and self._free(chain[0]):
            self.writes = True
        if chain is not None and self._special(node, chain):
            return
        path = literals.joined(node)
        if path is not None:
            self._path(path)
            self.visit(node.func)
            return
        reading, writing = literals.reads(node), literals.writes(node)
        self._reading += reading
        self._writing += writing
        if reading:
            self._unjoined(node)
        self.generic_visit(node)
        self._reading -= reading
        self._writing -= writing

    def visit_BinOp(self, node: ast.BinOp) -> None:
        path = literals.joined(node) if isinstance(node.op, ast.Div) else None
        if path is not None:
            self._path(path)
            for part in ast.walk(node):
                if isinstance(part, ast.Name):
                    self.visit_Name(part)
            return
        right = node.right
        if isinstance(node.op, ast.Div) and isinstance(right, ast.Constant) and isinstance(right.value, str):
            self.unjoined.add(f"line {node.lineno} makes a path that ends in '{right.value}'")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self._path(node.value)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.inner.add((alias.asname or alias.name.partition(".")[0], module_target(alias)))
            self.inner.add(("", Target(0, alias.name)))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            self.inner.add((alias.asname or alias.name, Target(node.level, node.module or "", alias.name)))

    # scopes

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
        if isinstance(node, _COMPREHENSIONS):
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

    # findings

    def _free(self, name: str) -> bool:
        return not any(name in scope for scope in self._scopes)

    def _use(self, chain: list[str], line: int) -> None:
        if not self._free(chain[0]):
            return
        self.uses.add(".".join(chain))
        if chain[:2] == ["sys", "modules"]:
            self.wide.add(f"package looks modules up in sys.modules in line {line}")

    def _special(self, node: ast.Call, chain: list[str]) -> bool:
        """Calls that reach code by a text; True when nothing is left to look at."""
        name, line = chain[-1], node.lineno
        if not self._free(chain[0]):
            return False
        if name in ("import_module", "__import__", "run_module"):
            self._load(node)
        elif name in ("spec_from_file_location", "walk_packages", "iter_modules", "run_path", "entry_points"):
            self.wide.add(f"package finds modules with {name} in line {line}")
        elif len(chain) == 1 and name in _TEXT_AS_CODE:
            self.wide.add(f"module runs text as code with {name} in line {line}")
        elif chain in (["globals"], ["locals"], ["vars"]) and not node.args:
            self.wide.add(f"module looks names up with {name}() in line {line}")
        elif chain == ["getattr"] and len(node.args) > 1:
            base, wanted = _chain(node.args[0]), node.args[1]
            if base and self._free(base[0]) and isinstance(wanted, ast.Constant) and isinstance(wanted.value, str):
                self._use([*base, wanted.value], line)
                self._each(node.args[2:])
                return True
        elif chain in (["setattr"], ["delattr"]) and node.args:
            base = _chain(node.args[0])
            if base and self._free(base[0]):
                self.writes = True
                self.patches.add(".".join(base))
        return False

    def _load(self, node: ast.Call) -> None:
        first = node.args[0] if node.args else None
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            self.loads.add(first.value)
            return
        prefix = ""
        start = first.values[0] if isinstance(first, ast.JoinedStr) and first.values else None
        start = first.left if isinstance(first, ast.BinOp) else start
        if isinstance(start, ast.Constant) and isinstance(start.value, str) and "." in start.value.lstrip("."):
            prefix = start.value.rpartition(".")[0] + "."
        self.loads.add(prefix)
        self.wide.add(f"loads imports a module by a computed name in line {node.lineno}")

    def _path(self, text: str) -> None:
        if not self._writing and literals.like_a_path(text):
            self.opens.add(Opened(text, self._reading > 0))

    def _unjoined(self, node: ast.Call) -> None:
        first = node.args[0] if node.args else None
        if isinstance(first, ast.JoinedStr):
            start = first.values[0] if first.values else None
            if isinstance(start, ast.Constant) and isinstance(start.value, str) and "/" in start.value:
                self.unjoined.add(f"line {node.lineno} reads a computed path below '{start.value}'")


def module_target(alias: ast.alias) -> Target:
    """What the name that `import a.b [as c]` binds stands for."""
    return Target(0, alias.name if alias.asname else alias.name.partition(".")[0])


def _chain(node: ast.AST) -> list[str] | None:
    """`["a", "b", "c"]` of `a.b.c`; None for what does not begin with a name."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [node.id, *reversed(names)] if isinstance(node, ast.Name) else None


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
    if isinstance(node, _COMPREHENSIONS):
        for inner in ast.walk(node):
            if isinstance(inner, ast.NamedExpr):
                yield inner.target
        return
    for child in ast.iter_child_nodes(node):
        yield from _in_scope(child)
