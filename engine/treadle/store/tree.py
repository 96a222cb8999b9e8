"""Folders as artifacts: a manifest lists every member, so that equal folders have equal bytes.

Members are sorted by name and carry what matters of them: content, the executable bit, the target of a link.
No times, owners or other permissions.
"""

import os
import stat
from collections.abc import Iterator

from msgspec import DecodeError, Struct
from msgspec.json import Decoder, Encoder

from treadle.errors import CodecError


class Member(Struct, frozen=True, omit_defaults=True):
    """One entry of a folder; `name` is relative, with slashes. A link has a `target`, an empty folder neither."""

    name: str
    digest: str = ""
    size: int = 0
    executable: bool = False
    target: str = ""

    @property
    def is_file(self) -> bool:
        return bool(self.digest)


_encode = Encoder().encode
_decode = Decoder(tuple[Member, ...]).decode


def encode(members: list[Member]) -> bytes:
    """The manifest of a folder."""
    return _encode(sorted(members, key=lambda member: member.name))


def decode(data: bytes) -> tuple[Member, ...]:
    """The members that a manifest lists; raises CodecError when it is none, or names a place outside the folder."""
    try:
        members = _decode(data)
    except DecodeError as error:
        raise CodecError(f"a folder's manifest does not read back: {error}") from error
    links = {member.name for member in members if member.target}
    for member in members:
        above = member.name.split("/")[:-1]
        through_link = any("/".join(above[: depth + 1]) in links for depth in range(len(above))) if links else False
        if not safe(member.name) or through_link or (member.target and not _stays(member.name, member.target)):
            raise CodecError(f"a folder's manifest names '{member.name}', which is no place inside the folder")
    return members


def safe(name: str) -> bool:
    """Whether a relative name stays inside the folder it is joined to."""
    parts = name.split("/")
    return bool(name) and "\0" not in name and not any(part in ("", ".", "..") for part in parts)


def walk(folder: str) -> Iterator[tuple[Member, str]]:
    """The members of a folder with the path of each, files without digest and size; links are kept as links.

    Raises CodecError for a link that leads outside and for what is neither file, folder nor link; OSError.
    """
    yield from _walk(folder, "", os.path.realpath(folder))


def _walk(folder: str, prefix: str, top: str) -> Iterator[tuple[Member, str]]:
    empty = True
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            empty = False
            name = prefix + entry.name
            if not entry.name.isprintable() and _not_text(entry.name):
                raise CodecError(f"the file name {entry.name!r} is not valid UTF-8; rename it")
            if entry.is_symlink():
                yield Member(name, target=_target(entry.path, name, top)), entry.path
            elif entry.is_dir():
                yield from _walk(entry.path, name + "/", top)
            elif entry.is_file():
                mode = entry.stat().st_mode
                yield Member(name, executable=bool(mode & stat.S_IXUSR)), entry.path
            else:
                raise CodecError(f"'{name}' in an output folder is neither a file, a folder nor a link")
    if empty and prefix:
        yield Member(prefix[:-1]), folder


def _target(path: str, name: str, top: str) -> str:
    target = os.readlink(path)
    real = os.path.realpath(path)
    inside = real == top or real.startswith(top + os.sep)
    if not inside or not _stays(name, target):
        text = f"the link '{name}' in an output folder leads to {target}, outside of the folder"
        raise CodecError(f"{text}; copy the file instead, or link inside the folder by a relative path")
    return target


def _stays(name: str, target: str) -> bool:
    """Whether a link leads inside the folder, whatever other links it meets: it may go up only to begin with."""
    parts = [part for part in target.split("/") if part not in ("", ".")]
    up = next((number for number, part in enumerate(parts) if part != ".."), len(parts))
    return not os.path.isabs(target) and ".." not in parts[up:] and up <= name.count("/")


def _not_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False
