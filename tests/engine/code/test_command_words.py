"""What a shell command's text makes it depend on: the scripts and files that it names, however they are written."""

from pathlib import Path

import pytest

from treadle.code import DictMemo, Project
from treadle.code.words import words

FILES = {
    "train.py": "from helper import V\nprint(V)\n",
    "helper.py": "V = 1\n",
    "conf/a.yaml": "a: 1\n",
    "sub/inner.py": "import near\n",
    "sub/near.py": "N = 1\n",
    "sub/steps.sh": '#!/bin/sh\ncd "$(dirname "$0")"\n. ./common.sh\npython inner.py > made.txt\ncat ../conf/a.yaml\n',
    "sub/common.sh": "X=1  # don't\n",
    "src/deep.py": "from deeper import W\n",
    "src/deeper.py": "W = 1\n",
    "uses_deep.py": "import deep\n",
    "made.txt": "1\n",
    "pack/__init__.py": "",
    "pack/__main__.py": "from . import rest\n",
    "pack/rest.py": "R = 1\n",
}
TRAIN, INNER, DEEP = {"train.py", "helper.py"}, {"sub/inner.py", "sub/near.py"}, {"src/deep.py", "src/deeper.py"}
SCRIPT = {"sub/steps.sh", "sub/common.sh", *INNER}
ROWS: list[tuple[str, dict[str, str], set[str]]] = [
    ("python train.py > {out.x}", {}, TRAIN),
    ("./train.py;echo", {}, TRAIN),
    ("(python train.py)|cat>made.txt", {}, TRAIN),
    ("true && python train.py 2>&1 | tee made.txt", {}, TRAIN),
    ("x=$(python train.py); y=`python sub/inner.py`", {}, TRAIN | INNER),
    ("python train.py --config=conf/a.yaml", {}, TRAIN | {"conf/a.yaml"}),
    ("python train.py \\\n  -c ./conf/a.yaml\n", {}, TRAIN | {"conf/a.yaml"}),
    ("sh -c 'python train.py <conf/a.yaml'", {}, TRAIN | {"conf/a.yaml"}),
    ("cd sub && python inner.py --c ../conf/a.yaml", {}, INNER | {"conf/a.yaml"}),
    ("(cd sub; python inner.py); python train.py", {}, INNER | TRAIN),
    ("cd sub && python train.py", {}, set()),
    ("bash sub/steps.sh", {}, SCRIPT),
    ("cd sub; ./steps.sh", {}, SCRIPT),
    ("python uses_deep.py", {}, {"uses_deep.py"}),
    ("PYTHONPATH=src python uses_deep.py", {}, {"uses_deep.py"} | DEEP),
    ("python uses_deep.py", {"PYTHONPATH": "src"}, {"uses_deep.py"} | DEEP),
    ("python -m pack", {}, {"pack/__init__.py", "pack/__main__.py", "pack/rest.py"}),
    ("python -m pip --version", {}, set()),
    ("echo don't", {}, set()),
]


@pytest.mark.parametrize(("command", "env", "expected"), ROWS, ids=[row[0] for row in ROWS])
def test_the_files_of_a_command(command: str, env: dict[str, str], expected: set[str], tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    closure = Project(str(tmp_path), DictMemo(), []).command(command, env)
    found = {str(Path(path).relative_to(tmp_path)) for path in closure.files}
    assert found | set(closure.opened) == expected


def test_nested_quotes_end() -> None:
    text = "x y"
    for _ in range(8):
        text = "sh -c " + repr(text)
    assert len(words(text)[1]) < 100
