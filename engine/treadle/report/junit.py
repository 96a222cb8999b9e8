"""A run → JUnit XML, which continuous integration shows: a suite for each step, a case for each check that it made."""

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from treadle.domain.run import CANCELLED, FAILED, SKIP, RunRecord, StepRecord


def document(run: RunRecord, reports: Mapping[str, Mapping[str, Any]]) -> str:
    """The run as JUnit XML; `reports` maps steps to what they reported.

    A step is a case; the `checks` of its report and the rules of its gate are cases beside it. A failed step, gate or
    check of severity `error` is a failure, a failed check of severity `warn` a skipped case with its message.
    """
    root = ElementTree.Element("testsuites", name=run.pipeline)
    for name, step in run.steps.items():
        suite = ElementTree.SubElement(root, "testsuite", name=name, time=f"{step.seconds:.3f}")
        _step(suite, run.pipeline, name, step)
        checks = reports.get(name, {}).get("checks")
        for check in checks if isinstance(checks, list) else ():
            if isinstance(check, Mapping) and "check" in check and "ok" in check:
                _check(suite, f"{run.pipeline}.{name}", check)
        for kind in ("failure", "skipped"):
            suite.set("failures" if kind == "failure" else kind, str(len(suite.findall(f"testcase/{kind}"))))
        suite.set("tests", str(len(suite)))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _step(suite: ElementTree.Element, pipeline: str, name: str, step: StepRecord) -> None:
    case = _case(suite, pipeline, name)
    if step.fate == FAILED:
        text = step.failure.message if step.failure else step.reason
        ElementTree.SubElement(case, "failure", message=_clean(text.split("\n")[0])).text = _clean(text)
    elif step.fate in (SKIP, CANCELLED):
        ElementTree.SubElement(case, "skipped", message=_clean(step.reason))
    for gate in step.gates:
        ruled = _case(suite, f"{pipeline}.{name}", f"gate {gate.text}")
        if not gate.passed:
            figures = ", ".join(f"{figure} = {value:.6g}" for figure, value in gate.values.items())
            ElementTree.SubElement(ruled, "failure", message=_clean(gate.note or figures or "is not so"))


def _check(suite: ElementTree.Element, group: str, check: Mapping[str, Any]) -> None:
    case = _case(suite, group, f"{check.get('column') or 'table'}: {check['check']}")
    if check["ok"]:
        return
    kind = "skipped" if check.get("severity") == "warn" else "failure"
    found = ElementTree.SubElement(case, kind, message=_clean(str(check.get("message") or "is not so")))
    examples = check.get("examples")
    rows = [one for one in examples if isinstance(one, Mapping)] if isinstance(examples, list) else []
    found.text = _clean("\n".join(f"row {one.get('row')}: {one.get('value')!r}" for one in rows)) or None


def _case(suite: ElementTree.Element, group: str, name: str) -> ElementTree.Element:
    return ElementTree.SubElement(suite, "testcase", classname=_clean(group), name=_clean(name))


def _clean(text: str) -> str:
    """The text without the characters that XML cannot hold."""
    return "".join(
        c if c in "\t\n\r" or (c >= " " and not "\ud800" <= c <= "\udfff" and c < "\ufffe") else "�" for c in text
    )
