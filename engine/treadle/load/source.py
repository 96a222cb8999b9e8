"""Read a file that the user names, or say why it cannot be read."""

import os
from pathlib import Path

from treadle.domain.location import Location
from treadle.errors import Problem, did_you_mean

SUFFIXES = (".yaml", ".yml")
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
        return Problem("missing-file", f"there is no file {shown}", None, _neighbours(error))
    if isinstance(error, IsADirectoryError):
        return Problem("not-a-file", f"{shown} is a folder", None, "name a pipeline file in it")
    if isinstance(error, PermissionError):
        return Problem("unreadable-file", f"{shown} may not be read", None, "check its permissions")
    return Problem("unreadable-file", f"{shown} cannot be read: {error.strerror or error}")


def _neighbours(error: OSError) -> str:
    path = Path(str(error.filename))
    return did_you_mean(path.name, yaml_files(path.parent))


def yaml_files(folder: Path) -> list[str]:
    """The names of the YAML files in a folder; none when it cannot be listed."""
    try:
        return [path.name for path in folder.iterdir() if path.suffix in SUFFIXES]
    except OSError:
        return []
