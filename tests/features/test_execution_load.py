"""Steps that behave badly, many of them, and many runs at once; tests/crash/load.py takes the real sizes."""

import json
import os
import signal
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.project import Project, a_project
from treadle.api.project import open_project
from treadle.store.sweep import verify_all

FULL = os.environ.get("TREADLE_LOAD") == "full"
RUNS = 100 if FULL else 16
STEPS = 10_000 if FULL else 600
PRINTED = 1 << 30 if FULL else 100 << 20
Figure = Callable[[str, object], None]  # what tests/crash/load.py shows

SHARED = """
    version: 1
    steps:
      first: {uses: "work:made", with: {n: 0}}
      cells: {uses: "work:add", in: {x: first}, matrix: {n: [1, 2, 3]}}
      list: {uses: "work:numbers"}
      items: {uses: "work:add", foreach: list, in: {x: list}, with: {n: 5}}
      all: {uses: "work:both", in: {a: cells, b: items}}
"""
WORK = """
    import os
    import random
    import shutil
    import subprocess
    import sys
    import time
    from pathlib import Path


    def note(text):
        with open("notes", "a") as file:
            file.write(text + "\\n")


    def made(*, n):
        note(f"made{n}")
        time.sleep(0.1)
        return n


    def numbers():
        note("numbers")
        return [10, 20, 30]


    def add(x, *, n):
        note(f"add{x}+{n}")
        return x + n


    def both(a, b):
        note("both")
        return [a, b]


    def unreliable(*, n):
        if random.random() < 0.05:
            raise ValueError("not this time")
        return n


    def stubborn():
        deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(300)"
        words = [sys.executable, "-c", deaf]
        pids = [os.getpid()]
        for away in (False, True):
            child = subprocess.Popen(words, stdout=subprocess.PIPE, start_new_session=away)
            child.stdout.readline()
            pids.append(child.pid)
        Path("pids").write_text(" ".join(map(str, pids)))
        import signal
        signal.signal(15, signal.SIG_IGN)
        time.sleep(300)


    def prints(*, size):
        block = b"z" * 1023 + b"\\n"
        for _ in range(size // len(block)):
            os.write(1, block)
        return 1


    def eats():
        held = []
        while True:
            held.append(b"x" * (10 << 20))


    def deletes():
        shutil.rmtree(os.environ["TREADLE_SCRATCH"])
        return {"gone": not os.path.exists(os.environ["TREADLE_SCRATCH"])}


    def deletes_all():
        shutil.rmtree(Path(os.environ["TREADLE_SCRATCH"]).parent)
        return [1]


    def good():
        return 1
"""


def notes(project: Project) -> list[str]:
    return sorted(project.read("notes").split())


def sound(project: Project) -> bool:
    """Whether every object that is stored has its digest, and none is missing."""
    report = verify_all(open_project(project.root).store)
    return not report.damaged and not report.forgotten


def value(project: Project, step: str) -> Any:
    digest = project.treadle("show", "last", step, "--json").json()["outputs"]["out"]["digest"]
    return json.loads((project.root / ".treadle/objects" / digest[:2] / digest[2:]).read_text())


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
def test_many_runs_at_once_share_the_work(project: Project, record_property: Figure) -> None:
    project.write("pipeline.yaml", SHARED).write("work.py", WORK)
    processes = [project.start("run", "pipeline.yaml") for _ in range(RUNS)]
    ended = [(process.communicate(timeout=900), process.returncode) for process in processes]
    assert {code for _, code in ended} == {0}, [said for said, code in ended if code]
    expected = ["add0+1", "add0+2", "add0+3", "add10+5", "add20+5", "add30+5", "both", "made0", "numbers"]
    assert notes(project) == expected  # each of them once, in whichever run
    assert value(project, "all") == [[1, 2, 3], [15, 25, 35]]
    assert sound(project)
    statuses = [line.split() for line in project.treadle("runs", "--limit", str(RUNS + 5)).stdout.splitlines()[1:]]
    assert sum("ok" in words for words in statuses) == RUNS
    record_property("runs, all ok", RUNS)
    record_property("calls of steps", len(notes(project)))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["matrix", "foreach"])
