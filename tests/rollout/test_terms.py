"""The rollout block: every key is documented, and the page's own examples mean what they say."""

import re

import pytest

from support.markdown import inline_code, page
from treadle.document import rollout as document
from treadle.document.grammar import ListOf, Map, OneOf
from treadle.document.parse import parse, plain


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
    assert document.problems(block) == []
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
    assert document.problems(block) == []
    made = document.resolve(block)
    assert (made.success.continuous, made.success.higher_is_better, made.success.maturity) == (True, False, 7200.0)
    assert made.switchback is not None
    assert (made.unit, made.switchback.window, made.approve) == ("switchback", 1800.0, True)
    assert (made.guardrails[0].low, made.guardrails[0].high, made.guardrails[0].alpha) == (0, 200, 0.01)


@pytest.mark.parametrize("block", [{"metric": float("nan")}, [], "x", None, {"metric": object()}])
def test_no_block_at_all_is_said_and_never_raises(block: object) -> None:
    assert document.problems(block)
