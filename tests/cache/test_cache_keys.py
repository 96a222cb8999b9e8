"""What a key tells apart and what it does not, and that a release keeps the keys of the one before."""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.project import clean_environment
from support.recorded import RECORDED, current, key, planned
from support.sources import ROOT
from treadle.run import keys


def nested(depth: int, leaf: object) -> object:
    for level in range(depth):
        leaf = [leaf] if level % 2 else {"k": leaf}
    return leaf


DIFFERENT: list[tuple[Any, Any]] = [
    (1, 1.0),
    (1, True),
    (0, False),
    (1, "1"),
    (0.0, -0.0),
    (math.nan, "nan"),
    (math.nan, math.inf),
    (None, "None"),
    ([], {}),
    ([1, 2], [2, 1]),
    ([[1], 2], [1, [2]]),
    ("a", ["a"]),
    (0.1 + 0.2, 0.3),
    (2**53, 2**53 + 1),
    (nested(11, 1), nested(11, 2)),
    (nested(40, 1), nested(40, True)),
    (nested(200, "x"), nested(200, "y")),
    ("x" * 500 + "a", "x" * 500 + "b"),
    ({"a": {"b": 1}}, {"a": {"c": 1}}),
]
SAME: list[tuple[Any, Any]] = [
    ({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1}),
    (math.nan, float("nan")),
    ((1, 2), [1, 2]),
]


@pytest.mark.parametrize("pair", DIFFERENT, ids=[repr(pair)[:40] for pair in DIFFERENT])
def test_different_parameters_have_different_keys(pair: tuple[Any, Any]) -> None:
    one, two = (key(planned(params={"p": value})) for value in pair)
    assert one != two


@pytest.mark.parametrize("pair", SAME, ids=[repr(pair)[:40] for pair in SAME])
def test_equal_parameters_have_equal_keys(pair: tuple[Any, Any]) -> None:
    one, two = (key(planned(params={"p": value})) for value in pair)
    assert one == two


def test_a_key_is_the_digest_of_its_manifest() -> None:
    code = keys.Code({"code m:f": "1", "code file a": "2", "command": "x"}, {"numpy": "2.0"})
    for given in ({}, {"environment": "off"}, {"code_version": "3"}, {"params": {"a": 1}, "env": {"B": "c"}}):
        made = keys.step_key(planned(**given), code, {"i": "d"})
        assert keys.digest(made.parts) == made.digest
    alone = keys.step_key(planned(), keys.Code({}, {}), {})
    assert keys.digest(alone.parts) == alone.digest


def test_a_known_key_is_taken_for_the_very_same_manifest_and_no_other() -> None:
    code = keys.Code({"code m:f": "1"}, {"numpy": "2.0"})
    made = keys.step_key(planned(params={"a": 1}), code, {"i": "d"})
    assert keys.step_key(planned(params={"a": 1}), code, {"i": "d"}, known=made) is made
    others = [
        (planned(params={"a": 1.0}), code, {"i": "d"}),
        (planned(params={"a": 1}, env={"B": "c"}), code, {"i": "d"}),
        (planned(params={"a": 1}), code, {"i": "e"}),
        (planned(params={"a": 1}), keys.Code({"code m:f": "2"}, {"numpy": "2.0"}), {"i": "d"}),
        (planned(params={"a": 1}), keys.Code({"code m:f": "1"}, {"numpy": "2.1"}), {"i": "d"}),
        (planned(params={"a": 1}), keys.Code({}, {}), {"i": "d"}),
    ]
    for other in others:
        assert keys.step_key(*other, known=made) == keys.step_key(*other)
        assert keys.step_key(*other, known=made).digest != made.digest
    named = keys.step_key(planned(params={"a": 1}), code, {"i": "d"}, {"conf.txt": "e"}, known=made)
    assert named.digest != made.digest
    assert keys.digest(named.parts) == named.digest


def test_what_never_counts() -> None:
    one = planned(params={"a": 1, "n": 1}, no_key=("n",), secrets=("TOKEN",))
    two = planned(id="t", params={"n": 9, "a": 1}, no_key=("n",), timeout=5.0, priority=3, stage="x")
    assert key(one) == key(two)
    parts = keys.step_key(one, keys.Code({}, {}), {}).parts
    assert "TOKEN" not in repr(parts)
    assert "param n" not in parts


def test_what_is_declared_counts() -> None:
    assert key(planned(env={"A": "1"})) != key(planned(env={"A": "2"}))
    assert key(planned(code_version="1")) != key(planned(code_version="2"))
    assert key(planned(code_version="1"), parts={"code m:f": "1"}) == key(
        planned(code_version="1"), parts={"code m:f": "2"}
    )


def test_a_release_keeps_the_keys_of_the_one_before() -> None:
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
    assert recorded == current(), (
        "Keys differ from those that were recorded, so every user's cache would miss. If that is not meant, undo it. "
        "If it is: raise KEY_VERSION in engine/treadle/run/keys.py, say so in CHANGELOG.md, "
        "and run `python tests/support/recorded.py`."
    )


PLACES = [
    {"PYTHONHASHSEED": "0"},
    {"PYTHONHASHSEED": "4242", "TZ": "Asia/Kathmandu"},
    {"LC_ALL": "C", "LANG": "C", "USER": "somebody", "LOGNAME": "somebody", "HOSTNAME": "elsewhere"},
    {"PYTHONUTF8": "0", "LC_ALL": "POSIX", "TZ": "America/St_Johns"},
]


@pytest.mark.parametrize("env", PLACES, ids=[" ".join(place) for place in PLACES])
def test_keys_are_the_same_everywhere(env: dict[str, str], tmp_path: Path) -> None:
    """Another hash seed, time zone, locale, user, host and folder: the recorded keys, made by another process."""
    script = "import json; from support.recorded import current; print(json.dumps(current()))"
    environment = clean_environment(tmp_path, {"PYTHONPATH": str(ROOT / "tests"), **env})
    command = [sys.executable, "-P", "-c", script]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout) == json.loads(RECORDED.read_text(encoding="utf-8"))
