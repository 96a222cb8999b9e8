"""Treadle: declarative ML pipelines in git that close their own loop."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__"]
