"""Random projects that know what each step needs, and random edits of them: an oracle for the cache.

A project is a few modules of constants and functions; each function uses later ones, so that there are no circles.
The oracle knows the graph it wrote down, and what every step returns by running the sources.
"""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

MODULES = ("alpha", "beta", "pack.gamma", "pack.delta", "pack.inner.eps")
STYLES = ("from", "module", "alias", "reexport")


class Item(NamedTuple):
    """A definition: what it uses, in which style it imports each, and the number that makes it what it is."""

    module: str
    name: str
    kind: str  # constant, function, class
    number: int
    uses: tuple[tuple[int, str], ...]
    comment: str = ""


class Sketch:
    """Definitions by index; those that a definition uses have greater indexes."""

    def __init__(self, seed: int, size: int = 12, steps: int = 4) -> None:
        self.random = random.Random(seed)
        self.items: list[Item] = []
        for index in range(size):
            kind = self.random.choice(("constant", "function", "function", "class"))
            later = range(index + 1, size)
            count = 0 if kind == "constant" else min(len(later), self.random.randint(0, 3))
            uses = tuple((use, self.random.choice(STYLES)) for use in self.random.sample(later, count))
            module = self.random.choice(MODULES)
            self.items.append(Item(module, f"{kind[0]}{index}", kind, self.random.randint(0, 9), uses))
        callable_ones = [i for i, item in enumerate(self.items) if item.kind == "function"]
        self.steps = self.random.sample(callable_ones, min(steps, len(callable_ones)))

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

    def files(self) -> Iterator[tuple[str, str]]:
        """Every source file of the project."""
        yield "pack/__init__.py", ""
        yield "pack/inner/__init__.py", ""
        for module in MODULES:
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

    def _value(self, index: int) -> object:
        item = self.items[index]
        return (item.name, item.number, *(self._value(use) for use, _ in item.uses))

    def _source(self, module: str) -> str:
        """Modules are imported above and names inside functions, since modules may need each other."""
        own = [item for item in self.items if item.module == module]
        above = {line for item in own for use, style in item.uses for line in self._use(item, use, style)[0]}
        bodies = "\n\n\n".join(self._definition(item) for item in reversed(own))
        return "\n".join([f'"""Module {module}."""', "", *sorted(above), "", "", bodies, ""])

    def _definition(self, item: Item) -> str:
        found = [self._use(item, use, style) for use, style in item.uses]
        values = ", ".join([repr(item.name), str(item.number), *(value for _, _, value in found)])
        remark = f"  # {item.comment}" if item.comment else ""
        if item.kind == "constant":
            return f"{item.name} = ({values},){remark}"
        within = [line for _, lines, _ in found for line in lines]
        body = [f'"""{item.comment}"""'] if item.comment else []
        body += [*within, f"return ({values},)"]
        if item.kind == "function":
            return "\n    ".join([f"def {item.name}():{remark}", *body])
        return f"class {item.name}:\n" + "\n        ".join([f"    def get(self):{remark}", *body])

    def _use(self, user: Item, index: int, style: str) -> tuple[list[str], list[str], str]:
        """Lines above, lines inside, and the expression that uses a definition."""
        used = self.items[index]
        if user.module == used.module:
            return [], [], _call(used, used.name)
        if style == "module":
            return [f"import {used.module}"], [], _call(used, f"{used.module}.{used.name}")
        if style == "alias":
            return [f"import {used.module} as m_{index}"], [], _call(used, f"m_{index}.{used.name}")
        if style == "reexport":
            return [], ["import again"], _call(used, f"again.{used.name}")
        return [], [f"from {used.module} import {used.name} as u_{index}"], _call(used, f"u_{index}")


def _call(item: Item, expression: str) -> str:
    return {"constant": expression, "function": f"{expression}()", "class": f"{expression}().get()"}[item.kind]


def plain(value: object) -> object:
    """A result as JSON brings it back."""
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value
