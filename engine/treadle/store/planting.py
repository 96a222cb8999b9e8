"""Stored content back in the file system: shown to a step, or copied for the user."""

import errno
import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from stat import S_ISREG

from treadle import digest as digests
from treadle.domain.artifact import Artifact
from treadle.errors import CodecError
from treadle.store import tree
from treadle.store.scratch import SMALL, ensure_folder

COPIED = 16 << 20  # bytes up to which the superuser gets a copy: file modes do not stop him from writing

Put = Callable[[str, str, bool], None]  # object, target, whether it is an executable


def show(path: str, target: str, executable: bool) -> None:
    """Let a step see an object at `target`, by a link where that is safe."""
    with suppress(FileNotFoundError):
        os.unlink(target)
    size = os.stat(path).st_size if executable or os.geteuid() == 0 else COPIED + 1
    if size <= SMALL:
        with open(path, "rb", buffering=0) as source:
            _create(target, source.read(), 0o755 if executable else 0o444)
    elif executable or size <= COPIED:
        shutil.copyfile(path, target)
        os.chmod(target, 0o755 if executable else 0o444)
    else:
        os.symlink(os.path.abspath(path), target)


def copied_at_once(size: int) -> bool:
    """Whether an object of that size is shown as a copy, made in one go."""
    return size <= SMALL and os.geteuid() == 0


def show_content(data: bytes, target: str) -> None:
    """The same for an object whose content has just been read; a copy that is left there is written over.

    The folder of `target` is made where it is missing: a command finds most of its own from the command before.
    """
    try:
        handle = os.open(target, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        ensure_folder(os.path.dirname(target))
        _create(target, data, 0o444)
        return
    except OSError:  # a link, or one that not even the superuser may write to
        os.unlink(target)
        _create(target, data, 0o444)
        return
    if not _written_over(handle, target, data):
        _create(target, data, 0o444)


def _written_over(handle: int, target: str, data: bytes) -> bool:
    """Give an open file another content and close it; one that has another name loses this one instead."""
    try:
        found = os.fstat(handle)
        if not S_ISREG(found.st_mode) or found.st_nlink > 1:
            os.unlink(target)
            return False
        _fill(handle, target, data, 0o444)
        if found.st_size > len(data):
            os.ftruncate(handle, len(data))
        return True
    finally:
        os.close(handle)


def _create(target: str, data: bytes, mode: int) -> None:
    """In a third of the calls that `shutil` needs."""
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        _fill(handle, target, data, mode)
    finally:
        os.close(handle)


def _fill(handle: int, target: str, data: bytes, mode: int) -> None:
    if os.write(handle, data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), target)
    os.fchmod(handle, mode)


def copy(path: str, target: str, executable: bool) -> None:
    """Give the user a file of his own at `target`."""
    shutil.copyfile(path, target)  # by the kernel where it can
    os.chmod(target, 0o755 if executable else 0o644)


def plant(members: Iterable[tree.Member], find: Callable[[str], str], target: str, put: Put) -> None:
    """Make the tree of a folder at `target`; `find` gives the path of an object, `put` brings it to its place."""
    os.makedirs(target, exist_ok=True)
    links = []
    for member in members:
        place = os.path.join(target, *member.name.split("/"))
        if member.target:
            links.append((member.target, place))
        elif not member.is_file:
            os.makedirs(place, exist_ok=True)
        else:
            os.makedirs(os.path.dirname(place), exist_ok=True)
            put(find(member.digest), place, member.executable)
    for link, place in links:  # last, so that no file is written through one
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with suppress(FileNotFoundError):
            os.unlink(place)
        os.symlink(link, place)


def stands_at(artifact: Artifact, folder: bool, place: str) -> bool:
    """Whether a file or folder with the content of the artifact is at `place` already."""
    if folder:
        return _real_folder(place) and _manifest(place) == artifact.digest
    if os.path.islink(place) or not os.path.isfile(place):
        return False
    return os.stat(place).st_size == artifact.size and digests.of_file(place) == artifact.digest


def move(part: str, place: str, old: str) -> None:
    """Rename `part` to `place`, from another file system by way of a name beside it.

    A folder, unlike a file, cannot be replaced in one go: what stands there is moved to `old` first.
    """
    if os.path.lexists(place) and (_real_folder(place) or os.path.isdir(part)):
        shutil.move(place, old)
    try:
        os.replace(part, place)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        beside = f"{place}.{os.getpid()}.part"
        shutil.move(part, beside)
        os.replace(beside, place)
    if _real_folder(old):
        shutil.rmtree(old, ignore_errors=True)
    else:
        with suppress(FileNotFoundError):
            os.unlink(old)


def _manifest(folder: str) -> str:
    """The digest that a folder as it stands would have; empty when it could not be stored at all."""
    members = []
    try:
        for member, place in tree.walk(folder):
            if member.target or os.path.isdir(place):
                members.append(member)
            else:
                size = os.stat(place).st_size
                members.append(tree.Member(member.name, digests.of_file(place), size, member.executable))
    except CodecError:
        return ""
    return digests.of_bytes(tree.encode(members))


def _real_folder(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)
