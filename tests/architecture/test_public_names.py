"""What others may import, name by name: a change here is a change for users."""

import subprocess
import sys

import treadle
import treadle.authoring

PUBLIC = ["__version__", "check", "plan", "run"]
AUTHORING = [
    "Checked",
    "Codec",
    "CodecError",
    "Describer",
    "Formed",
    "Mistake",
    "ModelCard",
    "ModelFormat",
    "StepContext",
    "StepError",
    "Takes",
    "TreadleError",
    "read_table_schema",
    "rollout_mistakes",
    "secret",
]


def test_the_names_of_the_package() -> None:
    assert sorted(treadle.__all__) == sorted(PUBLIC)
    assert [name for name in PUBLIC if not hasattr(treadle, name)] == []


def test_the_names_for_authors_of_steps() -> None:
    assert sorted(treadle.authoring.__all__) == sorted(AUTHORING)
    assert [name for name in AUTHORING if not hasattr(treadle.authoring, name)] == []


def test_importing_the_package_loads_no_room() -> None:
    ask = "import sys, treadle; print(*sorted(m for m in sys.modules if m.startswith('treadle.')))"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["treadle.version"]
