"""When each step ran, as a picture, with the path that decided how long the whole took."""

from collections.abc import Mapping, Sequence

from treadle.domain.plan import Plan
from treadle.domain.run import StepRecord
from treadle.quantity import format_duration
from treadle.report import svg

MOST = 40  # rows; the longest steps are shown
ROW, TOP, BAR = 34.0, 24.0, 12.0
WIDTH = 0.995  # of the picture, so that the edge of the last bar shows
LETTERS = 44


def critical_path(plan: Plan, records: Mapping[str, StepRecord]) -> list[str]:
    """The steps that ran one after the other until the end: from the last to finish, back along what it waited for."""
    needs = {step.id: step.needs for step in plan.steps}
    ran = {name: record for name, record in records.items() if record.seconds}
    if not ran:
        return []
    path = [max(ran, key=lambda name: ran[name].finished)]
    while True:
        above = _that_ran(path[-1], needs, ran)
        if not above:
            return path[::-1]
        path.append(max(above, key=lambda name: ran[name].finished))


def draw(plan: Plan, records: Mapping[str, StepRecord]) -> str:
    """A bar for each step that ran, in the order of their beginnings; empty when nothing ran."""
    ran = sorted((r for r in records.values() if r.seconds), key=lambda record: record.started)
    if not ran:
        return ""
    path = set(critical_path(plan, records))
    left_out = len(ran) - MOST
    if left_out > 0:
        longest = sorted(ran, key=lambda record: (record.id not in path, -record.seconds))[:MOST]
        ran = sorted(longest, key=lambda record: record.started)
    begin = min(record.started for record in ran)
    whole = max(record.finished for record in ran) - begin
    shapes = [_axis(begin_at, whole, len(ran)) for begin_at in (0.0, 0.25, 0.5, 0.75, 1.0)]
    for number, record in enumerate(ran):
        y = TOP + number * ROW
        x = WIDTH * (record.started - begin) / whole
        kind = f"fate {record.fate}{' critical' if record.id in path else ''}"
        label = f"{svg.cut(record.id, LETTERS)} · {format_duration(record.seconds)}"
        late = x > WIDTH / 2  # a name that begins there might not fit
        shapes.append(
            svg.words(
                x + WIDTH * record.seconds / whole if late else x, y + 14, label, "small", "end" if late else "start"
            )
        )
        hint = f"{record.id}: {format_duration(record.seconds)}"
        shapes.append(svg.span(x, y + 18, WIDTH * record.seconds / whole, BAR, kind, hint))
    if left_out > 0:
        shapes.append(svg.words(0, TOP + len(ran) * ROW + 16, f"and {left_out} shorter steps", "small"))
    height = TOP + len(ran) * ROW + (24 if left_out > 0 else 6)
    return svg.fluid(height, shapes, "when each step ran")


def _axis(share: float, whole: float, rows: int) -> str:
    x = WIDTH * share
    mark = svg.rule(x, TOP - 6, x, TOP + rows * ROW, "grid")
    anchor = "start" if share == 0 else "end" if share == 1 else "middle"
    return mark + svg.words(x, TOP - 10, format_duration(whole * share) if share else "0", "small", anchor)


def _that_ran(step: str, needs: Mapping[str, Sequence[str]], ran: Mapping[str, StepRecord]) -> list[str]:
    """The nearest steps above that ran; those that did not, such as a matrix that only picked, are looked through."""
    found, todo, seen = [], list(needs.get(step, ())), set()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in ran:
            found.append(name)
        else:
            todo += needs.get(name, ())
    return found
