"""Treadle: declarative ML pipelines in git that close their own loop.

`treadle.check(path)`, `treadle.plan(path)` and `treadle.run(path)` do what the commands of the
same names do, and return what they print.
"""

import sys
from types import ModuleType

from treadle.version import __version__

TYPE_CHECKING = False  # importing typing for it would take 3 ms
if TYPE_CHECKING:
    from typing import Any

    from treadle.notebook import check as check
    from treadle.notebook import plan as plan
    from treadle.notebook import run as run

__all__ = ["__version__", "check", "plan", "run"]


class _Package(ModuleType):
    """The package itself: its rooms `plan` and `run` do not take the place of the functions of these names."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in ("plan", "run") and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __getattr__(self, name: str) -> "Any":
        if name in ("check", "plan", "run"):
            from treadle import notebook  # lazy: importing treadle must not load the engine

            return getattr(notebook, name)
        raise AttributeError(f"module 'treadle' has no attribute '{name}'")


sys.modules[__name__].__class__ = _Package
