"""Split a table into a part to train on and a part to test on."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from treadle.authoring import StepError
from treadle_steps.refusals import is_number, moments, need_columns, need_plain, table


class Split(NamedTuple):
    """The two parts, each in the order of the table."""

    train: pd.DataFrame
    test: pd.DataFrame


def random(data: pd.DataFrame, *, test_share: float = 0.2, seed: int = 0, stratify: str | None = None) -> Split:
    """Split at random, reproducibly; with `stratify` every value of that column has the same share in the test.

    Example:

        halves:
          uses: split.random
          in: {data: trips}
          with: {test_share: 0.5, stratify: zone}
    """
    frame = table(data)
    _need_share(test_share)
    generator = np.random.default_rng(seed)
    draw = generator.random(len(frame))
    if stratify is None:
        count = round(len(frame) * test_share)
        chosen = np.zeros(len(frame), dtype=bool)
        chosen[np.argsort(draw, kind="stable")[:count]] = True
    else:
        need_columns(frame, [stratify], "stratify:")
        need_plain(frame[stratify])
        place = pd.Series(draw).groupby(frame[stratify].to_numpy(), dropna=False).rank(method="first", pct=True)
        chosen = place.to_numpy() <= test_share
    return _parts(frame, chosen, stratify)


def stratified(data: pd.DataFrame, *, column: str, test_share: float = 0.2, seed: int = 0, bins: int = 10) -> Split:
    """Split at random so that the test has the same share of every value of `column`; numbers are cut at quantiles.

    `bins` is how many quantile bins a column of many distinct numbers is cut into. Raises StepError for a value with a
    single row, which can only be in one part.

    Example:

        prices:
          uses: split.stratified
          in: {data: trips}
          with: {column: multiplier, bins: 5}
    """
    frame = table(data)
    _need_share(test_share)
    need_columns(frame, [column], "column:")
    values = frame[column]
    need_plain(values)
    if is_number(values) and values.nunique() > 2 * bins:
        values = pd.qcut(values.astype(float), bins, labels=False, duplicates="drop")
    rows = values.value_counts(dropna=False)
    single = rows[rows < 2]
    if len(single):
        raise StepError(f"column '{column}' has the value {single.index[0]} in one row only", "join rare values first")
    draw = pd.Series(np.random.default_rng(seed).random(len(frame)))
    codes = pd.factorize(values, use_na_sentinel=False)[0]
    place = draw.groupby(codes).rank(method="first")
    wanted = (pd.Series(codes).groupby(codes).transform("size") * test_share).round().clip(lower=1)
    return _parts(frame, (place <= wanted).to_numpy(), column)


def by_group(data: pd.DataFrame, *, column: str, test_share: float = 0.2, seed: int = 0) -> Split:
    """Split so that all rows of a group, such as a customer, are in one part: nobody is known from training.

    Groups are drawn at random until they hold `test_share` of the rows. Raises StepError for a single group.

    Example:

        riders:
          uses: split.by_group
          in: {data: trips}
          with: {column: rider_id, test_share: 0.25}
    """
    frame = table(data)
    _need_share(test_share)
    need_columns(frame, [column], "column:")
    need_plain(frame[column])
    codes, names = pd.factorize(frame[column], use_na_sentinel=False)
    if len(names) < 2:
        raise StepError(
            f"column '{column}' has the one group {frame[column].iloc[0]}", "choose a column with several groups"
        )
    order = np.random.default_rng(seed).permutation(len(names))
    sizes = np.bincount(codes)[order]
    before = np.cumsum(sizes) - sizes
    chosen = order[before < len(frame) * test_share]
    return _parts(frame, np.isin(codes, chosen[: len(names) - 1]), column)


def by_time(data: pd.DataFrame, *, column: str, test_share: float = 0.2, cutoff: str | None = None) -> Split:
    """Split at a moment: the test is what comes at or after `cutoff`, or the last `test_share` of the rows.

    Rows of the same moment stay together, so that nothing of the test was known when training ended.

    Example:

        split:
          uses: split.by_time
          in: {data: dated}
          with: {column: ts, test_share: 0.2}
    """
    frame = table(data)
    need_columns(frame, [column], "column:")
    when = moments(frame[column], "read them with parse_dates first")
    if when.isna().any():
        raise StepError(f"column '{column}' is missing in {int(when.isna().sum()):,} rows", "drop them first")
    if cutoff is None:
        _need_share(test_share)
        at = when.sort_values(kind="stable").iloc[min(len(frame) - 1, round(len(frame) * (1 - test_share)))]
    else:
        at = pd.Timestamp(cutoff)
    return _parts(frame, (when >= at).to_numpy(), column)


def _need_share(share: float) -> None:
    if not 0 < share < 1:
        raise StepError(f"test_share is {share}", "give a share between 0 and 1")


def _parts(frame: pd.DataFrame, chosen: "np.ndarray[tuple[int], np.dtype[np.bool_]]", column: str | None) -> Split:
    if chosen.all() or not chosen.any():
        by = f" by '{column}'" if column else ""
        text = f"the split{by} leaves no rows to {'train on' if chosen.all() else 'test on'}"
        raise StepError(text, "choose another share" + (", or another column" if column else ""))
    return Split(frame[~chosen].reset_index(drop=True), frame[chosen].reset_index(drop=True))
