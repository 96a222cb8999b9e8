"""Train on the first months, test on the next."""

from typing import NamedTuple

import pandas as pd


class Parts(NamedTuple):
    train: pd.DataFrame
    test: pd.DataFrame


def split(table: pd.DataFrame, *, test_from: str, test_until: str) -> Parts:
    """Rows before `test_from`, and those from there to before `test_until`."""
    start, end = pd.Timestamp(test_from), pd.Timestamp(test_until)
    return Parts(table[table["hour"] < start], table[(table["hour"] >= start) & (table["hour"] < end)])
