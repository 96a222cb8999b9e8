"""Plain tables for a terminal of any width."""

from treadle.cli.width import columns, cut, interactive

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
GAP = 2
THIRD, LESS = 3, 5
LEAST = 9  # columns that are left of a text, where there were more


def render(
    head: "Sequence[str]",
    rows: "Sequence[Sequence[str]]",
    colour: bool,
    edge: "int | None" = None,
    spare: "Sequence[str]" = (),
) -> str:
    """Rows under a head, columns aligned; no line is wider than `edge`, by default the terminal, if it is one.

    Columns whose heads are `spare` are left out one after the other while something would have to be cut.
    """
    if edge is None:
        edge = terminal()
    widths = [max(map(columns, column)) for column in zip(head, *rows, strict=True)]
    for name in spare if edge else ():
        if name in head and _needed(widths, edge) > edge:
            place = list(head).index(name)
            head, *rows = [[*row[:place], *row[place + 1 :]] for row in (head, *rows)]
            del widths[place]
    if edge:
        _fit(widths, edge)
    lines = [_line(head, widths, edge, DIM if colour else "")]
    lines += [_line(row, widths, edge, "", colour) for row in rows]
    return "\n".join(lines)


def terminal() -> int:
    """The columns of the terminal; 0 where there is none."""
    if not interactive():
        return 0
    import shutil  # lazy: 3 ms that output to a file spares

    return shutil.get_terminal_size((100, 24)).columns


def _fit(widths: list[int], edge: int) -> None:
    """Take from the widest column but the last, until the last one has a third of the line, if it needs so much.

    The first one says what a line is about: before it is cut the others give, and the last one has a fifth.
    """
    _take(widths, edge, range(1, len(widths) - 1))
    if _needed(widths, edge, LESS) > edge:
        _take(widths, edge, range(len(widths) - 1), LESS)


def _take(widths: list[int], edge: int, places: range, share: int = THIRD) -> None:
    while places and _needed(widths, edge, share) > edge:
        widest = max(places, key=lambda n: widths[n])
        if widths[widest] <= LEAST:
            return
        widths[widest] -= 1


def _needed(widths: list[int], edge: int, share: int = THIRD) -> int:
    """The columns that all but the last need, and so large a part of the line for the last."""
    return sum(widths[:-1]) + GAP * (len(widths) - 1) + min(widths[-1], edge // share)


def _line(cells: "Sequence[str]", widths: list[int], edge: int, tone: str, colour: bool = False) -> str:
    shown = []
    for cell, width in zip(cells[:-1], widths[:-1], strict=True):
        text = cut(cell, width)
        padded = text + " " * (width - columns(text))
        shown.append(f"{COLOURS[text]}{padded}{PLAIN}" if colour and text in COLOURS else padded)
    last = cells[-1].partition("\n")[0]
    if edge:
        last = cut(last, max(1, edge - sum(width + GAP for width in widths[:-1])))
    text = (" " * GAP).join([*shown, last]).rstrip()
    return f"{tone}{text}{PLAIN}" if tone else text
