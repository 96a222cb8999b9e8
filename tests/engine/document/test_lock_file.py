"""The lock file: equal locks have equal bytes, what is written reads back, and merging loses nothing."""

import json
import math
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from treadle.document.lock import Lock, LockedStep, lock_schema, read_lock, render
from treadle.document.merge import merge
from treadle.document.parse import parse, plain
from treadle.domain.artifact import Artifact
from treadle.errors import InputError

# `<<` is the one word that no file of ours takes as a key, quoted or not: other YAML readers merge there
# and NUL is in no name of a file or of Python
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12).filter(
    lambda text: text != "<<"
)
DIGESTS = st.integers(0, 2**64).map(lambda number: f"{number:064x}")
NUMBERS = st.floats(allow_nan=False)
STEPS = st.builds(
    LockedStep,
    key=DIGESTS,
    parts=st.dictionaries(TEXTS, TEXTS, max_size=3),
    outputs=st.dictionaries(TEXTS, st.builds(Artifact, DIGESTS, TEXTS, st.integers(0, 2**50), TEXTS), max_size=2),
    metrics=st.dictionaries(TEXTS, NUMBERS, max_size=2),
)
MAPS = st.dictionaries(TEXTS, DIGESTS, max_size=3)
LOCKS = st.builds(Lock, data=MAPS, code=MAPS, steps=st.dictionaries(TEXTS, STEPS, max_size=3))


def a_step(number: int) -> LockedStep:
    return LockedStep(key=f"{number:064x}", parts={"param n": str(number)}, outputs={})


def a_lock(**steps: int) -> Lock:
    return Lock(steps={name: a_step(number) for name, number in steps.items()})


@settings(max_examples=150, deadline=None)
@given(LOCKS)
def test_what_is_written_reads_back_and_is_as_the_schema_says(lock: Lock) -> None:
    text = render(lock).encode()
    assert read_lock(text, "x.lock.yaml") == lock
    node, problems = parse(text, "x.lock.yaml")
    assert node is not None
    assert not problems
    jsonschema.Draft202012Validator(lock_schema()).validate(plain(node))


@settings(max_examples=50, deadline=None)
@given(LOCKS)
def test_order_does_not_matter(lock: Lock) -> None:
    turned = Lock(
        data=dict(reversed(lock.data.items())),
        code=dict(reversed(lock.code.items())),
        steps=dict(reversed(lock.steps.items())),
    )
    assert render(turned) == render(lock)


@pytest.mark.parametrize(
    "name", ["no", "null", "1.0", "", "a: b", "#x", "é\u2028\x85\x07", "\ufffe\uffff", "- a", "'", '"', "\\"]
)
def test_odd_names_are_names(name: str) -> None:
    lock = Lock(data={name: "0" * 64})
    assert read_lock(render(lock).encode(), "x.lock.yaml") == lock


@pytest.mark.parametrize("value", [math.inf, -math.inf, 1e-300, 0.1, -0.0, 3.0])
def test_metrics_keep_every_digit(value: float) -> None:
    step = LockedStep(key="0" * 64, parts={}, metrics={"m": value})
    back = read_lock(render(Lock(steps={"s": step})).encode(), "x.lock.yaml").steps["s"].metrics["m"]
    assert json.dumps(back) == json.dumps(value)


def test_no_number_is_kept_too() -> None:
    step = LockedStep(key="0" * 64, parts={}, metrics={"m": math.nan})
    assert math.isnan(read_lock(render(Lock(steps={"s": step})).encode(), "x").steps["s"].metrics["m"])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "bad-lock"),
        ("version: 2\n", "bad-lock"),
        ("version: 1\ndata: {raw: abc}\n", "bad-lock"),
        ("version: 1\nother: 1\n", "unknown-key"),
        ("version: 1\n<<<<<<< ours\n", "lock-in-conflict"),
    ],
)
def test_what_is_no_lock(text: str, code: str) -> None:
    with pytest.raises(InputError) as caught:
        read_lock(text.encode(), "x.lock.yaml")
    assert code in {problem.code for problem in caught.value.problems}


def test_both_sides_are_kept() -> None:
    base = a_lock(a=1, b=1, c=1, gone=1)
    merged = merge(base, a_lock(a=2, b=1, c=1, d=1, gone=1), a_lock(a=1, b=3, c=1, e=1))
    assert merged.conflicts == ()
    assert merged.text == render(a_lock(a=2, b=3, c=1, d=1, e=1))


def test_the_same_change_on_both_sides_is_no_conflict() -> None:
    assert merge(a_lock(a=1), a_lock(a=2, n=1), a_lock(a=2, n=1)).text == render(a_lock(a=2, n=1))


@pytest.mark.parametrize("theirs", [a_lock(a=3), a_lock()], ids=["changed", "removed"])
def test_two_changes_of_one_step_are_a_conflict(theirs: Lock) -> None:
    merged = merge(a_lock(a=1), a_lock(a=2), theirs)
    assert merged.conflicts == (("steps", "a"),)
    assert merged.text.count("<<<<<<< ours\n") == merged.text.count(">>>>>>> theirs\n") == 1
    with pytest.raises(InputError):
        read_lock(merged.text.encode(), "x.lock.yaml")


@settings(max_examples=100, deadline=None)
@given(LOCKS, LOCKS)
def test_a_change_on_one_side_alone_wins(base: Lock, other: Lock) -> None:
    assert merge(base, other, base).text == render(other)
    assert merge(base, base, other).text == render(other)


def test_the_published_schema_is_current() -> None:
    root = Path(__file__).parents[3]
    assert json.loads((root / "schemas/lock.schema.json").read_text(encoding="utf-8")) == lock_schema()
