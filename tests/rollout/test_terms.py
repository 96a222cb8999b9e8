"""The rollout block: every key is documented, `check` names each mistake's place, the page's examples are right."""

import re
import sys
from pathlib import Path

import pytest

from support.markdown import inline_code, page
from treadle.code import DictMemo, Project
from treadle.document import rollout as document
from treadle.document.grammar import ListOf, Map, OneOf
from treadle.document.parse import parse, plain
from treadle.load import load_pipeline
from treadle.plugins import Catalog

CATALOG = Catalog.from_entry_points()


def keys(grammar: object) -> set[str]:
    if isinstance(grammar, Map):
        inner: set[str] = set(grammar.fields)
        return inner.union(*(keys(field.grammar) for field in grammar.fields.values()))
    if isinstance(grammar, ListOf):
        return keys(grammar.item)
    return keys(grammar.map) if isinstance(grammar, OneOf) else set()


def test_every_key_is_documented() -> None:
    words = {word for code in inline_code(page("docs/rollouts.md")) for word in re.findall(r"\w+", code)}
    assert sorted(keys(document.ROLLOUT) - words) == []


def test_the_examples_of_the_page_are_right() -> None:
    full = re.findall(r"```yaml\nrollout:\n(.*?)```", page("docs/rollouts.md"), flags=re.S)
    node, problems = parse(full[0].encode(), "page")
    assert node is not None
    assert problems == []
    block = plain(node)
    assert document.mistakes(block) == []
    made, short = document.resolve(block), document.resolve({"metric": "accepted", "unit": "rider_id"})
    assert (made.steps, made.ramp, made.limits, made.rollback, made.after) == (
        short.steps,
        short.ramp,
        short.limits,
        short.rollback,
        short.after,
    )
    assert made.guardrails[0] == short.guardrails[0]


def test_scales_and_switchbacks_are_resolved() -> None:
    block = {
        "success": {"metric": "wait", "kind": "continuous", "better": "lower", "maturity": "2h"},
        "unit": {"switchback": {"by": "zone", "window": "30m", "burn_in": "5m"}},
        "guardrails": [{"metric": "fare", "harm": 1, "range": [0, 200]}],
        "approve": "manual",
    }
    assert document.mistakes(block) == []
    made = document.resolve(block)
    assert (made.success.continuous, made.success.higher_is_better, made.success.maturity) == (True, False, 7200.0)
    assert made.switchback is not None
    assert (made.unit, made.switchback.window, made.approve) == ("switchback", 1800.0, True)
    assert (made.guardrails[0].low, made.guardrails[0].high, made.guardrails[0].alpha) == (0, 200, 0.01)


@pytest.mark.parametrize("block", [{"metric": float("nan")}, [], "x", None, {"metric": object()}])
def test_no_block_at_all_is_said_and_never_raises(block: object) -> None:
    assert document.mistakes(block)


MISTAKES = {
    "{metric: m, ⟦matturity⟧: 2h}": "mean 'maturity'",
    "{metric: m, maturity: ⟦soon⟧}": "a duration",
    "{goal: ⟦x⟧}": "one of superior",
    "⟦{⟧unit: rider_id}": "names no metric",
    "{metric: m, goal: ⟦non_inferior⟧}": "needs a margin",
    "{success: {metric: m, goal: ⟦non_inferior⟧}}": "needs a margin",
    "{metric: m, range: ⟦[⟧5, 0]}": "the least and the greatest",
    "{metric: m, kind: ⟦bounded⟧}": "has no range",
    "{metric: m, guardrails: [⟦{⟧metric: fare}]}": "needs max, min, max_ratio or harm",
    "{metric: m, guardrails: [{metric: a, max: 1}, ⟦{⟧metric: a, min: 0}]}": "join them",
    "{metric: m, ramp: ⟦[⟧90%, 75%]}": "must grow",
    "{metric: m, ramp: [50%, ⟦120%⟧]}": "is not a share",
    "{metric: m, after: {holdback: ⟦100.5%⟧}}": "is not a share",
    "{metric: m, guardrails: [{metric: ⟦latency_p99⟧, max: 20}]}": "latency_p99_ms",
    "{metric: m, steps: [{enrol: 2%, until: ⟦decided⟧}, {enrol: 5%}]}": "only the last step",
    "{metric: m, limits: ⟦{⟧max_duration: 1h}}": "a least value is above its greatest",
    "{metric: m, champion: ⟦production⟧}": "always the alias 'champion'",
    "{metric: m, challenger: ⟦models:/shop@next⟧}": "always the alias 'challenger'",
    "{metric: m, target: ⟦kserve⟧}": "moves no traffic on kserve",
    "{metric: m, blocks: ⟦0s⟧}": "no length",
    "{metric: m, goal: non_inferior, margin: 0.1, blocks: ⟦10m⟧}": "not for a margin",
    "{metric: m, kind: continuous, blocks: ⟦10m⟧}": "kind: bernoulli",
}


@pytest.mark.parametrize("marked", MISTAKES)
def test_check_tells_the_place_of_each_mistake(marked: str, tmp_path: Path) -> None:
    """By the deploy step's own hook: the file is checked, no step runs."""
    head = "version: 1\nname: p\ndata: {d: {path: d}}\nsteps:\n  a:\n    uses: deploy.model\n    in: {model: data.d}\n"
    line = f"    with: {{name: shop, rollout: {marked}}}"
    before, _, rest = line.partition("⟦")
    token, _, after = rest.partition("⟧")
    (tmp_path / "d").touch()
    (tmp_path / "p.yaml").write_text(f"{head}{before}{token}{after}\n", encoding="utf-8")
    loaded = load_pipeline("p.yaml", str(tmp_path), CATALOG, Project(str(tmp_path), DictMemo(), sys.path))
    found = loaded.problems[0]
    assert found.where is not None
    assert (found.code, found.where.line, found.where.column) == ("refused-value", 8, len(before) + 1)
    assert MISTAKES[marked] in f"{found.text} {found.hint}"
    assert found.length == len(token)


@pytest.mark.parametrize(
    "block", ["{metric: m}", "{metric: m, champion: 'models:/shop@champion', target: local}", "{}"]
)
def test_a_right_block_and_one_made_of_parameters_have_no_mistake(block: str, tmp_path: Path) -> None:
    text = f"""version: 1
name: p
params: {{goal: superior}}
data: {{d: {{path: d}}}}
steps:
  a: {{uses: deploy.model, in: {{model: data.d}}, with: {{name: shop, rollout: {block}}}}}
  b: {{uses: deploy.model, in: {{model: data.d}}, with: {{name: b, rollout: {{metric: m, goal: "${{params.goal}}"}}}}}}
"""
    (tmp_path / "d").touch()
    (tmp_path / "p.yaml").write_text(text)
    assert load_pipeline("p.yaml", str(tmp_path), CATALOG, Project(str(tmp_path), DictMemo(), sys.path)).problems == ()