def test_many_unreliable_steps_all_end_well(project: Project, kind: str, record_property: Figure) -> None:
    cells = f"matrix: {{n: {list(range(STEPS))}}}"
    items = "foreach: list"
    step = f'uses: "work:unreliable", {cells if kind == "matrix" else items}, retry: {{times: 9, backoff: 2ms}}'
    work = textwrap.dedent(WORK) + f"\n\ndef count():\n    return list(range({STEPS}))\n"
    if kind == "foreach":
        work = work.replace("def unreliable(*, n)", "def unreliable(n)")
    project.write("work.py", work).write(
        "pipeline.yaml",
        f"version: 1\nsteps:\n  list: {{uses: 'work:count'}}\n  many: {{{step}}}\n"
        "  all: {uses: 'work:both', in: {a: many, b: list}}\n".replace("  all", "  all"),
    )
    result = project.treadle("run", "pipeline.yaml", "--json", timeout=1800)
    assert result.code == 0, result.stdout[-3000:] + result.stderr
    repeated = [e for e in result.events() if e["event"] in ("step_retried", "item_failed")]
    assert STEPS * 0.01 < len(repeated) < STEPS * 0.15
    record_property("attempts failed and were repeated", len(repeated))
    assert value(project, "all") == [list(range(STEPS))] * 2
    assert project.treadle("run", "pipeline.yaml").stdout.splitlines()[-1].startswith("nothing to do")


def test_a_step_that_ignores_term_and_leaves_processes(project: Project, record_property: Figure) -> None:
    project.write("work.py", WORK).write(
        "pipeline.yaml",
        """
        version: 1
        steps:
          stubborn: {uses: "work:stubborn", timeout: 1500ms}
          good: {uses: "work:good"}
        """,
    )
    result = project.treadle("run", "pipeline.yaml")
    assert result.code == 1
    assert "took longer than its timeout of 1.5 s" in result.stdout
    assert "1 ran" in result.stdout
    assert not any(alive(int(pid)) for pid in project.read("pids").split())
    record_property("processes, all gone", len(project.read("pids").split()))


@pytest.mark.slow
def test_a_step_that_prints_without_end(project: Project, record_property: Figure) -> None:
    project.write("work.py", WORK).write(
        "pipeline.yaml", f"version: 1\nsteps: {{p: {{uses: 'work:prints', with: {{size: {PRINTED}}}}}}}\n"
    )
    assert project.treadle("run", "pipeline.yaml", timeout=600).code == 0
    (log,) = (project.root / ".treadle/logs").rglob("p.log")
    assert log.stat().st_size < 70 << 20
    assert b"treadle left out" in log.read_bytes()
    record_property("MiB printed", PRINTED >> 20)
    record_property("MiB kept", log.stat().st_size >> 20)


def test_a_step_that_eats_all_memory_harms_nobody(project: Project, record_property: Figure) -> None:
    project.write("work.py", WORK).write(
        "pipeline.yaml",
        """
        version: 1
        steps:
          eats: {uses: "work:eats", resources: {memory: 200MiB}, retry: {times: 1, backoff: 1ms}}
          shell: {run: "python -c 'import work; work.eats()'", resources: {memory: 200MiB}}
          good: {uses: "work:good", after: [], resources: {memory: 200MiB}}
        """,
    )
    result = project.treadle("run", "pipeline.yaml", env={"PYTHONPATH": str(project.root)})
    assert result.code == 1
    shown = project.treadle("show", "last", "--json").json()["steps"]
    assert {name: step["fate"] for name, step in shown.items()} == {"eats": "failed", "shell": "failed", "good": "run"}
    assert shown["eats"]["attempts"] == 2
    assert "200.0 MiB" in shown["eats"]["failure"]["message"]
    assert "memory" in shown["eats"]["failure"]["message"].lower()
    assert shown["eats"]["usage"]["peak_memory"] < 300 << 20
    record_property("MiB at most, of 200 allowed", shown["eats"]["usage"]["peak_memory"] >> 20)
    record_property("as the limit", shown["eats"]["usage"]["limit"])


