"""The story, end to end, with real processes: a competitor arrives, and nobody is awake."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.story import MODEL, Story
from treadle.api import ledger

LONG = pytest.mark.skipif(not os.environ.get("TREADLE_LONG"), reason="minutes of CPU: TREADLE_LONG=1 runs it")


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    made = Story(tmp_path)
    try:
        yield made
    finally:
        made.close()


def to_the_rollout(story: Story) -> None:
    story.start()
    story.until(story.url, "the first model serves")
    story.visit(story.url(), minutes=3000, competitor=20, rides=80)
    story.until(lambda: story.store.ledger.entries("trigger.fire", "surge/riders_changed"), "drift is seen")
    story.until(story.kept, "a challenger is tried")


@pytest.mark.slow
def test_the_competitor_is_met_with_a_new_model(story: Story) -> None:
    to_the_rollout(story)
    story.until(lambda: story.champion() == 2, "the challenger is champion")
    story.until(lambda: story.phase() == "done", "the rollout is done")
    walk = ledger.why(f"{MODEL}@champion", story.root)
    assert walk.version.version == 2
    assert walk.moved is not None and walk.moved.actor.startswith("rollout ")
    assert walk.admitted is not None and "accepted is superior" in walk.admitted.evidence["decision"]
    assert walk.fired is not None and walk.fired.evidence["triggers"] == ["riders_changed"]
    assert walk.fired.evidence["evidence"]["alarm"] == 1.0
    assert walk.run is not None and walk.run.status == "ok"
    assert "recent" in walk.version.data
    assert story.store.ledger.verify().broken is None
    assert story.close() == 0


@pytest.mark.slow
@LONG
def test_a_bad_challenger_is_rolled_back(story: Story) -> None:
    story.start()
    story.until(story.url, "the first model serves")
    story.edit("greed: {type: float, default: 1.0", "greed: {type: float, default: 2.2")
    story.visit(story.url(), minutes=3000, competitor=20, rides=80)
    story.until(story.kept, "a challenger is tried")
    story.until(lambda: story.phase() == "rolled_back", "the challenger is rolled back")
    kept = story.kept()
    assert kept is not None and "accepted is worse" in kept.rollout.state.reason
    assert story.champion() == 1
    assert story.store.traffic.get(MODEL) is None
    assert 2 in story.store.models.quarantined(MODEL, kept.rollout.state.clock)
    assert story.store.ledger.verify().broken is None
    assert story.close() == 0
