"""The model itself in a process of its own, and forms that answer without it."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from treadle.serve.aside import Aside, FailedAside

COLUMNS = {
    "a": np.array([1.0, np.nan]),
    "n": np.array([1, -2]),
    "zone": np.array(["Z1", None], dtype=object),
    "at": np.array(["2026-01-01", "NaT"], dtype="datetime64[ns]"),
}


class Echo:
    """Answers what it was given, where, and whether it was made."""

    def __init__(self) -> None:
        self.made = False

    def __call__(self, columns: Mapping[str, Any]) -> Any:
        if "die" in columns:
            os._exit(3)
        if "bad" in columns:
            raise ValueError("this row is cursed")
        return np.array([os.getpid(), int(self.made), len(columns)])

    def probabilities(self, columns: Mapping[str, Any]) -> Any:
        return np.array([[repr(values.dtype), repr(values.tolist())] for values in columns.values()], dtype=object)

    def complete(self) -> None:
        self.made = True


def test_it_is_made_and_asked_in_another_process() -> None:
    model = Echo()
    aside = Aside(model)
    aside.complete()
    pid, made, count = aside(COLUMNS)
    assert (pid != os.getpid(), made, count, model.made) == (True, 1, 4, False)
    told = [[repr(values.dtype), repr(values.tolist())] for values in COLUMNS.values()]
    assert aside.probabilities(COLUMNS).tolist() == told  # every type arrives as it was
    aside.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


def test_what_it_raises_is_said_and_a_dead_one_is_replaced() -> None:
    aside = Aside(Echo())
    first = aside(COLUMNS)[0]
    with pytest.raises(FailedAside, match="ValueError: this row is cursed"):
        aside({"bad": np.zeros(1)})
    assert aside(COLUMNS)[0] == first
    with pytest.raises(FailedAside, match="the process that holds the model ended"):
        aside({"die": np.zeros(1)})
    assert aside(COLUMNS)[0] != first
    aside.close()


def test_it_holds_nothing_of_its_parent_and_ends_with_it(tmp_path: Path) -> None:
    code = """
import os, socket, sys
import numpy as np
from treadle.serve.aside import Aside
class Model:
    def __call__(self, columns):
        return np.array([os.getpid(), len(os.listdir("/proc/self/fd"))])
    probabilities = __call__
    def complete(self): pass
held = [socket.socket() for _ in range(20)]
print(*Aside(Model())({"a": np.zeros(1)}), flush=True)
os._exit(0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    pid, open_files = map(int, done.stdout.split())
    assert open_files <= 5, done.stderr
    for _ in range(200):
        if not Path(f"/proc/{pid}/cmdline").exists() or not Path(f"/proc/{pid}/cmdline").read_bytes():
            return
        subprocess.run(["sleep", "0.05"], check=True)
    pytest.fail("it lives on")


def test_a_form_answers_without_scikit_learn_and_pandas(tmp_path: Path) -> None:
    import pandas as pd
    from sklearn.ensemble import HistGradientBoostingClassifier

    from treadle_steps.compiled import verdict

    frame = pd.DataFrame({"a": np.linspace(0, 1, 80), "b": np.linspace(1, 0, 80) ** 2})
    model = HistGradientBoostingClassifier(max_iter=5).fit(frame, frame.a > 0.5)
    fields = [{"name": name, "dtype": "double"} for name in frame]
    found = verdict.verdict(model, fields, frame)
    assert found.text.startswith("compiled: ")
    (tmp_path / "form").write_bytes(found.form)
    code = f"""
import sys
import numpy as np
from treadle_steps.codecs import SkopsCodec
def read():
    raise SystemExit("the model itself was made")
codec = SkopsCodec()
codec.prepare(True)
card = {{"compiled": "compiled: equal", "signature": {{"inputs": {fields!r}}}}}
answer = codec.predictor(read, card, [{{"a": 0.1, "b": 0.9}}], open({str(tmp_path / "form")!r}, "rb").read())
columns = {{"a": np.array([0.2, 0.9]), "b": np.array([0.7, 0.0])}}
print(answer(columns).tolist(), answer.probabilities(columns).shape)
print(sorted({{"sklearn", "pandas", "scipy", "skops"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout == "[False, True] (2, 2)\n[]\n", done.stderr
