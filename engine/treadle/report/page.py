"""Sections → one self-contained HTML page: no script, no link, no font from elsewhere; light, dark, and narrow."""

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from treadle.report.sections import Block


class Section(Struct, frozen=True):
    """A heading with its blocks."""

    title: str
    blocks: tuple[Block, ...]
    note: str = ""


class Page(Struct, frozen=True):
    """A whole page; `facts` are the figures on top, as (name, value)."""

    title: str
    subtitle: str
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]


def render(page: Page) -> str:
    """The page as HTML; everything but our own pictures is escaped."""
    from jinja2 import Environment  # lazy: only a report is a page

    folder = Path(__file__).parent
    text = (folder / "page.html.j2").read_text(encoding="utf-8")
    css = (folder / "picture.css").read_text(encoding="utf-8")
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(text)
    filled = _filled(page.sections)
    return template.render(title=page.title, subtitle=page.subtitle, facts=page.facts, sections=filled, css=css)


def _filled(sections: Sequence[Section]) -> list[Section]:
    return [section for section in sections if section.blocks]
