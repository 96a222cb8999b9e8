"""Keys of fixed steps and digests of fixed code, as releases must keep them.

`python tests/support/recorded.py` writes the file.
Write it only together with a new KEY_VERSION and a line in CHANGELOG.md: every user's cache misses once.
"""

import json
import math
import tempfile
from pathlib import Path
from typing import Any

from treadle.code import DictMemo, Project
from treadle.domain.location import Location
from treadle.domain.plan import PlannedStep
from treadle.domain.spec import Output
from treadle.run import keys

RECORDED = Path(__file__).parents[1] / "cache" / "recorded_keys.json"
CODE = '''
"""Doc."""
from dataclasses import dataclass, field
from typing import Optional
import json
LIMIT: int = 1_000
NAMES = ["a", "b"]
NAMES += ["c"]
@dataclass(frozen=True)
class Row:
    """Doc."""
    a: Optional[int] = None
    b: "list[str]" = field(default_factory=list)
    def total(self, *rest: int, scale: float = 2.5) -> float:
        return sum(rest, self.a or 0) * scale
def step(rows, *, threshold=-0.5, deep=(1, (2, [3, {"x": 1j}]))):
    found = {row.a: f"{row.b!r:>10}" for row in rows if (n := row.a) and n < LIMIT}
    try:
        match found:
            case {"a": [1, *more], **others}:
                return more, others
            case Row(a=int() as a) | [a]:
                return a
    except* ValueError:
        pass
    return json.dumps(found), lambda x, /, y=1, *z, **k: x @ y, NAMES[1:-1:2], b"\\x00", ...
print("effect")
'''


def planned(**given: Any) -> PlannedStep:
    """A step with sound defaults."""
    given = {"id": "s", "kind": "function", "call": "m:f", "where": Location("x.yaml", 1, 1), **given}
    return PlannedStep(**{"outputs": (Output("out"),), **given})


def key(step: PlannedStep, inputs: dict[str, str] | None = None, parts: dict[str, str] | None = None) -> str:
    """The key of a step on a Python that is always the same."""
    made = keys.step_key(step, keys.Code(parts or {"code m:f": "abc"}, {"pandas": "2.2.0"}), inputs or {})
    return keys.digest({**made.parts, "python": "3.0"} if "python" in made.parts else made.parts)


def current() -> dict[str, Any]:
    """What the file should hold."""
    values: dict[str, Any] = {
        "int": 1,
        "float": 1.0,
        "bool": True,
        "text": "1",
        "null": None,
        "nan": math.nan,
        "zero": 0.0,
        "minus zero": -0.0,
        "infinity": math.inf,
        "large": 10**30,
        "list": [1, [2.5, "x"]],
        "map": {"b": 1, "a": {"c": [True]}},
        "long": "x" * 500,
        "unicode": "ä€😀",
    }
    steps = {f"param {name}": key(planned(params={"p": value})) for name, value in values.items()}
    steps["command"] = key(planned(kind="command", call="cp {in.a} {out.b}"), {"a": "file:1"}, {"command": "cp x x"})
    steps["inputs"] = key(planned(), {"a": keys.inputs_digest(["1", "2"], True), "b": "3"})
    steps["declared"] = key(
        planned(env={"A": "1"}, code_version="7", no_key=("q",), params={"q": 1}, environment="off")
    )
    steps["outputs"] = key(planned(outputs=(Output("a"), Output("b", codec="json")), declared=True))
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "fixed.py").write_text(CODE, encoding="utf-8")
        code = Project(folder, DictMemo(), []).closure("fixed:step").parts
    return {"key version": keys.KEY_VERSION, "steps": steps, "code": code}


if __name__ == "__main__":
    RECORDED.write_text(json.dumps(current(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
