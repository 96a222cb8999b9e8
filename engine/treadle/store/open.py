"""Opening `.treadle/`: all its parts as one record."""

import os

from msgspec import Struct

from treadle.errors import StoreError
from treadle.store.database import Database
from treadle.store.files import FileDigests
from treadle.store.history import History
from treadle.store.leases import Leases
from treadle.store.memo import MemoTable
from treadle.store.objects import Objects
from treadle.store.plans import Plans
from treadle.store.results import Results


class Store(Struct, frozen=True):
    """The parts of a project's store; a record without behaviour."""

    folder: str
    objects: Objects
    results: Results
    history: History
    files: FileDigests
    memo: MemoTable
    leases: Leases
    plans: Plans


def open_store(root: str) -> Store:
    """The store of the project at `root`, made when it is not there; raises StoreError when it cannot be."""
    folder = os.path.join(root, ".treadle")
    mark = os.path.join(folder, ".gitignore")
    if not os.path.exists(mark):
        try:
            for name in ("objects", "logs", "tmp"):
                os.makedirs(os.path.join(folder, name), exist_ok=True)
            with open(mark, "w", encoding="ascii") as file:
                file.write("*\n")
        except OSError as error:
            text = f"{folder} cannot be written: {error.strerror}; make the project's folder writable, or copy it"
            raise StoreError(text) from error
    database = Database(os.path.join(folder, "state.db"))
    return Store(
        folder=folder,
        objects=Objects(os.path.join(folder, "objects")),
        results=Results(database),
        history=History(database),
        files=FileDigests(database),
        memo=MemoTable(database),
        leases=Leases(os.path.join(folder, "leases")),
        plans=Plans(os.path.join(folder, "plans")),
    )
