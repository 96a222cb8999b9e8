"""Whatever bytes a file holds, `check` answers with problems: no traceback, no second, no flood of memory."""

import os
import random
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.sources import ROOT
from treadle.document import grammar
from treadle.document.parse import parse, plain
from treadle.document.pipeline import PIPELINE

COUNT = int(os.environ.get("TREADLE_FUZZ", "1500"))
REAL = (ROOT / "pipelines/surge_pricing.yaml").read_bytes()
PIECES = [
    b"&a ",
    b"*a",
    b"!!x ",
    b"<<: ",
    b"{",
    b"[",
    b"- ",
    b": ",
    b"\t",
    b"\0",
    b"\xff",
    b"---\n",
    b"? ",
    b"'",
    b'"',
    b"|\n",
    b"%YAML\n",
]


def survives(data: bytes) -> None:
    node, problems = parse(data, "x.yaml")
    assert node is not None or problems
    if node is not None:
        grammar.check(node, PIPELINE, "x.yaml")
        plain(node)


@settings(max_examples=COUNT // 3, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=300))
def test_random_bytes(data: bytes) -> None:
    survives(data)


@settings(max_examples=COUNT // 3, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.text(alphabet=st.sampled_from("ab:-{}[]&*!|>'\"#%@` \n\t?,0.~<"), max_size=120))
def test_random_text(text: str) -> None:
    survives(text.encode())


@settings(max_examples=COUNT // 3, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32))
def test_real_files_with_pieces_put_in_and_taken_out(seed: int) -> None:
    draw = random.Random(seed)
    data = bytearray(REAL)
    for _ in range(draw.randint(1, 6)):
        at = draw.randrange(len(data))
        if draw.random() < 0.5:
            data[at:at] = draw.choice(PIECES)
        else:
            del data[at : at + draw.randint(1, 30)]
    survives(bytes(data))


BOMB = (
    "a: &a ["
    + ",".join("x" * 9)
    + "]\n"
    + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(12))
)
BIG = {
    "nesting": "'[' * 200000",
    "maps": "'{a: ' * 100000",
    "scalar": "'a: ' + 'x' * 10_000_000",
    "keys": "''.join(f'k{n}: 1\\n' for n in range(60000))",
    "bomb": repr(BOMB),
    "numbers": "'a: ' + '9' * 1_000_000",
    "quotes": "'a: \"' + 'x\\n' * 100000",
}
ASK = """
import resource
from pathlib import Path
from treadle.document import grammar
from treadle.document.parse import parse
from treadle.document.pipeline import PIPELINE
data = ({}).encode()
node, problems = parse(data, "x")
if node is not None:
    problems = [*problems, *grammar.check(node, PIPELINE, "x")]
assert problems
status = Path("/proc/self/status")  # ru_maxrss would count the parent's memory, which fork hands on
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
if status.exists():
    peak = int(status.read_text().split("VmHWM:")[1].split()[0])
print(peak)
"""


@pytest.mark.parametrize("name", BIG)
def test_large_hostile_documents_cost_little(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASK.format(BIG[name])], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    memory = float(done.stdout)
    assert memory < 200 * 1024, f"{memory / 1024:.0f} MB"


@pytest.mark.parametrize("data", [b"\xff\xfea\0", b"\xef\xbb\xbfversion: 1\r\nsteps:\r\n  a: {run: x}\r\n", b"", b"\0"])
def test_encodings(data: bytes) -> None:
    survives(data)
