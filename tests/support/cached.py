"""A project in which every step reaches its code by another road, run once; edits are tried on copies of it."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from support.project import Project, a_project
from treadle.api import pipelines
from treadle.api.compiled import Request

FILES: Mapping[str, str] = {
    "pipeline.yaml": """
        version: 1
        params: {alpha: 0.1, count: 1, spare: 5}
        data: {raw: {path: "data/*.txt"}}
        steps:
          near: {uses: "near:step", in: {raw: data.raw}}
          other: {uses: "near:other"}
          package: {uses: "flow:build"}
          star: {uses: "flow.starred:step"}
          decorated: {uses: "decorated:step"}
          dynamic: {uses: "dynamic:step"}
          computed: {uses: "computed:step"}
          registry: {uses: "registered:step"}
          patched: {uses: "patched:step"}
          files: {uses: "files:step"}
          typed: {uses: "typed:step"}
          lazy: {uses: "lazily:step"}
          conditional: {uses: "conditional:step"}
          alias: {uses: "aliased:step"}
          late: {uses: "late:step"}
          textual: {uses: "textual:step"}
          tuned: {uses: "tuned:step", with: {alpha: "${params.alpha}", deep: {a: [{b: 1}]}}}
          shell: {run: "python scripts/total.py > {out.total}", out: {total: total.txt}}
          globbed: {uses: "tuned:plain", code: ["sql/*.sql"]}
          pinned: {uses: "tuned:pinned", code_version: "1"}
          threads: {uses: "tuned:threads", with: {n: "${params.count}"}, no_key: [n]}
          declared: {uses: "tuned:plain", env: {MODE: fast}}
          hidden: {uses: "tuned:plain", secrets: [TOKEN]}
          always: {uses: "tuned:plain", cache: false}
          brief: {uses: "tuned:plain", cache: {ttl: 1d}}
          below: {uses: "tuned:below", in: {value: near}}
          configured: {uses: "tuned:configured", with: {deep: [conf/rates.txt], log: conf/log.txt}, no_key: [log]}
          shaped: {run: "cat {params.table} > {out.o}", with: {table: conf/table.txt}, out: {o: o.txt}}
    """,
    "data/a.txt": "one\n",
    "data/b.txt": "two\n",
    "near.py": '''
        """The first step."""
        from helpers import clean


        def step(raw):
            """Read all."""
            return [clean(path.read_text()) for path in sorted(raw)]  # each file


        def other():
            return "other"
    ''',
    "helpers.py": """
        import deeper
        from deeper import MARK


        def clean(text):
            return deeper.strip(text) + MARK


        def unrelated():
            return 1
    """,
    "deeper.py": """
        MARK = "!"
        UNUSED = 1


        def strip(text: str, chars: str = " ") -> str:
            return text.strip(chars)
    """,
    "flow/__init__.py": """
        from .constants import RATE
        from .build import build

        STATE = []
        STATE.append(1)
    """,
    "flow/build.py": """
        from . import RATE
        from .models import Model


        def build():
            return Model().run() * RATE
    """,
    "flow/constants.py": "RATE = 2\nLIMIT = 3\n",
    "flow/models.py": """
        from .base import Base as _Base


        class Model(_Base):
            size = 4

            def run(self):
                return self.value() + self.size
    """,
    "flow/base.py": """
        class Root:
            def value(self):
                return self.seed()

            def seed(self):
                return 1


        class Base(Root):
            pass


        class Stranger:
            pass
    """,
    "flow/starred.py": """
        from .everything import *


        def step():
            return shown(1)
    """,
    "flow/everything.py": """
        __all__ = ["shown"]


        def shown(x):
            return _inner(x)


        def _inner(x):
            return x


        def hidden(x):
            return -x
    """,
    "decorated.py": """
        from wrapping import twice
        from settings_of import DEFAULT


        @twice
        def step(n=DEFAULT, *, m=3):
            return n + m
    """,
    "wrapping.py": """
        import functools


        def twice(function):
            @functools.wraps(function)
            def call(*args, **kwargs):
                return function(*args, **kwargs) * 2

            return call


        def thrice(function):
            return function
    """,
    "settings_of.py": "DEFAULT = 1\nSPARE = 2\n",
    "dynamic.py": """
        import choices


        def step():
            return getattr(choices, "a" + "b")()
    """,
    "choices.py": "def ab():\n    return 1\n\n\ndef cd():\n    return 2\n",
    "computed.py": """
        import importlib


        def step():
            name = "first"
            return importlib.import_module(f"plugs.{name}").run()
    """,
    "plugs/__init__.py": "",
    "plugs/first.py": "def run():\n    return 1\n",
    "plugs/second.py": "def run():\n    return 2\n",
    "registered.py": """
        import handlers
        from register import TABLE


        def step():
            return TABLE["a"]()
    """,
    "register.py": """
        TABLE = {}


        def register(name):
            def wrap(function):
                TABLE[name] = function
                return function

            return wrap
    """,
    "handlers.py": """
        from register import register


        @register("a")
        def handle():
            return 1


        def idle():
            return 2
    """,
    "patched.py": """
        import target

        target.LEVEL = 2


        def step():
            return target.level()
    """,
    "target.py": "LEVEL = 1\n\n\ndef level():\n    return LEVEL\n\n\ndef apart():\n    return 0\n",
    "files.py": """
        from pathlib import Path


        def step():
            query = open("sql/query.sql").read()
            words = (Path("conf") / "words.txt").read_text()
            return query + words + (Path(__file__).parent / "beside.json").read_text()


        def unreached():
            return open("sql/other.sql").read()
    """,
    "sql/query.sql": "select 1\n",
    "sql/other.sql": "select 2\n",
    "conf/words.txt": "words\n",
    "conf/rates.txt": "1\n",
    "conf/table.txt": "1\n",
    "conf/log.txt": "",
    "beside.json": "{}\n",
    "typed.py": """
        from __future__ import annotations

        from dataclasses import dataclass
        from typing import TYPE_CHECKING, Optional

        if TYPE_CHECKING:
            from never_run import Thing


        @dataclass
        class Row:
            a: Optional[int] = None


        def step() -> int:
            count: int = 3
            return helper(Row(), count)


        def helper(row: Row, n: Optional[int] = None) -> int:
            return n or 0
    """,
    "never_run.py": "class Thing:\n    x = 1\n",
    "lazily.py": "def step():\n    from inside import value\n\n    return value()\n",
    "inside.py": "def value():\n    return 1\n\n\ndef unused():\n    return 2\n",
    "conditional.py": """
        import sys

        if sys.platform == "nowhere":
            from branch_a import run
        else:
            from branch_b import run

        try:
            import missing_library
        except ImportError:
            missing_library = None


        def step():
            return run(), missing_library is None
    """,
    "branch_a.py": "def run():\n    return 'a'\n",
    "branch_b.py": "def run():\n    return 'b'\n",
    "aliased.py": """
        import deep.inner.leaf as leaf
        import deep.inner.side


        def step():
            return leaf.grow(1) + deep.inner.side.shrink(1)
    """,
    "deep/__init__.py": "",
    "deep/inner/__init__.py": "",
    "deep/inner/leaf.py": "def grow(x):\n    return x + 1\n\n\ndef wither(x):\n    return 0\n",
    "deep/inner/side.py": "def shrink(x):\n    return x - 1\n",
    "late.py": "import magic\n\n\ndef step():\n    return magic.anything\n",
    "magic.py": "def __getattr__(name):\n    return TABLE[name[0]]\n\n\nTABLE = {'a': 1}\n",
    "textual.py": "def one():\n    return 1\n\n\ndef step():\n    return eval('one()')\n",
    "tuned.py": """
        def step(*, alpha, deep):
            return alpha


        def plain():
            return 1


        def pinned():
            return 1


        def threads(*, n):
            return 1


        def configured(*, deep, log):
            with open(deep[0]) as file:
                return file.read()


        def below(value):
            return len(value)
    """,
    "scripts/total.py": """
        from sums import total

        if __name__ == "__main__":
            print(total())
    """,
    "scripts/sums.py": "def total():\n    return 3\n\n\ndef mean():\n    return 1\n",
}


def made(folder: Path) -> Project:
    """The project, run once by the command line with workers of their own."""
    project = a_project(folder, FILES)
    result = project.treadle("run", "pipeline.yaml", env={"TOKEN": "t"})
    assert result.code == 0, result.stdout + result.stderr
    return project


def copied(project: Project, folder: Path) -> Project:
    """A copy of a project with its store, in another place."""
    shutil.copytree(project.root, folder / "copy")
    (folder / "home").mkdir(exist_ok=True)
    return Project(folder / "copy", folder / "home")


def fates(project: Project, **params: object) -> dict[str, str]:
    """What would become of every step now, by the decisions that a run makes."""
    previews = pipelines.plan(project.root / "pipeline.yaml", Request(params=params))[1]
    return {preview.step: preview.fate for preview in previews}


def reasons(project: Project, **params: object) -> dict[str, str]:
    """Why every step would have its fate."""
    previews = pipelines.plan(project.root / "pipeline.yaml", Request(params=params))[1]
    return {preview.step: preview.reason for preview in previews}


def runs(project: Project, **params: object) -> set[str]:
    """The steps that would run now, or might, beside the one that always does."""
    return {step for step, fate in fates(project, **params).items() if fate != "hit"} - {"always"}
