"""Why a step runs: the difference of two manifests in words a user knows."""

from collections.abc import Mapping

GROUPS = ("param", "code", "input", "library", "env")


def difference(old: Mapping[str, str], new: Mapping[str, str]) -> list[tuple[str, str | None, str | None]]:
    """The parts that differ, as (name, before, after) with None for what is not there, sorted by name."""
    names = sorted(set(old) | set(new))
    return [(name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)]


def in_words(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """The difference in one line: `param alpha: 0.1 → 0.2; code features:build changed`."""
    found = [_phrase(name, before, after) for name, before, after in difference(old, new)]
    if len(found) > 4:
        found = [*found[:3], f"{len(found) - 3} more"]
    return "; ".join(found) or "nothing changed"


def _phrase(name: str, before: str | None, after: str | None) -> str:
    group = name.partition(" ")[0]
    if before is None:
        return f"{name} is new"
    if after is None:
        return f"{name} is gone"
    if group in ("code", "input"):
        return f"{name} changed"
    return f"{name}: {before} → {after}"
