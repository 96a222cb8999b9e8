"""Draw the story that the store has recorded: prices, acceptance, shares, evidence and decisions, second by second.

python draw.py > story.svg        (in the project's folder, after `treadle up` and `city.py`)
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from treadle.store import open_store
from treadle.store.predictions import Tail

MODEL, PIPELINE = "surge-pricing", "surge"
WIDTH, LEFT, RIGHT, PANEL, GAP, TOP = 900, 70, 20, 110, 34, 96
CHAMPION, CHALLENGER, INK, FAINT = "#3b6ea5", "#d1702f", "#222222", "#bbbbbb"


@dataclass
class Second:
    """What was answered in one second: prices and outcomes by version."""

    prices: dict[int, list[float]] = field(default_factory=dict)
    accepted: dict[int, list[float]] = field(default_factory=dict)


@dataclass
class Story:
    start: float
    seconds: list[Second]
    evidence: list[tuple[float, dict[str, float], float]]  # at, log E by hypothesis, needed
    events: list[tuple[float, str]]
    width: float


def read(root: Path) -> Story:
    """The story in a project's store."""
    store = open_store(root)
    tail = Tail(str(root / ".treadle/predictions" / MODEL), 0.0)
    added = tail.read()
    tail.close()
    seen = sorted((one for one in added.predictions if one.status == 200 and not one.shadow_of), key=lambda one: one.at)
    start, end = seen[0].at, seen[-1].at
    seconds = [Second() for _ in range(int(end - start) + 1)]
    where = {}
    for one in seen:
        place = seconds[int(one.at - start)]
        values = memoryview(one.prediction).cast("d").tolist() if isinstance(one.prediction, bytes) else one.prediction
        place.prices.setdefault(one.version, []).append(values[0])
        where[one.request_id] = (place, one.version)
    for outcome in added.outcomes:
        if outcome.metric == "accepted" and outcome.request_id in where:
            place, version = where[outcome.request_id]
            place.accepted.setdefault(version, []).append(float(outcome.value))
    evidence, events = [], []
    for entry in store.ledger.entries(limit=100_000):
        found = entry.evidence
        if entry.kind == "rollout.evaluation" and "accepted" in found["figures"]["metrics"]:
            figures = found["figures"]["metrics"]["accepted"]
            evidence.append((entry.at - start, figures["log_e_best"], figures["needed"]))
        text = words(entry.kind, found)
        if text and entry.at >= start - 1:
            events.append((max(0.0, entry.at - start), text))
    store.database.close()
    return Story(start, seconds, evidence, events, max(end - start, 1.0))


def words(kind: str, found: dict[str, object]) -> str:
    """An entry of the ledger in a few words; "" for those that are not drawn."""
    if kind == "trigger.fire" and found["triggers"] != ["start"]:
        return "drift: retrain"
    if kind == "rollout.begin":
        return "A/B test begins"
    if kind == "rollout.promote":
        return "promoted"
    if kind == "rollout.quarantine":
        return "rolled back, barred"
    if kind == "rollout.evaluation" and str(found["decision"]).startswith("succeed"):
        return "superior"
    if kind == "rollout.evaluation" and found["after"] == "done":
        return "done"
    return ""


