"""Programs run as somebody whom permissions bind, which root is not."""

import os
import shutil
from collections.abc import Sequence

import pytest


def without_rights(words: Sequence[str]) -> list[str]:
    """The same command; for the superuser, without the right to ignore permissions."""
    if os.geteuid() != 0:
        return list(words)
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("permissions do not bind the superuser, and there is no setpriv")
    return [setpriv, "--bounding-set", "-dac_override,-dac_read_search", *words]
