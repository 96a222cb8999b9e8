"""What `check` must not complain about: every row is a whole file without a single problem."""

import textwrap
from pathlib import Path

import pytest

from treadle.code import DictMemo, Project
from treadle.load import load_pipeline
from treadle.plugins import Catalog

MODULE = """
from typing import NamedTuple, TypedDict


class Scores(TypedDict):
    mae: float


class Parts(NamedTuple):
    train: list
    test: list


class Fitted(NamedTuple):
    model: object
    metrics: Scores


def source(): return 1
def build(trips, live=None, *, test_share: float = 0.2, limit: int | None = None): return trips, trips
def parts(data) -> Parts: ...
def fit(data, *, depth=3, **options) -> Fitted: ...
def score(model, data): return {"mae": 1.0, "rmse": 2.0}
def unknown(data): return compute(data)
def options(**settings): return settings


class Model:
    def __init__(self, data, depth: int = 3): ...
"""
LIBRARY = """
from typing import Any, NamedTuple, TypedDict


class TrainMetrics(TypedDict, total=False):
    cv_mae: float
    cv_rmse: float


class Trained(NamedTuple):
    model: Any
    metrics: TrainMetrics


def table(source, *, format: str = "auto"): return source
def validate(data, *, schema: str, on_fail: str = "stop"): return data
def estimator(data, *, estimator: str, target: str, params: dict[str, Any] | None = None, **other) -> Trained: ...
def regression(model, data): return {"mae": 1.0, "rmse": 2.0}
def model(model, report, reference=None, *, name: str, rollout: dict[str, Any] | None = None): return name
def drift(reference, current, *, level: float = 0.05): return compute(reference)
"""
CATALOG = Catalog(
    {
        "treadle.steps": {
            "ingest.table": "lib:table",
            "validate.table": "lib:validate",
            "train.estimator": "lib:estimator",
            "evaluate.regression": "lib:regression",
            "deploy.model": "lib:model",
            "monitor.drift": "lib:drift",
        },
        "treadle.executors": {"process": "x:Process"},
    }
)

