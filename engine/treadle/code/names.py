"""What a piece of code uses: free names with attribute chains, imports, literal paths, what cannot be followed."""

import ast
from collections.abc import Callable

from treadle.code import literals
from treadle.code.canonical import last_name
from treadle.code.scopes import Scoped
from treadle.code.summary import Opened, Target

MUTATORS = frozenset(
    ("append", "add", "update", "setdefault", "insert", "extend", "register", "pop", "remove", "clear", "subscribe")
)
_TEXT_AS_CODE = ("exec", "eval", "compile")
SEARCHED = ["sys", "path"]
LOADERS = ("import_module", "__import__", "run_module", "resolve_name")
_RUNNER_WORDS = """
    run Popen call check_call check_output getoutput getstatusoutput system popen execv execvp spawnv posix_spawn
    create_subprocess_exec create_subprocess_shell
"""
RUNNERS = frozenset(_RUNNER_WORDS.split())
RENAMED = ("importlib.import_module", "runpy.run_module", "runpy.run_path", "pkgutil.resolve_name")
PROCESSES = ("subprocess", "os", "asyncio")


class Names(Scoped):
    """Collects from any number of statements; read its fields afterwards."""

    def __init__(self, walrus: bool = True) -> None:
        super().__init__(walrus)
        self.uses: set[str] = set()
        self.inner: set[tuple[str, Target]] = set()
        self.loads: set[str] = set()
        self.patches: set[str] = set()
        self.wide: set[str] = set()
        self.opens: set[Opened] = set()
        self.unjoined: set[str] = set()
        self.written: set[str] = set()
        self.writes = False
        self._writing = 0
        self._reading = 0
        self._joining = 0
        self._places: dict[str, str] = {}

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
        elif self.free(chain[0]):
            self.writes = True
            self.patches.add(".".join(chain[:-1]))
            self._use(chain if chain == SEARCHED else chain[:-1], node.lineno)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        chain = _chain(node.value)
        if not isinstance(node.ctx, ast.Load) and chain is not None and self.free(chain[0]):
            self.writes = True
        self.generic_visit(node)

    def visit_Global(self, node: ast.Global) -> None:
        self.writes = True

    def visit_Call(self, node: ast.Call) -> None:
        name = last_name(node.func)
        chain = _chain(node.func)
        if chain is not None and len(chain) > 1 and name in MUTATORS and self.free(chain[0]):
            self.writes = True
        if chain is not None and self._special(node, chain):
            return
        if chain is not None and name in RUNNERS and (len(chain) == 1 or chain[0] in PROCESSES) and self.free(chain[0]):
            self._command(node)
        listed = literals.listed(node)
        if listed:
            self.unjoined.add(f"line {node.lineno} lists files by '{listed}'")
        path = literals.joined(node)
        if path is not None:
            self._path(path)
            self.visit(node.func)
            return
        if self._named(node):
            return
        reading, writing = literals.reads(node), literals.writes(node)
        self._reading += reading
        self._writing += writing
        if reading and _computed(node) and _reference(node.args[0], self.free) is None:
            self.unjoined.add(f"line {node.lineno} reads a computed path below '{_computed(node)}'")
        if writing and literals.makes(node):
            given = (*node.args, *([node.func.value] if isinstance(node.func, ast.Attribute) else []))
            self.written.update(text for each in given if (text := self._place(each)) is not None)
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
        if self._named(node):
            return
        right = node.right
        if (
            not self._joining
            and isinstance(node.op, ast.Div)
            and isinstance(right, ast.Constant)
            and isinstance(right.value, str)
        ):
            self.unjoined.add(f"line {node.lineno} makes a path that ends in '{right.value}'")
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        [target, *more] = node.targets
        text = self._place(node.value)
        if text is not None and not more and isinstance(target, ast.Name):
            self._places[target.id] = text
        self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        if not self._named(node):
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
            target = Target(node.level, node.module or "", alias.name)
            self.inner.add((alias.asname or alias.name, target))
            self.renamed(alias.asname or alias.name, target)

    def renamed(self, name: str, target: Target) -> None:
        """What is known by its full name alone, under another: it cannot be seen where it is called."""
        full = f"{target.module}.{target.name}"
        if full == "sys.path":
            self.wide.add("project changes where modules are looked for (sys.path)")
        elif full in RENAMED and name != target.name:
            self.wide.add(f"package calls {full} '{name}'")

    def _use(self, chain: list[str], line: int) -> None:
        if not self.free(chain[0]):
            return
        self.uses.add(".".join(chain))
        if chain[:2] == ["sys", "modules"]:
            self.wide.add(f"package looks modules up in sys.modules in line {line}")
        elif chain[:2] == SEARCHED:
            self.wide.add(f"project changes where modules are looked for (sys.path) in line {line}")

    def _special(self, node: ast.Call, chain: list[str]) -> bool:
        """Calls that reach code by a text; True when nothing is left to look at."""
        name, line = chain[-1], node.lineno
        if not self.free(chain[0]):
            return False
        if name in LOADERS:
            self._load(node)
        elif name in ("spec_from_file_location", "walk_packages", "iter_modules", "run_path", "entry_points"):
            self.wide.add(f"package finds modules with {name} in line {line}")
        elif name == "addsitedir":
            self.wide.add(f"project changes where modules are looked for ({name}) in line {line}")
        elif len(chain) == 1 and name in _TEXT_AS_CODE:
            self.wide.add(f"module runs text as code with {name} in line {line}")
        elif chain in (["globals"], ["locals"], ["vars"]) and not node.args:
            self.wide.add(f"module looks names up with {name}() in line {line}")
        elif chain == ["getattr"] and len(node.args) > 1:
            base, wanted = _chain(node.args[0]), node.args[1]
            if base and self.free(base[0]) and isinstance(wanted, ast.Constant) and isinstance(wanted.value, str):
                self._use([*base, wanted.value], line)
                self._each(node.args[2:])
                return True
        elif chain in (["setattr"], ["delattr"]) and node.args:
            base = _chain(node.args[0])
            if base and self.free(base[0]):
                self.writes = True
                self.patches.add(".".join(base))
        return False

    def _load(self, node: ast.Call) -> None:
        first = node.args[0] if node.args else None
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            self.loads.add(first.value.partition(":")[0])
            return
        prefix = ""
        start = first.values[0] if isinstance(first, ast.JoinedStr) and first.values else None
        start = first.left if isinstance(first, ast.BinOp) else start
        if isinstance(start, ast.Constant) and isinstance(start.value, str) and "." in start.value.lstrip("."):
            prefix = start.value.rpartition(".")[0] + "."
        self.loads.add(prefix)
        self.wide.add(f"loads imports a module by a computed name in line {node.lineno}")

    def _command(self, node: ast.Call) -> None:
        """A command that code runs: the files that its words name, and the modules behind `-m`."""
        texts = [each.value for part in node.args for each in ast.walk(part) if isinstance(each, ast.Constant)]
        words = [word for text in texts if isinstance(text, str) for word in text.split()]
        if not words and node.args and last_name(node.func) != getattr(node.func, "id", ""):
            self.unjoined.add(f"line {node.lineno} runs a computed command")
        for before, word in zip(["", *words], words, strict=False):
            if before == "-m":
                self.loads.add(word)
            self._path(word)

    def _place(self, node: ast.AST) -> str | None:
        """The path that an expression stands for, by literals, names of the module and variables of the function."""
        if isinstance(node, ast.Name) and node.id in self._places:
            return self._places[node.id]
        text = literals.joined(node)
        return text if text is not None and literals.like_a_path(text) else _reference(node, self.free)

    def _named(self, node: ast.AST) -> bool:
        """Note the path that an expression makes of names; whether it was one. Its names are looked at as ever."""
        text = None if self._joining else _reference(node, self.free)
        if text is None:
            return False
        if not self._writing and literals.like_a_path(text):
            self.opens.add(Opened(text, self._reading > 0))
        self._joining += 1
        self.generic_visit(node)
        self._joining -= 1
        return True

    def _path(self, text: str) -> None:
        if not self._writing and not self._joining and literals.like_a_path(text):
            self.opens.add(Opened(text, self._reading > 0))


def _reference(node: ast.AST, free: Callable[[str], bool]) -> str | None:
    """The path that an expression stands for by names of the module, as in `DATA / "a.csv"`; None for any other."""
    text = literals.joined(node, named=True)
    heads = [found[1:-1].partition(".")[0] for found in literals.WHOLE.findall(text)] if text is not None else []
    return text if heads and all(map(free, heads)) else None


def _computed(node: ast.Call) -> str:
    """The beginning of the path that a call reads by a text with values in it; empty for any other."""
    first = node.args[0] if node.args else None
    start = first.values[0] if isinstance(first, ast.JoinedStr) and first.values else None
    known = isinstance(start, ast.Constant) and isinstance(start.value, str) and "/" in start.value
    return str(start.value) if known and isinstance(start, ast.Constant) else ""


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
