"""Every mistake that `check` finds, from outside: a pipeline file with the token under the caret marked ⟦so⟧."""

import textwrap
from pathlib import Path
from typing import NamedTuple

import pytest

from treadle.code import DictMemo, Project
from treadle.errors import Problem
from treadle.load import load_pipeline
from treadle.plugins import Catalog

MODULE = """
from typing import Literal, NamedTuple, TypedDict


class Scores(TypedDict):
    mae: float
    rmse: float


class Fitted(NamedTuple):
    model: object
    metrics: Scores


class Halves(NamedTuple):
    left: list
    right: list


def load(source): return source
def clean(data, *, limit: int = 3, mode: Literal["fast", "exact"] = "fast", share: float = 0.5): return data
def split(data): return data, data
def halve(data) -> Halves: ...
def fit(data, *, depth: int = 3, names: list[str] | None = None) -> Fitted: ...
def score(model, data): return {"mae": 1.0, "rmse": 2.0}
def make(): return 1
def tune(data, **options): return data
def placed(data, /): return data
async def later(data): return data
CONSTANT = 3
"""
LIBRARY = """
from typing import NamedTuple, TypedDict


class Metrics(TypedDict):
    cv_mae: float
    cv_rmse: float


class Trained(NamedTuple):
    model: object
    metrics: Metrics


def table(source, *, format: str = "auto"): return source
def train(data, *, target: str, depth: int = 3) -> Trained: ...
def drift(reference, current): return {"share": 0.0}
"""
CATALOG = Catalog(
    {
        "treadle.steps": {"ingest.table": "lib:table", "train.estimator": "lib:train", "monitor.drift": "lib:drift"},
        "treadle.executors": {"inline": "x:Inline", "process": "x:Process"},
    }
)


class Row(NamedTuple):
    """A file with the marked token, the code of the only problem, and a part of its hint."""

    text: str
    code: str
    hint: str = ""


def check(folder: Path, text: str) -> tuple[Problem, ...]:
    (folder / "work.py").write_text(MODULE)
    (folder / "lib.py").write_text(LIBRARY)
    (folder / "other.yaml").write_text("version: 1\n")
    (folder / "x.yaml").write_text(text, encoding="utf-8")
    root = str(folder)
    return load_pipeline("x.yaml", root, CATALOG, Project(root, DictMemo(), [])).problems


def unmark(text: str) -> tuple[str, int, int, int]:
    """The text without its mark, and the mark's line, column and length."""
    before, _, rest = text.partition("⟦")
    token, _, after = rest.partition("⟧")
    return before + token + after, before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1, len(token)


def assert_only(folder: Path, marked: str, row: Row) -> None:
    plain, line, column, length = unmark(f"version: 1\n{marked}\n")
    problems = check(folder, plain)
    found = [(p.code, p.where.line, p.where.column, p.length) if p.where else (p.code,) for p in problems]
    assert found == [(row.code, line, column, length)]
    assert row.hint in problems[0].hint


