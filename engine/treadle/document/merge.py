"""Three locks → one: entry by entry, so that branches that changed different steps never conflict."""

from typing import Any

from msgspec import Struct

from treadle.document.lock import HEAD, VERSION, render_entry, sections
from treadle.domain.lock import Lock


class Merged(Struct, frozen=True):
    """The text of the merged lock, and the entries that both sides changed: (section, name)."""

    text: str
    conflicts: tuple[tuple[str, str], ...]


def merge(base: Lock, ours: Lock, theirs: Lock) -> Merged:
    """The lock with the changes of both sides; where both changed one entry it has git's markers around both."""
    lines = [HEAD, f"version: {VERSION}\n"]
    conflicts: list[tuple[str, str]] = []
    old, left, right = sections(base), sections(ours), sections(theirs)
    for section in sorted(old):
        entries, both = _merged(old[section], left[section], right[section])
        conflicts += [(section, name) for name in both]
        lines.append(f"{section}:\n" if entries else f"{section}: {{}}\n")
        lines += entries
    return Merged("".join(lines), tuple(conflicts))


def _merged(old: dict[str, Any], left: dict[str, Any], right: dict[str, Any]) -> tuple[list[str], list[str]]:
    entries: list[str] = []
    conflicts: list[str] = []
    for name in sorted({*old, *left, *right}):
        was, ours, theirs = old.get(name), left.get(name), right.get(name)
        if ours == theirs or theirs == was:
            kept = ours
        elif ours == was:
            kept = theirs
        else:
            conflicts.append(name)
            entries += ["<<<<<<< ours\n", _entry(name, ours), "=======\n", _entry(name, theirs), ">>>>>>> theirs\n"]
            continue
        entries.append(_entry(name, kept))
    return [entry for entry in entries if entry], conflicts


def _entry(name: str, value: Any) -> str:
    return "" if value is None else render_entry(name, value)
