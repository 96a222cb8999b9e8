"""The pages about the pipeline file keep what they say."""

from pathlib import Path

import pytest

from support.markdown import FENCE, page
from treadle.document import grammar
from treadle.document.parse import parse
from treadle.document.pipeline import PIPELINE, STEP


def blocks(name: str) -> list[str]:
    fences = [match[0] for match in FENCE.finditer(page(name))]
    return [text.partition("\n")[2].rpartition("\n")[0] for text in fences if text.startswith("```yaml")]


@pytest.mark.parametrize("text", blocks("docs/pipeline-file.md"))
def test_every_example_has_the_right_shape(text: str) -> None:
    node, problems = parse(text.encode(), "docs/pipeline-file.md")
    assert node is not None and problems == []
    if "version" in node.value:
        assert grammar.check(node, PIPELINE, "x") == []
        return
    for key, inner in node.value.items():
        known = PIPELINE.fields.get(key)
        shape = known.grammar if known is not None else STEP
        assert grammar.check(inner, shape, "x") == []


def test_the_first_two_lines_say_what_it_is_not() -> None:
    lines = Path(__file__).parents[2].joinpath("docs/pipeline-file.md").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# The pipeline file"
    assert [line.startswith("Not here") for line in lines[2:4]] == [True, True]


def test_every_problem_has_an_example_and_a_fix() -> None:
    for section in page("docs/errors.md").split("\n## ")[1:]:
        parts = FENCE.split(section.partition("\n# ")[0])
        code = section.partition("\n")[0]
        assert len(list(FENCE.finditer(section))) == 1, code
        assert len(parts[0].strip().splitlines()) >= 2, code
        assert parts[-1].strip(), code
