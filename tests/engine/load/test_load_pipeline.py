"""A whole file: all problems, in order, one for each cause, whatever the user wrote."""

import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from treadle.code import DictMemo, Project
from treadle.load import Loaded, load_pipeline
from treadle.plugins import Catalog

MODULE = 'def f(data, *, k: int = 3): return {"m": 1}\ndef g(data, other, *, k: int = 3): return {"m": 1}\n'
BROKEN = "def f(data):\n    return (\n"


def load(root: Path, text: str) -> Loaded:
    (root / "work.py").write_text(MODULE)
    (root / "broken.py").write_text(BROKEN)
    (root / "x.yaml").write_text(textwrap.dedent(text).lstrip("\n"))
    return load_pipeline("x.yaml", str(root), Catalog({}), Project(str(root), DictMemo(), []))


def lines(loaded: Loaded) -> list[str]:
    return [f"{p.where.line if p.where else 0} {p.code}" for p in loaded.problems]


def test_all_problems_in_the_order_of_the_file(tmp_path: Path) -> None:
    loaded = load(
        tmp_path,
        """
        version: 2
        params: {n: {type: int, default: x}}
        data: {t: {path: x, url: y}}
        steps:
          a: {uses: work:f, in: {data: data.u}, with: {k: many}}
          b: {uses: work:h, in: {data: a}, timout: 3s}
          c: {uses: work:g, in: {data: d}, gate: z < 1}
        triggers: {t: {cron: x}}
        """,
    )
    assert lines(loaded) == [
        "1 bad-value",
        "2 wrong-default",
        "3 conflicting-keys",
        "5 unknown-data",
        "5 wrong-argument-type",
        "6 unknown-function",
        "6 unknown-key",
        "7 missing-argument",
        "7 unknown-step",
        "7 unknown-metric",
        "8 bad-cron",
    ]
    assert not loaded.ok
    assert loaded.spec is not None
    assert list(loaded.spec.steps) == ["a", "b", "c"]


def test_a_warning_does_not_stop(tmp_path: Path) -> None:
    loaded = load(tmp_path, "version: 1\nsteps: {a: {run: make, out: {m: m.pkl}}}")
    assert [(p.code, p.severity) for p in loaded.problems] == [("unused-output", "warning")]
    assert loaded.ok


def test_signatures_by_step(tmp_path: Path) -> None:
    loaded = load(
        tmp_path, "version: 1\ndata: {t: {path: x}}\nsteps: {a: {uses: work:f, in: {data: data.t}}, b: {run: x}}"
    )
    assert loaded.ok
    assert {name: found.metrics for name, found in loaded.signatures.items()} == {"a": ("m",)}


def test_a_syntax_error_is_shown_where_it_is(tmp_path: Path) -> None:
    loaded = load(tmp_path, "version: 1\ndata: {t: {path: x}}\nsteps: {a: {uses: broken:f, in: {data: data.t}}}")
    (problem,) = loaded.problems
    assert problem.code == "syntax-error"
    assert problem.where is not None
    assert (problem.where.path, problem.where.line) == ("broken.py", 2)
    assert [str(related.where) for related in problem.related] == ["x.yaml:3:19"]


def test_one_missing_function_of_many_steps_is_one_problem(tmp_path: Path) -> None:
    steps = "".join(f"  s{n}: {{uses: work:none}}\n" for n in range(50))
    (problem,) = load(tmp_path, f"version: 1\nsteps:\n{steps}").problems
    assert problem.code == "unknown-function"
    assert [related.where.line for related in problem.related][:2] == [4, 5]


def test_a_cycle_shows_every_edge(tmp_path: Path) -> None:
    loaded = load(
        tmp_path,
        """
        version: 1
        steps:
          a:
            uses: work:f
            in: {data: c}
          b:
            uses: work:f
            in: {data: a}
          c:
            run: make
            after: [b]
            out: [x]
        """,
    )
    (problem,) = [p for p in loaded.problems if p.severity == "error"]
    assert problem.text == "steps need one another: a → b → c → a"
    assert [(related.text, related.where.line) for related in problem.related] == [
        ("'b' needs 'a' here", 8),
        ("'c' needs 'b' here", 11),
        ("'a' needs 'c' here", 5),
    ]


