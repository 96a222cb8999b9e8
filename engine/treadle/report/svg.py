"""Shapes as SVG text; colours come from the page's style sheet, so that light and dark need one drawing."""

from collections.abc import Iterable
from html import escape

SMALLEST = 0.7  # of its size, to which a drawing may shrink


def drawing(width: float, height: float, shapes: Iterable[str], title: str) -> str:
    """A drawing that shrinks with the page and says what it is to a screen reader."""
    body = "".join(shapes)
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    size += f' style="min-width:{width * SMALLEST:.0f}px"'  # below, one scrolls: smaller letters cannot be read
    return f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size}><title>{escape(title)}</title>{body}</svg>'


def fluid(height: float, shapes: Iterable[str], title: str) -> str:
    """A drawing as wide as there is room, whose texts keep their size: places from left to right are shares of 1."""
    size = f'width="100%" height="{height:.0f}"'
    body = "".join(shapes)
    return f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size}><title>{escape(title)}</title>{body}</svg>'


def span(x: float, y: float, width: float, height: float, kind: str, hint: str = "") -> str:
    """A rectangle of a fluid drawing, at least so wide that it can be seen."""
    title = f"<title>{escape(hint)}</title>" if hint else ""
    place = f'x="{x:.2%}" y="{y:.1f}" width="{max(0.003, width):.2%}" height="{height:.1f}"'
    return f'<rect class="{kind}" rx="3" {place}>{title}</rect>'


def words(x: float, y: float, said: str, kind: str = "", anchor: str = "start", beside: float = 0.0) -> str:
    """Text of a fluid drawing, `beside` points to the right of its share."""
    place = f'x="{x:.2%}" dx="{beside:.0f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {place}>{escape(said)}</text>'


def rule(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line of a fluid drawing."""
    return f'<line class="{kind}" x1="{x1:.2%}" y1="{y1:.1f}" x2="{x2:.2%}" y2="{y2:.1f}"/>'


def box(x: float, y: float, width: float, height: float, kind: str, hint: str = "") -> str:
    """A rectangle of a kind, which the style sheet colours; `hint` shows when the pointer rests on it."""
    title = f"<title>{escape(hint)}</title>" if hint else ""
    place = f'x="{x:.1f}" y="{y:.1f}" width="{max(0.5, width):.1f}" height="{height:.1f}"'
    return f'<rect class="{kind}" rx="3" {place}>{title}</rect>'


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    """Text with its baseline at y; anchor is start, middle or end."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def line(points: Iterable[tuple[float, float]], kind: str) -> str:
    """A line through points."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline class="{kind}" fill="none" points="{path}"/>'


def curve(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """An edge from left to right that leaves and arrives level."""
    middle = (x1 + x2) / 2
    path = f"M{x1:.1f},{y1:.1f} C{middle:.1f},{y1:.1f} {middle:.1f},{y2:.1f} {x2:.1f},{y2:.1f}"
    return f'<path class="{kind}" fill="none" d="{path}"/>'


def cut(words: str, length: int) -> str:
    """Words that fit, with an ellipsis where they do not."""
    return words if len(words) <= length else words[: length - 1] + "…"
