"""Compiled plans in `.treadle/plans/`, by the digest of what they were made from."""

import os

from treadle.digest import of_bytes
from treadle.store.database import make_folder, os_failure
from treadle.store.scratch import replace_file

MARK = 65  # a digest and a line feed come first, so that half a file is never taken for a plan


class Plans:
    """Bytes by name; what is torn or missing is None, and is made again."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def get(self, digest: str) -> bytes | None:
        """What was put under this digest, whole, or None."""
        try:
            with open(os.path.join(self.folder, digest), "rb") as file:
                content = file.read()
        except OSError:
            return None
        data = content[MARK:]
        return data if content[: MARK - 1].decode("ascii", "replace") == of_bytes(data) else None

    def put_file(self, name: str, content: bytes) -> None:
        """Write a file of another kind beside the plans, whole or not at all; raises StoreError."""
        try:
            make_folder(os.path.dirname(self.folder))
            os.makedirs(self.folder, exist_ok=True)
            replace_file(os.path.join(self.folder, name), content, os.path.join(self.folder, "..", "tmp"))
        except OSError as error:
            raise os_failure(error, self.folder) from error

    def put(self, digest: str, data: bytes) -> None:
        """Keep bytes under a digest; raises StoreError when they cannot be written."""
        self.put_file(digest, of_bytes(data).encode("ascii") + b"\n" + data)
