"""The catalog of what is installed: steps, codecs, executors and detectors, by entry point.

Nothing is imported until it is used; a step is only ever named, its source is read by syntax tree.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from treadle.authoring import Codec
from treadle.errors import TreadleError, did_you_mean

GROUPS = ("treadle.steps", "treadle.codecs", "treadle.executors", "treadle.detectors")


class Catalog:
    """What plug-ins offer: each group maps a name to `module:attribute`."""

    def __init__(self, groups: Mapping[str, Mapping[str, str]]) -> None:
        self.steps: Mapping[str, str] = groups.get("treadle.steps", {})
        self.executors: Mapping[str, str] = groups.get("treadle.executors", {})
        self.detectors: Mapping[str, str] = groups.get("treadle.detectors", {})
        self._codecs: Mapping[str, str] = groups.get("treadle.codecs", {})

    @classmethod
    def from_entry_points(cls) -> "Catalog":
        """The catalog of this environment."""
        from importlib.metadata import entry_points  # lazy: 30 ms that a compiled plan spares

        found = entry_points()
        return cls({group: {e.name: e.value for e in found.select(group=group)} for group in GROUPS})

    def codecs(self, names: Iterable[str] | None = None) -> list[Codec]:
        """The codecs, loaded and made, in the order of their names; only `names` when given."""
        wanted = self._codecs if names is None else names
        return [self.codec(name) for name in sorted(wanted)]

    def codec(self, name: str) -> Codec:
        """One codec by name; raises TreadleError when nothing installed offers it."""
        made: Codec = _load(self._codecs, name, "codec")()
        return made

    def executor(self, name: str) -> Any:
        """The executor class of that name; raises TreadleError when nothing installed offers it."""
        return _load(self.executors, name, "executor")


def _load(group: Mapping[str, str], name: str, kind: str) -> Any:
    if name not in group:
        raise TreadleError(f"no {kind} is called '{name}'; {did_you_mean(name, group)}".rstrip("; "))
    return load(group[name])


def load(reference: str) -> Any:
    """The object that `module:attribute` names, imported."""
    from importlib import import_module  # lazy: only when a plug-in is really used

    module, _, attribute = reference.partition(":")
    found: Any = import_module(module)
    for part in attribute.split("."):
        found = getattr(found, part)
    return found
