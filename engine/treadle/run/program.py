"""`__main__` on the far side: the functions of the program that runs the pipeline, made anew from their text."""

import linecache
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import SourceFileLoader  # importlib.abc would take 8 ms more
from types import CodeType, ModuleType
from typing import Any

from treadle.domain.signature import MAIN

FILE = f"<{MAIN}>"


class _Text(SourceFileLoader):
    """Loads a module from its text."""

    def __init__(self, text: str) -> None:
        super().__init__(MAIN, FILE)
        self._text = text

    def get_source(self, fullname: str) -> str:
        return self._text

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = compile(self._text, FILE, "exec")
        return code


class _Program(ModuleType):
    """A module that is loaded when something of it is first asked for: most steps of a project need nothing of it."""

    def __getattr__(self, name: str) -> Any:
        loader = vars(self).pop("loads", None)
        if loader is None or (name.startswith("__") and name.endswith("__")):
            raise AttributeError(f"module '{MAIN}' has no attribute '{name}'")
        loader.exec_module(self)
        return getattr(self, name)


@contextmanager
def as_main(text: str) -> Iterator[None]:
    """While a step runs `__main__` is the module of this text, for its own functions and for what was pickled there."""
    if not text:
        yield
        return
    before = sys.modules[MAIN]
    sys.modules[MAIN] = module = _Program(MAIN)
    vars(module)["loads"] = _Text(text)
    linecache.cache[FILE] = (len(text), None, text.splitlines(keepends=True), FILE)
    try:
        yield
    finally:
        sys.modules[MAIN] = before
