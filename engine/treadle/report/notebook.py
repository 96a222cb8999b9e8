"""Pictures and tables for a notebook's cell."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

FATES = frozenset(("ok", "hit", "run", "skip", "wait", "failed", "cancelled", "interrupted", "running"))


def cell(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    picture: str = "",
    caption: str = "",
    failures: Sequence[tuple[str, str]] = (),
) -> str:
    """A picture above a table, as HTML that brings its own colours; words that are fates become labels.

    `failures` are names with a text each, such as a step's traceback, below the table.
    """
    css = (Path(__file__).parent / "picture.css").read_text(encoding="utf-8")
    heads = "".join(f'<th style="text-align:left">{escape(name)}</th>' for name in head)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
    drawn = f'<div style="overflow-x:auto">{picture}</div>' if picture else ""
    told = "".join(
        f"<p><b>{escape(name)}</b></p><pre style='overflow-x:auto'>{escape(text)}</pre>" for name, text in failures
    )
    return f'<div class="treadle"><style>{css}</style><p>{escape(caption)}</p>{drawn}{table}{told}</div>'


def _cell(text: str) -> str:
    shown = f'<span class="tag {text}">{text}</span>' if text in FATES else escape(text)
    return f'<td style="text-align:left">{shown}</td>'
