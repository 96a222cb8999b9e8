"""Read a file that the user names, or say why it cannot be read."""

import os

from treadle.domain.location import Location
from treadle.errors import Problem, did_you_mean

LIMIT = 64 << 20  # a file beyond this is data, not a declaration


def read(path: str, shown: str) -> tuple[bytes | None, list[Problem]]:
    """The bytes of a file, or None and the problem; `shown` is the path in messages."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            data = file.read(LIMIT + 1) if size <= LIMIT else b""
    except OSError as error:
        return None, [_unreadable(error, shown)]
    except ValueError:  # a null character
        return None, [Problem("missing-file", f"{shown!r} is not a path")]
    if size > LIMIT or len(data) > LIMIT:
        text = f"{shown} is larger than {LIMIT >> 20} MB"
        hint = "data belongs in a file that the pipeline names, not in the pipeline"
        return None, [Problem("too-large", text, Location(shown, 1, 1), hint)]
    return data, []


def _unreadable(error: OSError, shown: str) -> Problem:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return Problem("missing-file", f"there is no file {shown}", None, _neighbours(error, shown))
    if isinstance(error, IsADirectoryError):
        return Problem("not-a-file", f"{shown} is a folder", None, "name a pipeline file in it")
    if isinstance(error, PermissionError):
        return Problem("unreadable-file", f"{shown} may not be read", None, "check its permissions")
    return Problem("unreadable-file", f"{shown} cannot be read: {error.strerror or error}")


def _neighbours(error: OSError, shown: str) -> str:
    folder, name = os.path.split(str(error.filename))
    try:
        names = [n for n in os.listdir(folder or ".") if n.endswith((".yaml", ".yml"))]
    except OSError:
        return ""
    return did_you_mean(name, names)
