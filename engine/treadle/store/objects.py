"""Content by digest: immutable files under `objects/`, written once, renamed into place, verified when read."""

import os
import shutil
from typing import Any

from msgspec import json

from treadle import digest
from treadle.domain.artifact import Artifact
from treadle.errors import CodecError, StoreError

FOLDER = "folder"
LIST = "list"


class Objects:
    """The object store below one folder; every method may be used by many processes at once."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def path(self, name: str) -> str:
        """Where the object of this digest lies, if it is there."""
        return os.path.join(self.folder, name[:2], name[2:])

    def has(self, artifact: Artifact) -> bool:
        """Whether the object is there with its size; its bytes are proved where they are used."""
        try:
            found = os.stat(self.path(artifact.digest)).st_size
        except OSError:
            return False
        return artifact.codec in (FOLDER, LIST) or found == artifact.size

    def verify(self, artifact: Artifact) -> bool:
        """Whether the stored bytes have their digest, members of folders and lists included; damaged ones go."""
        path = self.path(artifact.digest)
        try:
            if digest.of_file(path) != artifact.digest:
                os.unlink(path)
                return False
        except OSError:
            return False
        whole = [self.verify(member) for member in self.members(artifact)]
        return all(whole)

    def members(self, artifact: Artifact) -> list[Artifact]:
        """What a folder or a list is made of; nothing for others."""
        if artifact.codec == LIST:
            return json.decode(self._bytes(artifact), type=list[Artifact])
        if artifact.codec == FOLDER:
            return [Artifact(d, "file", size, name) for name, d, size, _ in self._manifest(artifact)]
        return []

    def add_bytes(self, data: bytes, codec: str, name: str, scratch: str) -> Artifact:
        """Store bytes."""
        os.makedirs(scratch, exist_ok=True)
        path = os.path.join(scratch, f".bytes-{digest.of_bytes(data)[:16]}")
        with open(path, "wb") as file:
            file.write(data)
        return self.add_file(path, codec, name)

    def add_file(self, path: str, codec: str, name: str, keep: bool = False) -> Artifact:
        """Store a file by moving it into place, or a copy of it when `keep` is set or it lies on another disk."""
        found = digest.of_file(path)
        size = os.path.getsize(path)
        target = self.path(found)
        if not (os.path.exists(target) and os.path.getsize(target) == size and digest.of_file(target) == found):
            self._place(path, target, keep)
        elif not keep:
            os.unlink(path)
        return Artifact(found, codec, size, name)

    def add_folder(self, path: str, name: str, scratch: str) -> Artifact:
        """Store a folder as a manifest of its files; raises CodecError for links that lead out of it."""
        entries: list[tuple[str, str, int, bool]] = []
        for parent, folders, files in os.walk(path):
            folders.sort()
            for file in sorted(files):
                full = os.path.join(parent, file)
                inside = os.path.realpath(full).startswith(os.path.realpath(path) + os.sep)
                if os.path.islink(full) and not inside:
                    raise CodecError(f"{os.path.relpath(full, path)} links to a place outside the folder")
                added = self.add_file(full, "file", file, keep=True)
                executable = bool(os.stat(full).st_mode & 0o100)
                entries.append((os.path.relpath(full, path), added.digest, added.size, executable))
        manifest = self.add_bytes(json.encode(sorted(entries)), FOLDER, name, scratch)
        return Artifact(manifest.digest, FOLDER, sum(entry[2] for entry in entries), name)

    def hand_out(self, artifact: Artifact, folder: str) -> str:
        """A path under `folder` where a step finds the verified artifact under its own name.

        Files are copies: what a step does to them harms nothing. Raises CodecError when bytes are damaged.
        """
        target = os.path.join(folder, artifact.name or "value")
        if artifact.codec == FOLDER:
            for name, found, size, executable in self._manifest(artifact):
                self._copy(Artifact(found, "file", size), os.path.join(target, name), executable)
            os.makedirs(target, exist_ok=True)
        else:
            self._copy(artifact, target, False)
        return target

    def restore(self, artifact: Artifact, target: str) -> None:
        """Make `target` a copy of the artifact unless it is one already; replaced in one step."""
        if artifact.codec != FOLDER and os.path.isfile(target) and digest.of_file(target) == artifact.digest:
            return
        os.makedirs(os.path.dirname(target) or ".", exist_ok=True)
        beside = f"{target}.treadle-{os.getpid()}"
        shutil.rmtree(beside, ignore_errors=True)
        made = self.hand_out(artifact, beside)
        if os.path.isdir(target) and artifact.codec == FOLDER:
            shutil.rmtree(target)
        os.replace(made, target)
        shutil.rmtree(beside, ignore_errors=True)

    def _copy(self, artifact: Artifact, target: str, executable: bool) -> None:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        try:
            shutil.copyfile(self.path(artifact.digest), target)
        except OSError as error:
            raise CodecError(f"the stored object {artifact.digest[:12]} is not there: {error.strerror}") from None
        if digest.of_file(target) != artifact.digest:
            raise CodecError(f"the stored object {artifact.digest[:12]} is damaged")
        if executable:
            os.chmod(target, 0o755)

    def _bytes(self, artifact: Artifact) -> bytes:
        try:
            with open(self.path(artifact.digest), "rb") as file:
                data = file.read()
        except OSError as error:
            raise CodecError(f"the stored object {artifact.digest[:12]} is not there: {error.strerror}") from None
        if digest.of_bytes(data) != artifact.digest:
            raise CodecError(f"the stored object {artifact.digest[:12]} is damaged")
        return data

    def _manifest(self, artifact: Artifact) -> list[tuple[str, str, int, bool]]:
        found: Any = json.decode(self._bytes(artifact), type=list[tuple[str, str, int, bool]])
        for entry in found:
            if entry[0].startswith("/") or ".." in entry[0].split("/"):
                raise CodecError("a stored folder names a path outside itself")
        return list(found)

    def _place(self, path: str, target: str, keep: bool) -> None:
        """Flush, then rename: after a crash at any instant the object is whole or not there."""
        os.makedirs(os.path.dirname(target), exist_ok=True)
        beside = f"{target}.{os.getpid()}.tmp"
        try:
            if keep or os.stat(path).st_dev != os.stat(self.folder).st_dev:
                shutil.copyfile(path, beside)
                if not keep:
                    os.unlink(path)
            else:
                os.rename(path, beside)
            with open(beside, "rb+") as file:
                os.fsync(file.fileno())
            os.chmod(beside, 0o444)
            os.rename(beside, target)
        except OSError as error:
            if os.path.exists(beside):
                os.unlink(beside)
            raise StoreError(f"the object store cannot be written: {error.strerror} ({self.folder})") from error
