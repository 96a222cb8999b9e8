"""Immutable files by the digest of their content: `objects/ab/cdef…`, mode 0444.

What stands under a digest is whole whenever the process dies (`intake`). What proves damaged goes to
`.treadle/damaged/` and counts as missing.
"""

import os
from collections.abc import Iterator
from contextlib import suppress

from msgspec import DecodeError
from msgspec.json import Decoder, Encoder

from treadle import digest as digests
from treadle.domain.artifact import Artifact
from treadle.errors import CodecError
from treadle.store import tree
from treadle.store.database import Denied, os_failure
from treadle.store.intake import Intake, part, place_of
from treadle.store.scratch import ensure_folder

LIST = "list"  # the codec of a list of artifacts
PROGRAM = "program"  # the codec of a file that may be executed
CHUNK = 1 << 20  # bytes read at a time of what is longer than it seemed, or too long for one call

_encode_list = Encoder().encode
_decode_list = Decoder(list[Artifact]).decode


class Objects:
    """The objects in a folder. Raises StoreError when the disk fails, CodecError for lost or damaged content."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = os.fspath(folder)
        self._state = os.path.dirname(os.path.abspath(self.folder))
        self._intake = Intake(self.folder, self._state)

    # putting in

    def add_file(self, path: str | os.PathLike[str], codec: str, name: str = "", give: bool = False) -> Artifact:
        """Store a file's content; with `give` the file itself becomes the object where the file system allows it."""
        source = os.fspath(path)
        try:
            digest, size = (self._intake.take(source) if give else None) or self._intake.copy(source)
        except OSError as error:
            raise os_failure(error, source) from error
        return Artifact(digest, codec, size, name)

    def add_bytes(self, data: bytes, codec: str, name: str = "") -> Artifact:
        """Store bytes."""
        found = Artifact(digests.of_bytes(data), codec, len(data), name)
        try:
            self._intake.write(data, found.digest)
        except OSError as error:
            raise os_failure(error, self.folder) from error
        return found

    def add_folder(
        self, path: str | os.PathLike[str], codec: str = "folder", name: str = "", give: bool = False
    ) -> Artifact:
        """Store a folder: each file an object, and a manifest whose digest names the whole.

        `size` is that of all files; `name`, the folder's own if not given, ends with a slash, which marks a
        folder. Raises CodecError for links that lead outside of it.
        """
        members: list[tree.Member] = []
        try:
            for member, place in tree.walk(os.fspath(path)):
                if member.target or os.path.isdir(place):
                    members.append(member)
                    continue
                file = self.add_file(place, codec, give=give)
                members.append(tree.Member(member.name, file.digest, file.size, member.executable))
        except OSError as error:
            raise os_failure(error, os.fspath(path)) from error
        manifest = self.add_bytes(tree.encode(members), codec)
        own = name.rstrip("/") or os.path.basename(os.path.abspath(path)) or "folder"
        return Artifact(manifest.digest, codec, sum(member.size for member in members), own + "/")

    def sync(self) -> None:
        """Make the names of everything added since the last time durable; content is durable already."""
        try:
            self._intake.sync()
        except OSError as error:
            raise os_failure(error, self.folder) from error

    # looking

    def path(self, digest: str) -> str:
        """Where an object stands, or would stand; raises CodecError for what is no digest."""
        if len(digest) != 64 or not digest.isalnum():
            raise CodecError(f"'{digest[:80]}' is not a digest")
        return place_of(self.folder, digest)

    def has(self, artifact: Artifact) -> bool:
        """Whether everything that an artifact consists of is there, with the right sizes; content is not read."""
        if artifact.codec != LIST and not is_folder(artifact):
            return _sized(self.path(artifact.digest), artifact.size)
        try:
            if artifact.codec == LIST:
                return all(self.has(item) for item in self.items(artifact))
            return all(_sized(self.path(m.digest), m.size) for m in self.members(artifact) if m.is_file)
        except CodecError:
            return False

    def verify(self, artifact: Artifact) -> bool:
        """Whether everything that an artifact consists of has its digest; what has not is moved aside, if it may be."""
        try:
            if artifact.codec == LIST:
                sound = [self.verify(item) for item in self.items(artifact)]  # all of them, not up to the first bad one
            elif is_folder(artifact):
                sound = [self._sound(member.digest) for member in self.members(artifact) if member.is_file]
            else:
                sound = [self._sound(artifact.digest)]
        except CodecError:
            return False
        return all(sound)

    def read(self, artifact: Artifact) -> bytes:
        """The content of an object that is one file, with its digest proved."""
        return self._content(artifact.digest)

    def items(self, artifact: Artifact) -> list[Artifact]:
        """The artifacts in a list artifact."""
        try:
            return _decode_list(self._content(artifact.digest))
        except DecodeError as error:
            raise CodecError(f"a list of artifacts does not read back: {error}") from error

    def members(self, artifact: Artifact) -> tuple[tree.Member, ...]:
        """What a folder artifact contains."""
        return tree.decode(self._content(artifact.digest))

    def parts(self, artifact: Artifact) -> Iterator[str]:
        """The digests of all objects that an artifact consists of, itself included, as far as they are there."""
        yield artifact.digest
        if artifact.codec != LIST and not is_folder(artifact):
            return  # most are one object, and there may be a hundred thousand
        with suppress(CodecError):
            if artifact.codec == LIST:
                for item in self.items(artifact):
                    yield from self.parts(item)
            else:
                yield from (member.digest for member in self.members(artifact) if member.is_file)

    # taking out

    def hand_out(self, artifact: Artifact, folder: str | os.PathLike[str]) -> str:
        """Show an artifact as `folder/<its name>` to a step that reads it: links to the objects, digests proved.

        Objects are read-only; the superuser, whom that does not stop, gets copies of all but large files,
        and executables are copies for everyone. A folder's own folders are real, so files can be added.
        """
        from treadle.store import planting  # lazy: shutil, 2 ms, only where content goes back into files

        name = artifact.name.removesuffix("/") or artifact.digest
        if not tree.safe(name) or "/" in name:
            raise CodecError(f"'{name}' is not the name of a file")
        target = os.path.join(os.fspath(folder), name)
        try:
            if artifact.codec != PROGRAM and not is_folder(artifact) and planting.copied_at_once(artifact.size):
                planting.show_content(self._proved_content(artifact), target)
                return target
            members = self._proved(artifact)
            ensure_folder(folder)
            if is_folder(artifact):
                planting.plant(members, self.path, target, planting.show)
            else:
                planting.show(self.path(artifact.digest), target, artifact.codec == PROGRAM)
        except OSError as error:
            raise os_failure(error, target) from error
        return target

    def restore(self, artifact: Artifact, target: str | os.PathLike[str]) -> None:
        """Put a real copy of an artifact at `target`, whole or not at all; nothing is written where it is already."""
        from treadle.store import planting  # lazy: shutil, 2 ms, only where content goes back into files

        place = os.path.abspath(target)
        try:
            if planting.stands_at(artifact, is_folder(artifact), place):
                return
            members = self._proved(artifact)
            os.makedirs(os.path.dirname(place), exist_ok=True)
            copy = part(self._state)
            if is_folder(artifact):
                planting.plant(members, self.path, copy, planting.copy)
            else:
                planting.copy(self.path(artifact.digest), copy, artifact.codec == PROGRAM)
            planting.move(copy, place, part(self._state))
        except OSError as error:
            raise os_failure(error, place) from error

    # inside

    def _content(self, digest: str) -> bytes:
        try:
            data = _read(self.path(digest))
        except FileNotFoundError:
            raise CodecError(f"the object {digest} is not in the store any more") from None
        except OSError as error:
            raise os_failure(error, self.path(digest)) from error
        if digests.of_bytes(data) != digest:
            moved = "it has been moved aside" if self._put_aside(digest) else "it cannot be moved aside"
            raise CodecError(f"the object {digest} was damaged; {moved}")
        return data

    def _sound(self, digest: str) -> bool:
        try:
            if digests.of_file(self.path(digest)) == digest:
                return True
        except FileNotFoundError:
            return False
        except OSError as error:
            raise os_failure(error, self.path(digest)) from error
        self._put_aside(digest)
        return False

    def _proved_content(self, artifact: Artifact) -> bytes:
        try:
            return self._content(artifact.digest)
        except CodecError:
            raise _lost(artifact) from None

    def _proved(self, artifact: Artifact) -> tuple[tree.Member, ...]:
        """The members of a folder, none of a file; raises CodecError when a part is missing or damaged."""
        if not self.verify(artifact):
            raise _lost(artifact)
        return self.members(artifact) if is_folder(artifact) else ()

    def _put_aside(self, digest: str) -> bool:
        """Whether the damaged object is out of the way now; where nothing may be written it stays."""
        folder = os.path.join(self._state, "damaged")
        try:
            os.makedirs(folder, exist_ok=True)
            os.rename(self.path(digest), os.path.join(folder, digest))
        except FileNotFoundError:
            pass  # another process was quicker
        except OSError as error:
            failure = os_failure(error, folder)
            if isinstance(failure, Denied):
                return False
            raise failure from error
        return True


def is_folder(artifact: Artifact) -> bool:
    """Whether an artifact is a folder, whatever codec made it: its name ends with a slash."""
    return artifact.name.endswith("/")


def add_list(objects: Objects, artifacts: list[Artifact]) -> Artifact:
    """Store a list of artifacts as one artifact, which is read as the list of their values."""
    return objects.add_bytes(_encode_list(artifacts), LIST)


def _lost(artifact: Artifact) -> CodecError:
    return CodecError(f"the stored content of '{artifact.name or artifact.digest}' is missing or damaged")


def _sized(path: str, size: int) -> bool:
    try:
        return os.stat(path).st_size == size
    except OSError:
        return False


def _read(path: str) -> bytes:
    """The content of a file, in a third of the calls that `open` needs."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(handle).st_size
        data = os.read(handle, size + 1)
        if len(data) == size:
            return data  # one byte more was asked for, so this is the end
        parts = [data]
        while more := os.read(handle, CHUNK):
            parts.append(more)
        return b"".join(parts)
    finally:
        os.close(handle)
