"""What happens during a run: on a terminal, groups of steps with counts and the time left; elsewhere, lines."""

import time
from collections import Counter
from typing import TextIO

from treadle.cli.heard import Heard
from treadle.cli.live import Live, bar
from treadle.cli.width import columns
from treadle.domain import event as events
from treadle.domain.advance import Advance
from treadle.quantity import format_duration, format_size
from treadle.run.groups import Group, group_of, largest

FEW = 60  # steps up to which each has a line of its own when it starts
SOME = 200  # the same where there is no terminal, for a log
GROUPS, NAMED, TELLING = 8, 5, 6  # how many groups, running steps, and steps that say how far they are, are drawn
ITEMS = 5  # failed attempts at items of one step that are told; all are counted
PAUSE = 10.0  # seconds between two lines of counts in a log
LATE = 2.0  # seconds after which a piece of work is worth a bar


class Progress:
    """Listens to the events of a run and writes to `stream`; changes nothing. `brief` leaves out a line per step."""

    def __init__(self, stream: TextIO, quiet: bool = False, brief: bool = False) -> None:
        self.stages: dict[str, str] = {}
        self._quiet = quiet
        self._live = Live(stream, self._lines, on=not quiet)
        self._few = 0 if brief else FEW if self._live.on else SOME
        self._brief = brief
        self._total = 0
        self._ended = 0
        self._groups: dict[str, Group] = {}
        self._running: dict[str, float] = {}
        self._failed: list[str] = []
        self._items: Counter[str] = Counter()  # failed attempts at items, by step
        self._began = self._told = self._said = time.monotonic()
        self._end_at: float | None = None  # of the run, by the last estimate
        self._heard = Heard()
        self._advance: tuple[Advance, float, float] | None = None  # work beside the steps, since when, last heard

    def notify(self, event: events.Event) -> None:
        """Take one event."""
        with self._live.lock:  # the lines are drawn in a thread of their own
            self._heard.take(event)
            self._take(event)
        self._live.update()
        if not self._live.on:
            self._count()

    def close(self) -> None:
        """Remove the moving lines."""
        self._live.close()

    def _take(self, event: events.Event) -> None:
        if isinstance(event, events.StepCached):  # most of them, most of the time
            self._end(event.step, "hit")
        elif isinstance(event, events.RunStarted):
            self._total, self.stages = event.steps, event.stages
        elif isinstance(event, events.RunProgress):
            self._end_at = None if event.remaining is None else time.monotonic() + event.remaining
        elif isinstance(event, events.StepStarted):
            self._start(event)
        elif isinstance(event, events.StepFinished):
            self._end(event.step, "run")
        elif isinstance(event, events.StepSkipped):
            self._end(event.step, "skip")
        elif isinstance(event, events.StepFailed):
            self._fail(event)
        elif isinstance(event, events.StepRetried):
            self._end(event.step, "")
            self._tell(f"again {event.step} in {format_duration(event.wait)}: {_first(event.failure.message)}")
        elif isinstance(event, events.ItemFailed):
            self._fail_item(event)
        elif isinstance(event, events.Advanced):
            self._hear(Advance(event.what, event.done, event.total, event.unit))
        elif isinstance(event, events.Notice):
            self._tell(f"note  {event.text}")
        elif isinstance(event, events.Noted) and not self._brief:
            self._tell(f"{event.step}: {_first(event.text)}")

    def _start(self, event: events.StepStarted) -> None:
        self._running[event.step] = time.monotonic()
        self._group(event.step).running += 1
        again = f" (attempt {event.attempt})" if event.attempt > 1 else ""
        if self._total <= self._few:
            self._tell(f"run   {event.step}{again}: {event.reason}")

    def _fail(self, event: events.StepFailed) -> None:
        self._end(event.step, "failed")
        self._failed.append(event.step)
        if not self._brief:
            self._tell(f"failed {event.step}: {_first(event.failure.message)}")

    def _fail_item(self, event: events.ItemFailed) -> None:
        self._items[event.step] += 1
        if self._items[event.step] <= ITEMS and not self._brief:
            wait = "" if event.wait is None else f" in {format_duration(event.wait)}"
            what = f"item {event.index} ({event.element}) of {event.step}{wait}: {_first(event.failure.message)}"
            self._tell(f"{'failed' if event.wait is None else 'again'} {what}")
        elif self._items[event.step] == ITEMS + 1 and not self._brief:
            self._tell(f"note  more items of {event.step} fail; they are counted from here on, not named")

    def _end(self, step: str, fate: str) -> None:
        group = self._group(step)
        if self._running.pop(step, None) is not None:
            group.running -= 1
        if fate:
            self._ended += 1
            group.fates[fate] += 1

    def _group(self, step: str) -> Group:
        name = group_of(step, self.stages)
        if name not in self._groups:
            self._groups[name] = Group(name)
        return self._groups[name]

    def _tell(self, line: str) -> None:
        if not self._quiet:
            self._live.tell(line)

    def _count(self) -> None:
        """In a log: how far a large run and the steps that say so are, now and then."""
        now = time.monotonic()
        if not self._brief and now - self._said >= PAUSE:
            self._said = now
            for line in self._heard.lines(TELLING):
                self._tell(f"      {line}")
        if self._total > self._few and not self._brief and now - self._told >= PAUSE and self._ended < self._total:
            self._told = now
            self._tell(f"{self._ended}/{self._total}{self._left()}{_counts(self._sum())}")

    def _hear(self, advance: Advance) -> None:
        now = time.monotonic()
        old = self._advance
        same = old is not None and old[0].what == advance.what and old[0].done <= advance.done
        self._advance = (advance, old[1] if same and old else now, now)

    # drawing

    def _lines(self, width: int) -> list[str]:
        lines = []
        if self._advance is not None and time.monotonic() - self._advance[2] < LATE:
            lines.append(advanced(self._advance[0], self._advance[2] - self._advance[1]))
        busy = [group for group in self._groups.values() if group.running or group.fates["failed"]]
        if self._total > self._few and len(self._groups) > 1:
            shown = largest(busy, GROUPS)
            names = max((columns(group.name) for group in shown), default=0)
            lines += [f"  {g.name}{' ' * (names - columns(g.name))}{_counts(g.fates, g.running)}" for g in shown]
            if len(busy) > len(shown):
                lines.append(f"  and {len(busy) - len(shown)} more groups")
        if self._total > self._few and self._failed:
            lines.append(f"  failed: {_named(self._failed)}")
        now = time.monotonic()
        running = sorted(self._running.items(), key=lambda item: item[1])
        names_ = [f"{step} ({format_duration(now - since)})" if now - since > 1 else step for step, since in running]
        counts = _counts(self._sum()) if self._total > self._few else ""
        lines.append(f"{bar(self._ended, self._total)} {self._ended}/{self._total}{self._left()}{counts}")
        if names_:
            lines.append(f"  running: {_named(names_)}")
        lines += [f"  {line}" for line in self._heard.lines(TELLING)]
        return lines

    def _sum(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for group in self._groups.values():
            found.update(group.fates)
        return found

    def _left(self) -> str:
        rest = self._end_at - time.monotonic() if self._end_at is not None else 0.0
        return f", about {format_duration(rest)} left" if rest > 1 else ""


class Work:
    """Shows how far a long piece of work is: a bar with the time left once it takes over two seconds."""

    def __init__(self, stream: TextIO, quiet: bool = False) -> None:
        self._began = time.monotonic()
        self._now: Advance | None = None
        self._live = Live(stream, self._lines, on=not quiet)

    def tell(self, advance: Advance) -> None:
        """Take what a piece of work says of itself."""
        if self._now is not None and (advance.what != self._now.what or advance.done < self._now.done):
            self._began = time.monotonic()
        self._now = advance
        if time.monotonic() - self._began >= LATE:
            self._live.update()

    def close(self) -> None:
        """Remove the bar."""
        self._live.close()

    def _lines(self, width: int) -> list[str]:
        took = time.monotonic() - self._began
        if self._now is None or took < LATE:
            return []
        return [advanced(self._now, took)]


def advanced(now: Advance, took: float) -> str:
    """How far a piece of work is after `took` seconds, in one line."""
    shown = format_size if now.unit == "bytes" else str
    unit = "" if now.unit == "bytes" else f" {now.unit}"
    if not now.total:
        return f"{now.what}: {shown(now.done)}{unit}"
    rest = took * (now.total - now.done) / now.done if now.done else 0.0
    left = f", about {format_duration(rest)} left" if rest > 1 else ""
    return f"{bar(now.done, now.total)} {now.what}: {shown(now.done)} of {shown(now.total)}{unit}{left}"


def _counts(fates: "Counter[str]", running: int = 0) -> str:
    words = (("run", "done"), ("hit", "hit"), ("skip", "skipped"), ("failed", "failed"))
    parts = [f"{running} running"] if running else []
    parts += [f"{fates[fate]} {word}" for fate, word in words if fates[fate]]
    return "  " + ", ".join(parts) if parts else ""


def _named(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def _first(text: str) -> str:
    return text.partition("\n")[0]
