"""`cache push`, `pull` and repair: copies of objects in a folder and on real file systems of fsspec."""

import os
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from support.project import Project
from treadle.api import cache
from treadle.errors import InputError
from treadle.store import open_store
from treadle.store.copies import Copies

PIPELINE = """
    version: 1
    steps:
      number: {uses: "work:number"}
      folder: {run: "mkdir {out.box}; echo one > {out.box}/a.txt; echo two > {out.box}/b.txt", out: {box: box}}
"""


@pytest.fixture
def shared(project: Project, tmp_path: Path) -> Project:
    """A project that has run once, with a remote that is a folder."""
    project.write("treadle.toml", f'remote = "{tmp_path}/far"\n').write("pipeline.yaml", PIPELINE)
    project.write("work.py", "def number():\n    return list(range(100))\n")
    assert project.treadle("run", "pipeline.yaml").code == 0
    return project


def objects(folder: Path) -> dict[str, Path]:
    return {path.parent.name + path.name: path for path in folder.glob("??/*")}


def local(project: Project) -> dict[str, Path]:
    return objects(project.root / ".treadle/objects")


def damage(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"?")


def test_what_is_damaged_or_lost_is_repaired_from_the_remote(shared: Project, tmp_path: Path) -> None:
    pushed = shared.treadle("cache", "push")
    assert (pushed.code, pushed.stdout) == (0, "4 objects, 504 B, sent; 0 were there\n")
    assert objects(tmp_path / "far").keys() == local(shared).keys()
    assert shared.treadle("cache", "push").stdout == "0 objects, 0 B, sent; 4 were there\n"
    before = local(shared)
    contents = {digest: path.read_bytes() for digest, path in before.items()}
    bad, *gone = sorted(before)
    damage(before[bad])
    for digest in gone:  # a folder's list among them, so that what it names is found only when it is back
        before[digest].unlink()
    result = shared.treadle("cache", "verify")
    assert result.code == 0, result.stdout
    assert f"damaged: {bad}; repaired\n" in result.stdout
    assert [f"lost: {digest}; repaired\n" in result.stdout for digest in gone] == [True, True, True]
    assert {digest: path.read_bytes() for digest, path in local(shared).items()} == contents
    assert shared.treadle("run", "pipeline.yaml").stdout.count("nothing changed") == 2
    local(shared)[bad].unlink()
    pulled = shared.treadle("cache", "pull")
    assert (pulled.code, pulled.stdout) == (0, "1 objects came back\n")
    assert shared.treadle("cache", "pull").stdout == "nothing was missing\n"


def test_what_the_remote_has_under_a_digest_must_have_it(shared: Project, tmp_path: Path) -> None:
    shared.treadle("cache", "push")
    [digest] = [digest for digest, path in local(shared).items() if path.read_bytes() == b"one\n"]
    damage(objects(tmp_path / "far")[digest])
    local(shared)[digest].unlink()
    result = shared.treadle("cache", "verify")
    assert result.code == 1
    assert f"what the remote has as {digest} is something else" in result.stdout
    assert "marked as a miss: pipeline folder" in result.stdout
    assert digest not in local(shared)
    assert len(local(shared)) == 3, "what was refused is not kept under its own digest either"


def test_damage_is_not_pushed(shared: Project, tmp_path: Path) -> None:
    bad = min(local(shared))
    damage(local(shared)[bad])
    result = shared.treadle("cache", "push")
    assert result.code == 1
    assert f"damaged, so not sent: {bad}" in result.stdout
    assert bad not in objects(tmp_path / "far")


def test_only_what_gc_keeps_is_pushed_unless_all_is_asked_for(shared: Project, tmp_path: Path) -> None:
    store = open_store(shared.root)
    loose = store.objects.add_bytes(b"nobody names this", "bytes").digest
    path = Path(store.objects.path(loose))
    os.utime(path, (1, 1))
    shared.treadle("cache", "push")
    assert loose not in objects(tmp_path / "far")
    shared.treadle("cache", "push", "--all")
    assert loose in objects(tmp_path / "far")


def test_no_remote_and_one_that_is_away(shared: Project) -> None:
    damage(min(local(shared).values()))
    shared.write("treadle.toml", 'remote = "http://ada:geheim77@127.0.0.1:1/far"\n')
    away = shared.treadle("cache", "verify")
    assert away.code == 1
    assert "the remote http://127.0.0.1:1/far cannot be used" in away.stdout
    assert "geheim77" not in away.stdout + away.stderr
    shared.write("treadle.toml", f'remote = "{shared.root}/nowhere"\n')
    assert shared.treadle("cache", "pull").stdout == "nothing was missing\n", "damage made a miss of the result"
    min(local(shared).values()).unlink()
    assert "cannot be used: there is no such folder" in shared.treadle("cache", "pull").stdout
    shared.write("treadle.toml", "")
    for what in ("push", "pull"):
        result = shared.treadle("cache", what)
        assert (result.code, "error[no-remote]" in result.stderr) == (2, True)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A real web server for a folder: one can read from it and not write to it."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    (tmp_path / "far").mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{made.server_port}/far"
        made.shutdown()
        thread.join()


def test_a_web_server_repairs_and_does_not_take_objects(shared: Project, server: str) -> None:
    shared.treadle("cache", "push")
    one, two, *_ = sorted(local(shared))
    shared.write("treadle.toml", f'remote = "{server}"\n')
    local(shared)[one].unlink()
    damage(local(shared)[two])
    report = cache.verify(shared.root)
    assert (report.damaged, report.repaired, report.forgotten) == ((two,), tuple(sorted((one, two))), ())
    shared.treadle("cache", "gc")
    open_store(shared.root).objects.add_bytes(b"new", "bytes")
    with pytest.raises(InputError) as caught:
        cache.push(shared.root)
    assert caught.value.problems[0].code == "unreachable-remote"
    assert "cannot be used: 501" in caught.value.problems[0].text


def test_a_file_system_of_fsspec_in_memory(tmp_path: Path) -> None:
    objects_ = open_store(tmp_path).objects
    kept = objects_.add_bytes(b"kept", "bytes")
    copies = Copies("memory://bucket/treadle", str(tmp_path), objects_)
    first = copies.push([kept.digest])
    assert (first.sent, first.size, first.there) == (1, 4, 0)
    again = Copies("memory://bucket/treadle", str(tmp_path), objects_)
    assert again.push([kept.digest]).there == 1
    Path(objects_.path(kept.digest)).unlink()
    assert again.fetch(kept.digest)
    assert objects_.read(kept) == b"kept"
    assert not again.fetch("0" * 64)
    assert again.refused == []
