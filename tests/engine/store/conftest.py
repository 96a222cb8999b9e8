"""What several tests of the store begin with."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A folder that another user can reach, which pytest's own is not."""
    folder = Path(tempfile.mkdtemp(prefix="treadle-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)
