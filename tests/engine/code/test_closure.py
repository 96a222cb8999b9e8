"""Closures from inside: how little is read again, what is said of what cannot be followed, what sources are kept."""

import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from treadle.code import CodeError, DictMemo, Project
from treadle.code.files import AT_REST
from treadle.run import pickled


def a_project(root: Path, files: Mapping[str, str], memo: DictMemo | None = None) -> Project:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return Project(str(root), memo or DictMemo(), [])


STEP = {
    "work.py": "import more\n\ndef f():\n    return more.g()\n",
    "more.py": "def g():\n    return 1\n\ndef h():\n    pass\n",
}
SCRIPT = {"script.py": "import more\nprint(more.g())\n"}


def test_with_nothing_changed_no_file_is_read_and_none_is_parsed(tmp_path: Path) -> None:
    memo = DictMemo()
    a_project(tmp_path, STEP, memo)
    time.sleep(AT_REST / 1e9 + 0.1)
    first = Project(str(tmp_path), memo, [])
    closure, shape = first.closure("work:f"), first.shape("work:f")
    assert (first.files.read, first.files.summarized) == (2, 2)
    second = Project(str(tmp_path), memo, [])
    assert (second.closure("work:f"), second.shape("work:f")) == (closure, shape)
    assert (second.files.read, second.files.summarized) == (0, 0)
    (tmp_path / "more.py").write_text(STEP["more.py"].replace("1", "2"))
    third = Project(str(tmp_path), memo, [])
    assert third.closure("work:f").parts != closure.parts
    assert (third.files.read, third.files.summarized) == (1, 1)


def test_a_file_is_parsed_once_for_all_steps_and_all_checkouts(tmp_path: Path) -> None:
    memo = DictMemo()
    files = {"shared.py": "\n".join(f"def g{n}():\n    return {n}\n" for n in range(50))}
    files["work.py"] = "import shared\n" + "\n".join(f"def f{n}():\n    return shared.g{n}()\n" for n in range(50))
    project = a_project(tmp_path / "one", files, memo)
    closures = [project.closure(f"work:f{n}") for n in range(50)]
    assert project.files.summarized == 2
    assert all(list(closures[n].parts) == [f"code shared:g{n}", f"code work:f{n}"] for n in range(50))
    again = a_project(tmp_path / "two", files, memo)
    assert again.closure("work:f7").parts == closures[7].parts
    assert again.files.summarized == 0


def test_the_source_of_a_definition_is_kept_under_its_digest(tmp_path: Path) -> None:
    project = a_project(tmp_path, STEP)
    before = project.closure("work:f").parts["code more:g"]
    assert project.source(before) == "def g():\n    return 1"
    assert project.source("unknown") is None
    long = "def g():\n    return [\n" + "".join(f"        'line {n}',\n" for n in range(500)) + "    ]"
    project = a_project(tmp_path, {**STEP, "more.py": long + "\n"})
    assert project.source(project.closure("work:f").parts["code more:g"]) == long


NOTES = [
    ("import more\ndef f(n):\n    return getattr(more, n)()\n", "passes the module more on as a value"),
    ("import more\nmore.LIMIT = 3\ndef f():\n    return more.g()\n", "assigns to names of more from outside"),
    ("import more\ndef f():\n    setattr(more, 'x', 1)\n", "assigns to names of more from outside"),
    ("import glob\ndef f():\n    return glob.glob('sql/*.sql')\n", "line 3 lists files by 'sql/*.sql'"),
    ("from pathlib import Path\ndef f():\n    return list(Path('sql').rglob('*.sql'))\n", "lists files by 'sql/*.sql'"),
    ("import os\ndef f():\n    return os.listdir('sql')\n", "lists files by 'sql'"),
    ("import os\ndef f(n):\n    return os.system(n)\n", "line 3 runs a computed command"),
    ("def f():\n    return open('script.py').read()\n", "names the script script.py"),
    ("from runpy import run_path as go\ndef f(n):\n    return go(n)\n", "calls runpy.run_path 'go'"),
    ("import importlib\ndef f(n):\n    return importlib.import_module(n)\n", "by a computed name in line 3"),
    ("def f(n):\n    return __import__(n)\n", "imports a module by a computed name"),
    ("import importlib\ndef f():\n    return importlib.import_module('more')\n", "imports more by a text"),
    ("def f(n):\n    exec(n)\n", "runs text as code with exec in line 2"),
    ("def f(n):\n    return globals()[n]\n", "looks names up with globals()"),
    ("import sys\ndef f(n):\n    return sys.modules[n]\n", "looks modules up in sys.modules"),
    ("def f():\n    return make().__subclasses__()\nmake = int\n", "looks for subclasses"),
    ("import more\ndef f():\n    return more.nowhere\n", "uses more.nowhere, which is made while the program runs"),
    ("def f():\n    return open('no/such.sql').read()\n", "reads 'no/such.sql', which is not in the project"),
    ("def f(n):\n    return open(f'sql/{n}.sql').read()\n", "reads a computed path below 'sql/'"),
    ("def f(base):\n    return base / 'a.sql'\n", "makes a path that ends in 'a.sql'"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "words"), NOTES, ids=[words for _, words in NOTES])
