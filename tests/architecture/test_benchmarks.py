"""The benchmarks do not rot: a small graph is right, a wrong output has no time, a missed budget shows."""

import importlib
import sys
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

from support.sources import ROOT


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("graphs")


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("harness")


def test_doit_makes_what_the_sources_say(graphs: ModuleType, harness: ModuleType, tmp_path: Path) -> None:
    graph = graphs.Graph(20)
    graphs.write_doit(tmp_path / "doit", graph)
    case = harness.Case("doit", [sys.executable, "-m", "doit"], tmp_path / "doit", steps=20)
    case = case._replace(check=lambda: graphs.check_outputs(tmp_path / "doit", graph, last_only=False))
    [row] = harness.measure("small", [case], runs=1, warmup=0)
    assert row.error == ""
    assert len(row.samples) == 1
    (tmp_path / "doit/out/s7.txt").write_text("wrong\n")
    with pytest.raises(AssertionError, match="1 of 20 outputs are missing or wrong, the first is s7"):
        graphs.check_outputs(tmp_path / "doit", graph, last_only=False)


def test_an_edited_source_changes_what_is_expected_below_it_and_no_more(graphs: ModuleType) -> None:
    graph = graphs.Graph(50)
    before, after = graph.expected(), graph.expected(frozenset({"x0"}))
    changed = {name for name in before if before[name] != after[name]}
    assert {"s0", "s4"} <= changed  # the two steps of the first layer that read it
    assert not {"s1", "s2", "s3"} & changed


def test_a_missed_budget_and_a_failure_show(harness: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    slow = harness.Case("treadle", [sys.executable, "-c", "pass"], tmp_path / "x", budget=1e-6)
    wrong = harness.Case("peer", [sys.executable, "-c", "raise SystemExit('no')"], tmp_path / "x")
    rows = harness.measure("w", [slow, wrong], runs=1, warmup=0)
    assert harness.verdict(rows[0]).startswith("missed")
    assert rows[1].error == "exit code 1: no"
    text = harness.table(rows)
    assert "missed" in text
    assert "failed: exit code 1: no" in text


def test_the_page_has_a_place_for_every_benchmark(harness: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text((ROOT / "docs/benchmarks.md").read_text())
    for name in importlib.import_module("run").NAMES:
        harness.fill_page(page, name, f"table of {name}")
        harness.fill_page(page, name, f"table of {name}")
        assert page.read_text().count(f"table of {name}") == 1


@pytest.mark.parametrize(("name", "sizes"), [("hashing", {"large": 5 << 20, "small": 120}), ("sweep", {"count": 200})])
def test_a_small_version_works(
    harness: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, sizes: dict[str, int]
) -> None:
    module = importlib.import_module(name)
    if name == "hashing":
        monkeypatch.setattr(module, "RESTING", 0)
    for workload, cases in module.workloads(tmp_path, **sizes).items():
        for row in harness.measure(workload, cases, runs=1, warmup=0):
            assert row.error == "", f"{workload}, {row.tool}"


def test_one_change_reruns_what_lies_below_it_in_every_tool(
    graphs: ModuleType, harness: ModuleType, tmp_path: Path
) -> None:
    change = importlib.import_module("change")
    assert graphs.Graph(1000, middle=True).below(change.SOURCE) == 15
    for name, cases in change.workloads(tmp_path, count=100).items():
        rows = harness.measure(name, cases, runs=1, warmup=1)
        assert {row.tool: row.error for row in rows} == dict.fromkeys([case.tool for case in cases], "")


def test_snakemake_and_dvc_get_the_same_graph(graphs: ModuleType, tmp_path: Path) -> None:
    graph = graphs.Graph(100, middle=True)
    graphs.write_snakemake(tmp_path / "s", graph)
    graphs.write_dvc(tmp_path / "d", graph)
    rules = (tmp_path / "s/Snakefile").read_text()
    assert rules.count("\nrule s") == 100
    assert "head -n 1 sources/y7.txt" in rules
    assert (tmp_path / "d/dvc.yaml").read_text().count("    cmd: ") == 100


def test_treadle_names_the_line_and_the_word_of_every_mistake_at_once(harness: ModuleType, tmp_path: Path) -> None:
    messages = importlib.import_module("messages")
    own = messages.tools()[0]
    for number, mistake in enumerate((*own.mistakes, own.together)):
        answer = messages.ask(own, mistake, tmp_path / str(number), runs=0)
        assert answer.code == 2
        assert all(messages.named(answer, name) for name in mistake.names), answer.text
        assert all(messages.placed(answer, own.file, line) for line in mistake.lines), answer.text
        assert mistake.right == "" or messages.suggested(answer, mistake.right), answer.text
    wrong = messages.Answer(2, "p.yaml:7:1: no step is called 'x'", 0.1)
    assert not messages.placed(wrong, "p.yaml", 6)
    assert not messages.named(wrong, "prep")


def test_too_much_memory_shows(harness: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    case = harness.Case("treadle", [sys.executable, "-c", "pass"], tmp_path / "x", budget=60.0, memory=1 << 20)
    [row] = harness.measure("w", [case], runs=1, warmup=0)
    assert "missed" in harness.verdict(row)
    assert "of 1 MiB" in harness.verdict(row)


def test_the_plot_shows_every_row_and_budget(harness: ModuleType, tmp_path: Path) -> None:
    plot = importlib.import_module("plot")
    sample = harness.Sample(0.1, 0.1, 1)
    rows = [harness.Row("a <b", "treadle", [sample], 0.2, None), harness.Row("a <b", "make", [sample], None, None)]
    plot.write(tmp_path / "x.svg", [*rows, harness.Row("a <b", "broken", [], None, None, error="no")])
    tree = ElementTree.parse(tmp_path / "x.svg")
    texts = [node.text for node in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["a <b", "treadle", "100.0 ms", "make", "100.0 ms"]
    assert len(list(tree.iter("{http://www.w3.org/2000/svg}path"))) == 1
