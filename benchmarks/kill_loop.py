"""kill -9 of `up`, its server, the server's worker and the runs at random instants through both real stories.

python benchmarks/kill_loop.py [KILLS] [good|bad]      KILLS in all (default 50), as many stories as that takes
"""

import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.story import MODEL, Story, processes_below  # noqa: E402
from treadle.store.predictions import Tail  # noqa: E402

PORT = 18300
ENDS = {"good": ("done", 2), "bad": ("rolled_back", 1)}


def tell(kind: str, seed: int, most: int) -> int:
    """One story with kills; how many there were. Raises AssertionError when it ends otherwise than undisturbed."""
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        story = Story(Path(folder))
        try:
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
                        story.edit("greed: {type: float, default: 1.0", "greed: {type: float, default: 2.2")
                    story.visit(f"http://127.0.0.1:{PORT}", minutes=90000, competitor=25, rides=80)
                if kills < most and time.monotonic() > next_kill:
                    assert story.up is not None
                    victim = draw.choice(processes_below(story.up.pid))
                    print(f"  kill -9 {_words(victim)}", flush=True)
                    os.kill(victim, signal.SIGKILL)
                    kills, next_kill = kills + 1, time.monotonic() + draw.uniform(2, 12)
                time.sleep(0.1)
            phase, champion = ENDS[kind]
            assert (story.phase(), story.champion()) == (phase, champion), story.log()
            assert story.store.ledger.verify().broken is None
            assert _steadfast(story), "a unit changed its arm"
        finally:
            story.close()
    return kills


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


if __name__ == "__main__":
    words = sys.argv[1:]
    main(int(words[0]) if words else 50, (words[1],) if len(words) > 1 else ("good", "bad"))
