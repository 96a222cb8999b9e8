"""kill -9 of the controller at random instants: the same end as undisturbed, an unbroken ledger, and no arm changed.

TREADLE_KILLS=50 kills as often in each; benchmarks/kill_loop.py kills server, controller and trainer of the real story.
"""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.sources import ROOT
from support.world import NAME, World

KILLS = int(os.environ.get("TREADLE_KILLS", "6"))


class Killed:
    """A controller that may be killed while it ticks; the tick is asked for again until one answers."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.child: subprocess.Popen[str] | None = None

    def tick(self, now: float, kill_after: float | None) -> None:
        while True:
            child = self.child or self._start()
            assert child.stdin is not None and child.stdout is not None
            child.stdin.write(f"{now}\n")
            child.stdin.flush()
            if kill_after is None:
                assert child.stdout.readline() == "ticked\n"
                return
            time.sleep(kill_after)
            child.kill()
            self.close()
            kill_after = None

    def _start(self) -> "subprocess.Popen[str]":
        self.child = subprocess.Popen(
            [sys.executable, "-m", "support.ticking", str(self.root)],
            cwd=ROOT / "tests", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        return self.child

    def close(self) -> None:
        if self.child is not None:
            self.child.kill()
            self.child.communicate()
            self.child = None


@pytest.mark.slow
@pytest.mark.parametrize("rates", [(0.3, 0.55), (0.5, 0.2)], ids=["promoted", "rolled back"])
def test_a_killed_controller_ends_as_an_undisturbed_one(tmp_path: Path, rates: tuple[float, float]) -> None:
    calm = World(tmp_path / "calm", rates).challenged()
    calm.live(600, until=calm.ended)
    length = int(calm.kept().rollout.state.clock - calm.kept().rollout.state.started)
    draw = random.Random(KILLS)
    moments = set(draw.sample(range(length), min(KILLS, length)))
    world, controller = World(tmp_path / "killed", rates).challenged(), Killed(tmp_path / "killed")
    try:
        for second in range(600):
            world.clock.advance(1)
            world.requests(20)
            # an instant of the tick itself: the process is warm, a tick takes a few milliseconds
            controller.tick(world.clock(), draw.uniform(0.0, 0.03) if second in moments else None)
            if world.ended():
                break
    finally:
        controller.close()
    assert (world.phase, world.champion) == (calm.phase, calm.champion)
    assert world.store.models.aliases(NAME) == calm.store.models.aliases(NAME)
    assert list(world.store.models.quarantined(NAME, world.clock())) == list(
        calm.store.models.quarantined(NAME, calm.clock())
    )
    assert world.store.traffic.get(NAME) is None
    assert world.store.ledger.verify().broken is None
    assert world.store.ledger.entries("rollout.begin") and len(world.store.rollouts.of(NAME)) == 1
    acts = [kind for kind in world.decisions() if kind not in ("rollout.evaluation", "rollout.set-traffic")]
    assert acts == [kind for kind in calm.decisions() if kind not in ("rollout.evaluation", "rollout.set-traffic")]
    arms: dict[str, set[str]] = {}
    for record in world.predictions():
        if record.propensity == 0.5:
            arms.setdefault(record.units[0], set()).add(record.arm)
    assert arms and all(len(found) == 1 for found in arms.values())
