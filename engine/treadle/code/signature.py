"""A function's source → Signature: arguments, outputs and metrics, without importing it."""

import ast
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from treadle.code.canonical import last_name, parsed
from treadle.code.form import form, imported
from treadle.code.modules import CodeError, UnknownName, absolute
from treadle.domain.location import Location
from treadle.domain.signature import CONTEXT, Argument, Signature
from treadle.errors import did_you_mean

Tree = Callable[[str], tuple[ast.Module, str, bool]]  # module → tree, file as shown, is it a package
Function = ast.FunctionDef | ast.AsyncFunctionDef
DEEPEST = 20


def read(module: str, name: str, tree_of: Tree) -> Signature:
    """The signature of `name` in `module`, through re-exports; raises CodeError when it is not there."""
    home, node = _resolve(module, name, tree_of, 0)
    shown = tree_of(home)[1]
    where = Location(shown, node.lineno, node.col_offset + 1)
    tree, _, package = tree_of(home)
    names = imported(_statements(tree.body), home, package)
    if isinstance(node, ast.ClassDef):
        return _of_class(home, name, node, where, names)
    if isinstance(node, ast.AsyncFunctionDef):
        hint = "write it as `def`; run asynchronous code inside with asyncio.run"
        raise CodeError("not-a-function", f"'{module}:{name}' is asynchronous", hint, where)
    if not isinstance(node, ast.FunctionDef):
        raise CodeError("not-a-function", f"'{module}:{name}' is not a function", "a step calls a function", where)
    kinds = {last_name(decorator) for decorator in node.decorator_list}
    if "." in name and not kinds & {"classmethod", "staticmethod"}:
        hint = "write a function that makes the object and calls it, or a classmethod"
        raise CodeError("not-a-function", f"'{module}:{name}' is a method, which needs an object", hint, where)
    return Signature(
        module=home,
        name=name,
        where=where,
        arguments=_arguments(node.args, names, skip_first="classmethod" in kinds),
        accepts_any=node.args.kwarg is not None,
        outputs=_fields(home, node.returns, tree_of, "NamedTuple"),
        metrics=_metrics(home, node, tree_of),
        doc=_doc(node),
        context=_has_context(node.args),
    )


def _doc(node: ast.FunctionDef | ast.ClassDef) -> str:
    """The docstring as `inspect.cleandoc` gives it; importing inspect takes 5 ms."""
    first, *rest = (ast.get_docstring(node, clean=False) or "").expandtabs().split("\n")
    margin = min((len(line) - len(line.lstrip()) for line in rest if line.strip()), default=0)
    return "\n".join([first.lstrip(), *(line[margin:] for line in rest)]).strip("\n")


def _resolve(module: str, name: str, tree_of: Tree, depth: int) -> tuple[str, ast.stmt]:
    """The module and the statement that define a name; raises UnknownName."""
    home, own, found = _find(module, name, tree_of, depth)
    if found is None:
        tree, shown, _ = tree_of(home)
        known = [n.name for n in _statements(tree.body) if isinstance(n, ast.FunctionDef)]
        text = f"'{shown}' has no function called '{own}'"
        raise UnknownName(text, did_you_mean(own, known), _names(tree.body), not _makes_names(tree.body))
    return home, found


def _find(module: str, name: str, tree_of: Tree, depth: int) -> tuple[str, str, ast.stmt | None]:
    """The module that defines a name, followed through imports and plain aliases, the name there, and the statement."""
    tree, _, package = tree_of(module)
    head, _, rest = name.partition(".")
    found: ast.stmt | None = None
    for node in _statements(tree.body):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name == head:
            found = node
        elif isinstance(node, ast.ImportFrom) and depth < DEEPEST:
            for alias in node.names:
                if (alias.asname or alias.name) == head:
                    origin = absolute(node.level, node.module, module, package)
                    return _find(origin, f"{alias.name}.{rest}" if rest else alias.name, tree_of, depth + 1)
        elif isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == head for t in node.targets):
            if isinstance(node.value, ast.Name) and node.value.id != head and depth < DEEPEST:
                return _find(module, f"{node.value.id}.{rest}" if rest else node.value.id, tree_of, depth + 1)
            found = node
    if isinstance(found, ast.ClassDef) and rest:
        found = next((n for n in found.body if isinstance(n, Function) and n.name == rest), None)
    return module, name, found


def _names(body: list[ast.stmt]) -> list[str]:
    """The public names that a module defines or imports."""
    found: set[str] = set()
    for node in _statements(body):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            found.update(alias.asname or alias.name for alias in node.names)
    return sorted(name for name in found if not name.startswith("_"))


