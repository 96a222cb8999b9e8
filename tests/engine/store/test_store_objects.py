"""Objects: whole or absent, whatever happens; damage found where the bytes are used."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from treadle import digest
from treadle.domain.artifact import Artifact
from treadle.errors import CodecError
from treadle.store.objects import Objects, add_list, is_folder


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return Objects(tmp_path / ".treadle" / "objects")


def stored(objects: Objects) -> list[str]:
    return sorted(str(p.relative_to(objects.folder)) for p in Path(objects.folder).rglob("*") if p.is_file())


def leftovers(objects: Objects) -> list[str]:
    tmp = Path(objects.folder).parent / "tmp"
    return sorted(os.listdir(tmp)) if tmp.exists() else []


def spoil(objects: Objects, name: str, data: bytes) -> None:
    path = Path(objects.path(name))
    path.chmod(0o644)
    path.write_bytes(data)


def a_folder(path: Path) -> Path:
    (path / "sub" / "empty").mkdir(parents=True)
    (path / "a.txt").write_text("a")
    (path / "run.sh").write_text("#!/bin/sh\necho hi\n")
    (path / "run.sh").chmod(0o755)
    (path / "sub" / "b.bin").write_bytes(b"\0\1")
    (path / "sub" / "link").symlink_to("../a.txt")
    return path


def test_bytes_come_back_under_their_digest(objects: Objects) -> None:
    made = objects.add_bytes(b"hello", "bytes", "x.bin")
    assert made == Artifact(digest.of_bytes(b"hello"), "bytes", 5, "x.bin")
    assert objects.read(made) == b"hello"
    assert stored(objects) == [f"{made.digest[:2]}/{made.digest[2:]}"]
    assert os.stat(objects.path(made.digest)).st_mode & 0o777 == 0o444
    objects.sync()


def test_a_file_is_copied_unless_given(objects: Objects, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1\n")
    made = objects.add_file(tmp_path / "a.csv", "file", "a.csv")
    (tmp_path / "a.csv").write_text("2\n")
    assert objects.read(made) == b"1\n"
    (tmp_path / "b.csv").write_bytes(bytes(5 << 20))
    given = objects.add_file(tmp_path / "b.csv", "file", "b.csv", give=True)
    assert os.path.samefile(tmp_path / "b.csv", objects.path(given.digest))
    assert given.digest == digest.of_bytes(bytes(5 << 20))
    assert leftovers(objects) == []


def test_a_given_file_with_another_name_is_copied(objects: Objects, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("1\n")
    os.link(tmp_path / "mine.csv", tmp_path / "out.csv")
    made = objects.add_file(tmp_path / "out.csv", "file", "out.csv", give=True)
    (tmp_path / "mine.csv").write_text("2\n")  # by whoever holds the other name
    assert objects.read(made) == b"1\n"
    assert leftovers(objects) == []


def test_what_is_there_stays_if_its_size_is_right_and_is_repaired_if_not(objects: Objects) -> None:
    made = objects.add_bytes(b"hello", "bytes")
    inode = os.stat(objects.path(made.digest)).st_ino
    objects.add_bytes(b"hello", "bytes")
    assert os.stat(objects.path(made.digest)).st_ino == inode
    spoil(objects, made.digest, b"hell")
    assert not objects.has(made)
    objects.add_bytes(b"hello", "bytes")
    assert objects.read(made) == b"hello"


def test_a_missing_and_a_shortened_object_are_not_there(objects: Objects) -> None:
    made = objects.add_bytes(b"hello", "bytes")
    assert objects.has(made)
    spoil(objects, made.digest, b"")
    assert not objects.has(made)
    os.unlink(objects.path(made.digest))
    assert not objects.has(made)
    assert not objects.verify(made)
    with pytest.raises(CodecError, match="not in the store any more"):
        objects.read(made)


@pytest.mark.parametrize("act", ["read", "verify", "hand_out", "restore"])
def test_a_damaged_object_is_found_where_it_is_used_and_moved_aside(objects: Objects, tmp_path: Path, act: str) -> None:
    made = objects.add_bytes(b"hello", "bytes", "x")
    spoil(objects, made.digest, b"hullo")
    assert objects.has(made)  # sizes alone do not tell
    if act == "verify":
        assert not objects.verify(made)
    else:
        arguments = () if act == "read" else (tmp_path / "out",)
        with pytest.raises(CodecError, match="damaged"):
            getattr(objects, act)(made, *arguments)
    assert not objects.has(made)
    assert (tmp_path / ".treadle" / "damaged" / made.digest).read_bytes() == b"hullo"
    assert objects.read(objects.add_bytes(b"hello", "bytes")) == b"hello"


def test_equal_folders_have_equal_digests(objects: Objects, tmp_path: Path) -> None:
    one = objects.add_folder(a_folder(tmp_path / "one"), "folder", "f")
    two = objects.add_folder(a_folder(tmp_path / "two"), "folder", "f")
    assert one == two
    assert is_folder(one)
    assert one.size == 1 + 18 + 2
    (tmp_path / "two" / "a.txt").chmod(0o755)
    assert objects.add_folder(tmp_path / "two", "folder", "f").digest != one.digest


def test_a_folder_is_restored_as_it_was(objects: Objects, tmp_path: Path) -> None:
    made = objects.add_folder(a_folder(tmp_path / "one"))
    target = tmp_path / "deep" / "copy"
    objects.restore(made, target)
    assert objects.add_folder(target, name="one").digest == made.digest
    assert os.readlink(target / "sub" / "link") == "../a.txt"
    assert (target / "sub" / "empty").is_dir()
    (target / "a.txt").write_text("changed")
    (target / "extra").write_text("")
    objects.restore(made, target)
    assert objects.add_folder(target, name="one").digest == made.digest
    assert leftovers(objects) == []


def test_a_copy_that_is_right_is_left_alone_and_a_wrong_one_replaced(objects: Objects, tmp_path: Path) -> None:
    made = objects.add_bytes(b"hello", "bytes")
    target = tmp_path / "out" / "x.bin"
    objects.restore(made, target)
    before = target.stat()
    objects.restore(made, target)
    assert target.stat().st_mtime_ns == before.st_mtime_ns
    assert before.st_mode & 0o777 == 0o644
    assert before.st_nlink == 1
    target.write_bytes(b"jello")
    objects.restore(made, target)
    assert target.read_bytes() == b"hello"
    target.unlink()
    target.mkdir()
    (target / "y").write_text("")
    objects.restore(made, target)
    assert target.read_bytes() == b"hello"


def test_a_folder_is_handed_out_as_files_that_are_read_only(objects: Objects, tmp_path: Path) -> None:
    made = objects.add_folder(a_folder(tmp_path / "one"), "folder", "model")
    place = Path(objects.hand_out(made, tmp_path / "scratch"))
    assert place == tmp_path / "scratch" / "model"
    assert (place / "sub" / "link").read_text() == "a"
    assert os.access(place / "run.sh", os.X_OK)
    (place / "new.txt").write_text("a step may add files")
    if os.geteuid() == 0:  # file modes do not stop the superuser
        (place / "a.txt").unlink()
        (place / "a.txt").write_text("changed")
    else:
        with pytest.raises(PermissionError):
            (place / "a.txt").write_text("changed")
    assert objects.verify(made)


def test_a_step_cannot_harm_an_object_through_what_it_was_handed(objects: Objects, tmp_path: Path) -> None:
    made = objects.add_bytes(b"hello", "bytes", "x.bin")
    place = Path(objects.hand_out(made, tmp_path / "scratch"))
    assert place.name == "x.bin"
    try:
        place.write_bytes(b"harm")
    except PermissionError:
        assert os.geteuid() != 0
    assert objects.read(made) == b"hello"


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "sub/../../outside"])
def test_a_link_that_leads_outside_is_refused(objects: Objects, tmp_path: Path, target: str) -> None:
    (tmp_path / "outside").write_text("secret")
    folder = a_folder(tmp_path / "one")
    (folder / "bad").symlink_to(target)
    with pytest.raises(CodecError, match="outside of the folder"):
        objects.add_folder(folder)


def test_special_files_and_names_that_are_no_text_are_refused(objects: Objects, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    os.mkfifo(tmp_path / "one" / "pipe")
    with pytest.raises(CodecError, match="neither a file, a folder nor a link"):
        objects.add_folder(tmp_path / "one")
    os.unlink(tmp_path / "one" / "pipe")
    with open(os.fsencode(tmp_path / "one") + b"/\xff", "wb"):
        pass
    with pytest.raises(CodecError, match="not valid UTF-8"):
        objects.add_folder(tmp_path / "one")


@pytest.mark.parametrize(
    "manifest",
    [
        b'[{"name":"../x","digest":"%s","size":1}]' % (b"0" * 64),
        b'[{"name":"/x","digest":"%s","size":1}]' % (b"0" * 64),
        b'[{"name":"a/../../x","digest":"%s","size":1}]' % (b"0" * 64),
        b'[{"name":"a","target":"../x"}]',
        b'[{"name":"a","target":"/etc"}]',
        b'[{"name":"a/b","target":".."},{"name":"c","target":"a/b/../../x"}]',
        b'[{"name":"a","target":"b"},{"name":"a/x","digest":"%s","size":1}]' % (b"0" * 64),
        b"[1]",
    ],
)
def test_a_forged_manifest_leads_nowhere(objects: Objects, tmp_path: Path, manifest: bytes) -> None:
    made = objects.add_bytes(manifest, "folder", "f/")
    with pytest.raises(CodecError):
        objects.hand_out(made, tmp_path / "scratch")
    assert not objects.has(made)


@pytest.mark.parametrize("name", ["../x", "a/b", "..", "a\0b"])
def test_a_forged_name_leads_nowhere(objects: Objects, tmp_path: Path, name: str) -> None:
    made = objects.add_bytes(b"1", "bytes", name)
    with pytest.raises(CodecError, match="not the name of a file"):
        objects.hand_out(made, tmp_path / "scratch")
    with pytest.raises(CodecError, match="is not a digest"):
        objects.read(Artifact("../../../etc/passwd", "bytes", 1))


def test_a_folder_or_list_without_one_of_its_parts_is_not_there(objects: Objects, tmp_path: Path) -> None:
    folder = objects.add_folder(a_folder(tmp_path / "one"))
    item = objects.add_bytes(b"item", "bytes")
    both = add_list(objects, [folder, item])
    assert objects.has(both)
    assert objects.verify(both)
    assert objects.items(both) == [folder, item]
    assert {folder.digest, item.digest, both.digest, digest.of_bytes(b"a")} < set(objects.parts(both))
    spoil(objects, digest.of_bytes(b"a"), b"b")
    assert objects.has(both)
    assert not objects.verify(both)
    assert not objects.has(folder)
    assert not objects.has(both)


KILLED = """
import os, sys
from treadle.store.objects import Objects
objects = Objects(sys.argv[1])
print("ready", flush=True)
n = 0
while True:
    objects.add_bytes(n.to_bytes(4, "big") * 300_000, "bytes")
    n += 1
