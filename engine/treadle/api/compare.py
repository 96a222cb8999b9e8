"""Runs as experiments: find them by what they measured, set them side by side, pick the best.

Names are those of expressions: `params.x`, `STEP.METRIC`, and of the run itself `status`, `pipeline`, `seconds`, `git`,
and `tag`, which equals each of the run's tags.
"""

import os
from collections.abc import Mapping, Sequence, Set
from typing import Any

from msgspec import Struct, structs

from treadle import expression
from treadle.api.project import Project, open_project
from treadle.api.runs import find_run
from treadle.domain.run import OK, RunRecord
from treadle.errors import InputError, Problem, did_you_mean, input_error

TAG = "tag"
MOST = 10_000  # runs that a filter looks at, the newest first


class Query(Struct, frozen=True, kw_only=True):
    """Which runs: of one pipeline, with these tags, for which an expression holds; the newest `limit` of them."""

    pipeline: str | None = None
    where: str = ""
    tags: tuple[str, ...] = ()
    sort: str = ""  # a name; empty: newest first
    largest: bool = False  # sort from great to small
    limit: int = 20


class Experiment(Struct, frozen=True):
    """A run with its tags and all its figures by name."""

    run: RunRecord
    tags: tuple[str, ...]
    values: dict[str, Any]


class _Tags:
    """The tags of a run in an expression, where one name stands for all of them."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = frozenset(words)

    def __eq__(self, other: object) -> bool:
        return other in self._words

    def __hash__(self) -> int:
        return hash(self._words)


class Difference(Struct, frozen=True):
    """One name with its value in each run, None where a run has none; `deltas` are against the first run."""

    name: str
    values: tuple[Any, ...]
    deltas: tuple[float | None, ...] = ()


class Comparison(Struct, frozen=True):
    """Runs side by side: what differs among parameters, metrics and fates; `same` counts the names that agree."""

    runs: tuple[Experiment, ...]
    params: tuple[Difference, ...]
    metrics: tuple[Difference, ...]
    steps: tuple[Difference, ...]
    same: int


def find(query: Query, path: str | os.PathLike[str] = ".") -> list[Experiment]:
    """The runs that a query means; raises InputError for a wrong expression and for a name that no run has."""
    project = open_project(path)
    rule = _parsed(query.where)
    looked = query.limit if rule is None and not query.tags and not query.sort else MOST
    found = _experiments(project, project.store.history.list(looked, query.pipeline))
    found = [one for one in found if set(query.tags) <= set(one.tags)]
    if rule is not None:
        _known([name for name, _ in expression.names(rule)], found, {TAG})
        found = [one for one in found if _holds(rule, {**one.values, TAG: _Tags(one.tags)})]
    if query.sort:
        _known([query.sort], found)
        found = sorted(
            (one for one in found if _sortable(one.values.get(query.sort))),
            key=lambda one: (isinstance(one.values[query.sort], str), one.values[query.sort]),
            reverse=query.largest,
        )
    return found[: query.limit]


def best(metric: str, query: Query, path: str | os.PathLike[str] = ".") -> Experiment:
    """The finished run with the least, or `largest`, value of `STEP.METRIC`; raises InputError when no run has it."""
    found = find(structs.replace(query, sort=metric, limit=MOST), path)
    finished = [one for one in found if one.run.status == OK]
    if not finished:
        raise input_error(
            "unknown-metric", f"no finished run has a number called '{metric}'", None, "treadle runs list"
        )
    return finished[0]


def compare(run_ids: Sequence[str], path: str | os.PathLike[str] = ".") -> Comparison:
    """Two or more runs side by side; without ids the newest two of the newest run's pipeline."""
    project = open_project(path)
    if not run_ids:
        newest = project.store.history.list(1)
        records = project.store.history.list(2, newest[0].pipeline)[::-1] if newest else []
    else:
        records = [find_run(project, run_id) for run_id in run_ids]
    if len(records) < 2:
        raise input_error("too-few-runs", "a comparison needs two runs", None, "treadle runs lists them")
    runs = tuple(_experiments(project, records))
    params, first = _differences(runs, [f"params.{name}" for one in runs for name in one.run.params])
    metrics, second = _differences(runs, [name for one in runs for name in _metrics(one.run)])
    fates = [{name: step.fate for name, step in one.run.steps.items()} for one in runs]
    steps = [
        Difference(name, tuple(fate.get(name) for fate in fates))
        for name in dict.fromkeys(name for fate in fates for name in fate)
        if len({fate.get(name) for fate in fates}) > 1
    ]
    return Comparison(runs, params, metrics, tuple(steps), first + second)


