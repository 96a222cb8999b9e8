"""Scratch folders: handed on from one command to the next, and removed.

A scratch folder with what a command reads and writes is up to ten files and folders, and file systems take their time
to make and to delete each. So the process that commands share empties the folder of the last one, but for the
places of its inputs, and gives it to the next one under the next one's name.
"""

import os
from collections.abc import Mapping
from functools import cache
from stat import S_IMODE, S_ISDIR, S_ISREG

from treadle.store.scratch import SMALL

IN, OUT = "in", "out"  # folders of a command's inputs, each in one of its own, and of its outputs


class Spare:
    """The folder that this process keeps, if any."""

    def __init__(self) -> None:
        self._folder = ""
        self._shown: dict[str, str] = {}  # folders of inputs that stay, and the copy of an input in each

    def take(self, scratch: str, shown: Mapping[str, str]) -> bool:
        """Make the folder the scratch folder of a command which is shown these files; False when there is none.

        Copies of inputs of the same name stay, to be written over; nothing else is found there.
        """
        folder, self._folder = self._folder, ""
        if not folder:
            return False
        try:
            for port, name in self._shown.items():
                if name and shown.get(port) != name:
                    os.unlink(os.path.join(folder, IN, port, name))
                if port not in shown:
                    os.rmdir(os.path.join(folder, IN, port))
            os.rename(folder, scratch)
        except OSError:
            return False  # it is removed when the run ends
        return True

    def keep(self, scratch: str, shown: Mapping[str, str]) -> None:
        """Empty the folder of a command of which nothing lives, to be handed on; one that is odd is removed."""
        try:
            if _untouched(os.lstat(scratch)):
                if OUT in _emptied(scratch, (IN, OUT)):
                    _emptied(os.path.join(scratch, OUT), ())
                self._shown = _copies(os.path.join(scratch, IN), shown) if shown else {}
                self._folder = scratch
                return
        except OSError:
            pass
        remove(scratch)


def remove(folder: str) -> None:
    """Remove a folder as far as that goes; it need not be there."""
    try:
        _remove(folder)
    except OSError:  # not there, or a step has left something odd in it
        from shutil import rmtree  # lazy: 2 ms, for what is odd

        rmtree(folder, ignore_errors=True)


def _remove(folder: str) -> None:
    """Remove a folder as most steps leave it; `shutil` takes five times as many calls for the few files in it."""
    with os.scandir(folder) as entries:
        for entry in entries:
            _delete(entry)
    os.rmdir(folder)


def _copies(folder: str, shown: Mapping[str, str]) -> dict[str, str]:
    """What stays of the folder of inputs: theirs, each with no more than the copy that it was made for."""
    ports = _emptied(folder, tuple(shown))
    return {port: "".join(_emptied(os.path.join(folder, port), (shown[port],))) for port in ports}


def _emptied(folder: str, but: tuple[str, ...]) -> list[str]:
    """Remove what is in a folder; the names of what stays: of these names, and as treadle made it."""
    kept = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name in but and _untouched(entry.stat(follow_symlinks=False)):
                kept.append(entry.name)
            else:
                _delete(entry)
    return kept


def _untouched(found: os.stat_result) -> bool:
    if S_ISDIR(found.st_mode):
        return S_IMODE(found.st_mode) & 0o777 == _folder_mode()
    return S_ISREG(found.st_mode) and found.st_nlink == 1 and found.st_size <= SMALL


@cache
def _folder_mode() -> int:
    """The permissions of a folder that this process makes."""
    mask = os.umask(0o077)
    os.umask(mask)
    return 0o777 & ~mask


def _delete(entry: os.DirEntry[str]) -> None:
    if entry.is_dir(follow_symlinks=False):
        _remove(entry.path)
    else:
        os.unlink(entry.path)
