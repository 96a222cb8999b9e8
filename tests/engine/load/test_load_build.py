"""From a tree to a spec: quantities, defaults, places; and what is left of a tree with mistakes."""

from treadle.document.parse import parse
from treadle.domain.location import Location
from treadle.domain.spec import Output, Param, PipelineSpec, Reference, Retry, Select, StepSpec
from treadle.errors import Problem
from treadle.load.build import build


def built(text: str) -> tuple[PipelineSpec, list[Problem]]:
    node, problems = parse(text.encode(), "dir/x.yaml")
    assert node is not None and problems == []
    return build(node, "dir/x.yaml")


def step(body: str, top: str = "") -> StepSpec:
    spec, problems = built(f"{top}\nsteps:\n  s: {body}\n")
    assert problems == []
    return spec.steps["s"]


def test_a_pipeline_is_called_by_its_file_unless_it_says_more() -> None:
    assert built("steps: {}")[0].name == "x"
    spec, _ = built("name: surge\ndescription: why\nsteps: {}")
    assert (spec.name, spec.description, spec.path) == ("surge", "why", "dir/x.yaml")


def test_parameters_plain_and_in_full() -> None:
    spec, _ = built("params: {a: 3, b: 0.5, c: x, d: true, e: [1], f: null, g: {type: float, default: 1, max: 2}}")
    assert [(p.type, p.default) for p in spec.params.values()] == [
        ("int", 3),
        ("float", 0.5),
        ("str", "x"),
        ("bool", True),
        ("list", [1]),
        ("null", None),
        ("float", 1.0),
    ]
    assert isinstance(spec.params["g"].default, float)
    assert spec.params["g"].max == 2
    long, _ = built("params: {m: {default: fast, choices: [fast, exact], help: how}}")
    where = Location("dir/x.yaml", 1, 13)
    assert long.params["m"] == Param("m", "str", "fast", where, None, None, ("fast", "exact"), "how")


def test_data_entries() -> None:
    spec, _ = built("data: {a: {path: x/*.csv}, b: {url: s3://c/d}, c: {predictions: m, window: 24h}}")
    found = [(d.kind, d.target, d.window) for d in spec.data.values()]
    assert found == [("path", "x/*.csv", None), ("url", "s3://c/d", None), ("predictions", "m", 86400.0)]


def test_quantities_become_numbers() -> None:
    made = step(
        "{uses: m:f, timeout: 1h30m, cache: {ttl: 1d}, resources: {cpu: 0.5, memory: 2GiB, gpu: 1, licence: 2},"
        " retry: {times: 2, backoff: 500ms, when: [timeout, 75]}, priority: -3}"
    )
    assert made.timeout == 5400
    assert (made.caching.enabled, made.caching.ttl) == (True, 86400)
    assert made.resources is not None
    assert (made.resources.cpu, made.resources.memory, made.resources.gpu) == (0.5, 2 << 30, 1)
    assert made.resources.tokens == {"licence": 2}
    assert made.retry == Retry(2, 0.5, ("timeout", 75))
    assert made.priority == -3
    assert not step("{run: x, cache: false}").caching.enabled


def test_references_inputs_and_lists() -> None:
    made = step("{uses: m:f, in: {a: data.t, b: [x, y.model]}, after: z, foreach: y}")
    a, b = made.inputs["a"], made.inputs["b"]
    assert [(r.kind, r.name, r.output) for r in (*a, *b)] == [
        ("data", "t", None),
        ("step", "x", None),
        ("step", "y", "model"),
    ]
    assert made.listed == {"b"}
    assert [r.name for r in made.after] == ["z"]
    assert made.foreach == Reference("step", "y", Location("dir/x.yaml", 3, 71))


def test_outputs_in_all_their_forms() -> None:
    assert step("{uses: m:f}").outputs is None
    assert step("{uses: m:f, out: model}").outputs == (Output("model"),)
    assert step("{uses: m:f, out: [a, b]}").outputs == (Output("a"), Output("b"))
    made = step("{run: x, out: {a: a.csv, b: {path: b, codec: json}, c: null}}")
    assert made.outputs == (Output("a", "a.csv"), Output("b", "b", "json"), Output("c"))


def test_texts_keep_their_places() -> None:
    made = step('{uses: m:f, if: true, gate: ["a < 1", b > 2], select: {max: auc}}')
    assert made.condition is not None
    assert made.condition.text == "true"
    assert [(g.text, g.where.column) for g in made.gates] == [("a < 1", 35), ("b > 2", 44)]
    assert made.select == Select("auc", True)


def test_values_keep_their_placeholders() -> None:
    made = step(
        '{uses: m:f, with: {a: "${params.x}", b: [1, {c: "${env.H}"}]}, matrix: {n: [1, 2]}, env: {N: 3, T: true}}'
    )
    assert made.params == {"a": "${params.x}", "b": [1, {"c": "${env.H}"}]}
    assert made.matrix == {"n": (1, 2)}
    assert made.env == {"N": "3", "T": "true"}


def test_defaults_fill_in_what_a_step_does_not_say() -> None:
    top = "defaults: {timeout: 1m, executor: dask, retry: {times: 3, backoff: 9s}, resources: {cpu: 2, memory: 1KiB}}"
    plain = step("{uses: m:f}", top)
    assert (plain.timeout, plain.executor, plain.retry) == (60, "dask", Retry(3, 9.0))
    own = step("{uses: m:f, timeout: 2s, executor: inline, retry: {times: 0}, resources: {memory: 2KiB}}", top)
    assert (own.timeout, own.executor, own.retry) == (2, "inline", Retry(0, 9.0))
    assert own.resources is not None
    assert (own.resources.cpu, own.resources.memory) == (2, 2048)


def test_triggers() -> None:
    spec, _ = built("triggers: {a: {drift: m, cooldown: 1h}, b: {cron: 0 3 * * *, timezone: UTC}}")
    found = [(t.name, t.kind, t.subject, t.options) for t in spec.triggers.values()]
    assert found == [("a", "drift", "m", {"cooldown": "1h"}), ("b", "cron", "0 3 * * *", {"timezone": "UTC"})]


def test_a_quantity_that_is_none_is_a_problem_with_a_place() -> None:
    spec, problems = built("steps:\n  s: {uses: m:f, timeout: soon}")
    assert [(p.code, str(p.where), p.length) for p in problems] == [("bad-value", "dir/x.yaml:2:27", 4)]
    assert spec.steps["s"].timeout is None
    assert built(f"steps: {{s: {{resources: {{memory: {'9' * 400}TiB}}}}}}")[1][0].code == "bad-value"


def test_what_has_the_wrong_shape_is_left_out() -> None:
    spec, _ = built(
        "params: [1]\ndata: {a: 3, b: [x]}\ntriggers: {t: x, u: {}}\n"
        "steps:\n  a: x\n  b: {uses: [1], in: [x], with: 3, out: {a: [1]}, after: {x: 1}, matrix: 3, env: x,"
        " retry: 3, resources: x, cache: [1], gate: {a: 1}, select: x, foreach: [x], save: {a: {}}}\n  c: {run: true}\n"
    )
    assert list(spec.steps) == ["a", "b", "c"]
    assert spec.params == {}
    made = spec.steps["b"]
    assert (made.uses, made.inputs, made.params, made.after, made.gates, made.foreach) == (None, {}, {}, (), (), None)
