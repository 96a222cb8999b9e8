"""`treadle run` from outside: what runs, what does not, and what is said about it."""

import os
import signal
import time
from pathlib import Path

import pytest

from support.project import Project, Result

PIPELINE = """
    version: 1
    params: {n: 3}
    data: {raw: {path: raw.txt}}
    steps:
      read: {uses: "work:read", in: {source: data.raw}}
      grow: {uses: "work:grow", in: {text: read}, with: {times: "${params.n}"}}
      copy: {run: "cp {in.text} {out.copy}", in: {text: grow}, out: {copy: copy.txt}}
"""
WORK = """
    from pathlib import Path

    from helpers import shout


    def read(source: Path) -> str:
        return source.read_text().strip()


    def grow(text: str, *, times: int) -> str:
        return shout(text) * times
"""
HELPERS = """
    from deeper import MARK


    def shout(text: str) -> str:
        return text.upper() + MARK
"""


@pytest.fixture
def chain(project: Project) -> Project:
    project.write("pipeline.yaml", PIPELINE).write("work.py", WORK).write("helpers.py", HELPERS)
    return project.write("deeper.py", 'MARK = "!"\n').write("raw.txt", "hello\n")


def fates(result: Result) -> dict[str, str]:
    """Each step's fate, as the events of `run --json` tell it."""
    words = {"step_cached": "hit", "step_finished": "run", "step_skipped": "skip", "step_failed": "failed"}
    return {e["step"]: words[e["event"]] for e in result.events() if e["event"] in words}


def run(project: Project, *arguments: str) -> dict[str, str]:
    result = project.treadle("run", "pipeline.yaml", "--json", *arguments)
    assert result.code in (0, 1), result.stderr
    return fates(result)


def test_the_second_run_does_nothing(chain: Project) -> None:
    assert set(run(chain).values()) == {"run"}
    again = chain.treadle("run", "pipeline.yaml")
    assert again.code == 0
    assert again.stdout.splitlines()[-1].startswith("nothing to do: 3 unchanged")


EDITS = [
    ("deeper.py", 'MARK = "?"\n', {"read": "hit", "grow": "run", "copy": "run"}),
    ("deeper.py", '# a comment\nMARK = ("!")\n', {"read": "hit", "grow": "hit", "copy": "hit"}),
    ("helpers.py", HELPERS.replace("        return", '        """Doc."""\n\n        return'), "all hit"),
    ("work.py", WORK.replace("shout(text) * times", "shout(text) + str(times)"), {"read": "hit", "grow": "run"}),
    ("raw.txt", "bye\n", {"read": "run", "grow": "run", "copy": "run"}),
    ("raw.txt", "hello\n\n", {"read": "run", "grow": "hit", "copy": "hit"}),
    ("unrelated.py", "x = 1\n", "all hit"),
]


@pytest.mark.parametrize(("file", "content", "expected"), EDITS)
def test_an_edit_reruns_what_depends_on_it(
    chain: Project, file: str, content: str, expected: dict[str, str] | str
) -> None:
    run(chain)
    chain.write(file, content)
    found = run(chain)
    if isinstance(expected, str):
        expected = dict.fromkeys(found, "hit")
    assert {step: found[step] for step in expected} == expected


def test_touching_a_file_without_changing_it_reruns_nothing(chain: Project) -> None:
    run(chain)
    os.utime(chain.root / "raw.txt", (1, 1))
    assert set(run(chain).values()) == {"hit"}


def test_a_change_with_the_old_time_and_size_is_seen(chain: Project) -> None:
    run(chain)
    path = chain.root / "raw.txt"
    before = path.stat()
    path.write_text("jello\n", encoding="utf-8")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert run(chain)["read"] == "run"


def test_going_back_is_a_hit(chain: Project) -> None:
    run(chain)
    assert run(chain, "-p", "n=4") == {"read": "hit", "grow": "run", "copy": "run"}
    assert set(run(chain, "-p", "n=3").values()) == {"hit"}


def test_what_changed_begins_before_all_else_is_decided(project: Project) -> None:
    project.write(
        "work.py", "def read(f: Path) -> str:\n    return f.read_text()\ndef last(x: str) -> int:\n    return 1\n"
    )
    project.write("work.py", "from pathlib import Path\n" + (project.root / "work.py").read_text())
    count = 120
    steps = "".join(f"  s{n}: {{uses: work:read, in: {{f: data.f{n}}}}}\n" for n in range(count))
    data = "".join(f"  f{n}: {{path: data/{n}.txt}}\n" for n in range(count))
    after = f"  after: {{uses: work:last, in: {{x: s{count - 1}}}}}\n"
    for number in range(count):
        project.write(f"data/{number}.txt", "one\n")
    (project.root / "many.yaml").write_text(f"version: 1\nname: many\ndata:\n{data}steps:\n{steps}{after}")
    time.sleep(2.1)  # from now on the times of files are trusted
    assert project.treadle("run", "many.yaml", "--executor", "inline").code == 0
    project.write(f"data/{count - 1}.txt", "two\n")
    events = [event["event"] for event in project.treadle("run", "many.yaml", "--json").events()]
    assert events.count("step_started") == 2
    assert events[: events.index("step_started")].count("step_cached") < 30


