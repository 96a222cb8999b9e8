"""The catalog of what is installed: steps, codecs, executors and detectors, by entry point.

Nothing is imported until it is used; a step is only ever named, its source is read by syntax tree.
"""

import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from treadle.authoring import PATH, Codec
from treadle.distributions import distributions
from treadle.errors import TreadleError, did_you_mean

Groups = Mapping[str, Mapping[str, str]]
GROUPS = ("treadle.steps", "treadle.codecs", "treadle.executors", "treadle.detectors")


class Catalog:
    """What plug-ins offer: each group maps a name to `module:attribute`."""

    def __init__(self, groups: Groups | Callable[[], Groups]) -> None:
        self._given = groups

    @classmethod
    def from_entry_points(cls) -> "Catalog":
        """The catalog of this environment, looked up when first asked."""
        return cls(_installed)

    @property
    def steps(self) -> Mapping[str, str]:
        return self._group("treadle.steps")

    @property
    def executors(self) -> Mapping[str, str]:
        return self._group("treadle.executors")

    @property
    def detectors(self) -> Mapping[str, str]:
        return self._group("treadle.detectors")

    def codecs(self, names: Iterable[str] | None = None) -> list[Codec]:
        """The codecs, loaded and made, in the order of their names; only `names` when given."""
        wanted = self._group("treadle.codecs") if names is None else names
        return [self.codec(name) for name in sorted(wanted)]

    def codec(self, name: str) -> Codec:
        """One codec by name; raises TreadleError when nothing installed offers it."""
        made: Codec = _load(self._group("treadle.codecs"), name, "codec")()
        return made

    def forms(self) -> frozenset[str]:
        """The types in which an input may be asked for: a path, and what the codecs offer; a broken one offers none."""
        found = {PATH}
        for name in self._group("treadle.codecs"):
            with suppress(TreadleError, ImportError, AttributeError):
                found.update(getattr(self.codec(name), "forms", ()))
        return frozenset(found)

    def executor(self, name: str) -> Any:
        """The executor class of that name; raises TreadleError when nothing installed offers it."""
        return _load(self.executors, name, "executor")

    def _group(self, name: str) -> Mapping[str, str]:
        if callable(self._given):
            self._given = self._given()
        return self._given.get(name, {})


def _installed() -> Groups:
    found: dict[str, dict[str, str]] = {group: {} for group in GROUPS}
    for distribution in distributions(sys.path):
        for group, entries in distribution.entry_points(GROUPS).items():
            found[group].update(entries)
    return found


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