def _makes_names(body: list[ast.stmt]) -> bool:
    """Whether a module has names that its text does not show."""
    for node in _statements(body):
        if isinstance(node, ast.FunctionDef) and node.name == "__getattr__":
            return True
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            return True
    return False


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module, with those in the branches of if and try."""
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With):
            yield from _statements(node.body)
            yield from _statements(getattr(node, "orelse", []))
            for handler in getattr(node, "handlers", []):
                yield from _statements(handler.body)


def _arguments(args: ast.arguments, names: Mapping[str, str], skip_first: bool = False) -> tuple[Argument, ...]:
    positional = [*args.posonlyargs, *args.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(args.defaults))
    defaults += args.defaults
    found = [
        _argument(arg, default, False, arg in args.posonlyargs, names)
        for arg, default in zip(positional, defaults, strict=True)
    ]
    found = found[1:] if skip_first else found
    found += [_argument(a, d, True, False, names) for a, d in zip(args.kwonlyargs, args.kw_defaults, strict=True)]
    return tuple(argument for argument in found if argument.name != CONTEXT)


def _has_context(args: ast.arguments) -> bool:
    return any(arg.arg == CONTEXT for arg in (*args.posonlyargs, *args.args, *args.kwonlyargs))


def _argument(
    arg: ast.arg, default: ast.expr | None, keyword: bool, positional: bool, names: Mapping[str, str]
) -> Argument:
    literal: Any = None
    if default is not None:
        try:
            literal = ast.literal_eval(default)
        except (ValueError, TypeError, SyntaxError, RecursionError):
            literal = None
        if isinstance(literal, set | bytes | complex):
            literal = None
    return Argument(
        name=arg.arg,
        annotation=ast.unparse(arg.annotation) if arg.annotation else None,
        default=ast.unparse(default) if default is not None else None,
        keyword_only=keyword,
        positional_only=positional,
        literal=literal,
        form=form(arg.annotation, names),
    )


def _of_class(module: str, name: str, node: ast.ClassDef, where: Location, names: Mapping[str, str]) -> Signature:
    made = next((n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"), None)
    arguments = _arguments(made.args, names, skip_first=True) if made else ()
    anything = made is None or made.args.kwarg is not None
    doc = _doc(node)
    context = made is not None and _has_context(made.args)
    return Signature(module, name, where, arguments, anything, (), None, doc, True, context)


def _fields(module: str, returns: ast.expr | None, tree_of: Tree, base: str) -> tuple[str, ...]:
    """The fields of the class that an annotation names, if it is of that base; else nothing."""
    return tuple(name for name, _ in _class_fields(module, returns, tree_of, base)[1])


def _class_fields(
    module: str, annotation: ast.expr | None, tree_of: Tree, base: str
) -> tuple[str, list[tuple[str, ast.expr]]]:
    annotation = annotation and parsed(annotation)
    if not isinstance(annotation, ast.Name):
        return module, []
    try:
        home, _, node = _find(module, annotation.id, tree_of, 0)
    except CodeError:
        return module, []
    if not isinstance(node, ast.ClassDef):
        return home, []
    fields = [
        (n.target.id, n.annotation)
        for n in node.body
        if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)
    ]
    for parent in node.bases:
        name = parent.id if isinstance(parent, ast.Name) else getattr(parent, "attr", "")
        if name == base:
            return home, fields
        inherited = _class_fields(home, parent, tree_of, base)[1]
        if inherited:
            return home, [*inherited, *fields]
    return home, []


def _metrics(module: str, node: ast.FunctionDef, tree_of: Tree) -> tuple[str, ...] | None:
    """The metric names that the annotations or the returned dict literals show; None when they show nothing."""
    home, outputs = _class_fields(module, node.returns, tree_of, "NamedTuple")
    if outputs:
        annotation = dict(outputs).get("metrics")
        if annotation is None:
            return () if len(outputs) > 1 else None
        return _fields(home, annotation, tree_of, "TypedDict") or None
    typed = _fields(module, node.returns, tree_of, "TypedDict")
    return typed or _returned_keys(node)


def _returned_keys(node: ast.FunctionDef) -> tuple[str, ...] | None:
    keys: set[str] = set()
    returns = list(_returns(node.body))
    for statement in returns:
        if not isinstance(statement.value, ast.Dict):
            return None
        for key in statement.value.keys:
            if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
                return None
            keys.add(key.value)
    return tuple(sorted(keys)) if returns else None


def _returns(body: list[ast.stmt]) -> Iterator[ast.Return]:
    for node in body:
        if isinstance(node, ast.Return):
            yield node
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for field in ("body", "orelse", "finalbody"):
                yield from _returns(getattr(node, field, []))
            for handler in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
                yield from _returns(handler.body)
