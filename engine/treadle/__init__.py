"""Treadle: declarative ML pipelines in git that close their own loop.

`treadle.check(path)`, `treadle.plan(path)` and `treadle.run(path)` do what the commands of the
same names do, and return what they print.
"""

from typing import TYPE_CHECKING, Any

from treadle.version import __version__

if TYPE_CHECKING:
    from treadle.notebook import check as check
    from treadle.notebook import plan as plan
    from treadle.notebook import run as run

__all__ = ["__version__", "check", "plan", "run"]


def __getattr__(name: str) -> Any:
    if name in ("check", "plan", "run"):
        from treadle import notebook  # lazy: importing treadle must not load the engine

        return getattr(notebook, name)
    raise AttributeError(f"module 'treadle' has no attribute '{name}'")
