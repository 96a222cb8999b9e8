"""`treadle data`: versions, schema, figures, lineage, and the difference of two tables."""

from pathlib import Path

import pytest

from support.project import Project, a_project

PIPELINE = """
    version: 1
    name: shop
    data:
      sales: {path: data/sales.csv}
    steps:
      ingest: {uses: ingest.table, in: {source: data.sales}}
      double: {uses: "work:double", in: {sales: ingest}}
      total: {uses: "work:total", in: {sales: double}}
"""
OTHER = """
    version: 1
    name: audit
    data:
      sales: {path: data/sales.csv}
    steps:
      load: {uses: ingest.table, in: {source: data.sales}}
      count: {uses: "work:total", in: {sales: load}}
"""
WORK = """
    def double(sales):
        return sales.assign(amount=sales.amount * 2)


    def total(sales) -> dict[str, float]:
        return {"total": float(sales.amount.sum())}
"""
FIRST = "region,amount\n" + "".join(f"{'north' if n % 3 else 'south'},{n}\n" for n in range(60))
SECOND = "region,amount,day\n" + "".join(f"north,{n * 10},1\n" for n in range(80))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = a_project(tmp_path_factory.mktemp("shop"))
    project.write("p.yaml", PIPELINE).write("other.yaml", OTHER).write("work.py", WORK)
    project.write("data/sales.csv", FIRST).treadle("run", "p.yaml", "-q")
    project.treadle("run", "other.yaml", "-q")
    project.write("data/sales.csv", SECOND).treadle("run", "p.yaml", "-q")
    return project


def test_every_item_is_listed_with_its_versions_and_users(shop: Project) -> None:
    items = {item["name"]: item for item in shop.treadle("data", "p.yaml", "--json").json()}
    assert list(items) == ["data.sales", "ingest.out", "double.out", "total.out"]
    assert [len(item["versions"]) for item in items.values()] == [2, 2, 2, 2]
    assert items["data.sales"]["used_by"] == ["ingest"]
    assert items["data.sales"]["elsewhere"] == ["audit:load"]
    assert items["ingest.out"]["elsewhere"] == ["audit:count"]
    assert items["double.out"]["needs"] == ["ingest.out"]
    assert [version["size"] for version in items["data.sales"]["versions"]] == [len(SECOND), 0]  # the old file is gone
    table = shop.treadle("data", "p.yaml").stdout.splitlines()
    assert table[0].split() == ["name", "kind", "size", "versions", "newest", "since", "used", "by"]
    assert table[2].split()[:2] == ["ingest.out", "parquet"]


def test_one_item_has_schema_figures_and_lineage(shop: Project) -> None:
    found = shop.treadle("data", "p.yaml", "double", "--json").json()
    assert found["above"] == ["ingest.out", "data.sales"]
    assert found["below"] == ["total.out"]
    assert found["figures"]["rows"] == 80
    region, amount, day = found["figures"]["columns"]
    assert region == {"name": "region", "dtype": region["dtype"], "missing": 0, "distinct": 1, "top": {"north": 80}}
    assert (amount["min"], amount["max"], amount["mean"]) == (0.0, 1580.0, 790.0)
    assert day["top"] == {"1": 80}
    text = shop.treadle("data", "p.yaml", "data.sales").stdout
    assert text.startswith("data.sales: data from outside, 2 versions\n")
    assert "leads to   ingest.out, double.out, total.out" in text
    assert "elsewhere  audit:load" in text


def test_no_pipeline_has_to_be_named(shop: Project) -> None:
    every = shop.treadle("data", "--json").json()
    assert [path.rpartition("/")[2] for path in every] == ["other.yaml", "p.yaml"]
    assert every["p.yaml"] == shop.treadle("data", "p.yaml", "--json").json()
    lines = shop.treadle("data").stdout.splitlines()
    assert [line for line in lines if line.endswith(".yaml")] == ["other.yaml", "p.yaml"]
    assert shop.treadle("data", "double", "--json").json() == shop.treadle("data", "p.yaml", "double", "--json").json()
    both = shop.treadle("data", "data.sales")
    assert both.code == 2
    assert "more than one pipeline has something called 'data.sales'" in both.stderr
    assert "treadle data other.yaml data.sales; treadle data p.yaml data.sales" in both.stderr


