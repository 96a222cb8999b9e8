"""What happens around a step: edits while it runs, sudden deaths, others at the same time, other places."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.cached import copied
from support.project import Project, Result, clean_environment
from treadle.api import runs
from treadle.digest import of_bytes

COUNTED = """
    version: 1
    steps:
      slow: {run: "echo run >> {params.log}; sleep 0.3; echo done > {out.o}", with: {log: LOG}, out: {o: o.txt}}
      below: {run: "cat {in.o} > {out.p}; echo below >> {params.log}", with: {log: LOG}, in: {o: slow}, out: {p: p.txt}}
"""
FRAME = """
    import pandas as pd


    def frame(*, dtype):
        return pd.DataFrame({"name": pd.Series(["a", "b", None], dtype=dtype)})


    def seen(table):
        return [str(table["name"].dtype), int(table["name"].isna().sum())]
"""
FRAMES = """
    version: 1
    params: {dtype: DTYPE}
    steps:
      frame: {uses: "work:frame", with: {dtype: "${params.dtype}"}}
      seen: {uses: "work:seen", in: {table: frame}}
"""


def started(result: Result) -> set[str]:
    assert result.code == 0, result.stdout + result.stderr
    return {event["step"] for event in result.events() if event["event"] == "step_started"}


def value(project: Project, step: str) -> object:
    """What a step made in the last run."""
    return runs.read_value(next(iter(runs.get_step(step, path=project.root).outputs.values())), project.root)


def test_an_input_edited_while_the_step_runs_is_delivered_and_not_recorded(project: Project) -> None:
    project.write(
        "pipeline.yaml",
        """
        version: 1
        data: {raw: {path: raw.txt}}
        steps:
          copy: {run: "cp {in.raw} {out.o}; echo later > raw.txt", in: {raw: data.raw}, out: {o: o.txt}}
          below: {run: "cp {in.o} {out.p}", in: {o: copy}, out: {p: p.txt}}
        """,
    ).write("raw.txt", "early\n")
    first = project.treadle("run", "pipeline.yaml", "--json")
    assert started(first) == {"copy", "below"}
    assert "changed while the step ran" in first.stdout
    project.write("raw.txt", "early\n")
    assert "copy" in started(project.treadle("run", "pipeline.yaml", "--json")), "it was recorded for the old content"


def test_a_change_that_restores_size_and_mtime_is_seen_though_all_was_at_rest(project: Project) -> None:
    project.write(
        "pipeline.yaml",
        """
        version: 1
        data: {raw: {path: raw.txt}}
        steps:
          read: {uses: "work:read", in: {raw: data.raw}}
          code: {uses: "work:code"}
        """,
    ).write("raw.txt", "one\n").write("work.py", "def read(raw):\n    return 1\n\n\ndef code():\n    return 1\n")
    time.sleep(2.1)  # from now on the times of the files are trusted
    assert started(project.treadle("run", "pipeline.yaml", "--json")) == {"read", "code"}
    assert started(project.treadle("run", "pipeline.yaml", "--json")) == set()
    for name, old, new in (("raw.txt", "one", "two"), ("work.py", "code():\n    return 1", "code():\n    return 2")):
        path = project.root / name
        before = path.stat()
        path.write_text(path.read_text().replace(old, new))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert path.stat().st_size == before.st_size
    assert started(project.treadle("run", "pipeline.yaml", "--json")) == {"read", "code"}


def test_an_output_half_written_at_a_kill_is_never_taken_as_good(project: Project) -> None:
    script = "printf half > {out.o}; if [ -e go ]; then printf ' whole' >> {out.o}; else touch begun; sleep 60; fi"
    project.write("pipeline.yaml", f'version: 1\nsteps:\n  write: {{run: "{script}", out: {{o: o.txt}}}}\n')
    process = project.start("run", "pipeline.yaml")
    deadline = time.monotonic() + 60
    while not (project.root / "begun").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    project.write("go", "")
    assert started(project.treadle("run", "pipeline.yaml", "--json")) == {"write"}
    written = runs.get_step("write", path=project.root).outputs["o"]
    assert written.digest == of_bytes(b"half whole")


@pytest.mark.parametrize("count", [2, 8])
def test_runs_at_the_same_time_share_the_work(project: Project, tmp_path: Path, count: int) -> None:
    log = tmp_path / "log"
    project.write("pipeline.yaml", COUNTED.replace("LOG", str(log)))
    processes = [project.start("run", "pipeline.yaml") for _ in range(count)]
    for process in processes:
        out, err = process.communicate(timeout=100)
        assert process.returncode == 0, out + err
    assert log.read_text().split() == ["run", "below"]


@pytest.mark.parametrize(
    "env",
    [
        {"USER": "other", "LOGNAME": "other", "HOSTNAME": "other"},
        {"TZ": "Pacific/Chatham", "LC_ALL": "C", "PYTHONHASHSEED": "7"},
    ],
    ids=["user and host", "time zone, locale and hash seed"],
)
def test_another_place_is_a_hit(project: Project, tmp_path: Path, env: dict[str, str]) -> None:
    project.write(
        "pipeline.yaml",
        """
        version: 1
        params: {names: {default: {b: 1, a: 2}}}
        data: {raw: {path: "data/*.txt"}}
        steps:
          read: {uses: "work:read", in: {raw: data.raw}, with: {names: "${params.names}"}}
          next: {run: "cat {in.value} > {out.o}", in: {value: read}, out: {o: o.txt}}
        """,
    ).write("work.py", "def read(raw, *, names):\n    return sorted({p.read_text() for p in raw})\n")
    project.write("data/ä.txt", "one\n").write("data/z.txt", "two\n").write("data/B.txt", "three\n")
    assert started(project.treadle("run", "pipeline.yaml", "--json")) == {"read", "next"}
    elsewhere = copied(project, tmp_path)
    assert started(elsewhere.treadle("run", "pipeline.yaml", "--json", env=env)) == set()


@pytest.fixture
def ran(project: Project) -> Project:
    """A project that has run once."""
    project.write("pipeline.yaml", 'version: 1\nsteps:\n  one: {uses: "work:one"}\n')
    project.write("work.py", "def one():\n    return 1\n")
    assert started(project.treadle("run", "pipeline.yaml", "--json")) == {"one"}
    return project


RUN = [sys.executable, "-P", "-m", "treadle", "run", "pipeline.yaml", "--json"]


@pytest.mark.parametrize(
    "prefix",
    [
        ["unshare", "--map-root-user", "--uts", "sh", "-c", 'hostname elsewhere && exec "$@"', "sh"],
        ["unshare", "--user"],
    ],
    ids=["host name", "user"],
)
def test_another_host_name_or_user_of_the_system_is_a_hit(ran: Project, prefix: list[str]) -> None:
    """Not only by variables: the system itself tells the process and its children another name, or another user."""
    if shutil.which("unshare") is None or subprocess.run([*prefix, "true"], capture_output=True).returncode:
        pytest.skip("namespaces cannot be made here")
    env = clean_environment(ran.home)
    done = subprocess.run([*prefix, *RUN], cwd=ran.root, env=env, capture_output=True, text=True, timeout=100)
    assert started(Result(done.returncode, done.stdout, done.stderr)) == set()


def test_string_dtypes_are_never_mixed_up(project: Project, tmp_path: Path) -> None:
    """A run with a cache shows each dtype as a run without one does."""
    project.write("work.py", FRAME)
    seen = {}
    for dtype in ("object", "string", "object"):
        project.write("pipeline.yaml", FRAMES.replace("DTYPE", dtype))
        result = project.treadle("run", "pipeline.yaml", "--json")
        ran = started(result)
        shown = value(project, "seen")
        if dtype in seen:
            assert ran == set()
            assert shown == seen[dtype]
        assert isinstance(shown, list)
        seen[dtype] = shown
    for dtype in ("object", "string"):
        fresh = Project(tmp_path / dtype, project.home)
        fresh.write("treadle.toml", "").write("work.py", FRAME).write("pipeline.yaml", FRAMES.replace("DTYPE", dtype))
        started(fresh.treadle("run", "pipeline.yaml", "--json"))
        assert value(fresh, "seen") == seen[dtype]


def test_the_class_of_a_pickled_input_counts_for_those_that_take_it(project: Project) -> None:
    """A pickle has a class by name alone: its bytes stay the same when a method changes, the answer does not."""
    project.write(
        "pipeline.yaml",
        """
        version: 1
        steps:
          make: {uses: "work:make", out: {model: {codec: pickle}}}
          use: {uses: "work:use", in: {model: make}}
          count: {uses: "work:count", in: {model: make}}
        """,
    ).write(
        "work.py",
        """
        def make():
            from models import Model

            return Model()


        def use(model):
            return model.predict()


        def count(model):
            return 1
        """,
    )
    source = "class Model:\n    def predict(self):\n        return 1\n\n\nclass Other:\n    x = 1\n"
    project.write("models.py", source)
    assert started(project.treadle("run", "pipeline.yaml", "--json")) == {"make", "use", "count"}
    project.write("models.py", source.replace("x = 1", "x = 2"))
    assert started(project.treadle("run", "pipeline.yaml", "--json")) == set()
    project.write("models.py", source.replace("return 1", "return 2"))
    assert "use" in started(project.treadle("run", "pipeline.yaml", "--json"))
    assert value(project, "use") == 2