def test_a_step_that_deletes_its_scratch_folder(project: Project) -> None:
    project.write("work.py", WORK).write(
        "pipeline.yaml",
        """
        version: 1
        steps:
          deletes: {uses: "work:deletes"}
          all: {uses: "work:deletes_all", after: [deletes]}
          good: {uses: "work:good", after: [all]}
          shell: {run: "rm -r $TREADLE_SCRATCH; mkdir -p $(dirname {out.x}); echo x > {out.x}", out: {x: x},
                  after: [good]}
        """,
    )
    result = project.treadle("run", "pipeline.yaml")
    assert result.code == 0, result.stdout + result.stderr
    assert value(project, "deletes") == {"gone": True}
    assert sound(project)


def test_a_long_path_with_spaces_and_all_kinds_of_characters(tmp_path: Path, record_property: Figure) -> None:
    folder = tmp_path / "a folder" / 'żółw 🐢 it\'s "quoted" $HOME {in.x}' / ("long " * 30 + "end")
    folder.mkdir(parents=True)
    project = a_project(folder).write("work.py", WORK)
    project.write("my data/żółw 1.txt", "one\n").write("my data/b 2.txt", "two\n").write(
        "my pipeline.yaml",
        """
        version: 1
        data: {files: {path: "my data/*.txt"}}
        steps:
          good: {uses: "work:good"}
          shell: {run: "cat {in.files} > {out.o}", in: {files: data.files}, out: {o: "my output.txt"},
                  resources: {memory: 500MiB}, save: {o: "kept here/my output.txt"}}
          each: {run: "cat {in.f} > {out.o}", foreach: data.files, in: {f: data.files}, out: {o: "an output.txt"}}
          join: {run: "cat {in.all} > {out.o}", in: {all: each}, out: {o: o}, save: {o: joined}}
        """,
    )
    result = project.treadle("run", "my pipeline.yaml")
    assert result.code == 0, result.stdout + result.stderr
    assert project.read("kept here/my output.txt") == project.read("joined") == "two\none\n"
    assert project.treadle("run", "my pipeline.yaml").stdout.startswith("step")
    assert "nothing to do: 4 unchanged" in project.treadle("run", "my pipeline.yaml").stdout
    assert len(str(project.root)) > 200
    record_property("characters", len(str(project.root)))


# In every process: a clock that is as many seconds off as a file says.
CLOCK = """
    import os
    import time

    real = time.time


    def shifted():
        try:
            with open(os.environ["CLOCK_OFF"]) as file:
                return real() + float(file.read() or 0)
        except OSError:
            return real()


    time.time = shifted
"""
BACK = """
    import os
    import time


    def sets_back(*, days):
        with open(os.environ["CLOCK_OFF"], "w") as file:
            file.write(str(-86400.0 * days))
        return time.time()


    def fails_once(x):
        if os.environ["TREADLE_SCRATCH"].endswith("-1"):
            raise ValueError("not this time")
        return x


    def numbers(x):
        return [1, 2, 3]


    def item(n):
        return n + OFFSET


    def whole(items):
        return list(items)


    OFFSET = 0
"""