"""


@pytest.mark.parametrize("moment", [0.0, 0.005, 0.02, 0.1, 0.25])
def test_a_kill_leaves_only_whole_objects(objects: Objects, moment: float) -> None:
    command = [sys.executable, "-c", KILLED, objects.folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    for name in stored(objects):
        assert digest.of_file(Path(objects.folder) / name) == name.replace("/", "")
    assert all(name.startswith(f"{process.pid}-") for name in leftovers(objects))


@pytest.mark.parametrize("call", ["fsync", "rename", "chmod"])
def test_a_kill_before_each_system_call_leaves_no_object(objects: Objects, tmp_path: Path, call: str) -> None:
    (tmp_path / "a").write_bytes(b"x" * 10_000)
    script = (
        "import os, signal, sys\n"
        "from treadle.store.objects import Objects\n"
        f"os.{call} = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)\n"
        "Objects(sys.argv[1]).add_file(sys.argv[2], 'file')\n"
    )
    done = subprocess.run([sys.executable, "-c", script, objects.folder, tmp_path / "a"], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert stored(objects) == []
    assert len(leftovers(objects)) == 1


def test_many_threads_and_processes_add_the_same_bytes(objects: Objects) -> None:
    script = (
        "import sys, threading\n"
        "from treadle.store.objects import Objects\n"
        "objects = Objects(sys.argv[1])\n"
        "work = lambda: [objects.add_bytes(b'%d' % n * 1000, 'bytes') for n in range(50)]\n"
        "threads = [threading.Thread(target=work) for _ in range(4)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]; objects.sync()\n"
    )
    command = [sys.executable, "-c", script, objects.folder]
    started = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    assert [process.communicate(timeout=60)[1] for process in started] == [""] * 4
    assert len(stored(objects)) == 50
    assert leftovers(objects) == []