STEPS = {
    # references
    "unknown step": Row("a: {uses: work:make}\nb: {uses: work:clean, in: {data: ⟦aa⟧}}", "unknown-step", "mean 'a'"),
    "quoted": Row('load: {uses: work:make}\nb: {uses: work:clean, in: {data: "⟦laod⟧"}}', "unknown-step", "'load'"),
    "step of an output": Row(
        "a: {uses: work:make}\nb: {uses: work:clean, in: {data: ⟦c⟧.model}}", "unknown-step", "known: a, b"
    ),
    "item of a list": Row("a: {uses: work:make}\nb: {uses: work:clean, in: {data: [a, ⟦c⟧]}}", "unknown-step"),
    "data without data": Row("b: {uses: work:clean, in: {data: ⟦trips⟧}}", "unknown-step", "write data.trips"),
    "unknown data": Row("b: {uses: work:clean, in: {data: data.⟦tripz⟧}}", "unknown-data", "'trips'"),
    "step as data": Row(
        "first: {uses: work:make}\nb: {uses: work:clean, in: {data: data.⟦first⟧}}",
        "unknown-data",
        "write first for the step",
    ),
    "itself": Row("b: {uses: work:clean, in: {data: ⟦b⟧}}", "self-reference"),
    "after itself": Row("b: {uses: work:make, after: [⟦b⟧]}", "self-reference"),
    "after unknown": Row("a: {uses: work:make}\nb: {uses: work:make, after: ⟦c⟧}", "unknown-step", "known: a, b"),
    "foreach unknown": Row("b: {uses: work:clean, foreach: ⟦shard⟧, in: {data: data.trips}}", "unknown-step"),
    "unknown output": Row(
        "a: {uses: work:split, in: {data: data.trips}, out: [train, test]}\n"
        "b: {uses: work:clean, in: {data: a.⟦tests⟧}}",
        "unknown-output",
        "mean 'test'",
    ),
    "several outputs": Row(
        "a: {uses: work:split, in: {data: data.trips}, out: [train, test]}\nb: {uses: work:clean, in: {data: ⟦a⟧}}",
        "ambiguous-output",
        "a.train or a.test",
    ),
    "output of a function with one": Row(
        "a: {uses: work:make}\nb: {uses: work:clean, in: {data: a.⟦model⟧}}", "unknown-output", "named by 'a' alone"
    ),
    "field that is none": Row(
        "a: {uses: work:fit, in: {data: data.trips}}\nb: {uses: work:clean, in: {data: a.⟦modle⟧}}",
        "unknown-output",
        "mean 'model'",
    ),
    "command without outputs": Row(
        "a: {run: make}\nb: {uses: work:clean, in: {data: ⟦a⟧}}", "unknown-output", "after: [a]"
    ),
    # functions
    "unknown library step": Row(
        "a: {uses: ⟦ingest.tabel⟧, in: {source: data.trips}}", "unknown-library-step", "'ingest.table'"
    ),
    "function with a dot": Row("a: {uses: ⟦work.make⟧}", "unknown-library-step", "write work:make"),
    "unknown function": Row("a: {uses: ⟦work:maek⟧}", "unknown-function", "mean 'make'"),
    "unknown module": Row("a: {uses: ⟦wrok:make⟧}", "unknown-module", "mean 'work'"),
    "no name after the colon": Row('a: {uses: ⟦"work:"⟧}', "bad-call"),
    "a constant": Row("a: {uses: ⟦work:CONSTANT⟧}", "not-a-function"),
    "asynchronous": Row("a: {uses: ⟦work:later⟧, in: {data: data.trips}}", "not-a-function", "asyncio.run"),
    "unknown parameter": Row(
        "a: {uses: work:clean, in: {data: data.trips}, with: {⟦limits⟧: 3}}", "unknown-argument", "mean 'limit'"
    ),
    "unknown input": Row("a: {uses: work:make, in: {⟦data⟧: data.trips}}", "unknown-argument", "takes no arguments"),
    "misspelt input is one problem": Row(
        "a: {uses: work:clean, in: {⟦dta⟧: data.trips}}", "unknown-argument", "mean 'data'"
    ),
    "missing input": Row("a: {uses: ⟦work:clean⟧}", "missing-argument", "add data to `in`"),
    "missing parameter": Row(
        "a: {uses: ⟦train.estimator⟧, in: {data: data.trips}}", "missing-argument", "add target to `with`"
    ),
    "both missing": Row("a: {uses: ⟦train.estimator⟧}", "missing-argument", "add data to `in`; add target to `with`"),
    "given twice": Row(
        "a: {uses: work:clean, in: {data: data.trips}, with: {⟦data⟧: 3}}", "given-twice", "keep one of them"
    ),
    "matrix and with": Row(
        "a: {uses: work:clean, in: {data: data.trips}, with: {⟦limit⟧: 3}, matrix: {limit: [1, 2]}}", "given-twice"
    ),
    "input under with": Row("a: {uses: ingest.table, with: {⟦source⟧: x.csv}}", "wrong-section", "under `in`"),
    "positional only": Row("a: {uses: work:placed, in: {⟦data⟧: data.trips}}", "positional-only", "remove the /"),
    "text for a number": Row(
        'a: {uses: work:clean, in: {data: data.trips}, with: {limit: ⟦"3"⟧}}', "wrong-argument-type", "without quotes"
    ),
    "bool for a number": Row(
        "a: {uses: work:clean, in: {data: data.trips}, with: {share: ⟦true⟧}}", "wrong-argument-type"
    ),
    "not one of the literals": Row(
        "a: {uses: work:clean, in: {data: data.trips}, with: {mode: ⟦slow⟧}}", "wrong-argument-type"
    ),
    "type of a parameter": Row(
        'a: {uses: work:clean, in: {data: data.trips}, with: {limit: ⟦"${params.word}"⟧}}',
        "wrong-argument-type",
        "the value of ${params.word}",
    ),
    "type of a cell": Row(
        'a: {uses: work:clean, in: {data: data.trips}, with: {limit: ⟦"${matrix.n}"⟧}, matrix: {n: [1, x]}}',
        "wrong-argument-type",
    ),
    "matrix name that is no argument": Row(
        "a: {uses: work:clean, in: {data: data.trips}, matrix: {⟦rate⟧: [1, 2]}}", "unknown-argument", "${matrix.rate}"
    ),
    # placeholders
    "unknown param": Row(
        'a: {uses: work:clean, in: {data: data.trips}, with: {limit: "${params.⟦limt⟧}"}}', "unknown-param", "'limit'"
    ),
    "deep in a list": Row(
        'a: {uses: work:fit, in: {data: data.trips}, with: {names: [a, "x-${params.⟦nope⟧}"]}}', "unknown-param"
    ),
    "not closed": Row(
        'a: {uses: work:tune, in: {data: data.trips}, with: {name: "x ⟦${params.limit⟧"}}', "bad-placeholder", "$${"
    ),
    "unknown group": Row(
        'a: {uses: work:tune, in: {data: data.trips}, with: {name: "⟦${param.limit}⟧"}}', "bad-placeholder", "params"
    ),
    "no name": Row(
        'a: {uses: work:tune, in: {data: data.trips}, with: {name: "⟦${params.}⟧"}}', "bad-placeholder", "NAME"
    ),
    "matrix without matrix": Row(
        'a: {uses: work:tune, in: {data: data.trips}, with: {n: "${matrix.⟦n⟧}"}}', "unknown-matrix-name", "matrix: {n:"
    ),
    "unknown matrix name": Row(
        'a: {uses: work:tune, in: {data: data.trips}, with: {n: "${matrix.⟦dept⟧}"}, matrix: {depth: [1]}}',
        "unknown-matrix-name",
        "mean 'depth'",
    ),
    "param in env": Row('a: {uses: work:make, env: {A: "${params.⟦b⟧}"}}', "unknown-param"),
    # commands
    "unknown input of a command": Row(
        'a: {run: "sort {in.raw} {in.⟦rwa⟧}", in: {raw: data.trips}}', "unknown-placeholder", "mean 'raw'"
    ),
    "unknown output of a command": Row('a: {run: "touch {out.⟦model⟧}"}', "unknown-placeholder", "out: {model: FILE}"),
    "unknown param of a command": Row('a: {run: "x {params.⟦limti⟧}"}', "unknown-placeholder", "mean 'limit'"),
    "input never used": Row('a: {run: "x", in: {⟦raw⟧: data.trips}}', "unused-input", "{in.raw}"),
    "output never used": Row('a: {run: "x", out: {⟦model⟧: m.pkl}}', "unused-output", "{out.model}"),
    "matrix never used": Row('a: {run: "x", matrix: {⟦n⟧: [1, 2]}}', "unused-matrix-name", "{params.n}"),
    # outputs and paths
    "absolute save": Row("a: {uses: work:make, save: {out: ⟦/etc/passwd⟧}}", "escaping-path", "below the project"),
    "save above": Row("a: {uses: work:make, save: {out: ⟦data/../../x⟧}}", "escaping-path"),
    "save into git": Row("a: {uses: work:make, save: {out: ⟦.git/hooks/x⟧}}", "escaping-path"),
    "save the root": Row("a: {uses: work:make, save: {out: ⟦data/..⟧}}", "escaping-path"),
    "out above": Row('a: {run: "x {out.m}", out: {m: ⟦../m.pkl⟧}}', "escaping-path"),
    "saved twice": Row(
        "a: {uses: work:make, save: {out: data/x}}\nb: {uses: work:make, save: {out: ⟦data/./x⟧}}",
        "duplicate-path",
        "another path",
    ),
    "same file twice": Row('a: {run: "x {out.m} {out.n}", out: {m: f, n: ⟦f⟧}}', "duplicate-path"),
    "same name twice": Row(
        "a: {uses: work:split, in: {data: data.trips}, out: [train, ⟦train⟧], save: {train: x}}", "duplicate-output"
    ),
    "path of a function's output": Row(
        "a: {uses: work:make, out: {model: ⟦m.pkl⟧}}", "path-of-function-output", "save: {model: m.pkl}"
    ),
    "not a field": Row(
        "a: {uses: work:halve, in: {data: data.trips}, out: [⟦lft⟧, right], cache: false}",
        "unknown-output",
        "mean 'left'",
    ),
    "save of no output": Row("a: {uses: work:make, save: {⟦model⟧: x}}", "unknown-output", "out"),
    "secret in env": Row("a: {uses: work:make, env: {TOKEN: x}, secrets: [⟦TOKEN⟧]}", "secret-in-env", "out of `env`"),
    "no_key of nothing": Row(
        "a: {uses: work:clean, in: {data: data.trips}, no_key: [⟦limits⟧]}", "unknown-argument", "mean 'limit'"
    ),
    "unknown executor": Row("a: {uses: work:make, executor: ⟦proces⟧}", "unknown-executor", "mean 'process'"),
    "too many cells": Row(
        f"a: {{run: 'x {{params.n}} {{params.m}}', ⟦matrix⟧: {{n: {list(range(101))}, m: {list(range(100))}}}}}",
        "too-many-cells",
    ),
    # expressions
    "if: syntax": Row("a: {uses: work:make, if: params.limit > ⟦>⟧ 3}", "bad-expression"),
    "if: a call": Row('a: {uses: work:make, if: "⟦o⟧pen(1)"}', "bad-expression"),
    "if: with a placeholder": Row('a: {uses: work:make, if: "⟦$⟧{params.full}"}', "bad-expression", "without ${}"),
    "if: unknown param": Row("a: {uses: work:make, if: params.⟦ful⟧}", "unknown-param", "mean 'full'"),
    "if: bare param": Row("a: {uses: work:make, if: ⟦full⟧}", "unknown-name", "write params.full"),
    "if: unknown step": Row("a: {uses: work:make, if: ⟦trian⟧.mae < 1}", "unknown-step"),
    "if: unknown metric": Row(
        "s: {uses: work:score, in: {model: data.trips, data: data.trips}}\na: {uses: work:make, if: s.⟦mea⟧ < 1}",
        "unknown-metric",
        "mean 'mae'",
    ),
    "if: champion": Row("a: {uses: work:make, if: ⟦champion⟧.mae < 1}", "unknown-name", "`gate`"),
    "if: own metric": Row("a: {uses: work:make, if: ⟦a.mae⟧ < 1}", "self-reference", "use `gate`"),
    "if: a number": Row("a: {uses: work:make, if: ⟦p⟧arams.limit}", "expression-type", "such as"),
    "if: a text and a number": Row('a: {uses: work:make, if: "params.limit < ⟦p⟧arams.word"}', "expression-type"),
    "if: unknown matrix name": Row(
        "a: {uses: work:tune, in: {data: data.trips}, matrix: {n: [1]}, if: matrix.⟦m⟧ > 1}", "unknown-matrix-name"
    ),
    "gate: unknown metric": Row(
        "s: {uses: work:score, in: {model: data.trips, data: data.trips}, gate: [mae < 1, 1 > ⟦rsme⟧]}",
        "unknown-metric",
        "mean 'rmse'",
    ),
    "gate: of the champion": Row(
        "s: {uses: work:score, in: {model: data.trips, data: data.trips}, gate: mae < champion.⟦maee⟧}",
        "unknown-metric",
        "mean 'mae'",
    ),
    "gate: no metrics": Row(
        "a: {uses: work:split, in: {data: data.trips}, out: [x, y], gate: ⟦mae⟧ < 1}", "no-metrics", "'metrics'"
    ),
    "gate: of a list": Row(
        "a: {uses: train.estimator, in: {data: data.trips}, with: {target: y}, matrix: {depth: [1, 2]}, "
        "gate: ⟦cv_mae⟧ < 1}",
        "no-metrics",
        "add `select`",
    ),
    "gate: of a command": Row('a: {run: "x {out.m}", out: {m: m.json}, gate: ⟦mae⟧ < 1}', "no-metrics", "as JSON"),
    "gate: single =": Row(
        "s: {uses: work:score, in: {model: data.trips, data: data.trips}, gate: mae ⟦=⟧ 1}", "bad-expression", "=="
    ),
    "gate: constant": Row(
        "s: {uses: work:score, in: {model: data.trips, data: data.trips}, gate: ⟦1 < 2⟧}", "constant-gate", "metric"
    ),
    "gate: unreachable": Row(
        "a: {uses: work:make, if: false}\ns: {uses: work:score, in: {model: a, data: a}, gate: [⟦mae < 1⟧]}",
        "unreachable-gate",
        "parameter in `if`",
    ),
    "select: no matrix": Row(
        "a: {uses: train.estimator, in: {data: data.trips}, with: {target: y}, ⟦select⟧: {min: cv_mae}}",
        "select-without-matrix",
    ),
    "select: unknown metric": Row(
        "a: {uses: train.estimator, in: {data: data.trips}, with: {target: y}, matrix: {depth: [1, 2]}, "
        "select: {min: ⟦mae⟧}}",
        "unknown-metric",
        "cv_mae",
    ),
    "gate: a dash": Row(
        "my-s: {uses: work:make, cache: false}\n"
        "s: {uses: work:score, in: {model: data.trips, data: data.trips}, gate: ⟦my-s⟧.mae < 1}",
        "unknown-step",
        "with _",
    ),
    "gate: unknown step": Row(
        "s: {uses: work:score, in: {model: data.trips, data: data.trips}, gate: ⟦t⟧.mae < 1}", "unknown-step", "known"
    ),
    # warnings
    "prepared for nobody": Row(
        "⟦a⟧: {uses: ingest.table, in: {source: data.trips}}\n"
        "s: {uses: work:score, in: {model: data.trips, data: data.trips}}",
        "unused-step",
        "`save`",
    ),
    "named outputs that nobody reads": Row(
        "⟦a⟧: {uses: work:split, in: {data: data.trips}, out: [x, y]}\n"
        "s: {uses: work:score, in: {model: data.trips, data: data.trips}}",
        "unused-step",
    ),
    "connected to nothing": Row(
        "a: {uses: work:make}\nb: {uses: work:clean, in: {data: a}}\n⟦c⟧: {uses: work:make}", "unused-step"
    ),
}
TOP = """\
params: {limit: 3, word: x, full: true}
data: {trips: {path: data/trips.csv}}
steps:
"""