def test_a_project_within_the_project_is_one_of_its_own(tmp_path: Path) -> None:
    step = "version: 1\nname: {0}\nsteps:\n  a: {{uses: 'work_{0}:f'}}\n"
    project = a_project(tmp_path)
    for folder, name in (("", "outer"), ("examples/one/", "inner")):
        project.write(f"{folder}work_{name}.py", "def f() -> int:\n    return 1\n")
        project.write(f"{folder}pipelines/{name}.yaml", step.format(name))
    project.write("examples/one/treadle.toml", "")
    checked = project.treadle("check")
    assert (checked.code, checked.stderr) == (0, "")
    assert "2 files checked: no problems" in checked.stdout
    assert list(project.treadle("data", "--json").json()) == ["pipelines/outer.yaml"]


def test_tables_that_commands_write_have_columns_too(tmp_path: Path) -> None:
    project = a_project(tmp_path, {"rows.csv": FIRST})
    project.write(
        "p.yaml",
        """
        version: 1
        name: shell
        params: {least: 30}
        data: {rows: {path: rows.csv}}
        steps:
          large:
            run: awk -F, 'NR == 1 || $2 >= {params.least}' {in.rows} > {out.table}
            in: {rows: data.rows}
            out: {table: large.csv}
        """,
    )
    project.treadle("run", "p.yaml", "-q")
    project.treadle("run", "p.yaml", "-q", "-p", "least=10")
    assert project.treadle("data", "large", "--json").json()["figures"]["rows"] == 50
    assert project.treadle("data", "diff", "large@last~1", "large").stdout.startswith("rows: 30 → 50\n")


def test_a_file_that_changed_since_says_so(tmp_path: Path) -> None:
    project = a_project(tmp_path, {"p.yaml": PIPELINE, "work.py": WORK, "data/sales.csv": FIRST})
    assert project.treadle("data").stdout.splitlines()[1].split() == ["data.sales", "data", "0", "–", "ingest"]
    assert project.treadle("run", "p.yaml", "-q").code == 0
    assert "note" not in project.treadle("data", "data.sales", "--json").json()["figures"]
    project.write("data/sales.csv", SECOND)
    found = project.treadle("data", "data.sales", "--json").json()
    assert found["figures"]["note"] == "changed since: no run has used it as it is now"
    assert [version["size"] for version in found["item"]["versions"]] == [0]


def test_the_difference_of_two_versions(shop: Project) -> None:
    ids = [one["run_id"] for one in shop.treadle("runs", "--pipeline", "shop", "--json").json()]
    found = shop.treadle("data", "diff", f"ingest@{ids[1]}", "ingest@last", "--json").json()
    assert found["rows"] == [60, 80]
    assert (found["added"], found["removed"]) == (["day"], [])
    moved = {one["name"]: one for one in found["moved"]}
    assert moved["amount"]["mean"] == [29.5, 395.0]
    assert moved["amount"]["psi"] > 1
    assert list(moved) == ["amount", "region"]
    same = shop.treadle("data", "diff", "ingest", "data/sales.csv", "--json").json()
    assert {one["psi"] for one in same["moved"]} == {0.0}
    text = shop.treadle("data", "diff", f"double@{ids[1]}", "double").stdout
    assert text.startswith("rows: 60 → 80\nadded: day\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["p.yaml", "ingset"], "did you mean 'ingest.out'?"),
        (["p.yaml", "a", "b"], "a pipeline and one name"),
        (["ingset"], "no pipeline has something called 'ingset'"),
        (["nothing.yaml"], "there is no file nothing.yaml"),
        (["diff", "ingest"], "diff takes two tables"),
        (["diff", "ingest", "ingset"], "did you mean 'ingest'?"),
        (["diff", "ingest.owt", "ingest"], "has no output 'owt'"),
        (["diff", "ingest@19700101", "ingest"], "no run is called '19700101'"),
        (["diff", "0123456789ab", "ingest"], "no recorded outputs have a digest"),
        (["diff", "total", "ingest"], "only two tables can be compared"),
        (["diff", "work.py", "ingest"], "the format of work.py does not show in its name"),
    ],
)
def test_a_wrong_question_gets_a_clear_answer(shop: Project, words: list[str], said: str) -> None:
    result = shop.treadle("data", *words)
    assert (result.code, said in result.stderr) == (2, True), result.stderr
    assert "Traceback" not in result.stderr
