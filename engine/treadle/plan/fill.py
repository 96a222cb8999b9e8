"""`${params.x}`, `${matrix.x}` and `${env.X}` in what the user wrote, replaced by their values."""

from collections.abc import Callable, Mapping
from typing import Any

Lookup = Callable[[str, str], Any]  # (params | matrix | env, name) → value


def fill(value: Any, lookup: Lookup) -> Any:
    """The value with every `${...}` replaced, at any depth.

    A string that is one placeholder becomes the value itself, with its type; inside a longer
    string the value is written as text. `$${` stands for a plain `${`.
    """
    if isinstance(value, str):
        return _text(value, lookup) if "${" in value else value
    if isinstance(value, list | tuple):
        return [fill(item, lookup) for item in value]
    if isinstance(value, dict):
        return {fill(key, lookup): fill(item, lookup) for key, item in value.items()}
    return value


def names(value: Any) -> set[tuple[str, str]]:
    """All `(group, name)` that placeholders anywhere in the value refer to."""
    found: set[tuple[str, str]] = set()

    def note(group: str, name: str) -> str:
        found.add((group, name))
        return ""

    fill(value, note)
    return found


def table(params: Mapping[str, Any], matrix: Mapping[str, Any], env: Callable[[str], str | None]) -> Lookup:
    """A look-up over the three groups; raises KeyError with `group.name` for what is not there."""

    def look(group: str, name: str) -> Any:
        if group == "env":
            value = env(name)
            if value is None:
                raise KeyError(f"env.{name}")
            return value
        try:
            return {"params": params, "matrix": matrix}[group][name]
        except KeyError:
            raise KeyError(f"{group}.{name}") from None

    return look


def _text(text: str, lookup: Lookup) -> Any:
    pieces: list[Any] = []
    at = 0
    while True:
        start = text.find("${", at)
        if start < 0:
            break
        if start and text[start - 1] == "$":
            pieces.append(text[at : start - 1] + "${")
            at = start + 2
            continue
        end = text.find("}", start)
        if end < 0:
            break
        group, _, name = text[start + 2 : end].strip().partition(".")
        if start == 0 and end == len(text) - 1:
            return lookup(group, name)
        pieces.append(text[at:start])
        pieces.append(lookup(group, name))
        at = end + 1
    pieces.append(text[at:])
    return "".join(piece if isinstance(piece, str) else _plain(piece) for piece in pieces)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
