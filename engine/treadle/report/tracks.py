"""What steps told while they ran → curves, tables, plots and notes of a page."""

import time
from collections.abc import Mapping

from treadle.domain.track import Track
from treadle.report import plots
from treadle.report.sections import Block

CURVES, LINES = 48, 12  # pictures on a page, and lines in one: the cells of a matrix share a picture
DRAWN = 240  # points of a line


def curves(tracks: Mapping[str, Track]) -> list[Block]:
    """A picture for each metric of each step; the cells of a matrix are lines of one picture."""
    found: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for step, track in tracks.items():
        base, _, cell = step.partition("[")
        for name, points in track.series.items():
            line = [(float(p.step), p.value) for p in points if p.value is not None]
            if len(line) > 1:
                found.setdefault(f"{base}: {name}", {})[cell.rstrip("]")] = _fewer(line)
    blocks = []
    for title, lines in list(found.items())[:CURVES]:
        shown = dict(list(lines.items())[:LINES])
        left = len(lines) - len(shown)
        picture = plots.lines(shown, title)
        blocks += [Block(title, picture, note=f"and {left} more cells" if left else "")] if picture else []
    if len(found) > CURVES:
        blocks.append(Block("", note=f"and {len(found) - CURVES} more curves: treadle show RUN STEP"))
    return blocks


def blocks(track: Track) -> tuple[Block, ...]:
    """The tables, plots and notes of one step."""
    found = [Block(one.name, plots.lines(one.lines, one.name)) for one in track.plots]
    for one in track.tables:
        note = f"and {one.rows_left} more rows" if one.rows_left else ""
        found.append(Block(one.name, head=one.head, rows=one.rows, note=note))
    notes = tuple((time.strftime("%H:%M:%S", time.localtime(note.at)), note.text) for note in track.notes)
    return (*found, *((Block("Notes", head=("time", "note"), rows=notes),) if notes else ()))


def _fewer(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Evenly chosen points, with the first and the last."""
    if len(points) <= DRAWN:
        return points
    return [points[number * (len(points) - 1) // (DRAWN - 1)] for number in range(DRAWN)]