def test_a_clock_that_is_set_back(project: Project) -> None:
    off = project.home / "off"
    project.write("site/sitecustomize.py", CLOCK).write("work.py", BACK).write(
        "pipeline.yaml",
        """
        version: 1
        steps:
          back: {uses: "work:sets_back", with: {days: 2}}
          again: {uses: "work:fails_once", in: {x: back}, retry: {times: 1, backoff: 50ms}, timeout: 60s}
          list: {uses: "work:numbers", in: {x: again}}
          items: {uses: "work:item", in: {n: list}, foreach: list}
          all: {uses: "work:whole", in: {items: items}}
        """,
    )
    env = {"PYTHONPATH": str(project.root / "site"), "CLOCK_OFF": str(off)}
    first = project.treadle("run", "pipeline.yaml", env=env)
    assert first.code == 0, first.stdout + first.stderr
    assert off.read_text() == "-172800.0"
    assert value(project, "back") < time.time() - 86400
    second = project.treadle("run", "pipeline.yaml", env=env)  # every file and record is from the future
    assert second.stdout.splitlines()[-1].startswith("nothing to do: 5 unchanged")
    project.write("work.py", BACK.replace("OFFSET = 0", "OFFSET = 7"))
    assert project.treadle("run", "pipeline.yaml", env=env).code == 0
    assert value(project, "all") == [8, 9, 10]
    listed = project.treadle("runs", "--json", env=env).json()
    assert [run["status"] for run in listed] == ["ok", "ok", "ok"]
    shown = project.treadle("show", "last", "--json", env=env).json()
    assert [step["fate"] for step in shown["steps"].values()] == ["hit", "hit", "hit", "run", "run"]
    assert project.treadle("cache", "gc", env=env).code == 0
    off.unlink()  # and the clock is right again
    assert project.treadle("run", "pipeline.yaml", env=env).stdout.splitlines()[-1].startswith("nothing to do")
    assert sound(project)


PROBE = """
    from pathlib import Path


    def step(before=None, *, n):
        return n


    def cheap(n):
        return n


    def numbers(*, count):
        return list(range(count))


    def probe(before=None, *, name):
        import os

        import numpy

        nursery = os.getppid()
        status = Path(f"/proc/{nursery}/status").read_text()
        scheduler = next(line.split()[1] for line in status.splitlines() if line.startswith("PPid"))
        rss = next(int(line.split()[1]) for line in Path(f"/proc/{scheduler}/status").read_text().splitlines()
                   if line.startswith("VmRSS"))
        return {"kib": rss, "numpy": "numpy" in Path(f"/proc/{scheduler}/maps").read_text()}
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize(("kind", "most"), [("matrix", 8.0), ("foreach", 1.0)])
def test_the_scheduler_stays_small(project: Project, kind: str, most: float, record_property: Figure) -> None:
    count = STEPS
    many = f"matrix: {{n: {list(range(count))}}}" if kind == "matrix" else "foreach: list"
    uses = "work:step" if kind == "matrix" else "work:cheap"
    project.write("work.py", PROBE).write(
        "pipeline.yaml",
        f"""
        version: 1
        steps:
          begin: {{uses: "work:probe", with: {{name: begin}}}}
          list: {{uses: "work:numbers", with: {{count: {count}}}, after: [begin]}}
          many: {{uses: "{uses}", {many}, after: [begin], isolation: pool}}
          end: {{uses: "work:probe", with: {{name: end}}, after: [many]}}
        """,
    )
    assert project.treadle("run", "pipeline.yaml", timeout=900).code == 0
    begin, end = value(project, "begin"), value(project, "end")
    assert not begin["numpy"]
    assert not end["numpy"]
    assert end["kib"] - begin["kib"] < 3000 + most * count, (begin, end)
    record_property("MiB at the beginning", begin["kib"] >> 10)
    record_property("MiB at the end", end["kib"] >> 10)


def test_a_run_of_a_dead_process_is_never_shown_as_running(project: Project) -> None:
    project.write("work.py", WORK).write("pipeline.yaml", "version: 1\nsteps: {s: {uses: 'work:stubborn'}}\n")
    process = project.start("run", "pipeline.yaml")
    limit = time.monotonic() + 60
    while not (project.root / "pids").exists() or not project.read("pids"):
        assert time.monotonic() < limit
        time.sleep(0.02)
    assert " running " in project.treadle("runs").stdout
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    assert " running " not in project.treadle("runs").stdout
    for _ in range(200):
        if not any(alive(int(pid)) for pid in project.read("pids").split()):
            return
        time.sleep(0.05)
    raise AssertionError("processes outlived their run")