class Drawing:
    """Panels under each other, one time axis."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.parts: list[str] = []
        self.y = TOP

    def x(self, second: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * second / self.story.width

    def text(self, x: float, y: float, words: str, anchor: str = "start", colour: str = INK, size: int = 12) -> None:
        style = f'font-size="{size}" fill="{colour}" text-anchor="{anchor}"'
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(words)}</text>')

    def line(self, points: Sequence[tuple[float, float]], colour: str, dashed: bool = False) -> None:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dash = ' stroke-dasharray="4 3"' if dashed else ""
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"{dash}/>')

    def panel(self, title: str, low: float, high: float, lines: Sequence[tuple[str, list[tuple[float, float]]]],
              form: str, limit: float | None = None) -> None:  # fmt: skip
        """A frame with its scale, its lines (colour, points in seconds and values), and a limit."""
        top, bottom = self.y, self.y + PANEL

        def scaled(value: float) -> float:
            return bottom - PANEL * (min(max(value, low), high) - low) / (high - low)

        place = f'x="{LEFT}" y="{top}" width="{WIDTH - LEFT - RIGHT}" height="{PANEL}"'
        self.parts.append(f'<rect {place} fill="#fafafa" stroke="{FAINT}"/>')
        self.text(LEFT, top - 6, title)
        for value in (low, high):
            self.text(LEFT - 6, scaled(value) + 4, form.format(value), "end", "#666666", 11)
        if limit is not None:
            self.line([(LEFT, scaled(limit)), (WIDTH - RIGHT, scaled(limit))], "#999999", True)
        for colour, points in lines:
            self.line([(self.x(at), scaled(value)) for at, value in points], colour)
        self.y = bottom + GAP


def smooth(story: Story, what: str, version: int, span: int = 3) -> list[tuple[float, float]]:
    """Means over the last `span` seconds in which the version answered at least ten times."""
    found = []
    for place in range(len(story.seconds)):
        near = story.seconds[max(0, place - span + 1) : place + 1]
        values = [value for one in near for value in getattr(one, what).get(version, [])]
        if len(values) >= 10:
            found.append((place + 0.5, sum(values) / len(values)))
    return found


def draw(story: Story, title: str) -> str:
    """The story as SVG."""
    made = Drawing(story)
    versions = sorted({version for one in story.seconds for version in one.prices})
    colours = {version: CHAMPION if version == versions[0] else CHALLENGER for version in versions}
    shares = []
    for place, one in enumerate(story.seconds):
        total = sum(len(prices) for prices in one.prices.values())
        if total:
            shares.append((place + 0.5, sum(len(p) for v, p in one.prices.items() if v != versions[0]) / total))
    made.panel("price asked", 1.0, 2.0, [(colours[v], smooth(story, "prices", v)) for v in versions], "{:.1f}")
    made.panel("accepted", 0.0, 1.0, [(colours[v], smooth(story, "accepted", v)) for v in versions], "{:.0%}")
    made.panel("share of the new version", 0.0, 1.0, [(CHALLENGER, shares)], "{:.0%}")
    if story.evidence:
        needed = story.evidence[-1][2]
        high = max(needed * 1.5, *(max(values.values(), default=0.0) for _, values, _ in story.evidence))
        lines = [
            (colour, [(at, values[name]) for at, values, _ in story.evidence if name in values])
            for name, colour in (("superior", "#2b8a3e"), ("harm", "#c92a2a"))
        ]
        made.panel("evidence, log E: better (green), worse (red); dashed: decides", 0.0, high, lines, "{:.0f}", needed)
    bottom = made.y - GAP
    for number, (at, words) in enumerate(story.events):
        x, y = made.x(at), 44 + 14 * (number % 3)
        made.line([(x, y + 4), (x, bottom)], FAINT, True)
        late = at > 0.8 * story.width
        made.text(x - 3 if late else x + 3, y, f"{at:.0f} s {words}", "end" if late else "start", INK, 11)
    made.text(LEFT, 20, title, size=15)
    made.text(WIDTH - RIGHT, 20, "blue: version 1, orange: version 2", "end", "#666666")
    for tenth in range(0, int(story.width) + 1, 10):
        made.text(made.x(tenth), bottom + 14, f"{tenth} s", "middle", "#666666", 10)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {made.y}" font-family="sans-serif">'
    ground = f'<rect width="{WIDTH}" height="{made.y}" fill="white"/>'
    return "\n".join([head, ground, *made.parts, "</svg>\n"])


if __name__ == "__main__":
    sys.stdout.write(draw(read(Path.cwd()), sys.argv[1] if len(sys.argv) > 1 else "A competitor arrives"))
