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


@pytest.mark.slow
def test_a_bad_challenger_is_rolled_back_and_a_good_one_promoted(story: Story) -> None:
    """Both stories with one city: somebody's mistake is tried first, then the file is put right. Shorter waits than in
    the example, a third of its riders; every process is real."""
    story.shorten()
    story.start()
    story.until(story.url, "the first model serves")
    story.spoil()
    story.visit(story.url(), minutes=30000, competitor=0, rides=40)
    story.until(story.kept, "a bad challenger is tried")
    story.until(lambda: story.phase() == "rolled_back", "it is rolled back")
    check_the_rollback(story)
    story.repair()
    story.until(lambda: story.champion() > 2, "a good one is champion")
    story.until(lambda: story.phase() == "done", "its rollout is done")
    good = story.kept()
    assert good is not None and good.rollout.champion == 1
    check_the_walk(story, good.rollout.challenger)
    assert story.store.ledger.verify().broken is None
    assert story.close() == 0


def check_the_rollback(story: Story) -> None:
    """The first model has all traffic again, and the second is kept from being tried once more."""
    kept = story.kept()
    assert kept is not None and "accepted is worse" in kept.rollout.state.reason
    assert (story.champion(), story.store.traffic.get(MODEL)) == (1, None)
    assert 2 in story.store.models.quarantined(MODEL, kept.rollout.state.clock)


def check_the_walk(story: Story, version: int) -> None:
    """From the traffic back to what admitted the version, who asked for it, and the data."""
    walk = ledger.why(f"{MODEL}@champion", story.root)
    assert walk.version.version == version
    assert walk.moved is not None and walk.moved.actor.startswith("rollout ")
    assert walk.admitted is not None and "accepted is superior" in walk.admitted.evidence["decision"]
    assert walk.fired is not None and walk.fired.evidence["triggers"] == ["riders_changed"]
    assert walk.fired.evidence["evidence"]["alarm"] == 1.0
    assert walk.run is not None and walk.run.status == "ok"
    assert "recent" in walk.version.data


@pytest.mark.slow
@LONG
def test_the_example_as_it_stands_meets_a_competitor_with_a_new_model(story: Story) -> None:
    story.start()
    story.until(story.url, "the first model serves")
    story.visit(story.url(), minutes=3000, competitor=20, rides=80)
    story.until(lambda: story.store.ledger.entries("trigger.fire", "surge/riders_changed"), "drift is seen")
    story.until(story.kept, "a challenger is tried")
    story.until(lambda: story.champion() == 2, "the challenger is champion")
    story.until(lambda: story.phase() == "done", "the rollout is done")
    check_the_walk(story, 2)
    assert story.store.ledger.verify().broken is None
    assert story.close() == 0


@pytest.mark.slow
@LONG
def test_the_example_as_it_stands_rolls_a_bad_challenger_back(story: Story) -> None:
    story.start()
    story.until(story.url, "the first model serves")
    story.spoil()
    story.visit(story.url(), minutes=3000, competitor=20, rides=80)
    story.until(story.kept, "a challenger is tried")
    story.until(lambda: story.phase() == "rolled_back", "the challenger is rolled back")
    check_the_rollback(story)
    assert story.store.ledger.verify().broken is None
    assert story.close() == 0