WHOLE = """
name: surge-pricing
description: Price multiplier for each zone. Retrains itself when riders change.
params:
  max_iter: 200
  test_share: 0.2
data:
  trips: {path: "data/trips/*.parquet"}
  zones: {url: "s3://city/zones.csv"}
  live:  {predictions: surge-pricing, window: 24h}
steps:
  ingest:
    uses: ingest.table
    in: {source: data.trips}
  validate:
    uses: validate.table
    in: {data: ingest}
    with: {schema: trips.schema.yaml, on_fail: stop}
  features:
    uses: work:build
    in: {trips: validate, live: data.live}
    with: {test_share: "${params.test_share}"}
    out: [train, test]
  train:
    uses: train.estimator
    in: {data: features.train}
    with:
      estimator: sklearn.ensemble.HistGradientBoostingRegressor
      target: multiplier
      params: {max_iter: "${params.max_iter}"}
    matrix: {learning_rate: [0.05, 0.1]}
    select: {min: cv_mae}
    resources: {cpu: 2, memory: 2GiB}
    timeout: 20m
    retry: {times: 2, backoff: 5s}
  evaluate:
    uses: evaluate.regression
    in: {model: train, data: features.test}
    gate: ["mae < 0.15", "mae <= champion.mae * 1.02"]
  deploy:
    uses: deploy.model
    in: {model: train, report: evaluate, reference: features.test}
    with:
      name: surge-pricing
      rollout: {metric: accepted, unit: rider_id}
  monitor:
    uses: monitor.drift
    in: {reference: features.test, current: data.live}
triggers:
  riders_changed: {drift: monitor, cooldown: 1h, max_per_day: 4}
  worse:          {performance: "mae > 1.1 * reference.mae"}
  nightly:        {cron: "0 3 * * *", timezone: Europe/Berlin}
  new_trips:      {files: data.trips, debounce: 2s}
  by_hand:        {webhook: retrain}
"""
QUIET = {
    "the whole wheel": WHOLE,
    "one step": "steps: {a: {uses: work:source}}",
    "a chain that ends in named outputs": """
        data: {t: {path: x}}
        steps: {a: {uses: work:build, in: {trips: data.t}, out: [train, test]}}
    """,
    "the first field of a NamedTuple": """
        data: {t: {path: x}}
        steps:
          a: {uses: work:parts, in: {data: data.t}}
          b: {uses: work:fit, in: {data: a}}
          c: {uses: work:score, in: {model: b, data: a.test}}
          d: {uses: work:score, in: {model: b.metrics, data: [a, a.train]}}
    """,
    "one named output and its metrics": """
        data: {t: {path: x}}
        steps:
          a: {uses: work:build, in: {trips: data.t}, out: [model, metrics], gate: mae < 1}
          b: {uses: work:unknown, in: {data: a}}
    """,
    "metrics that the code does not show": """
        data: {t: {path: x}}
        steps:
          a: {uses: work:unknown, in: {data: data.t}, gate: anything < 1}
          b: {uses: work:unknown, in: {data: a}, if: a.whatever > 2}
        triggers: {t: {performance: anything > reference.anything}}
    """,
    "a returned dict whose keys are the outputs": """
        data: {t: {path: x}}
        steps:
          a: {uses: work:score, in: {model: data.t, data: data.t}, out: [mae], gate: other < 1}
    """,
    "a command": """
        params: {lr: 0.1}
        data: {t: {path: x}}
        steps:
          a:
            run: awk '{print $1} {in}' {in.raw} ${HOME} {a,b} > {out.model} --lr {params.lr} {params.n} {params.depth}
            in: {raw: data.t}
            with: {n: 3}
            out: {model: model.pkl}
            matrix: {depth: [1, 2]}
            no_key: [n]
          b: {run: "test -s {in.model}", in: {model: a}}
    """,
    "a command with metrics": """
        params: {limit: 3}
        steps:
          a: {run: "x > {out.metrics}", out: {metrics: m.json}, gate: mae < 1}
          b: {run: "x > {out.metrics} {out.m}", out: {metrics: m.json, m: m}, gate: anything > params.limit}
    """,
    "any settings": "steps: {a: {uses: work:options, with: {anything: 1, else: [a]}, matrix: {more: [1, 2]}}}",
    "one name for a whole NamedTuple, or some of its fields": """
        data: {t: {path: x}}
        steps:
          a: {uses: work:parts, in: {data: data.t}, out: both}
          b: {uses: work:fit, in: {data: a}, out: [metrics, model], gate: mae < 1}
          c: {uses: work:unknown, in: {data: b.model}}
    """,
    "a matrix with select has metrics": """
        data: {t: {path: x}}
        steps: {a: {uses: work:fit, in: {data: data.t}, matrix: {depth: [1]}, select: {min: mae}, gate: mae < 1}}
    """,
    "a class": "data: {t: {path: x}}\nsteps: {a: {uses: work:Model, in: {data: data.t}, with: {depth: 4}}}",
    "escaped placeholders": 'steps: {a: {uses: work:options, with: {shell: "$${HOME} $$ $x", n: "${env.HOME}"}}}',
    "an int for a float, null for an optional": """
        params: {share: 1, limit: {type: int, default: null}}
        data: {t: {path: x}}
        steps:
          a: {uses: work:build, in: {trips: data.t}, with: {test_share: "${params.share}", limit: "${params.limit}"}}
          b: {uses: work:build, in: {trips: data.t}, with: {limit: null}}
    """,
    "an element of a list": """
        steps:
          shards: {uses: work:source}
          each: {uses: work:unknown, foreach: shards, in: {data: shards}}
          other: {uses: work:unknown, foreach: shards}
    """,
    "a condition over everything": """
        params: {full: true, mode: fast, limit: 3}
        data: {t: {path: x}}
        steps:
          s: {uses: work:score, in: {model: data.t, data: data.t}}
          a:
            uses: work:fit
            in: {data: data.t}
            matrix: {depth: [1, 2]}
            if: params.full and params.mode == "fast" or not (s.mae < params.limit) and matrix.depth > 1
    """,
    "a true condition": "steps: {a: {uses: work:source, if: true}, b: {uses: work:unknown, in: {data: a}}}",
    "a step that acts": """
        steps:
          a: {uses: work:source}
          b: {uses: work:unknown, in: {data: a}}
          tell: {uses: work:source, cache: false}
          page: {run: curl example.org}
          kept: {uses: work:source, save: {out: data/kept.json}}
    """,
    "many steps of their own": "steps: {a: {uses: work:source}, b: {uses: work:source}, c: {run: make}}",
    "a step that a trigger names": """
        data: {t: {path: x}}
        steps:
          a: {uses: ingest.table, in: {source: data.t}}
          b: {uses: work:unknown, in: {data: data.t}}
        triggers: {t: {cron: "*/5 8-18 * * MON-FRI", run: a}}
    """,
    "places and copies below the root": """
        data: {t: {path: /mnt/elsewhere/x.csv}, u: {path: ../shared/y.csv}}
        steps:
          a: {uses: work:build, in: {trips: data.t, live: data.u}, out: {train: null, test: {codec: json}},
              save: {train: ./data/a..b/train, test: data/test}}
    """,
    "a parameter in full": """
        params: {a: {type: float, default: 1, min: 0, max: 1, help: x}, b: {default: x, choices: [x, y]}, c: [1, 2]}
        steps: {s: {uses: work:source}}
    """,
    "defaults": """
        defaults: {executor: process, timeout: 1h, retry: {times: 1}, resources: {cpu: 1, licence: 1}}
        steps: {s: {uses: work:source, resources: {gpu: 1}}}
    """,
    "shared by an anchor": """
        data: {t: {path: x}}
        steps:
          a: {uses: work:fit, in: &in {data: data.t}, with: &with {depth: 3}}
          b: {uses: work:fit, in: *in, with: *with}
    """,
}


@pytest.mark.parametrize("name", QUIET)
def test_a_sound_file_has_no_problems(name: str, tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text(MODULE)
    (tmp_path / "lib.py").write_text(LIBRARY)
    (tmp_path / "x.yaml").write_text("version: 1\n" + textwrap.dedent(QUIET[name]).lstrip("\n"))
    loaded = load_pipeline("x.yaml", str(tmp_path), CATALOG, Project(str(tmp_path), DictMemo(), []))
    assert loaded.problems == ()
    assert loaded.ok and loaded.spec is not None
    assert set(loaded.signatures) == {name for name, step in loaded.spec.steps.items() if step.uses}