def tag(run_id: str, words: Sequence[str], remove: bool = False, path: str | os.PathLike[str] = ".") -> RunRecord:
    """Put tags on a run or take them off; raises InputError for a run, or when removing a tag, that is not there."""
    project = open_project(path)
    run = find_run(project, run_id)
    for word in words:
        if not word or len(word) > 100 or any(c.isspace() or c == "," for c in word):
            raise input_error("bad-tag", f"'{word}' is no tag", None, "a tag is a word of at most 100 characters")
        if not remove:
            project.store.tags.add(run.run_id, word)
        elif not project.store.tags.remove(run.run_id, word):
            has = project.store.tags.all().get(run.run_id, ())
            raise input_error("bad-tag", f"run {run.run_id} has no tag '{word}'", None, did_you_mean(word, has))
    return run


def values_of(run: RunRecord) -> dict[str, Any]:
    """Every figure of a run by the name that expressions use."""
    own = {"status": run.status, "pipeline": run.pipeline, "seconds": run.finished - run.started, "git": run.git}
    return own | {f"params.{name}": value for name, value in run.params.items()} | _metrics(run)


def _metrics(run: RunRecord) -> dict[str, float]:
    return {f"{step.id}.{name}": value for step in run.steps.values() for name, value in step.metrics.items()}


def _experiments(project: Project, records: Sequence[RunRecord]) -> list[Experiment]:
    tags = project.store.tags.all()
    return [Experiment(run, tags.get(run.run_id, ()), values_of(run)) for run in records]


def _differences(runs: Sequence[Experiment], names: Sequence[str]) -> tuple[tuple[Difference, ...], int]:
    found, same = [], 0
    for name in dict.fromkeys(names):
        values = tuple(one.values.get(name) for one in runs)
        if all(value == values[0] and type(value) is type(values[0]) for value in values):
            same += 1
            continue
        found.append(Difference(name, values, tuple(_delta(values[0], value) for value in values)))
    return tuple(found), same


def _delta(first: Any, value: Any) -> float | None:
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (first, value))
    return value - first if numbers else None


def _parsed(text: str) -> expression.Expression | None:
    if not text.strip():
        return None
    try:
        return expression.parse(text)
    except expression.ExpressionError as error:
        mark = f"{text}\n  {' ' * error.offset}^"
        raise InputError([Problem("bad-expression", f"--where: {error.text}\n  {mark}")]) from None


def _known(names: Sequence[str], found: Sequence[Experiment], besides: Set[str] = frozenset()) -> None:
    """Raise InputError for a name that none of the runs has: a typing mistake would silently find nothing."""
    having: set[str] = set().union(besides, *(one.values for one in found))
    missing = [name for name in names if found and name not in having]
    if missing:
        texts = [(f"no run has a value called '{name}'", _meant(name, having, bool(besides))) for name in missing]
        raise InputError([Problem("unknown-metric", text, None, hint) for text, hint in texts])


def _meant(name: str, having: Set[str], in_rule: bool) -> str:
    hint = did_you_mean(name, having)
    if in_rule and "." not in name and not hint.startswith("did you"):
        return f"a text has quotes: '{name}'" + (f"; {hint}" if hint else "")
    return hint


def _holds(rule: expression.Expression, values: Mapping[str, Any]) -> bool:
    try:
        return bool(expression.evaluate(rule, values))
    except expression.ExpressionError:
        return False  # a run without the value, such as one that failed before the step


def _sortable(value: Any) -> bool:
    return isinstance(value, int | float | str) and value == value
