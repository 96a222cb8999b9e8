"""How wide texts are on a terminal, and how to cut them."""

import sys

TYPE_CHECKING = False  # importing typing for it would take 3 ms
if TYPE_CHECKING:
    from typing import TextIO


def cut(text: str, width: int) -> str:
    """The text in at most `width` columns, on one line, without signs that would move the cursor."""
    line = text.partition("\n")[0]
    if not line.isprintable():
        line = "".join(sign if sign.isprintable() else " " for sign in line)
    if line.isascii():
        return line if len(line) <= width else line[: width - 1] + "…"
    shown, used = [], 0
    widths = [_columns(sign) for sign in line]
    if sum(widths) <= width:
        return line
    for sign, columns in zip(line, widths, strict=True):
        if used + columns > width - 1:
            break
        shown.append(sign)
        used += columns
    return "".join(shown) + "…"


def columns(text: str) -> int:
    """How many columns a text takes on a terminal."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(sign: str) -> int:
    import unicodedata  # lazy: 1 ms that ASCII spares

    if unicodedata.combining(sign):
        return 0
    return 2 if unicodedata.east_asian_width(sign) in "WF" else 1


def interactive(stream: "TextIO | None" = None) -> bool:
    """Whether somebody looks at this: a terminal (default: standard output)."""
    return (stream or sys.stdout).isatty()