def test_a_caret_inside_a_quoted_text_and_none_inside_a_block(tmp_path: Path) -> None:
    quoted = load(tmp_path, 'version: 1\nsteps: {a: {run: x, if: "1 < params.n"}}')
    assert [(p.where.column, p.length) for p in quoted.problems if p.where] == [(37, 1)]
    block = load(tmp_path, "version: 1\nsteps:\n  a:\n    run: x\n    if: >\n      1 <\n      params.n\n")
    assert [(p.where.line, p.where.column) for p in block.problems if p.where] == [(5, 9)]


@pytest.mark.parametrize(
    ("data", "codes"),
    [
        (b"", ["empty-file"]),
        (b"\xff\xfe\x00", ["bad-encoding"]),
        (b"a: [", ["yaml-syntax"]),
        (b"- 1", ["wrong-type"]),
        (b"3", ["wrong-type"]),
    ],
)
def test_what_is_no_pipeline_at_all(data: bytes, codes: list[str], tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(data)
    loaded = load_pipeline("x.yaml", str(tmp_path), Catalog({}), Project(str(tmp_path), DictMemo(), []))
    assert loaded.spec is None
    assert [p.code for p in loaded.problems] == codes


def test_paths_are_shown_from_the_root(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "x.yaml").write_text("version: 1\nsteps: {a: {run: make, after: b}}")
    project = Project(str(tmp_path), DictMemo(), [])
    for path in ("p/x.yaml", "./p/../p/x.yaml", str(tmp_path / "p" / "x.yaml")):
        loaded = load_pipeline(path, str(tmp_path), Catalog({}), project)
        assert [str(p.where) for p in loaded.problems] == ["p/x.yaml:2:31"]
        assert loaded.spec is not None
        assert loaded.spec.path == "p/x.yaml"


WORDS = """
a b s steps data params with in out uses run if gate matrix select save after foreach triggers cron drift env work:f
work:g broken:f data.t a.b ${params.n} ${ ${matrix.a} {in.x} 1 -1 0.5 true null 'q' m<1 m 3s ../x /x performance
champion.m secrets no_key retry times min max defaults executor version type default
"""
PIECES = st.sampled_from(WORDS.split())
VALUES = st.recursive(
    PIECES,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda found: f"[{', '.join(found)}]")
        | st.dictionaries(PIECES, inner, max_size=4).map(
            lambda found: "{" + ", ".join(f"'{key}': {value}" for key, value in found.items() if "'" not in key) + "}"
        )
    ),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(top=VALUES, steps=st.dictionaries(PIECES, st.dictionaries(PIECES, VALUES, max_size=5), max_size=4))
def test_no_file_makes_it_raise(top: str, steps: dict[str, dict[str, str]]) -> None:
    text = f"version: 1\nparams: {top}\nsteps:\n"
    for name, body in steps.items():
        inner = ", ".join(f"'{key}': {value}" for key, value in body.items() if "'" not in key)
        text += f"  {name if name.isidentifier() else 'x'}: {{{inner}}}\n"
    with tempfile.TemporaryDirectory() as folder:
        loaded = load(Path(folder), text)
        assert all(p.where is None or p.where.line >= 1 for p in loaded.problems)
        assert list(loaded.problems) == sorted(
            loaded.problems, key=lambda p: (p.where.path, p.where.line, p.where.column) if p.where else ("", 0, 0)
        )


def large(steps: int) -> str:
    made = [
        "version: 1",
        "params: {k: 3}",
        "data: {t: {path: x}}",
        "steps:",
        "  s0: {uses: work:f, in: {data: data.t}}",
    ]
    for n in range(1, steps):
        used = f"{{data: s{n - 1}, other: s{max(0, n - 7)}}}"
        made.append(f'  s{n}: {{uses: work:g, in: {used}, with: {{k: "${{params.k}}"}}, gate: m < {n}}}')
    return "\n".join(made)


def test_ten_thousand_steps(tmp_path: Path) -> None:
    before = time.process_time()
    loaded = load(tmp_path, large(10_000))
    assert loaded.problems == ()
    assert time.process_time() - before < 10  # the budget of the checks alone is 1 s; this sees only a square


def test_a_small_pipeline_loads_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text(MODULE)
    (tmp_path / "x.yaml").write_text(large(10))
    code = """
import sys
from treadle.code import DictMemo, Project
from treadle.load import load_pipeline
from treadle.plugins import Catalog
assert load_pipeline("x.yaml", sys.argv[1], Catalog({}), Project(sys.argv[1], DictMemo(), [])).ok
heavy = ("jsonschema", "networkx", "cronsim", "importlib.metadata", "zoneinfo", "difflib", "numpy", "pandas", "asyncio")
print([name for name in heavy if name in sys.modules])
"""
    ran = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
