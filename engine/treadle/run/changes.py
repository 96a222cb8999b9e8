"""Why a step runs: the difference of two manifests in words a user knows."""

from collections.abc import Mapping

from msgspec import Struct

SHORT = 12  # characters of a digest that a user is shown
DIGESTS = ("code", "file", "input", "command")  # parts whose value says nothing to a reader


class FileChange(Struct, frozen=True):
    """One file of a data entry: `how` is added, removed or changed."""

    name: str
    how: str


class Change(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One part of a manifest that differs.

    `part` is its name in the manifest, `kind` and `name` the two halves of it (`param`, `alpha`); `before` and
    `after` are None for what is not there. `text` says it in words, `remedy` what would undo it, `diff` is the
    unified difference of the source, `files` are those of a data entry, `because` why an upstream output differs.
    """

    part: str
    kind: str
    name: str
    before: str | None
    after: str | None
    text: str
    remedy: str
    diff: str = ""
    files: tuple[FileChange, ...] = ()
    because: tuple[str, ...] = ()


def difference(old: Mapping[str, str], new: Mapping[str, str]) -> list[tuple[str, str | None, str | None]]:
    """The parts that differ, as (name, before, after) with None for what is not there, sorted by name."""
    names = sorted(set(old) | set(new))
    return [(name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)]


def in_words(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """The difference in one line: `param alpha: 0.1 → 0.2; code features:build changed`."""
    found = [phrase(*change) for change in difference(old, new)]
    if len(found) > 4:
        found = [*found[:3], f"{len(found) - 3} more"]
    return "; ".join(found) or "nothing changed"


def changes(old: Mapping[str, str], new: Mapping[str, str]) -> list[Change]:
    """Every part that differs, with what would undo it; what only a store knows is not filled in yet."""
    found = []
    for part, before, after in difference(old, new):
        kind, name = split(part)
        text, remedy = phrase(part, before, after), _remedy(kind, name, before, after)
        found.append(Change(part=part, kind=kind, name=name, before=before, after=after, text=text, remedy=remedy))
    return found


def split(part: str) -> tuple[str, str]:
    """The kind and the name of a part: `code file a.json` is the file a.json, `python` has no name."""
    if part.startswith("code file "):
        return "file", part.removeprefix("code file ")
    if part in ("code version", "key version"):
        return part, ""
    kind, _, name = part.partition(" ")
    return kind, name


def phrase(part: str, before: str | None, after: str | None) -> str:
    """One difference in words."""
    if before is None:
        return f"{part} is new"
    if after is None:
        return f"{part} is gone"
    if part != "code version" and part.partition(" ")[0] in DIGESTS:
        return f"{part} changed"
    return f"{part}: {before} → {after}"


def _remedy(kind: str, name: str, before: str | None, after: str | None) -> str:
    """What a user can do to have the earlier result again."""
    if kind == "library":
        return _library(name, before, after)
    if kind == "python":
        return f"run it with Python {before}" if before else "call a function no more: this counts for functions only"
    if kind == "key version":
        return "nothing: this version of treadle makes its keys in another way"
    if before is None:
        return {
            "param": f"leave out the parameter {name}",
            "code": f"do not reach {name} from the step",
            "file": f"do not name {name} in the step's code or parameters",
            "env": f"leave out {name} under env:",
            "input": f"leave out the input {name}",
            "form": f"annotate the argument {name} as before",
        }.get(kind, f"leave out the {kind}")
    lost = after is None
    return {
        "param": f"{'give' if lost else 'set'} {name} {'its value' if lost else 'back to'} {before}",
        "code": f"{'let the step reach' if lost else 'restore'} {name}{' again' if lost else ' as it was'}",
        "file": f"{'read' if lost else 'restore the file'} {name}{' again' if lost else ''}",
        "env": f"set {name} {'to' if lost else 'back to'} {before} under env:",
        "input": f"give the input {name} what it had",
        "form": f"annotate the argument {name} {'with ' + before if before else 'as before'}",
        "outputs": f"name the outputs as before: {before}",
        "call": f"call {before} as before",
        "kind": f"make it a {before} as before",
        "command": "restore the command line",
        "code version": f"set code_version back to {before}",
    }.get(kind, f"set {kind} back to {before}")


def _library(name: str, before: str | None, after: str | None) -> str:
    if before is None:
        return f"do not import {name} in the step's code"
    return f"import {name} {before} again" if after is None else f"install {name} {before}"
