"""Commands in turn share the process that waits for their shell, as long as none leaves anything behind."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from treadle.domain.spec import Output
from treadle.domain.task import Outcome, Stored, Task
from treadle.executors.process import ProcessExecutor
from treadle.store import Objects

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a command leaves behind")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "objects").mkdir()
    return tmp_path


@pytest.fixture
def pool(root: Path) -> Iterator[ProcessExecutor]:
    made = ProcessExecutor("treadle.run.worker:perform", 2, str(root))
    yield made
    made.close()


def result(pool: ProcessExecutor, one: Task) -> Outcome:
    pool.submit(one)
    [outcome] = pool.wait(60)
    return outcome


def gone(pid: int) -> bool:
    for _ in range(100):
        try:
            if Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def command(root: Path, number: int, call: str, **fields: object) -> Task:
    base: dict[str, object] = {
        "run_id": "r",
        "step_id": f"s{number}",
        "attempt": 1,
        "kind": "command",
        "call": f"{call} > {{out.out}}",
        "root": str(root),
        "objects": str(root / "objects"),
        "scratch": str(root / f"scratch-{number}"),
        "log": str(root / "logs" / f"{number}.log"),
        "outputs": (Output("out"),),
    }
    return Task(**{**base, **fields})  # type: ignore[arg-type]


def test_commands_in_turn_share_the_process_that_waits_for_them(pool: ProcessExecutor, root: Path) -> None:
    outcomes = [
        result(pool, command(root, n, '{ echo "$$ $PPID $LOCAL"; export LOCAL=left; cd /; umask 077; }'))
        for n in range(3)
    ]
    words = []
    for outcome in outcomes:
        assert outcome.failure is None, outcome.failure
        digest = outcome.outputs["out"].digest
        words.append((root / "objects" / digest[:2] / digest[2:]).read_text().split())
        assert outcome.usage.peak_memory > 0
    assert {int(parent) for _, parent in words} == {outcomes[0].worker}
    assert len({shell for shell, _ in words}) == 3  # each in a shell of its own, which finds nothing of the one before
    failed = result(pool, command(root, 3, "false"))
    assert failed.failure is not None
    assert failed.failure.kind == "exit"
    assert result(pool, command(root, 4, "true")).worker == outcomes[0].worker
    special: list[dict[str, object]] = [{"env": {"A": "b"}}, {"memory": 1 << 30}, {"isolation": "pool"}]
    others = [result(pool, command(root, 5 + n, "true", **fields)).worker for n, fields in enumerate(special)]
    assert outcomes[0].worker not in others


@pytest.mark.parametrize("how", ["sleep 61", "setsid sleep 61", "sh -c 'sleep 61 & sleep 62'"])
def test_a_command_that_leaves_something_behind_gets_no_successor(pool: ProcessExecutor, root: Path, how: str) -> None:
    first = result(pool, command(root, 0, f"{how} >/dev/null 2>&1 & echo $! >{root}/left; true"))
    assert first.failure is None
    second = result(pool, command(root, 1, "true"))
    assert second.failure is None
    assert second.worker != first.worker
    pool.close()
    assert gone(int((root / "left").read_text()))


def text(root: Path, outcome: Outcome) -> str:
    assert outcome.failure is None, outcome.failure
    digest = outcome.outputs["out"].digest
    return (root / "objects" / digest[:2] / digest[2:]).read_text()


def test_a_command_finds_nothing_of_the_one_before(pool: ProcessExecutor, root: Path) -> None:
    objects = Objects(root / "objects")
    stored = [objects.add_bytes(f"content {n}\n".encode(), "file", f"{name}.txt") for n, name in enumerate("aab")]
    looks = "{ cd $TREADLE_SCRATCH; find . ! -type d | sort; cat {in.port}; touch rest in/rest in/port/rest out/rest; }"
    outcomes = [result(pool, command(root, n, looks, inputs={"port": (Stored(one),)})) for n, one in enumerate(stored)]
    assert len({outcome.worker for outcome in outcomes}) == 1
    names = ["a", "a", "b"]
    for number, (name, outcome) in enumerate(zip(names, outcomes, strict=True)):
        assert text(root, outcome) == f"./in/port/{name}.txt\n./out/out\ncontent {number}\n"
        assert outcome.kept
    plain = result(pool, command(root, 3, "find $TREADLE_SCRATCH -mindepth 1 -name in -o -name port"))
    assert text(root, plain) in ("", f"{root}/scratch-3/in\n")
    left = result(pool, command(root, 4, "sleep 61 >/dev/null 2>&1 & true"))
    assert not left.kept  # what lives on may still write there
