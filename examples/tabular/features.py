"""Plain functions: what a step receives are its arguments, what it returns is its output."""

import pandas as pd


def build(customers: pd.DataFrame) -> pd.DataFrame:
    """Add what the raw columns only imply."""
    table = customers.copy()
    table["calls_per_year"] = 12 * table["support_calls"] / table["months"].clip(lower=1)
    table["is_new"] = (table["months"] < 6).astype(int)
    return table
