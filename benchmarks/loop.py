"""The loop on this machine: what `treadle up` costs when nothing happens, and the story from drift to a new model.

python benchmarks/loop.py idle [SECONDS]       CPU and memory of a pipeline that is up and has no traffic
python benchmarks/loop.py units                what one unit costs a rollout, by kind of metric, in CPU
python benchmarks/loop.py story [good|bad] [FOLDER]    the story of examples/surge_pricing, timed; FOLDER keeps it
"""

import gc
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from struct import pack
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from msgspec import structs  # noqa: E402

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


def units(count: int = 100_000) -> None:
    """Evaluations of a thousand units each, through the whole state machine; the log is not read in it."""
    import random

    from treadle.document.rollout import resolve
    from treadle.domain.rollout import Evidence, Rollout, RolloutState, Unit
    from treadle.rollout import machine

    draw = random.Random(1)
    limits = {"min_units": 10 * count, "max_units": 100 * count}
    cases: dict[str, dict[str, Any]] = {
        "bernoulli, superior and harm": {},
        "bernoulli, non-inferior too": {"goal": "non_inferior", "margin": 0.01},
        "and a guardrail tested for harm": {"guardrails": [{"metric": "fare", "harm": 0.1}]},
        "continuous": {"kind": "continuous", "range": [0, 1]},
        "counts of windows": {"blocks": "10m"},
        "switchback": {"unit": {"switchback": {"by": "zone", "window": "1s"}}},
    }
    for name, block in cases.items():
        spec = resolve({"metric": "bought", "steps": [{"enrol": 1, "until": "decided"}], "limits": limits, **block})
        state = RolloutState(phase="deciding", opened=0.0)
        moved = Rollout(
            rollout_id="r", model="m", champion=1, challenger=2, challenger_digest="", spec=spec, state=state
        )
        spent = 0.0
        for start in range(0, count, 1000):
            arms = [draw.random() < 0.5 for _ in range(1000)]
            batch = tuple(
                Unit(
                    start + n,
                    int(arm),
                    0.5,
                    start + n,
                    float(draw.random() < 0.1),
                    {"fare": draw.random()},
                    f"z{n % 9}",
                )
                for n, arm in enumerate(arms)
            )
            evidence = Evidence(units=batch, assigned=((start + 1000) // 2, (start + 1000) // 2))
            before = time.process_time()
            moved, _ = machine.advance(moved, evidence, start + 2000.0)
            spent += time.process_time() - before
        assert moved.state.cursor == count - 1
        assert moved.active
        print(f"| {name} | {1e6 * spent / count:.1f} µs | {count / spent:,.0f} |")


def logged(count: int = 50_000, together: int = 8) -> None:
    """Units from the bytes of the log to the verdict: a thousand requests of twelve features and their outcomes at a
    time, `together` in a frame, are read from segments, joined, put in order and judged."""
    from treadle.api.collector import paused
    from treadle.control.evidence import RolloutLog
    from treadle.document.rollout import resolve
    from treadle.domain.loop import KeptRollout
    from treadle.domain.rollout import Rollout, RolloutState
    from treadle.rollout import machine
    from treadle.store.predictions import Tail

    spec = resolve({"metric": "bought", "maturity": "1s", "steps": [{"enrol": 1, "until": "decided"}]})
    spec = structs.replace(spec, limits=structs.replace(spec.limits, min_units=10 * count, max_units=100 * count))
    state = RolloutState(phase="deciding", opened=0.0)
    moved = Rollout(rollout_id="r", model="m", champion=1, challenger=2, challenger_digest="", spec=spec, state=state)
    log = RolloutLog(KeptRollout(rollout=moved))
    read = taken = judged = whole = 0.0
    with tempfile.TemporaryDirectory() as folder:
        tail = Tail(folder, 0.0)
        for start in record(folder, count, together):
            began = time.process_time()
            with paused():  # as `up` ticks
                added = tail.read()
                have = time.process_time()
                log.add(added)
                evidence = log.evidence(moved)
                known = time.process_time()
                moved, _ = machine.advance(moved, evidence, 100.0 + start / 1000)
                done = time.process_time()
            gc.collect(0)  # what waited meanwhile
            whole += time.process_time() - began
            read, taken, judged = read + have - began, taken + known - have, judged + done - known
        tail.close()
    units = moved.state.trials["(primary)"].sums.n
    assert units > 0.9 * count
    parts = (("reading the log", read), ("joining, order", taken), ("judging", judged))
    for name, spent in (*parts, ("all of it, from the log's bytes on", whole)):
        print(f"| {name} | {1e6 * spent / units:.1f} µs | {units / spent:,.0f} |")


def record(folder: str, count: int, together: int) -> Iterator[int]:
    """Write requests of twelve features and their outcomes into the log by the thousand; the number of the first."""
    from treadle.domain.serving import Outcome, Prediction
    from treadle.store.predictions import OUTCOMES, PREDICTIONS, SegmentWriter
    from treadle.store.predictions.segments import Answers, Results

    answers, results = SegmentWriter(folder, PREDICTIONS), SegmentWriter(folder, OUTCOMES)
    for start in range(0, count, 1000):
        for first in range(start, start + 1000, together):
            predictions, outcomes = [], []
            for n in range(first, min(first + together, start + 1000)):
                at, arm, features = 100.0 + n / 1000, n % 2, pack("<12d", *range(n, n + 12))
                name, request = ("champion", "challenger")[arm], f"{n:032x}"
                served = Prediction(
                    request, at, 1 + arm, name, [f"rider-{n}"], 0.5, 0.001, 200, 1, features, pack("<d", n)
                )
                predictions.append(served)
                outcomes.append(Outcome("bought", n % 7 == 0, at + 0.5, at + 0.5, request))
            answers.append(Answers(predictions), 100.0)
            results.append(Results(outcomes), 100.0)
        yield start
    answers.close()
    results.close()


def tell(kind: str, folder: str) -> None:
    story = Story(Path(folder))
    try:
        story.start()
        story.until(story.url, "the first model serves")
        if kind == "bad":
            story.spoil()
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
    elif words[:1] == ["units"]:
        units()
        logged()
    elif words[:1] == ["story"]:
        kind = words[1] if len(words) > 1 else "good"
        if len(words) > 2:
            tell(kind, words[2])
        else:
            with tempfile.TemporaryDirectory() as made:
                tell(kind, made)
    else:
        sys.exit(__doc__)