def test_the_reason_names_what_changed(chain: Project) -> None:
    run(chain)
    result = chain.treadle("run", "pipeline.yaml", "-p", "n=4")
    assert "run   grow: param times: 3 → 4" in result.stderr
    chain.write("deeper.py", 'MARK = "?"\n')
    assert "run   grow: code deeper:MARK changed" in chain.treadle("run", "pipeline.yaml").stderr


def test_force_only_and_from(chain: Project) -> None:
    run(chain)
    assert run(chain, "--force", "grow") == {"read": "hit", "grow": "run", "copy": "hit"}
    chain.write("raw.txt", "new\n")
    assert run(chain, "--only", "grow") == {"read": "skip", "grow": "skip"}
    assert run(chain, "--from", "grow") == {"read": "skip", "grow": "skip", "copy": "skip"}
    assert run(chain, "read") == {"read": "run"}
    assert run(chain, "--only", "grow") == {"read": "hit", "grow": "run"}


def test_a_failing_step_shows_the_users_traceback_and_stops_only_what_needs_it(project: Project) -> None:
    project.write(
        "pipeline.yaml",
        """
        version: 1
        steps:
          bad: {uses: "work:bad"}
          after: {uses: "work:take", in: {x: bad}}
          other: {uses: "work:good"}
        """,
    ).write(
        "work.py",
        """
        def bad() -> int:
            print("about to fail")
            return {}["nope"]


        def good() -> int:
            return 1


        def take(x: int) -> int:
            return x
        """,
    )
    result = project.treadle("run", "pipeline.yaml")
    assert result.code == 1
    assert "KeyError: 'nope'" in result.stdout
    assert 'work.py", line 3, in bad' in result.stdout
    assert "treadle/run/" not in result.stdout
    assert "again: treadle run pipeline.yaml --only 'bad'" in result.stdout
    assert "needs 'bad', which failed" in result.stdout
    assert project.treadle("logs", "bad").stdout == "about to fail\n"
    assert run(project) == {"bad": "failed", "after": "skip", "other": "hit"}


def test_timeout_crash_and_retry(project: Project) -> None:
    project.write(
        "pipeline.yaml",
        """
        version: 1
        steps:
          slow: {uses: "work:slow", timeout: 300ms}
          dead: {uses: "work:dead"}
          third: {uses: "work:third", retry: {times: 2, backoff: 10ms}}
        """,
    ).write(
        "work.py",
        """
        import os
        import time
        from pathlib import Path


        def slow() -> int:
            time.sleep(60)
            return 1


        def dead() -> int:
            os.kill(os.getpid(), 9)
            return 1


        def third() -> int:
            tries = Path("tries")
            tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
            if len(tries.read_text()) < 3:
                raise OSError("not yet")
            return 3
        """,
    )
    result = project.treadle("run", "pipeline.yaml", "--json")
    failures = {e["step"]: e["failure"]["kind"] for e in result.events() if e["event"] == "step_failed"}
    assert failures == {"slow": "timeout", "dead": "crash"}
    assert fates(result)["third"] == "run"
    assert project.read("tries") == "xxx"


def test_gate_condition_matrix_and_select(project: Project) -> None:
    project.write(
        "pipeline.yaml",
        """
        version: 1
        params: {full: false}
        steps:
          fit:
            uses: work:fit
            matrix: {a: [1, 2, 3], b: [10]}
            select: {min: loss}
          maybe: {uses: "work:take", in: {x: fit}, if: params.full}
          judge: {uses: "work:judge", in: {x: fit}, gate: "loss < 2"}
          ship: {uses: "work:take", in: {x: judge}}
        """,
    ).write(
        "work.py",
        """
        def fit(*, a: int, b: int) -> dict[str, float]:
            return {"loss": (a - 2) ** 2 + b / 10, "a": a}


        def judge(x: dict) -> dict[str, float]:
            return {"loss": x["loss"]}


        def take(x: dict) -> dict:
            return x
        """,
    )
    first = run(project)
    assert first["maybe"] == "skip"
    assert first["ship"] == "run"
    shown = project.treadle("show", "last", "fit").stdout
    assert "fit[a=2,b=10]: least loss of 3" in shown
    project.write("pipeline.yaml", project.read("pipeline.yaml").replace("loss < 2", "loss < 1"))
    result = project.treadle("run", "pipeline.yaml")
    assert result.code == 0
    assert "the gate of 'judge' did not hold: loss < 1 (loss = 1)" in result.stdout


def test_save_restores_a_lost_copy(chain: Project) -> None:
    chain.write(
        "pipeline.yaml",
        chain.read("pipeline.yaml").replace("copy: copy.txt}}", "copy: copy.txt}, save: {copy: out/c.txt}}"),
    )
    run(chain)
    path = chain.root / "out/c.txt"
    assert path.read_text() == "HELLO!" * 3
    path.write_text("junk")
    assert set(run(chain).values()) == {"hit"}
    assert path.read_text() == "HELLO!" * 3


