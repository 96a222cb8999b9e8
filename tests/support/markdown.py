"""Just enough Markdown to test documentation: headings, sections, inline code and links."""

import functools
import re
from pathlib import Path
from typing import NamedTuple

from support.sources import ROOT, tracked

FENCE = re.compile(r"^ {0,3}(```+|~~~+).*?^ {0,3}\1[ \t]*$", re.M | re.S)
HEADING = re.compile(r"^(#{1,6})[ \t]+(.+?)[ \t]*#*$", re.M)
CODE = re.compile(r"(`+)(.+?)\1", re.S)
LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)")


class Section(NamedTuple):
    """A heading and the text down to the next heading of its level or above."""

    title: str
    level: int
    text: str


@functools.cache
def page(path: str) -> str:
    """A documentation page; fails with its name when nobody has written it yet."""
    file = ROOT / path
    if not file.is_file():
        raise AssertionError(f"{path} is missing: what it should document is in the code already")
    return file.read_text(encoding="utf-8")


def pages(folder: str = "") -> list[str]:
    """The paths of all Markdown files below a folder."""
    return [name for name in tracked() if name.endswith(".md") and name.startswith(folder)]


def sections(text: str) -> list[Section]:
    """All sections of a page, headings inside fenced code left out."""
    marks = list(HEADING.finditer(_blank(text)))
    found = []
    for position, mark in enumerate(marks):
        level = len(mark[1])
        end = next((later.start() for later in marks[position + 1 :] if len(later[1]) <= level), len(text))
        found.append(Section(mark[2].replace("`", "").strip(), level, text[mark.start() : end]))
    return found


def section(text: str, *titles: str) -> str | None:
    """The text of the first section with one of these titles, or None."""
    return next((found.text for found in sections(text) if found.title in titles), None)


def inline_code(text: str) -> list[str]:
    """The spans of inline code, fenced blocks left out."""
    return [match[2] for match in CODE.finditer(_blank(text))]


def anchors(text: str) -> set[str]:
    """The anchors a page offers, as GitHub makes them, and those written as HTML."""
    slugs: set[str] = set()
    for found in sections(text):
        slug = re.sub(r"[^\w\- ]", "", found.title.lower()).replace(" ", "-")
        number = 0
        while (name := f"{slug}-{number}" if number else slug) in slugs:
            number += 1
        slugs.add(name)
    return slugs | set(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", text))


def links(text: str) -> list[str]:
    """The targets of all links, code left out."""
    return [match[1] for match in LINK.finditer(CODE.sub("", _blank(text)))]


def exists(base: Path, target: str) -> bool:
    """Whether a relative link leads to a file or folder, and to a heading in it when it names one."""
    name, _, anchor = target.partition("#")
    file = (base.parent / name).resolve() if name else base
    if not file.exists():
        return False
    return not anchor or file.suffix != ".md" or anchor in anchors(file.read_text(encoding="utf-8"))


def _blank(text: str) -> str:
    """The text with fenced code replaced by spaces, so that offsets stay."""
    return FENCE.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)
