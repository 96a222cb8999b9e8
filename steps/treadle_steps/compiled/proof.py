"""A compiled form against the model itself, on real rows and on rows made to tell them apart."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from treadle_steps.compiled.differ import CLOSE, Refused, asked, attempt, gap
from treadle_steps.compiled.program import Answer, Columns

SAMPLE = 64  # real rows compared one by one
SPLITS = 8  # thresholds tried per column
LEAST = 0.5  # the share of real rows that a compiled form must answer to be worth having
NARROW = float(np.finfo(np.float32).max)
NUMBERS = (
    *(np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-300, 1e300, -1e300, 16777217.0, 0.1, float(np.float32(0.1))),
    *(NARROW, np.nextafter(NARROW, np.inf), NARROW * 2, float(np.finfo(np.float32).tiny) / 2),
)
TEXTS = ("", "\x00unseen", " ", None)


class Proof(NamedTuple):
    """Whether the compiled form holds, and the finding in words."""

    holds: bool
    text: str


def prove(
    program: Answer,
    original: Callable[[Columns], Any],
    sample: Columns,
    thresholds: Mapping[str, Sequence[float]],
) -> Proof:
    """Compare row by row: a sample of real rows, and each of them with one value replaced by a hostile one."""
    count = min(SAMPLE, len(next(iter(sample.values()))))
    real = [{name: values[row : row + 1] for name, values in sample.items()} for row in range(count)]
    hostile = list(adversarial(real[: max(1, count // 8)], thresholds))
    rows = [*(("a row of the reference", row) for row in real), *hostile]
    found = [attempt(program, row) for _, row in rows]
    sure = [at for at, answer in enumerate(found) if answer is not None]
    answered = sum(at < count for at in sure)
    if answered < LEAST * count:
        return Proof(False, f"its compiled form could answer only {answered} of {count} rows of the reference")
    widest = 0.0
    for some in _batches(sure, rows):
        told = asked(original, _joined([rows[at][1] for at in some]))
        if isinstance(told, Refused) and len(some) > 1:
            single = [(at, asked(original, rows[at][1])) for at in some]
        else:
            single = [(at, told if isinstance(told, Refused) else told[n : n + 1]) for n, at in enumerate(some)]
        for at, one in single:
            apart = np.inf if isinstance(one, Refused) else gap(found[at], one)
            if not apart <= CLOSE:
                return Proof(False, f"its compiled form is not exact on {rows[at][0]}")
            widest = max(widest, apart)
    same = "to the last bit" if widest == 0 else "within 1e-9"
    return Proof(True, f"equal {same} on {len(sure):,} rows, {len(sure) - answered:,} of them adversarial")


def _batches(sure: Sequence[int], rows: Sequence[tuple[str, Columns]]) -> Iterator[list[int]]:
    """Rows to ask the model about together: those with the same kinds of columns."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for at in sure:
        groups.setdefault(tuple(values.dtype.str for values in rows[at][1].values()), []).append(at)
    yield from groups.values()


def _joined(rows: Sequence[Columns]) -> Columns:
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def adversarial(rows: Sequence[Columns], thresholds: Mapping[str, Sequence[float]]) -> Iterator[tuple[str, Columns]]:
    """Rows with one value replaced: missing, infinite, huge, at the edges of float32, unseen, at a split."""
    for number, name in enumerate(rows[0]):
        text = rows[0][name].dtype.kind not in "biuf"
        values: list[Any] = list(TEXTS) if text else [*NUMBERS, *_around(thresholds.get(name, ()))]
        for value in values:
            row = rows[(number + len(values)) % len(rows)]
            replaced = np.array([value], dtype=object if text else np.float64)
            yield f"{name} = {value!r}", {**row, name: replaced}


def thresholds(model: Any, fields: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Some split points of a model's trees, by column; none where another step stands before the trees."""
    found: dict[str, list[float]] = {field["name"]: [] for field in fields}
    names = [field["name"] for field in fields]
    for place, value in _splits(model):
        if place < len(names) and len(found[names[place]]) < SPLITS:
            found[names[place]].append(value)
    return found


def _splits(model: Any) -> Iterator[tuple[int, float]]:
    if getattr(model, "_preprocessor", None) is not None:
        return  # features have other numbers there
    for stage in getattr(model, "_predictors", ()):
        for predictor in stage:
            nodes = predictor.nodes[(predictor.nodes["is_leaf"] == 0)]
            yield from zip(nodes["feature_idx"].tolist(), nodes["num_threshold"].tolist(), strict=True)
    single = [model] if hasattr(model, "tree_") else []
    for one in np.ravel(np.asarray(getattr(model, "estimators_", single), dtype=object)):
        if hasattr(one, "tree_"):
            inner = one.tree_.children_left >= 0
            yield from zip(one.tree_.feature[inner].tolist(), one.tree_.threshold[inner].tolist(), strict=True)


def _around(values: Sequence[float]) -> Iterator[float]:
    for value in values:
        narrow = np.float32(value)
        yield from (value, float(np.nextafter(value, np.inf)), float(np.nextafter(value, -np.inf)))
        with np.errstate(over="ignore"):
            yield from (float(narrow), float(np.nextafter(narrow, np.float32(np.inf))))
