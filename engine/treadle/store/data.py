"""What a data entry of a pipeline stands for: a file, the files that match a pattern, or a folder.

Its identity is names below the fixed part of the path, and content: no absolute path, no times.
"""

import os
from collections.abc import Iterator, Sequence

from msgspec import Struct

from treadle import digest as digests
from treadle.domain.location import Location
from treadle.domain.spec import DataSource
from treadle.errors import InputError, did_you_mean, input_error
from treadle.stamp import Sign, folder_sign, sign_of

MAGIC = "*?["
LEFT_OUT = {".treadle", ".git"}


class Listing(Struct, frozen=True, kw_only=True):
    """The files of a data entry as they are now: `names` relative to `top`, sorted, `paths` absolute."""

    shape: str
    root: str
    target: str
    top: str
    names: tuple[str, ...]
    paths: tuple[str, ...]
    where: Location | None = None


class Data(Struct, frozen=True, kw_only=True):
    """A data entry as it was when it was looked at: `shape` file, files or folder; `paths` are absolute.

    The rest is what `FileDigests.changed` needs; `settled` is false when a file had just been written.
    """

    digest: str
    shape: str
    paths: tuple[str, ...]
    root: str
    target: str
    names: tuple[str, ...]
    signatures: tuple[tuple[int, int, int, int], ...]
    settled: bool
    contents: tuple[str, ...] = ()  # the digest of each file in `names`


def absent_data(digest: str) -> Data:
    """A data entry whose files are not here, known by its digest alone: it decides, but nothing can read it."""
    return Data(digest=digest, shape="files", paths=(), root="", target="", names=(), signatures=(), settled=False)


def list_data(root: str, source: DataSource) -> Listing:
    """The files of a data entry; raises InputError `missing-data` when there are none, with the nearest name."""
    if source.kind != "path":
        text = f"data '{source.name}': a {source.kind} cannot be read here"
        raise input_error("unsupported-data", text, source.where, "download it, and name it by `path:`")
    found = list_path(root, source.target)
    if found is None:
        raise _missing(root, source)
    return Listing(
        shape=found.shape,
        root=root,
        target=source.target,
        top=found.top,
        names=found.names,
        paths=found.paths,
        where=source.where,
    )


def list_path(root: str, target: str) -> Listing | None:
    """The files that a path, pattern or folder stands for, or None when there are none."""
    path = os.path.normpath(os.path.join(root, target))
    if os.path.isfile(path):
        names: Sequence[str] = [os.path.basename(path)]
        shape, top = "file", os.path.dirname(path)
    elif os.path.isdir(path):
        names = _below(path)
        shape, top = "folder", path
    elif any(sign in target for sign in MAGIC):
        top = _fixed(path)
        names = sorted(os.path.relpath(match, top) for match in list_glob(root, target))
        shape = "files"
    else:
        return None
    if not names:
        return None
    base = os.path.join(top, "")
    paths = tuple([base + name for name in names])
    return Listing(shape=shape, root=root, target=target, top=top, names=tuple(names), paths=paths)


def list_glob(root: str, pattern: str) -> list[str]:
    """The absolute paths of the files that match a pattern, sorted; `**` stands for any number of folders.

    Names that begin with a dot match only where the pattern says so.
    """
    from glob import glob  # lazy: 5 ms that projects without patterns spare

    found = glob(os.path.join(root, pattern), recursive=True)
    kept = {os.path.normpath(path) for path in found if os.path.isfile(path)}
    return sorted(path for path in kept if LEFT_OUT.isdisjoint(os.path.relpath(path, root).split(os.sep)))


def watched(root: str, target: str) -> dict[str, Sign] | None:
    """Everything that tells whether a path, pattern or folder still stands for the same files with the same content.

    That is the files, and each folder in which another could appear; None where that cannot be told, since
    a pattern leads through a link, or there is nothing. Raises OSError.
    """
    path = os.path.normpath(os.path.join(root, target))
    if os.path.isfile(path):
        return {path: sign_of(path)}
    if os.path.isdir(path):
        return dict(_signs_below(path, links=True))
    if not any(sign in target for sign in MAGIC):
        return None
    top = _fixed(path)
    if not any(sign in os.path.dirname(path) for sign in MAGIC):
        return {top: folder_sign(top), path: False} | {file: sign_of(file) for file in list_glob(root, target)}
    signs = dict(_signs_below(top, links=False))
    return None if "" in signs else {**signs, path: False}


def _signs_below(folder: str, links: bool) -> Iterator[tuple[str, Sign]]:
    """The signs of a folder and all below it; the name of one that cannot be followed is empty."""
    yield folder, folder_sign(folder)
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name in LEFT_OUT:
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _signs_below(entry.path, links)
            elif entry.is_file():
                yield entry.path, sign_of(entry.path)
            elif entry.is_symlink() and not links:
                yield "", False


def data_identity(listing: Listing, contents: Sequence[str]) -> str:
    """The digest of what a listing stands for, given the digests of its files' content."""
    if listing.shape == "file":
        return digests.of_value(["file", os.path.splitext(listing.names[0])[1], contents[0]])
    return digests.of_listing(listing.shape, listing.names, contents)


def _below(top: str) -> list[str]:
    """The files in a folder and below it, sorted; in one loop, as folders of many files are common."""
    names, todo = [], [(top, "")]
    while todo:
        folder, prefix = todo.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name in LEFT_OUT:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    todo.append((entry.path, f"{prefix}{entry.name}/"))
                elif entry.is_file():
                    names.append(prefix + entry.name)
    names.sort()
    return names


def _fixed(path: str) -> str:
    """The part of a pattern before its first sign, as a folder."""
    parts = path.split(os.sep)
    fixed = next(number for number, part in enumerate(parts) if any(sign in part for sign in MAGIC))
    return os.sep.join(parts[:fixed]) or os.sep


def _missing(root: str, source: DataSource) -> InputError:
    path = os.path.join(root, source.target)
    if os.path.isdir(path):
        text, hint = f"data '{source.name}': the folder {source.target} has no files in it", ""
    elif any(sign in source.target for sign in MAGIC):
        text, hint = f"data '{source.name}': no file matches {source.target}", "`**` stands for any number of folders"
    else:
        text = f"data '{source.name}': there is no file or folder {source.target}"
        hint = _nearest(path, source.target)
    return input_error("missing-data", text, source.where, hint)


def _nearest(path: str, target: str) -> str:
    folder = os.path.dirname(path)
    try:
        names = os.listdir(folder)
    except OSError:
        return f"there is no folder {os.path.dirname(target)} either"
    prefix = os.path.dirname(target)
    return did_you_mean(target, [os.path.join(prefix, name) for name in names if name not in LEFT_OUT])