@pytest.mark.parametrize("name", STEPS)
def test_a_mistake_in_a_step(name: str, tmp_path: Path) -> None:
    row = STEPS[name]
    assert_only(tmp_path, TOP + textwrap.indent(row.text, "  "), row)


FILES = {
    "cycle": Row(
        """
        steps:
          a: {uses: work:clean, in: {data: ⟦c⟧}}
          b: {uses: work:clean, in: {data: a}}
          c: {uses: work:clean, in: {data: b}}
        """,
        "cycle",
        "take one of these",
    ),
    "cycle by order": Row(
        "steps:\n  a: {uses: work:make, after: [⟦b⟧]}\n  b: {uses: work:clean, in: {data: a}}", "cycle"
    ),
    "cycle by a condition": Row(
        """
        steps:
          a: {uses: work:make, if: 1 < ⟦s⟧.mae}
          s: {uses: work:score, in: {model: a, data: a}}
        """,
        "cycle",
    ),
    "default of another type": Row(
        "params: {n: {type: int, default: ⟦many⟧}}\nsteps: {a: {uses: work:make}}", "wrong-default"
    ),
    "default below min": Row(
        "params: {n: {type: float, default: ⟦-1⟧, min: 0}}\nsteps: {a: {uses: work:make}}", "wrong-default"
    ),
    "default above max": Row("params: {n: {default: ⟦11⟧, max: 10}}\nsteps: {a: {uses: work:make}}", "wrong-default"),
    "default that is no choice": Row(
        "params: {n: {default: ⟦fsat⟧, choices: [fast, exact]}}\nsteps: {a: {uses: work:make}}",
        "wrong-default",
        "mean 'fast'",
    ),
    "min above max": Row(
        "params: {n: {type: int, default: null, min: ⟦5⟧, max: 1}}\nsteps: {a: {uses: work:make}}",
        "wrong-limits",
        "swap",
    ),
    "limit of a text": Row("params: {n: {default: x, ⟦min⟧: 5}}\nsteps: {a: {uses: work:make}}", "wrong-limits"),
    "choice of another type": Row(
        "params: {n: {default: 1, choices: [1, ⟦two⟧]}}\nsteps: {a: {uses: work:make}}", "wrong-limits"
    ),
    "placeholder in data": Row(
        'params: {day: x}\ndata: {t: {path: "data/${params.⟦dya⟧}.csv"}}\nsteps: {a: {uses: work:make}}',
        "unknown-param",
        "mean 'day'",
    ),
    "executor of all": Row(
        "defaults: {executor: ⟦proces⟧}\nsteps: {a: {uses: work:make}, b: {uses: work:clean, in: {data: a}}}",
        "unknown-executor",
    ),
    "one missing module, many steps": Row(
        "steps: {a: {uses: ⟦nothing:make⟧}, b: {uses: nothing:make, after: [a]}}", "unknown-module"
    ),
    "drift of no step": Row(
        "steps: {a: {uses: work:make}}\ntriggers: {t: {drift: ⟦monitor⟧}}", "unknown-step", "known: a"
    ),
    "run of no step": Row(
        'steps: {a: {uses: work:make}}\ntriggers: {t: {cron: "0 3 * * *", run: ⟦b⟧}}', "unknown-step", "known: a"
    ),
    "files of no data": Row(
        "data: {trips: {path: x}}\nsteps: {a: {uses: work:make}}\ntriggers: {t: {files: data.⟦trip⟧}}",
        "unknown-data",
        "mean 'trips'",
    ),
    "files without data": Row(
        "data: {trips: {path: x}}\nsteps: {a: {uses: work:make}}\ntriggers: {t: {files: ⟦trips⟧}}",
        "unknown-data",
        "write data.trips",
    ),
    "pipeline that is not there": Row(
        "steps: {a: {uses: work:make}}\ntriggers: {t: {pipeline: ⟦othr.yaml⟧}}", "missing-file", "mean 'other.yaml'"
    ),
    "pipeline outside": Row("steps: {a: {uses: work:make}}\ntriggers: {t: {pipeline: ⟦../x.yaml⟧}}", "escaping-path"),
    "pipeline of its own": Row("steps: {a: {uses: work:make}}\ntriggers: {t: {pipeline: ⟦x.yaml⟧}}", "self-reference"),
    "cron: hour": Row('steps: {a: {uses: work:make}}\ntriggers: {t: {cron: "0 ⟦25⟧ * * *"}}', "bad-cron", "0 to 23"),
    "cron: weekday": Row('steps: {a: {uses: work:make}}\ntriggers: {t: {cron: "0 3 * * ⟦9⟧"}}', "bad-cron", "0 to 7"),
    "cron: fields": Row('steps: {a: {uses: work:make}}\ntriggers: {t: {cron: ⟦"0 3 *"⟧}}', "bad-cron", "five fields"),
    "time zone": Row(
        'steps: {a: {uses: work:make}}\ntriggers: {t: {cron: "0 3 * * *", timezone: ⟦Europe/Berln⟧}}',
        "unknown-timezone",
        "Europe/Berlin",
    ),
    "time zone of no schedule": Row(
        "steps: {a: {uses: work:make}}\ntriggers: {t: {webhook: w, ⟦timezone⟧: UTC}}", "idle-option", "remove it"
    ),
    "any: quiet time of no files": Row(
        "steps: {a: {uses: work:make}}\ntriggers: {t: {any: [{webhook: w}, {drift: a, ⟦debounce⟧: 2s}]}}", "idle-option"
    ),
    "no runs in a day": Row(
        "steps: {a: {uses: work:make}}\ntriggers: {t: {webhook: w, max_per_day: ⟦0⟧}}", "bad-value"
    ),
    "drift of no monitor": Row(
        """
        data: {d: {path: x}}
        steps: {s: {uses: work:score, in: {model: data.d, data: data.d}}}
        triggers: {t: {drift: ⟦s⟧}}
        """,
        "no-alarm",
        "monitor.drift",
    ),
    "files that are none": Row(
        """
        data: {live: {predictions: shop, window: 1h}}
        steps: {a: {uses: work:load, in: {source: data.live}}}
        triggers: {t: {files: ⟦data.live⟧}}
        """,
        "not-watched",
        "drift",
    ),
    "any: a cause that is none": Row(
        "steps: {a: {uses: work:make}}\ntriggers: {t: {any: [{drift: a}, {⟦dirft⟧: a, webhook: w}]}}",
        "unknown-key",
        "mean 'drift'",
    ),
    "any: two in one": Row(
        'steps: {a: {uses: work:make}}\ntriggers: {t: {any: [{drift: a, ⟦cron⟧: "0 3 * * *"}]}}', "conflicting-keys"
    ),
    "any: limits are shared": Row(
        "steps: {a: {uses: work:make}}\ntriggers: {t: {any: [{drift: a, ⟦cooldown⟧: 1h}]}}", "unknown-key"
    ),
    "any: a step that is none": Row(
        'steps: {a: {uses: work:make}}\ntriggers: {t: {any: [{cron: "0 3 * * *"}, {drift: ⟦b⟧}]}}', "unknown-step"
    ),
    "any: a reason that is none": Row(
        "steps: {a: {uses: work:make}}\ntriggers: {t: {any: [{drift: a}, {webhook: w}], unless: ⟦rolout⟧}}",
        "unknown-reason",
        "mean 'rollout'",
    ),
    "any: schedule": Row(
        'steps: {a: {uses: work:make}}\ntriggers: {t: {any: [{drift: a}, {cron: "0 ⟦25⟧ * * *"}]}}',
        "bad-cron",
        "0 to 23",
    ),
    "performance: no condition": Row(
        "steps: {a: {uses: work:make}}\ntriggers: {t: {performance: ⟦m⟧ae * 2}}", "expression-type", "reference.mae"
    ),
    "performance: unknown metric": Row(
        """
        data: {d: {path: x}}
        steps: {s: {uses: work:score, in: {model: data.d, data: data.d}}}
        triggers: {t: {performance: mae > 1.1 * reference.⟦mea⟧}}
        """,
        "unknown-metric",
        "mean 'mae'",
    ),
    # the shape of the file, and that one cause is one problem
    "unknown key": Row("steps: {a: {uses: train.estimator, ⟦wiht⟧: {target: y}}}", "unknown-key", "mean 'with'"),
    "in is a list": Row("steps: {a: {uses: work:clean, in: ⟦[⟧x, y]}}", "wrong-type"),
    "name that is none": Row("steps: {⟦a b⟧: {uses: work:make}}", "bad-name"),
    "reserved name": Row("steps: {⟦data⟧: {uses: work:make}}", "reserved-name", "another name"),
    "bad reference": Row('steps: {a: {uses: work:clean, in: {data: ⟦"a b"⟧}}}', "bad-reference"),
    "bad duration": Row("steps: {a: {uses: work:make, timeout: ⟦10 minutes⟧}}", "bad-duration"),
    "duplicate step": Row("steps:\n  a: {uses: work:make}\n  ⟦a⟧: {uses: work:make}", "duplicate-key", "rename"),
    "equal cells": Row('steps: {a: {run: "echo {params.n}", matrix: {n: [1, ⟦"1"⟧]}}}', "equal-cells", "keep one"),
    "tab": Row("steps:\n⟦\t⟧a: {uses: work:make}", "yaml-syntax", "spaces"),
    "number of 98 bits": Row(
        "params: {a: ⟦300000000000000000000000000000⟧}\nsteps: {a: {uses: work:make}}", "bad-value", "quotes"
    ),
    "uses and run": Row("steps: {a: {uses: work:make, ⟦run⟧: make}}", "conflicting-keys", "keep one"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_mistake_anywhere(name: str, tmp_path: Path) -> None:
    row = FILES[name]
    assert_only(tmp_path, textwrap.dedent(row.text).strip("\n"), row)


def test_the_codes_of_the_tables_are_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "errors.md").read_text(encoding="utf-8")
    assert [row.code for row in (*STEPS.values(), *FILES.values()) if f"\n## {row.code}\n" not in text] == []
