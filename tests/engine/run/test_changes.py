"""Differences of manifests in words, and what would undo each."""

import pytest

from treadle.run.changes import FileChange, changes, in_words
from treadle.run.listings import compare

CASES = [
    ("param n", "3", "4", "param n: 3 → 4", "set n back to 3"),
    ("param n", None, "4", "param n is new", "leave out the parameter n"),
    ("param n", "3", None, "param n is gone", "give n its value 3"),
    ("code work:fit", "a", "b", "code work:fit changed", "restore work:fit as it was"),
    ("code work:fit", None, "b", "code work:fit is new", "do not reach work:fit from the step"),
    ("code work:fit", "a", None, "code work:fit is gone", "let the step reach work:fit again"),
    ("code file c.json", "a", "b", "code file c.json changed", "restore the file c.json"),
    ("code version", "1", "2", "code version: 1 → 2", "set code_version back to 1"),
    ("library pandas", "3.0.0", "3.1.0", "library pandas: 3.0.0 → 3.1.0", "install pandas 3.0.0"),
    ("library pandas", None, "3.1.0", "library pandas is new", "do not import pandas in the step's code"),
    ("env MODE", "'a'", "'b'", "env MODE: 'a' → 'b'", "set MODE back to 'a' under env:"),
    ("python", "3.11", "3.12", "python: 3.11 → 3.12", "run it with Python 3.11"),
    ("outputs", "a, b", "a", "outputs: a, b → a", "name the outputs as before: a, b"),
    ("call", "m:f", "m:g", "call: m:f → m:g", "call m:f as before"),
    ("input x", "a", "b", "input x changed", "give the input x what it had"),
    ("key version", "1", "2", "key version: 1 → 2", "nothing: this version of treadle makes its keys in another way"),
]


@pytest.mark.parametrize(("part", "before", "after", "text", "remedy"), CASES)
def test_each_part_in_words(part: str, before: str | None, after: str | None, text: str, remedy: str) -> None:
    old = {"same": "1"} | ({part: before} if before is not None else {})
    new = {"same": "1"} | ({part: after} if after is not None else {})
    (change,) = changes(old, new)
    assert (change.part, change.text, change.remedy) == (part, text, remedy)
    assert in_words(old, new) == text


def test_many_differences_are_cut_in_one_line() -> None:
    new = {f"param p{number}": "1" for number in range(6)}
    assert in_words({}, new) == "param p0 is new; param p1 is new; param p2 is new; 3 more"
    assert in_words(new, new) == "nothing changed"


def test_files_added_removed_and_changed() -> None:
    old, new = {"a": "1", "b": "1", "c": "1"}, {"a": "1", "b": "2", "d": "1"}
    assert compare(old, new) == (FileChange("b", "changed"), FileChange("c", "removed"), FileChange("d", "added"))
