"""A codec says so when the disk takes only a part of what it writes, wherever that happens."""

import subprocess
import sys
from pathlib import Path

import pytest

from crash import faults

WHY_NOT = faults.missing()
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "strace works")
SCRIPTS = {
    "npy": "import numpy; from treadle_steps.codecs import NpyCodec as C; value = numpy.arange(7)",
    "parquet": "import pyarrow; from treadle_steps.codecs import ParquetCodec as C; value = pyarrow.table({'a': [1]})",
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_write_that_fails_goes_unnoticed(tmp_path: Path, name: str) -> None:
    target, trace = tmp_path / f"out.{name}", tmp_path / "trace"
    script = f"import sys, pathlib; {SCRIPTS[name]}; C().write(value, pathlib.Path(sys.argv[1]))"
    struck = 0
    for number in range(1, 20):
        fault = f"inject=write,pwrite64:error=ENOSPC:when={number}"
        strace = ["strace", "-o", str(trace), "-P", str(target), "-e", "trace=write,pwrite64", "-e", fault]
        done = subprocess.run([*strace, sys.executable, "-c", script, str(target)], capture_output=True, timeout=60)
        if "INJECTED" not in trace.read_text():
            assert done.returncode == 0, done.stderr
            break
        struck += 1
        assert done.returncode != 0, f"write {number} failed, and nobody was told"
    assert struck
