"""Plain tables for a terminal of any width."""

TYPE_CHECKING = False  # importing typing for it would take 3 ms
if TYPE_CHECKING:
    from collections.abc import Sequence

COLOURS = {
    "hit": "\033[32m",
    "run": "\033[36m",
    "ok": "\033[32m",
    "skip": "\033[33m",
    "wait": "\033[33m",
    "failed": "\033[31m",
    "cancelled": "\033[31m",
    "interrupted": "\033[33m",
}
PLAIN, DIM = "\033[0m", "\033[2m"


def render(head: "Sequence[str]", rows: "Sequence[Sequence[str]]", colour: bool) -> str:
    """Rows under a head, columns aligned; on a terminal the last column is cut at its edge."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    edge = _edge() if colour else 10_000
    lines = [_line(head, widths, edge, DIM if colour else "")]
    lines += [_line(row, widths, edge, "", colour) for row in rows]
    return "\n".join(lines)


def _edge() -> int:
    import shutil  # lazy: 3 ms that output to a file spares

    return shutil.get_terminal_size((100, 24)).columns


def _line(cells: "Sequence[str]", widths: list[int], edge: int, tone: str, colour: bool = False) -> str:
    left = edge - sum(width + 2 for width in widths[:-1])
    last = cells[-1].split("\n")[0]
    if len(last) > left > 10:
        last = last[: left - 1] + "…"
    shown = [f"{cell:{width}}" for cell, width in zip(cells[:-1], widths[:-1], strict=True)]
    if colour:
        shown = [f"{COLOURS[s.strip()]}{s}{PLAIN}" if s.strip() in COLOURS else s for s in shown]
    text = "  ".join([*shown, last]).rstrip()
    return f"{tone}{text}{PLAIN}" if tone else text
