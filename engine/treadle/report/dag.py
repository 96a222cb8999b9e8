"""The DAG as a picture: layers from left to right, matrix cells as one box, stages as one box when there are many."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from treadle.domain.plan import Plan
from treadle.domain.run import CANCELLED, FAILED, HIT, RUN, SKIP, StepRecord
from treadle.quantity import format_duration
from treadle.report import svg

MOST = 60  # boxes; beyond, steps of a stage are one box
SWEEPS = 6  # passes that put neighbours next to each other
WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 168.0, 40.0, 44.0, 14.0, 8.0
LETTERS = 22
WORST = (FAILED, CANCELLED, RUN, SKIP, HIT)  # the fate that a box of several steps shows


class Box(Struct, frozen=True):
    """One box of the picture: a step, the cells of a matrix, or a stage."""

    name: str
    steps: tuple[str, ...]


def draw(plan: Plan, records: Mapping[str, StepRecord]) -> str:
    """The picture of a plan, coloured by what became of its steps; steps without a record are plain."""
    boxes = group(plan)
    of = {step: box.name for box in boxes for step in box.steps}
    needs: dict[str, list[str]] = {box.name: [] for box in boxes}
    for step in plan.steps:
        for need in step.needs:
            if need in of and of[need] != of[step.id] and of[need] not in needs[of[step.id]]:
                needs[of[step.id]].append(of[need])
    layers = arrange(layer(needs), needs)
    places = {
        name: (MARGIN + column * (WIDTH + GAP_X), MARGIN + (row + _shift(layers, column)) * (HEIGHT + GAP_Y))
        for column, names in enumerate(layers)
        for row, name in enumerate(names)
    }
    shapes = [
        svg.curve(
            places[need][0] + WIDTH, places[need][1] + HEIGHT / 2, places[name][0], places[name][1] + HEIGHT / 2, "edge"
        )
        for name, above in needs.items()
        for need in above
    ]
    by_name = {box.name: box for box in boxes}
    for name, (x, y) in places.items():
        shapes += _box(by_name[name], records, x, y)
    tallest = max(len(names) for names in layers)
    width = 2 * MARGIN + len(layers) * (WIDTH + GAP_X) - GAP_X
    return svg.drawing(width, 2 * MARGIN + tallest * (HEIGHT + GAP_Y) - GAP_Y, shapes, f"the steps of {plan.pipeline}")


def group(plan: Plan) -> list[Box]:
    """The boxes of a plan, in its order: a matrix with its cells is one; when they are many, so is a stage."""
    by_step = _grouped((step.id, step.id.partition("[")[0]) for step in plan.steps)
    if len(by_step) <= MOST:
        return by_step
    return _grouped((step.id, step.stage or _prefix(step.id)) for step in plan.steps)


def layer(needs: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Names by their distance from the start; a circle that grouping made is cut where it is met."""
    depth: dict[str, int] = {}

    def measure(start: str) -> None:
        todo, open_ = [start], {start}
        while todo:
            name = todo[-1]
            missing = [need for need in needs[name] if need not in depth and need not in open_]
            if missing:
                todo.append(missing[0])
                open_.add(missing[0])
                continue
            depth[name] = 1 + max((depth.get(need, -1) for need in needs[name]), default=-1)
            open_.discard(todo.pop())

    for name in needs:
        if name not in depth:
            measure(name)
    layers: list[list[str]] = [[] for _ in range(1 + max(depth.values(), default=0))]
    for name in needs:
        layers[depth[name]].append(name)
    return layers


def arrange(layers: list[list[str]], needs: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Layers with each name near the middle of its neighbours, so that few edges cross (barycentre heuristic)."""
    users: dict[str, list[str]] = {name: [] for name in needs}
    for name, above in needs.items():
        for need in above:
            users[need].append(name)
    row = {name: float(number) for names in layers for number, name in enumerate(names)}
    arranged = [list(names) for names in layers]
    for sweep in range(SWEEPS):
        near = needs if sweep % 2 == 0 else users
        for names in arranged if sweep % 2 == 0 else reversed(arranged):
            centre = {n: sum(row[o] for o in near[n]) / len(near[n]) if near[n] else row[n] for n in names}
            names.sort(key=lambda name: (centre[name], row[name]))
            row.update((name, float(number)) for number, name in enumerate(names))
    return arranged


def _shift(layers: list[list[str]], column: int) -> float:
    return (max(len(names) for names in layers) - len(layers[column])) / 2


def _box(box: Box, records: Mapping[str, StepRecord], x: float, y: float) -> list[str]:
    known = [records[step] for step in box.steps if step in records]
    fates = [record.fate for record in known]
    fate = next((fate for fate in WORST if fate in fates), "none")
    seconds = sum(record.seconds for record in known)
    count = f" × {len(box.steps) - 1 if len(box.steps) > 1 and box.name in box.steps else len(box.steps)}"
    name = svg.cut(box.name, LETTERS - len(count)) + count if len(box.steps) > 1 else svg.cut(box.name, LETTERS)
    what = "" if fate == "none" else f"{fate}{f', {format_duration(seconds)}' if seconds else ''}"
    hint = "\n".join(f"{record.id}: {record.fate} ({record.reason})" for record in known[:20]) or box.name
    return [
        svg.box(x, y, WIDTH, HEIGHT, f"fate {fate}", hint),
        svg.text(x + 9, y + 17, name, "name"),
        svg.text(x + 9, y + 32, what, "small"),
    ]


def _grouped(pairs: "object") -> list[Box]:
    found: dict[str, list[str]] = {}
    for step, name in pairs:  # type: ignore[attr-defined]
        found.setdefault(name, []).append(step)
    return [Box(name, tuple(steps)) for name, steps in found.items()]


def _prefix(step: str) -> str:
    head = step.partition("[")[0].rstrip("0123456789_-")
    return head or step
