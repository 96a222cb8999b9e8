"""The model itself in a process of its own, and forms that answer without it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec import msgpack

from support.served import FakeShelf, Served, Sums, a_version, serving
from treadle.serve.aside import READY, Aside, FailedAside, _send, _serve
from treadle.serve.predictor import Unmade

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
    with pytest.raises(Unmade):
        aside(COLUMNS)  # whoever asks is not kept waiting
    aside.complete()
    first = aside(COLUMNS)[0]
    with pytest.raises(FailedAside, match="ValueError: this row is cursed"):
        aside({"bad": np.zeros(1)})
    assert aside(COLUMNS)[0] == first
    with pytest.raises(FailedAside, match="the process that holds the model ended"):
        aside({"die": np.zeros(1)})
    with pytest.raises(Unmade):
        aside(COLUMNS)
    aside.complete()
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
aside = Aside(Model())
aside.complete()
print(*aside({"a": np.zeros(1)}), flush=True)
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


class Gated:
    """A model that takes until a file is there to be made; it triples the sum."""

    def __init__(self, gate: Path) -> None:
        self.gate = gate

    def __call__(self, columns: Mapping[str, Any]) -> Any:
        return 3 * sum(columns.values())

    probabilities = __call__

    def complete(self) -> None:
        while not self.gate.exists():
            time.sleep(0.01)
        if self.gate.read_text():
            raise ValueError(self.gate.read_text())


class Partly(Sums):
    """Leaves rows that begin with 7 to the model itself."""

    def __init__(self, original: Aside) -> None:
        super().__init__(a_version(1))
        self.original = original

    def predict(self, columns: Mapping[str, Any]) -> Any:
        return self.original(columns) if (columns["a"] == 7).any() else super().predict(columns)

    def complete(self) -> None:
        self.original.complete()


def ask(served: Served, value: float) -> Any:
    found = served.ask("POST", "/invocations", {"instances": [[value, 0, 0]]})
    return found.json()["predictions"][0] if found.status == 200 else found.json()["message"]


@pytest.mark.parametrize("failure", ["", "this file is no model"])
def test_others_are_answered_while_the_model_itself_is_made(failure: str, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    aside = Aside(Gated(gate))
    with serving(FakeShelf({1: Partly(aside)})) as served, ThreadPoolExecutor(3) as pool:
        late = [pool.submit(ask, served, 7) for _ in range(3)]
        assert [ask(served, value) for value in range(1, 6)] * 10 == [1, 2, 3, 4, 5] * 10
        assert not any(one.done() for one in late)
        gate.with_suffix(".part").write_text(failure)
        gate.with_suffix(".part").rename(gate)
        told = [one.result(30) for one in late]
        if failure:
            assert all(f"the model failed: ValueError: {failure}" in one for one in told), told
        else:
            assert told == [21, 21, 21]
            assert ask(served, 7) == 21
        assert ask(served, 2) == 2
        assert served.ask("GET", "/v2/health/ready").status == 200
    aside.close()


def test_a_worker_that_ends_leaves_no_trace_of_the_process_beside_it(capfd: pytest.CaptureFixture[str]) -> None:
    """It may be in the middle of an answer then."""
    ours, theirs = socket.socketpair()
    _send(ours, READY, msgpack.encode({}))
    ours.close()
    pid = os.fork()
    if pid == 0:
        try:
            _serve(theirs, Echo())
        except OSError:
            os.write(2, b"it raised")
        os._exit(0)
    theirs.close()
    os.waitpid(pid, 0)
    assert capfd.readouterr().err == ""


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
