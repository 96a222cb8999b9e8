"""Worlds are closed when their test ends: logs and databases hold files open."""

from collections.abc import Iterator

import pytest

from support import world


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while world.OPEN:
        world.OPEN.pop().close()
