"""Random projects that know what each step needs, and random edits of them: an oracle for the cache.

A project is a few modules of constants and functions; each function uses later ones, so that there are no circles.
The oracle knows the graph it wrote down, and what every step returns by running the sources.
"""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

MODULES = ("alpha", "beta", "pack.gamma", "pack.delta", "pack.inner.eps")
GROUND = "ground"  # a module that imports nothing, so that others may need it while they are imported
STYLES = ("from", "module", "alias", "reexport")
EARLY = ("default", "decorator", "base")  # what is used when the user is defined, not when it is called


class Item(NamedTuple):
    """A definition: what it uses, in which style it uses each, and the number that makes it what it is."""

    module: str
    name: str
    kind: str  # constant, function, class, decorator
    number: int
    uses: tuple[tuple[int, str], ...]
    comment: str = ""


class Sketch:
    """Definitions by index; those that a definition uses have greater indexes."""

    def __init__(self, seed: int, size: int = 12, steps: int = 4) -> None:
        self.random = random.Random(seed)
        kinds = [
            self.random.choice(("constant", "function", "function", "class", "class", "decorator")) for _ in range(size)
        ]
        modules = [self.random.choice((*MODULES, GROUND, GROUND)) for _ in range(size)]
        kinds[0], modules[0] = "function", MODULES[0]  # so that there is always a step
        names = list(zip(modules, kinds, strict=True))
        self.items = [self._item(index, names) for index in range(size)]
        callable_ones = [i for i, item in enumerate(self.items) if item.kind == "function"]
        self.steps = self.random.sample(callable_ones, min(steps, len(callable_ones)))

    def _item(self, index: int, names: list[tuple[str, str]]) -> Item:
        module, kind = names[index]
        later = [n for n in range(index + 1, len(names)) if names[n][0] == GROUND or module != GROUND]
        count = 0 if kind == "constant" else min(len(later), self.random.randint(0, 3))
        uses = []
        for use in self.random.sample(later, count):
            styles = self._styles(names[index], names[use], {style for _, style in uses})
            if styles:
                uses.append((use, self.random.choice(styles)))
        return Item(module, f"{kind[0]}{index}", kind, self.random.randint(0, 9), tuple(uses))

    def _styles(self, user: tuple[str, str], used: tuple[str, str], taken: set[str]) -> list[str]:
        """How one definition may use another: early only what is surely defined by then."""
        early = used[0] in (user[0], GROUND)
        if used[1] == "decorator":
            return ["decorator"] if early and user[1] == "function" else []
        found = list(STYLES) + (["star"] if used[0] == GROUND else [])
        if user[1] == "function" and (used[0] == GROUND or (early and used[1] == "constant")):
            found += ["default"] * 3  # which calls what it uses, and that must need no module on its way
        if early and user[1] == used[1] == "class" and "base" not in taken:
            found += ["base"] * 6
        return found

    def reached(self, index: int) -> set[int]:
        """Everything that an item needs, itself too."""
        found = {index}
        for use, _ in self.items[index].uses:
            found |= self.reached(use)
        return found

    def edit(self) -> int | None:
        """Change one thing; the index of the definition whose meaning changed, or None."""
        index = self.random.randrange(len(self.items))
        item = self.items[index]
        what = self.random.choice(("number", "number", "comment", "uses", "new"))
        if what == "number":
            self.items[index] = item._replace(number=item.number + 1)
            return index
        if what == "comment":
            self.items[index] = item._replace(comment=f"remark {self.random.random()}")
            return None
        if what == "uses" and item.uses:
            self.items[index] = item._replace(uses=item.uses[1:])
            return index
        self.items.append(Item(item.module, f"n{len(self.items)}", "function", 1, ()))
        return None

    def meaning(self, index: int) -> object:
        """What a step's result depends on: two projects with the same have the same."""
        return tuple((i, self.items[i]._replace(comment="")) for i in sorted(self.reached(index)))

    def files(self) -> Iterator[tuple[str, str]]:
        """Every source file of the project."""
        yield "pack/__init__.py", ""
        yield "pack/inner/__init__.py", ""
        for module in (*MODULES, GROUND):
            yield module.replace(".", "/") + ".py", self._source(module)
        again = {use for item in self.items for use, style in item.uses if style == "reexport"}
        yield "again.py", "".join(f"from {self.items[i].module} import {self.items[i].name}\n" for i in sorted(again))

    def write(self, root: Path) -> None:
        """Write the files that differ from what is there."""
        for name, text in self.files():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists() or path.read_text() != text:
                path.write_text(text)

    def results(self) -> dict[int, object]:
        """What every step returns, by the graph alone."""
        return {step: self._value(step) for step in self.steps}

    def _value(self, index: int) -> tuple[object, ...]:
        item = self.items[index]
        inner = (item.name, item.number, *(self._value(use) for use, style in item.uses if style != "decorator"))
        for use in (use for use, style in reversed(item.uses) if style == "decorator"):
            inner = (*self._value(use), inner)
        return inner

    def _source(self, module: str) -> str:
        """Modules are imported above and names inside functions, since modules may need each other."""
        own = [item for item in self.items if item.module == module]
        above = {line for item in own for use, style in item.uses for line in self._use(item, use, style)[0]}
        bodies = "\n\n\n".join(self._definition(item) for item in reversed(own))
        return "\n".join([f'"""Module {module}."""', "", *sorted(above), "", "", bodies, ""])

    def _definition(self, item: Item) -> str:
        found = [(style, *self._use(item, use, style)) for use, style in item.uses]
        within = [line for _, _, lines, _ in found for line in lines]
        values = [repr(item.name), f"{item.name}.level" if item.kind == "class" else str(item.number)]
        values += [
            f"p{at}" if style == "default" else expression
            for at, (style, _, _, expression) in enumerate(found)
            if style != "decorator"
        ]
        value = f"({', '.join(values)},)"
        remark = f"  # {item.comment}" if item.comment else ""
        if item.kind == "constant":
            return f"{item.name} = {value}{remark}"
        body = [f'"""{item.comment}"""'] if item.comment else []
        if item.kind == "decorator":
            call = ["def call():", *(f"    {line}" for line in within), f"    return (*{value}, function())"]
            lines = [f"def {item.name}(function):{remark}", *body, *call, "return call"]
        elif item.kind == "class":
            base = next((expression for style, _, _, expression in found if style == "base"), "")
            value = value.replace(base, "super().get()") if base else value
            lines = [f"class {item.name}({base.partition('(')[0]}):", f"level = {item.number}"]
            lines += [f"def get(self):{remark}", *(f"    {line}" for line in [*body, *within, f"return {value}"])]
        else:
            defaults = [f"p{at}={e}" for at, (style, _, _, e) in enumerate(found) if style == "default"]
            lines = [f"def {item.name}({', '.join(defaults)}):{remark}", *body, *within, f"return {value}"]
        decorators = [f"@{expression}\n" for style, _, _, expression in found if style == "decorator"]
        return "".join(decorators) + "\n    ".join(lines)

    def _use(self, user: Item, index: int, style: str) -> tuple[list[str], list[str], str]:
        """Lines above, lines inside, and the expression that uses a definition."""
        used = self.items[index]
        if user.module == used.module:
            return [], [], _call(used, used.name)
        if style in EARLY:
            return [f"from {used.module} import {used.name} as u_{index}"], [], _call(used, f"u_{index}")
        if style == "star":
            return [f"from {used.module} import *"], [], _call(used, used.name)
        if style == "module":
            return [f"import {used.module}"], [], _call(used, f"{used.module}.{used.name}")
        if style == "alias":
            return [f"import {used.module} as m_{index}"], [], _call(used, f"m_{index}.{used.name}")
        if style == "reexport":
            return [], ["import again"], _call(used, f"again.{used.name}")
        return [], [f"from {used.module} import {used.name} as u_{index}"], _call(used, f"u_{index}")


def _call(item: Item, expression: str) -> str:
    calls = {"function": f"{expression}()", "class": f"{expression}().get()"}
    return calls.get(item.kind, expression)


def plain(value: object) -> object:
    """A result as JSON brings it back."""
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value
