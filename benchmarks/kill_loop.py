"""kill -9 of `up`, its server, the server's worker and the runs at random instants through both real stories.

python benchmarks/kill_loop.py [KILLS] [good|bad]      KILLS in all (default 50), as many stories as that takes

The waits are those of the tests; every process is real. At the end a line says how often each kind was killed.
"""

import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.story import MODEL, Story, processes_below  # noqa: E402
from treadle.store.predictions import Tail  # noqa: E402

PORT = 18300
KILLED: Counter[str] = Counter()
ENDS = {"good": ("done", 2), "bad": ("rolled_back", 1)}


def tell(kind: str, seed: int, most: int) -> int:
    """One story with kills; how many there were. Raises AssertionError when it ends otherwise than undisturbed."""
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        story = Story(Path(folder))
        try:
            story.shorten()
            story.start(PORT)
            kills, next_kill, visited = 0, time.monotonic() + draw.uniform(1, 6), False
            end = time.monotonic() + 1500
            while not (kept := story.kept()) or kept.rollout.active:
                assert time.monotonic() < end, f"no end: {story.log()}"
                if story.up is None or story.up.poll() is not None:
                    story.start(PORT)
                if story.champion() and not visited:
                    visited = True
                    if kind == "bad":
                        story.spoil()
                    story.visit(f"http://127.0.0.1:{PORT}", minutes=90000, competitor=5, rides=40)
                if kills < most and time.monotonic() > next_kill:
                    assert story.up is not None
                    victim = draw.choice(processes_below(story.up.pid))
                    words = _words(victim)
                    print(f"  kill -9 {words}", flush=True)
                    KILLED[_kind(words)] += 1
                    os.kill(victim, signal.SIGKILL)
                    kills, next_kill = kills + 1, time.monotonic() + draw.uniform(1, 10)
                time.sleep(0.1)
            phase, champion = ENDS[kind]
            assert (story.phase(), story.champion()) == (phase, champion), story.log()
            assert story.store.ledger.verify().broken is None
            assert _steadfast(story), "a unit changed its arm"
        finally:
            story.close()
    return kills


def _kind(words: str) -> str:
    """Which part of the loop a process is, by its command line."""
    kinds = {"treadle up": "up", "treadle serve": "server or worker", "treadle run": "run", "nursery": "step of a run"}
    return next((kind for sign, kind in kinds.items() if sign in words), "step of a run")


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


def _words(pid: int) -> str:
    try:
        text = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return "a process that has just ended"
    return " ".join(text[3:6])


def main(kills: int, kinds: tuple[str, ...]) -> None:
    done = story = 0
    while done < kills:
        kind = kinds[story % len(kinds)]
        story += 1
        done += max(1, tell(kind, story, min(kills - done, 12)))
        print(f"story {story} ({kind}) ended as undisturbed; {done} kills so far", flush=True)
    print(", ".join(f"{kind} {count}" for kind, count in KILLED.most_common()))


if __name__ == "__main__":
    words = sys.argv[1:]
    main(int(words[0]) if words else 50, (words[1],) if len(words) > 1 else ("good", "bad"))
