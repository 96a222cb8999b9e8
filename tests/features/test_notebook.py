"""The Python door, used as in a notebook: in a real Jupyter kernel."""

import nbformat
import pytest
from nbclient import NotebookClient

from support.project import Project, clean_environment

PIPELINE = """
    version: 1
    name: tiny
    params: {n: 2}
    steps:
      one: {uses: "work:one", with: {n: "${params.n}"}}
      two: {uses: "work:two", in: {x: one}}
      fails: {uses: "work:fails", in: {x: two}, if: "params.n > 5"}
"""
WORK = """
    def one(*, n: int) -> int:
        return n


    def two(x: int) -> dict[str, float]:
        return {"y": x * 2}


    def fails(x: dict) -> int:
        raise ValueError(f"<b>{x['y']}</b> is too much")
"""
CELLS = [
    "import treadle\nprint(treadle.check('p.yaml').ok)",
    "treadle.plan('p.yaml')",
    "result = treadle.run('p.yaml', params={'n': 5})\nresult",
    "print(result['one'], result['two'], result.metrics('two'), result.ok)",
    "treadle.run('p.yaml', params={'n': 'many'})",
    "result['tow']",
    "treadle.run('p.yaml', params={'n': 6})",
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_check_plan_and_run_in_a_notebook(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write("p.yaml", PIPELINE).write("work.py", WORK)
    for name, value in clean_environment(project.home).items():
        monkeypatch.setenv(name, value)
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in CELLS])
    client = NotebookClient(book, timeout=120, allow_errors=True, resources={"metadata": {"path": str(project.root)}})
    client.execute()
    said, planned, ran, values, refused, misspelt, failed = (cell.outputs for cell in book.cells)
    assert said[0].text == "True\n"
    assert ">wait</span>" in planned[0].data["text/html"]
    html = ran[-1].data["text/html"]
    assert html.count("<svg") == 1
    assert html.count('class="tag run"') == 2
    assert html.count('class="tag skip"') == 1
    assert "y 10" in html
    assert ran[-1].data["text/plain"].splitlines()[1].split() == ["run", "one", "first", "run"]
    assert values[0].text == "5 {'y': 10} {'y': 10.0} True\n"
    assert refused[0].ename == "InputError"
    assert refused[0].traceback == [
        "error[bad-parameter]: parameter 'n': 'many' is not a number of type int",
        "  --> p.yaml:3:13",
    ]
    assert "the run has no step 'tow' did you mean 'two'?" in misspelt[0].evalue
    shown = failed[-1].data["text/html"]
    assert 'class="tag failed"' in shown
    assert "&lt;b&gt;12&lt;/b&gt; is too much" in shown
    assert "work.py" in shown and "treadle/run" not in shown  # the user's own traceback
