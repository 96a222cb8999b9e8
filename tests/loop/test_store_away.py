"""The store is locked, away, or its disk is full: nothing is decided, `up` says why, all goes on, `status` tells."""

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from support.world import NAME, World
from treadle.api import status as api
from treadle.api.hooks import Hooks
from treadle.api.project import open_project
from treadle.api.server import Server
from treadle.api.supervisor import Parts, Supervisor
from treadle.api.tracking import AliasMirror
from treadle.cli.status import WIDTH, shown
from treadle.errors import StoreError
from treadle.store import database

MINUTE = 60


class Shop(NamedTuple):
    """A shop whose controller, hooks and supervisor are those of `up`; its clock is the world's."""

    world: World
    supervisor: Supervisor
    said: list[str]

    def live(self, seconds: int) -> None:
        """Second by second, a look after each, until the rollout has ended."""
        for _ in range(seconds):
            self.world.clock.advance(1)
            self.world.requests(20)
            assert self.supervisor.turn(False, self.world.clock())
            if self.world.ended():
                return


def a_shop(root: Path) -> Shop:
    root.mkdir(exist_ok=True)
    (root / "treadle.toml").touch()
    world, said = World(root, (0.3, 0.6)), []
    project = open_project(root)
    world.challenged()
    world.store.database.hold()
    parts = Parts(
        world.store,
        world.controller,
        Server(str(root), "shop.yaml", [], said.append),
        Hooks(world.store, "", 0, said.append),
        AliasMirror(project),
    )
    return Shop(world, Supervisor(parts, said), said)


def comes_back_and_promotes(shop: Shop, why: str) -> None:
    """What must hold after any outage: said once, told by `status`, the rollout ended on its evidence, nothing lost."""
    said = [text for text in shop.said if "nothing is decided until it is back" in text]
    assert len(said) == 1 and why in said[0]
    shop.live(900)
    assert shop.said.count("the store is back") == 1
    assert (shop.world.phase, shop.world.champion) == ("done", 2), shop.world.reason
    assert shop.world.store.ledger.verify().broken is None
    state = shown(api.status(shop.world.root))
    assert "  ! nothing was decided from " in state
    assert why in " ".join(state.split())
    assert all(len(line) <= WIDTH for line in state.splitlines())


@pytest.fixture
def impatient() -> Iterator[None]:
    """Who finds the database locked waits for a hundredth of a second instead of half a minute."""
    wait, database.WAIT = database.WAIT, 0.01
    yield
    database.WAIT = wait


@pytest.mark.usefixtures("impatient")
def test_the_database_is_locked_for_a_minute(tmp_path: Path) -> None:
    shop = a_shop(tmp_path / "shop")
    shop.live(20)
    before = shop.world.kept()
    other = sqlite3.connect(shop.world.store.database.path, isolation_level=None)
    shop.world.store.database.close()
    other.execute("BEGIN IMMEDIATE")
    shop.live(MINUTE)
    assert shop.world.kept() == before
    other.execute("ROLLBACK")
    other.close()
    shop.world.store.database.close()
    comes_back_and_promotes(shop, "another process kept it locked")


@pytest.mark.parametrize("what", ["state.db", "."])
def test_the_database_is_away_for_a_minute(tmp_path: Path, what: str) -> None:
    """Only the file, or the whole folder with it: no empty one takes its place, which would know of no champion."""
    shop = a_shop(tmp_path / "shop")
    shop.live(20)
    before = shop.world.kept()
    folder = Path(shop.world.store.folder)
    here, there = folder / what if what != "." else folder, tmp_path / "elsewhere"
    here.rename(there)
    for _ in range(MINUTE):
        shop.world.clock.advance(1)
        assert shop.supervisor.turn(False, shop.world.clock())
    assert not here.exists()
    there.rename(here)
    assert shop.world.kept() == before
    comes_back_and_promotes(shop, "is away")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB of its own."""
    place = tmp_path / "small"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip(f"no file system of one's own: {made.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_disk_that_is_really_full_for_a_minute(small_disk: Path) -> None:
    """The last byte is gone: what the server cannot log it drops and counts, the controller decides nothing."""
    shop = a_shop(small_disk / "shop")
    shop.live(20)
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            while True:
                try:
                    if file.write(b"x" * size) < size:
                        break
                except OSError:
                    break
    dropped = 0
    for _ in range(MINUTE):
        shop.world.clock.advance(1)
        try:
            shop.world.requests(20)
        except StoreError as error:
            assert "the disk is full" in str(error)
            dropped += 20
        assert shop.supervisor.turn(False, shop.world.clock())
    assert dropped
    os.unlink(ballast)
    comes_back_and_promotes(shop, "the disk is full")
    arms: dict[str, set[str]] = {}
    for record in shop.world.predictions():
        if record.propensity == 0.5:
            arms.setdefault(record.units[0], set()).add(record.arm)
    assert all(len(found) == 1 for found in arms.values())
    assert shop.world.store.traffic.get(NAME) is None
