"""Compiled plans by name; losing one costs time, never truth."""

import os

MOST = 50


class Plans:
    """Files in one folder, the oldest removed when there are many."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def get(self, key: str) -> bytes | None:
        """The plan of that name, or None."""
        try:
            with open(os.path.join(self._folder, key), "rb") as file:
                return file.read()
        except OSError:
            return None

    def put(self, key: str, data: bytes) -> None:
        """Keep a plan; written beside and renamed, so that a reader never sees half of it."""
        os.makedirs(self._folder, exist_ok=True)
        path = os.path.join(self._folder, key)
        with open(f"{path}.{os.getpid()}", "wb") as file:
            file.write(data)
        os.replace(f"{path}.{os.getpid()}", path)
        self._trim()

    def _trim(self) -> None:
        names = os.listdir(self._folder)
        if len(names) > MOST:
            by_age = sorted((os.stat(os.path.join(self._folder, name)).st_mtime_ns, name) for name in names)
            for _, name in by_age[: len(names) - MOST]:
                os.unlink(os.path.join(self._folder, name))
