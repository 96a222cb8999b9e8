"""kill -9 of `up`, its server, the server's worker and the runs at random instants through both real stories.

python benchmarks/kill_loop.py [KILLS] [good|bad]      KILLS in all (default 50), as many stories as that takes

The waits are those of the tests; every process is real. Each kill takes its kind first, a third of them each:

controller   `treadle up`
server       `treadle serve`: its supervisor, a worker, or the model beside it
trainer      `treadle run`: its scheduler, its nursery or a step, of a run for a model, else of the monitors

Then it waits for a random time, and on until there is such a process. At the end a line says how often each was killed.
"""

import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.story import MODEL, Story, processes_below  # noqa: E402
from treadle.store.predictions import Tail  # noqa: E402

PORT = 18300
KINDS = ("controller", "server", "trainer")
KILLED: Counter[str] = Counter()
ENDS = {"good": ("done", 2), "bad": ("rolled_back", 1)}


class Victim(NamedTuple):
    """A process of the loop, and what it is in words."""

    pid: int
    words: str


def tell(ending: str, seed: int, most: int) -> int:
    """One story with kills; how many there were. Raises AssertionError when it ends otherwise than undisturbed."""
    draw = random.Random(seed)
    kinds = _kinds(draw)
    with tempfile.TemporaryDirectory() as folder:
        story = Story(Path(folder))
        try:
            story.shorten()
            story.start(PORT)
            kills, kind, next_kill, visited = 0, next(kinds), time.monotonic() + draw.uniform(1, 6), False
            end = time.monotonic() + 1500
            while not (kept := story.kept()) or kept.rollout.active:
                assert time.monotonic() < end, f"no end: {story.log()}"
                if story.up is None or story.up.poll() is not None:
                    story.start(PORT)
                if story.champion() and not visited:
                    visited = True
                    if ending == "bad":
                        story.spoil()
                    story.visit(f"http://127.0.0.1:{PORT}", minutes=90000, competitor=5, rides=40)
                if kills < most and time.monotonic() > next_kill and _kill(story, kind, draw):
                    kills, kind, next_kill = kills + 1, next(kinds), time.monotonic() + draw.uniform(1, 6)
                time.sleep(0.1)
            phase, champion = ENDS[ending]
            assert (story.phase(), story.champion()) == (phase, champion), story.log()
            assert story.store.ledger.verify().broken is None
            assert _steadfast(story), "a unit changed its arm"
        finally:
            story.close()
    return kills


def _kinds(draw: random.Random) -> Iterator[str]:
    """The kinds in turns of three, each turn in an order of its own."""
    while True:
        yield from draw.sample(KINDS, len(KINDS))


def _kill(story: Story, kind: str, draw: random.Random) -> bool:
    """Kill one of the processes of a kind, a random moment after one was seen; False when there is none just now."""
    if not _victims(story, kind):
        return False
    time.sleep(draw.uniform(0, 1))
    if not (found := _victims(story, kind)):
        return False
    victim = draw.choice(found)
    try:
        os.kill(victim.pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    print(f"  kill -9 {victim.words}", flush=True)
    KILLED[victim.words] += 1
    return True


def _victims(story: Story, kind: str) -> list[Victim]:
    """The processes of a kind, found by where they work: a run outlives a killed controller."""
    here = {pid: _command(pid) for name in os.listdir("/proc") if name.isdigit() and _works_in(story, pid := int(name))}
    if kind == "controller":
        return [Victim(pid, "controller") for pid, words in here.items() if words[:1] == ["up"]]
    if kind == "server":
        return _families(here, "serve", "server: supervisor", "server: worker or model")
    flight = story.store.desks.get("surge").book.flight
    learning = {pid: words for pid, words in here.items() if flight is not None and flight.run_id in words}
    if found := _families(learning, "run", "trainer: scheduler", "trainer: nursery or step"):
        return found
    return _families(here, "run", "monitors: scheduler", "monitors: nursery or step")


def _families(here: dict[int, list[str]], command: str, head: str, rest: str) -> list[Victim]:
    """The processes of a command, and all that they began."""
    own = [pid for pid, words in here.items() if words[:1] == [command]]
    below = {one for pid in own for one in processes_below(pid)[1:]}
    return [*(Victim(pid, head) for pid in own if pid not in below), *(Victim(pid, rest) for pid in below)]


def _works_in(story: Story, pid: int) -> bool:
    try:
        return os.readlink(f"/proc/{pid}/cwd") == str(story.root)
    except OSError:
        return False  # it has ended


def _command(pid: int) -> list[str]:
    """The words behind `treadle`, none for another program."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []
    return words[words.index("treadle") + 1 :] if "treadle" in words else []


def _steadfast(story: Story) -> bool:
    kept = story.kept()
    assert kept is not None
    tail = Tail(str(story.root / ".treadle/predictions" / MODEL), 0.0)
    arms: dict[str, set[str]] = {}
    for record in tail.read().predictions:
        if record.propensity == 0.5 and record.at > kept.floor:
            arms.setdefault(record.units[0], set()).add(record.arm)
    tail.close()
    return bool(arms) and all(len(found) == 1 for found in arms.values())


def main(kills: int, endings: tuple[str, ...]) -> None:
    done = story = 0
    while done < kills:
        ending = endings[story % len(endings)]
        story += 1
        done += max(1, tell(ending, story, min(kills - done, 12)))
        print(f"story {story} ({ending}) ended as undisturbed; {done} kills so far", flush=True)
    print(", ".join(f"{words} {count}" for words, count in sorted(KILLED.items())))


if __name__ == "__main__":
    words = sys.argv[1:]
    main(int(words[0]) if words else 50, (words[1],) if len(words) > 1 else ("good", "bad"))
