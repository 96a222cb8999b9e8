"""`runs report -o FILE.xml`: the checks of a run as test results."""

from xml.etree import ElementTree

from support.project import Project

PIPELINE = """
    version: 1
    name: shop
    data: {rows: {path: rows.csv}}
    steps:
      rows: {uses: ingest.table, in: {source: data.rows}}
      validate:
        uses: validate.table
        in: {data: rows}
        with:
          on_fail: FAIL
          schema:
            version: 1
            columns:
              a: {dtype: int, min: 0}
              zone: {dtype: string, in: [x], severity: warn}
        gate: rows > 1
      after: {uses: "work:after", in: {rows: validate}}
"""


def read(project: Project) -> dict[str, dict[str, str]]:
    """Suite → case → what became of it."""
    assert project.treadle("runs", "report", "last", "-o", "checks.xml").code == 0
    root = ElementTree.parse(project.root / "checks.xml").getroot()
    assert (root.tag, root.get("name")) == ("testsuites", "shop")
    found: dict[str, dict[str, str]] = {}
    for suite in root:
        assert suite.get("tests") == str(len(suite))
        assert suite.get("failures") == str(len(suite.findall("testcase/failure")))
        cases = found.setdefault(suite.get("name") or "", {})
        for case in suite:
            what = "".join(f"{inner.tag}: {inner.get('message')} | {inner.text or ''}" for inner in case)
            cases[case.get("name") or ""] = what
    return found


def test_every_check_is_a_case(project: Project) -> None:
    project.write("rows.csv", "a,zone\n1,x\n-2,x\n3,<&\x01>\n").write("work.py", "def after(rows):\n    return 1\n")
    project.write("p.yaml", PIPELINE.replace("FAIL", "quarantine_rows"))
    assert project.treadle("run", "p.yaml").code == 0
    found = read(project)
    assert list(found) == ["rows", "validate", "after"]
    cases = found["validate"]
    assert cases["a: dtype"] == cases["a: null"] == cases["gate rows > 1"] == cases["validate"] == ""
    assert cases["a: min"].startswith("failure: a: is below 0 in 1 of 3 rows")
    assert cases["a: min"].endswith("| row 1: -2")
    assert cases["zone: in"].startswith("skipped: zone: is outside the allowed values")
    assert "<&" in cases["zone: in"]


def test_a_validation_that_stopped_the_run_is_a_failure_and_what_needed_it_is_skipped(project: Project) -> None:
    project.write("rows.csv", "a,zone\n-1,x\n").write("work.py", "def after(rows):\n    return 1\n")
    project.write("p.yaml", PIPELINE.replace("FAIL", "stop"))
    assert project.treadle("run", "p.yaml").code == 1
    found = read(project)
    assert found["rows"] == {"rows": ""}
    assert found["validate"]["validate"].startswith("failure: 1 check failed: | 1 check failed:\n  a: is below 0")
    assert found["after"]["after"].startswith("skipped")
