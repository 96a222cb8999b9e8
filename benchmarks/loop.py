"""The loop on this machine: what `treadle up` costs when nothing happens, and the story from drift to a new model.

python benchmarks/loop.py idle [SECONDS]       CPU and memory of a pipeline that is up and has no traffic
python benchmarks/loop.py story [good|bad] [FOLDER]    the story of examples/surge_pricing, timed; FOLDER keeps it
"""

import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.story import Story, processes_below  # noqa: E402


def idle(seconds: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        story = Story(Path(folder))
        try:
            story.start()
            story.until(story.url, "serves")
            time.sleep(5)
            assert story.up is not None
            before = {pid: cpu(pid) for pid in processes_below(story.up.pid)}
            time.sleep(seconds)
            for pid, spent in before.items():
                print(f"{name(pid):60} {100 * (cpu(pid) - spent) / seconds:5.2f} % of a core  {memory(pid):6.1f} MiB")
        finally:
            story.close()


def tell(kind: str, folder: str) -> None:
    story = Story(Path(folder))
    try:
        story.start()
        story.until(story.url, "the first model serves")
        if kind == "bad":
            story.edit("greed: {type: float, default: 1.0", "greed: {type: float, default: 2.2")
            story.note("somebody commits a mistake")
        arrival = time.monotonic()
        story.visit(story.url(), minutes=9000, competitor=25, rides=90)
        story.until(lambda: story.store.ledger.entries("trigger.fire", "surge/riders_changed"), "drift is seen")
        seen = story.notes[-1][0]
        story.until(story.kept, "a challenger is tried")
        tried = story.notes[-1][0]
        if kind == "good":
            story.until(lambda: story.phase() in ("ramp", "baked", "done"), "decided: superior")
            story.until(lambda: story.champion() == 2, "the challenger is champion")
            story.until(lambda: story.phase() == "done", "done")
        else:
            story.until(lambda: story.phase() == "rolled_back", "rolled back")
        time.sleep(4)
        story.note("end")
    finally:
        story.close()
    for at, what in story.notes:
        print(f"{at:7.1f} s  {what}")
    print(f"the competitor came at {arrival - story.began + 15:.1f} s")
    print(f"from the alarm to a new model with traffic: {tried - seen:.1f} s")
    print(f"load of the machine at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def cpu(pid: int) -> float:
    """User and system seconds of a process."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> float:
    """What the process has for itself (private) in MiB: pages shared with its parent after a fork count there."""
    total = 0
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        for line in file:
            if line.startswith(("Private_Clean:", "Private_Dirty:")):
                total += int(line.split()[1])
    return total / 1024


def name(pid: int) -> str:
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        words = file.read().decode(errors="replace").split("\0")
    return " ".join(words[3:8])[:60]


if __name__ == "__main__":
    words = sys.argv[1:]
    if words[:1] == ["idle"]:
        idle(float(words[1]) if len(words) > 1 else 60.0)
    elif words[:1] == ["story"]:
        kind = words[1] if len(words) > 1 else "good"
        if len(words) > 2:
            tell(kind, words[2])
        else:
            with tempfile.TemporaryDirectory() as made:
                tell(kind, made)
    else:
        sys.exit(__doc__)
