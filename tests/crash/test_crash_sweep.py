"""A sample of the crash sweep; `python tests/crash/sweep.py` does all of it, docs/reliability.md says what it found."""

import os
import shutil
from pathlib import Path

import pytest

from crash import faults, strike, subject
from crash.faults import EIO, ENOSPC, KILL, SCHEDULER, WORKER, Fault
from crash.judge import judge
from crash.strike import Point, Stage
from crash.subject import QUICK
from treadle.store import open_store

WHY_NOT = faults.missing()
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "strace works")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """The quick steps, those without heavy libraries, and the calls that they make."""
    return strike.prepare(tmp_path_factory.mktemp("crash"), "", QUICK)


def point(stage: Stage, what: str, place: str, call: str, share: float) -> Point:
    """The call of that kind that lies this far into the run."""
    numbers = sorted(number for name, number in stage.calls[place] if name == call)
    assert numbers, f"the {place} makes no {call}"
    return Point(Fault(what, place, call, numbers[int(share * (len(numbers) - 1))]), "sample")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "place", "call", "share"),
    [
        (KILL, SCHEDULER, "pwrite64", 0.7),
        (KILL, SCHEDULER, "fdatasync", 0.5),
        (EIO, SCHEDULER, "fdatasync", 0.7),
        (ENOSPC, SCHEDULER, "pwrite64", 0.4),
        (KILL, WORKER, "rename", 0.0),
        (KILL, WORKER, "fsync", 0.3),
        (EIO, WORKER, "fsync", 0.1),
        (ENOSPC, WORKER, "write", 0.3),
    ],
)
def test_nothing_is_lost_and_nothing_half_done(
    stage: Stage, tmp_path: Path, what: str, place: str, call: str, share: float
) -> None:
    row = strike.strike(stage, point(stage, what, place, call, share), tmp_path / "point")
    assert row["struck"], "the fault did not come"
    assert row["wrong"] == []


@pytest.mark.slow
def test_a_run_takes_over_from_one_that_is_killed(stage: Stage, tmp_path: Path) -> None:
    struck = point(stage, KILL, SCHEDULER, "pwrite64", 0.6)._replace(kind=strike.TWO)
    assert strike.strike(stage, struck, tmp_path / "point")["wrong"] == []


@pytest.mark.slow
def test_a_full_disk_ends_a_run_and_the_next_goes_on(stage: Stage, tmp_path: Path) -> None:
    why_not = strike.cannot_mount()
    if why_not:
        pytest.skip(why_not)
    row = strike.fill(stage, 200 << 10, tmp_path / "point")
    assert row["struck"], "there was room enough"
    assert row["wrong"] == []


def test_what_would_be_wrong_is_seen(stage: Stage, tmp_path: Path) -> None:
    """The judge is no yes-man: a lost record, a damaged object and a stray file are each found."""
    own = subject.copy(stage.start, tmp_path / "own")
    assert faults.run(own, QUICK).code == 0
    store = open_store(own.root)
    [tree] = [result for result in store.results.all() if result.step == "tree"]
    [folder] = tree.outputs.values()
    victim = Path(store.objects.path(next(m.digest for m in store.objects.members(folder) if m.is_file)))
    store.database.close()
    os.chmod(victim, 0o644)
    victim.write_bytes(b"not what it was")
    (own.state / "stray").write_text("x")
    found = " ".join(judge(own, stage.want, QUICK))
    assert "after the fault: damaged" in found
    assert "'tree' was finished and ran again" in found
    assert "gc left stray" in found
    shutil.rmtree(own.folder)