def test_what_cannot_be_followed_is_said(source: str, words: str, tmp_path: Path) -> None:
    project = a_project(tmp_path, {**STEP, **SCRIPT, "work.py": source})
    notes = project.closure("work:f").notes
    assert any(words in note for note in notes), notes


def test_what_can_be_followed_needs_no_words(tmp_path: Path) -> None:
    source = (
        "import more\ndef f(row):\n    more = row\n    list(row.glob('*.csv'))\n"
        "    return more, [more for more in row], getattr(row, row.name)\n"
    )
    closure = a_project(tmp_path, {**STEP, "work.py": source}).closure("work:f")
    assert closure.notes == ()
    assert list(closure.parts) == ["code work:f"]


@pytest.mark.parametrize(
    "source",
    [
        "from more import g\ndef f():\n    return [g() for _ in (1,)]\n",
        "import more as m\nf = lambda: m.g()\n",
        "import more\ndef f():\n    return getattr(more, 'g')()\n",
        "import more\ndef f(x=more.g()):\n    return x\n",
        "import more\nclass f:\n    x = more.g()\n",
        "import more\n@more.g\ndef f():\n    pass\n",
        "import more\nclass f(more.g):\n    pass\n",
        "import more\ndef f():\n    def inner():\n        return more.g()\n    return inner\n",
        "import more\nfrom functools import partial\nf = partial(more.g)\n",
        "try:\n    from more import g\nexcept ImportError:\n    g = None\ndef f():\n    return g()\n",
        "import importlib\ndef f():\n    return importlib.import_module('more').g()\n",
        "from importlib import import_module as im\ndef f():\n    return im('more').g()\n",
        "def f():\n    from importlib import import_module as im\n    return im('more').g()\n",
        "import pkgutil\ndef f():\n    return pkgutil.resolve_name('more:g')()\n",
        "import more\ndef f():\n    return more.__dict__['g']()\n",
        "import more\nTABLE = {'a': more.g}\ndef f(name):\n    return TABLE[name]()\n",
        "import more\nX = type('X', (object,), {'g': more.g})\ndef f():\n    return X().g()\n",
        "import operator, more\ndef f():\n    return operator.attrgetter('g')(more)()\n",
        "import more\ndef f():\n    return f'{more.g()}'\n",
        "import more\ndef outer():\n    return more.g\nf = outer()\n",
        "import subprocess\ndef f():\n    return subprocess.run(['python', '-m', 'more'])\n",
        "import subprocess\ndef f():\n    return subprocess.run(['python', 'script.py'])\n",
        "import os\ndef f():\n    return os.system('python script.py --fast')\n",
        "from subprocess import check_output\ndef f():\n    return check_output('python script.py', shell=True)\n",
        "import runpy\ndef f():\n    return runpy.run_path('script.py')\n",
        "import more\nfor name in ('a',):\n    f = more.g\n",
        "from more import g as f\n",
        "from more import *\ndef f():\n    return g()\n",
    ],
)
def test_every_road_to_a_helper_is_followed(source: str, tmp_path: Path) -> None:
    one = a_project(tmp_path / "a", {**STEP, **SCRIPT, "work.py": source}).closure("work:f")
    changed = {**STEP, **SCRIPT, "more.py": STEP["more.py"].replace("return 1", "return 2"), "work.py": source}
    assert a_project(tmp_path / "b", changed).closure("work:f").parts != one.parts


@pytest.mark.parametrize(
    "line",
    [
        "sys.path.insert(0, 'vendor')",
        "sys.path.append('vendor')",
        "sys.path[:0] = ['vendor']",
        "sys.path += ['vendor']",
        "sys.path = ['vendor', *sys.path]",
        "import site; site.addsitedir('vendor')",
    ],
)
def test_where_modules_are_looked_for_is_changed(line: str, tmp_path: Path) -> None:
    work = f"import sys\n{line}\nimport apart\ndef f():\n    return apart.g()\n"
    files = {"work.py": work, "vendor/apart.py": "def g():\n    return 1\n"}
    one = a_project(tmp_path / "a", files).closure("work:f")
    assert any("changes where modules are looked for" in note for note in one.notes)
    changed = {**files, "vendor/apart.py": "def g():\n    return 2\n"}
    assert a_project(tmp_path / "b", changed).closure("work:f").parts != one.parts