def test_a_damaged_object_is_made_again(chain: Project) -> None:
    run(chain)
    record = chain.treadle("show", "last", "grow", "--json").json()
    digest = record["outputs"]["out"]["digest"]
    stored = chain.root / ".treadle/objects" / digest[:2] / digest[2:]
    stored.chmod(0o644)
    stored.write_bytes(b"x" * stored.stat().st_size)
    chain.write("pipeline.yaml", chain.read("pipeline.yaml").replace("cp {in", "cat {in").replace("} {out", "} > {out"))
    result = chain.treadle("run", "pipeline.yaml", "--json")
    assert result.code == 0
    assert any(e["event"] == "notice" and "damaged" in e["text"] for e in result.events())
    digest_after = chain.treadle("show", "last", "grow", "--json").json()["outputs"]["out"]["digest"]
    assert digest_after == digest


def test_a_lost_object_is_a_miss(chain: Project) -> None:
    run(chain)
    for path in (chain.root / ".treadle/objects").rglob("*"):
        if path.is_file():
            path.unlink()
    found = run(chain)
    assert (found["read"], found["grow"]) == ("run", "run")  # the copy's bytes are grow's: they are there again
    assert set(run(chain).values()) == {"hit"}


SLOW = """
    version: 1
    steps:
      a: {uses: "work:slow"}
      b: {uses: "work:take", in: {x: a}}
"""
SLOW_WORK = """
    import time
    from pathlib import Path


    def slow() -> int:
        with open("count", "a") as file:
            file.write("x")
        time.sleep(1.0)
        return 1


    def take(x: int) -> int:
        return x + 1
"""


def test_concurrent_runs_share_the_work(project: Project) -> None:
    project.write("pipeline.yaml", SLOW).write("work.py", SLOW_WORK)
    processes = [project.start("run", "pipeline.yaml", "-q") for _ in range(4)]
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, out + err
    assert project.read("count") == "x"


def test_a_killed_run_is_shown_as_interrupted_and_the_next_just_works(project: Project) -> None:
    project.write("pipeline.yaml", SLOW).write("work.py", SLOW_WORK)
    process = project.start("run", "pipeline.yaml", "-q")
    for _ in range(200):
        if (project.root / "count").exists():
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert project.treadle("runs", "--json").json()[0]["status"] == "interrupted"
    assert run(project) == {"a": "run", "b": "run"}
    assert set(run(project).values()) == {"hit"}


def test_ctrl_c_keeps_what_finished_and_leaves_no_process(project: Project) -> None:
    project.write("pipeline.yaml", SLOW.replace("x: a}", "x: a}, with: {wait: 30}")).write(
        "work.py",
        SLOW_WORK.replace("def take(x: int)", "def take(x: int, *, wait: int)").replace(
            "return x + 1", 'Path("begun").touch()\n        time.sleep(wait)\n        return x'
        ),
    )
    process = project.start("run", "pipeline.yaml")
    for _ in range(400):
        if (project.root / "begun").exists():
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "run the same command to go on" in err
    assert "Traceback" not in err
    alive = [p for p in Path("/proc").glob("[0-9]*/cwd") if os.path.realpath(p) == str(project.root)]
    assert not alive
    assert project.treadle("plan", "pipeline.yaml", "--json").json()["steps"][0]["fate"] == "hit"


def test_an_input_that_changes_while_the_step_runs_is_not_recorded(project: Project) -> None:
    project.write(
        "pipeline.yaml",
        """
        version: 1
        data: {raw: {path: raw.txt}}
        steps:
          a: {uses: "work:a", in: {source: data.raw}}
        """,
    ).write(
        "work.py", "def a(source):\n    old = source.read_text()\n    source.write_text(old + 'x')\n    return old\n"
    )
    project.write("raw.txt", "1")
    result = project.treadle("run", "pipeline.yaml", "--json")
    assert any("changed while the step ran" in e.get("text", "") for e in result.events())
    assert run(project)["a"] == "run"


def test_a_secret_is_never_shown(project: Project) -> None:
    project.write("pipeline.yaml", 'version: 1\nsteps:\n  a: {uses: "work:a", secrets: [TOKEN]}\n')
    project.write("work.py", "import os\n\n\ndef a():\n    raise ValueError('with ' + os.environ['TOKEN'])\n")
    result = project.treadle("run", "pipeline.yaml", env={"TOKEN": "hunter2"})
    assert result.code == 1
    assert "with ***" in result.stdout
    assert "hunter2" not in result.stdout + result.stderr


def test_a_value_that_no_codec_stores_says_what_to_do(project: Project) -> None:
    project.write("pipeline.yaml", 'version: 1\nsteps:\n  a: {uses: "work:a"}\n')
    project.write("work.py", "class Odd:\n    pass\n\n\ndef a():\n    return Odd()\n")
    assert "declare `out: {out: {codec: pickle}}`" in project.treadle("run", "pipeline.yaml").stdout
    project.write("pipeline.yaml", 'version: 1\nsteps:\n  a: {uses: "work:a", out: {out: {codec: pickle}}}\n')
    assert project.treadle("run", "pipeline.yaml").code == 0
