"""What import-linter cannot say: sizes, names and habits, each with the few files that may differ and why."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

import pytest

from support import rules
from support.sources import ROOT, Source, shipped, source, sources


class Rule(NamedTuple):
    """A check, a source that breaks it, one that does not, and the files excused with a reason."""

    check: Callable[[Source], list[str]]
    bad: str
    good: str
    excused: Mapping[str, str] = {}
    path: str = "engine/treadle/planted.py"


STUB = "    x = 1\n"
RULES = {
    "a file has at most 600 lines": Rule(rules.long_file, "x = 1\n" * 601, "x = 1\n" * 600),
    "a function has at most 80 lines": Rule(
        rules.long_function, "def f():\n" + STUB * 80, "async def f():\n" + STUB * 79
    ),
    "a class has at most 20 methods": Rule(
        rules.large_class,
        "class A:\n" + "".join(f"    def f{n}(self): ...\n" for n in range(21)),
        "class A:\n" + "".join(f"    async def f{n}(self): ...\n" for n in range(20)),
    ),
    "a function takes at most 8 parameters": Rule(
        rules.many_parameters,
        "def f(a, b, c, d, e, *, f, g, h, i): ...",
        "def f(self, a, b, c, d, e, *, f, g, h): ...",
    ),
    "a module is named by what it does": Rule(
        rules.vague_module, "x = 1", "x = 1", path="engine/treadle/run/helpers.py"
    ),
    "no global statement": Rule(rules.global_statement, "def f():\n    global x\n    x = 1", "x = 1"),
    "only one file reads the environment": Rule(
        rules.environment,
        "import os\nx = os.environ.get('A')",
        "import os\nx = os.getpid()",
        excused={
            "engine/treadle/environment.py": "the one reader",
            "engine/treadle/authoring.py": "a step asks for the secrets that it declares",
            "engine/treadle/run/worker.py": "sets the declared variables of a step",
            "engine/treadle/executors/limits.py": "sets how many threads a step's libraries start",
        },
    ),
    "only the worker's border catches everything": Rule(
        rules.broad_except,
        "try: ...\nexcept (ValueError, Exception): ...",
        "try: ...\nexcept (ValueError, OSError): ...\nexcept BaseException:\n    x = 1\n    raise",
        excused={
            "engine/treadle/run/worker.py": "whatever a step raises becomes its failure",
            "engine/treadle/serve/aside.py": "whatever a model raises beside the worker is said to the worker",
            "engine/treadle/serve/lane.py": "whatever a model raises becomes the answer 500",
            "engine/treadle/serve/http.py": "a mistake of ours fails one request, not the server",
            "engine/treadle/serve/supervise.py": "a forked child must end, never return into its parent's code",
            "engine/treadle/testing.py": "whatever a step under test raises is told",
        },
    ),
    "an import inside a function says what it saves": Rule(
        rules.silent_lazy_import,
        "def f():\n    import re\n",
        "import re\ndef f():\n    import ast  # lazy: 3 ms\n",
    ),
    "an expression of the user is never evaluated as Python": Rule(
        rules.evaluation, "eval('1')", "import ast\nast.literal_eval('1')"
    ),
}
STARTS = {"planted bare": "try: ...\nexcept: ...", "planted suppress": "with contextlib.suppress(Exception): ..."}


@pytest.mark.parametrize("name", RULES)
def test_what_users_install_keeps_the_rule(name: str) -> None:
    rule = RULES[name]
    assert [found for one in shipped() if one.path not in rule.excused for found in rule.check(one)] == []


@pytest.mark.parametrize("name", RULES)
def test_the_rule_sees_a_planted_violation(name: str) -> None:
    rule = RULES[name]
    assert len(rule.check(source(rule.path, rule.bad))) == 1
    assert rule.check(source("engine/treadle/planted.py", rule.good)) == []


@pytest.mark.parametrize("name", STARTS)
def test_catching_everything_has_other_spellings(name: str) -> None:
    assert len(rules.broad_except(source("x.py", STARTS[name]))) == 1


@pytest.mark.parametrize("name", RULES)
def test_every_excuse_is_needed(name: str) -> None:
    by_path = {one.path: one for one in shipped()}
    rule = RULES[name]
    assert [path for path in rule.excused if path not in by_path or not rule.check(by_path[path])] == []


@pytest.mark.parametrize("check", [rules.long_file, rules.long_function, rules.many_parameters, rules.vague_module])
def test_tests_and_benchmarks_keep_the_sizes(check: Callable[[Source], list[str]]) -> None:
    assert [found for one in sources("tests/", "benchmarks/") for found in check(one)] == []


def test_parameters_of_a_library_step_are_keys_of_the_user() -> None:
    wide = "def step(data, *, a, b, c, d, e, f, g, h): ...\ndef _inner(data, *, a, b, c, d, e, f, g, h): ..."
    assert len(rules.many_parameters(source("steps/treadle_steps/x.py", wide))) == 1
    assert len(rules.many_parameters(source("engine/treadle/x.py", wide))) == 2


def test_only_the_command_line_prints() -> None:
    outside = [one for one in shipped() if not one.path.startswith("engine/treadle/cli/")]
    assert [found for one in outside for found in rules.printing(one)] == []
    assert len(rules.printing(source("x.py", "print('a')"))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "import pickle\npickle.load(f)",
        "from cloudpickle import loads",
        "import joblib\njoblib.load",
        "import pickle\nclass A(pickle.Unpickler): ...",
    ],
)
def test_unpickling_is_seen(text: str) -> None:
    assert len(rules.unpickling(source("x.py", text))) == 1
    assert rules.unpickling(source("x.py", "import json\njson.load(f)")) == []


def test_only_a_codec_unpickles() -> None:
    # marshal makes plain values and runs nothing; a stamp is read where the project's own code would run anyway
    plain = "engine/treadle/stamp.py"
    outside = [one for one in shipped() if "codec" not in one.path and one.path != plain]
    assert [found for one in outside for found in rules.unpickling(one)] == []


def test_no_two_files_of_tests_have_one_name() -> None:
    names = Counter(path.name for path in ROOT.glob("tests/**/test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []  # pytest takes the second for the first