def test_circles_of_imports_and_of_calls_end(tmp_path: Path) -> None:
    files = {
        "work.py": "from other import *\nfrom other import g\n\ndef f():\n    return g()\n",
        "other.py": "from work import *\nimport work\n\ndef g():\n    return work.f(), missing\n",
    }
    assert {"code work:f", "code other:g"} <= set(a_project(tmp_path, files).closure("work:f").parts)


def test_code_that_does_not_parse_counts_byte_by_byte(tmp_path: Path) -> None:
    closure = a_project(tmp_path, {**STEP, "more.py": "def g(:\n"}).closure("work:f")
    assert "code more" in closure.parts
    assert "more does not parse: it counts byte by byte" in closure.notes


def test_a_name_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    project = a_project(tmp_path, STEP)
    with pytest.raises(CodeError, match="has no function called 'ff'"):
        project.closure("work:ff")
    with pytest.raises(CodeError, match="not of the form"):
        project.closure("work")


def test_a_pickle_names_its_classes() -> None:
    import pickle
    from datetime import date
    from fractions import Fraction

    for protocol in (0, 2, 4, 5):
        data = pickle.dumps([date(2026, 1, 1), Fraction(1, 2), Fraction(3, 4), date], protocol)
        assert {"datetime.date", "fractions.Fraction"} <= set(pickled.names(data))
    with pytest.raises(ValueError, match="unknown"):
        pickled.names(b"no pickle")


PATHS = """
import json, os
from pathlib import Path
import config
from config import DATA as D
from pack import settings
HERE = Path(__file__).parent
ROOT = os.path.dirname(os.path.abspath(__file__))
CONF = HERE / "conf" / "a.yaml"
NAME = "conf"
TWICE = HERE / "conf"
TWICE = HERE / "other"
OUT = f"{ROOT}/out/m.json"
def a(): return CONF.read_text()
def b(): return open(f"{NAME}/b.txt").read()
def c(): return open(os.path.join(ROOT, "conf", "b.txt")).read()
def d(): return (config.DATA / "b.txt").read_text(), (D / "a.yaml").read_text()
def e(): return open(settings.PLACE / "b.txt")
def f(): return CONF.with_name("b.txt").read_text()
def g(): return (Path.cwd() / NAME / "b.txt").read_text()
def h(p=D / "b.txt"): return p.read_text()
def i(): return (TWICE / "a.yaml").read_text()
def j(n): return (HERE / n / "a.yaml").read_text()
def k(): open(OUT, "w").write(open(OUT).read())
def l():
    path = HERE / "out" / "m.json"
    path.write_text("{}")
    return json.loads(path.read_text())
def m(): save_report(OUT)
def n(): return open(OUT).read()
def save_report(path): pass
"""


@pytest.mark.parametrize(
    ("name", "opened"),
    [
        ("a", "conf/a.yaml"),
        ("b", "conf/b.txt"),
        ("c", "conf/b.txt"),
        ("d", "conf/a.yaml conf/b.txt"),
        ("e", "conf/b.txt"),
        ("f", "conf/a.yaml conf/b.txt"),
        ("g", "conf/b.txt"),
        ("h", "conf/b.txt"),
        ("i", ""),
        ("j", ""),
        ("k", ""),
        ("l", ""),
        ("m", "out/m.json"),
        ("n", "out/m.json"),
    ],
)
def test_paths_are_followed_through_constants(name: str, opened: str, tmp_path: Path) -> None:
    files = {
        "work.py": PATHS,
        "config.py": "import pathlib\nBASE = pathlib.Path(__file__).resolve().parent\nDATA: object = BASE / 'conf'\n",
        "pack/__init__.py": "",
        "pack/settings.py": "from config import BASE\nPLACE = BASE / 'conf'\n",
        **dict.fromkeys(("conf/a.yaml", "conf/b.txt", "out/m.json"), "1"),
    }
    assert " ".join(a_project(tmp_path, files).closure(f"work:{name}").opened) == opened


KINDS = """
class K:
    @classmethod
    def make(cls, x: int = 1): return x
    def bound(self, x): return x
def words() -> "some words (": return 1
"""


def test_signatures_of_classmethods_methods_and_annotations_in_words(tmp_path: Path) -> None:
    project = a_project(tmp_path, {"work.py": KINDS})
    assert [argument.name for argument in project.signature("work:K.make").arguments] == ["x"]
    assert project.signature("work:words").outputs == ()
    with pytest.raises(CodeError, match="needs an object"):
        project.signature("work:K.bound")
