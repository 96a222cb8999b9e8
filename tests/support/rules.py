"""Rules of style as functions: a source goes in, the places that break the rule come out."""

import ast
import re
from collections.abc import Iterator

from support.sources import Source

FILE_LINES, FUNCTION_LINES, CLASS_METHODS, PARAMETERS = 600, 80, 20, 8
VAGUE = {"utils", "util", "helpers", "helper", "common", "core", "misc", "manager", "managers", "shared", "stuff"}
UNPICKLING = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def place(source: Source, node: ast.stmt | ast.expr | ast.excepthandler, what: str) -> str:
    return f"{source.path}:{node.lineno}: {what}"


def walk(source: Source, *kinds: type[ast.AST]) -> Iterator[ast.AST]:
    return (node for node in ast.walk(source.tree) if isinstance(node, kinds))


def long_file(source: Source) -> list[str]:
    lines = len(source.lines)
    return [f"{source.path}: {lines} lines"] if lines > FILE_LINES else []


def long_function(source: Source) -> list[str]:
    found = []
    for node in walk(source, ast.FunctionDef, ast.AsyncFunctionDef):
        assert isinstance(node, Function)
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if lines > FUNCTION_LINES:
            found.append(place(source, node, f"{node.name} has {lines} lines"))
    return found


def large_class(source: Source) -> list[str]:
    found = []
    for node in walk(source, ast.ClassDef):
        assert isinstance(node, ast.ClassDef)
        methods = sum(isinstance(item, Function) for item in node.body)
        if methods > CLASS_METHODS:
            found.append(place(source, node, f"{node.name} has {methods} methods"))
    return found


def many_parameters(source: Source) -> list[str]:
    """In the step library keyword-only arguments do not count: they are keys that users write under `with:`."""
    library = source.path.startswith("steps/")
    found = []
    for node in walk(source, ast.FunctionDef, ast.AsyncFunctionDef):
        assert isinstance(node, Function)
        names = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
        if not library or node.name.startswith("_"):
            names += [a.arg for a in node.args.kwonlyargs]
        count = len([name for name in names if name not in ("self", "cls")])
        if count > PARAMETERS:
            found.append(place(source, node, f"{node.name} takes {count} parameters"))
    return found


def vague_module(source: Source) -> list[str]:
    parts = source.path.removesuffix(".py").split("/")
    return [f"{source.path}: say what it does" for part in parts if part.strip("_") in VAGUE]


def global_statement(source: Source) -> list[str]:
    return [place(source, node, "global") for node in walk(source, ast.Global) if isinstance(node, ast.Global)]


def environment(source: Source) -> list[str]:
    names = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv", "expandvars"}
    found = []
    for node in walk(source, ast.Attribute, ast.ImportFrom):
        if isinstance(node, ast.Attribute) and node.attr in names and ast.unparse(node.value) in ("os", "os.path"):
            found.append(place(source, node, ast.unparse(node)))
        elif isinstance(node, ast.ImportFrom) and node.module in ("os", "os.path"):
            found += [place(source, node, alias.name) for alias in node.names if alias.name in names]
    return found


def broad_except(source: Source) -> list[str]:
    """A handler that ends by raising what it caught cleans up and hides nothing, so it passes."""
    broad = {"Exception", "BaseException"}
    found = []
    for node in walk(source, ast.ExceptHandler, ast.Call):
        if isinstance(node, ast.ExceptHandler):
            kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            last = node.body[-1]
            if isinstance(last, ast.Raise) and last.exc is None:
                continue
            if any(kind is None or ast.unparse(kind).split(".")[-1] in broad for kind in kinds):
                found.append(place(source, node, "except catches everything"))
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "suppress":
            broad_ones = [argument for argument in node.args if ast.unparse(argument).split(".")[-1] in broad]
            found += [place(source, node, "suppress catches everything") for _ in broad_ones]
    return found


def silent_lazy_import(source: Source) -> list[str]:
    found: dict[int, str] = {}
    for function in walk(source, ast.FunctionDef, ast.AsyncFunctionDef):
        for node in ast.walk(function):
            if isinstance(node, ast.Import | ast.ImportFrom):
                lines = source.lines[node.lineno - 1 : node.end_lineno]
                if not any(re.search(r"# lazy: \S", line) for line in lines):
                    found[node.lineno] = place(source, node, f"{ast.unparse(node)} without '# lazy: <what it saves>'")
    return list(found.values())


def printing(source: Source) -> list[str]:
    found = []
    for node in walk(source, ast.Call):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "pprint", "pprint.pprint"):
            found.append(place(source, node, "print"))
    return found


def evaluation(source: Source) -> list[str]:
    names = {"eval", "exec", "builtins.eval", "builtins.exec"}
    return [
        place(source, node, ast.unparse(node.func))
        for node in walk(source, ast.Call)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in names
    ]


def unpickling(source: Source) -> list[str]:
    found = []
    for node in walk(source, ast.Attribute, ast.ImportFrom):
        if isinstance(node, ast.Attribute) and node.attr in ("load", "loads", "Unpickler", "open"):
            if ast.unparse(node.value).split(".")[-1] in UNPICKLING:
                found.append(place(source, node, ast.unparse(node)))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in UNPICKLING:
            names = {alias.name for alias in node.names} & {"load", "loads", "Unpickler", "open"}
            found += [place(source, node, f"{node.module}.{name}") for name in sorted(names)]
    return found
