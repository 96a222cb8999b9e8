"""The store of a project: its parts, opened together, each at its first use."""

import os

from msgspec import Struct

from treadle.store.database import Database
from treadle.store.files import FileDigests
from treadle.store.history import History
from treadle.store.leases import Leases
from treadle.store.ledger import Ledger
from treadle.store.memo import Memo
from treadle.store.models import Models, ModelsDoor
from treadle.store.objects import Objects
from treadle.store.plans import Plans
from treadle.store.results import Results
from treadle.store.rollouts import Desks, Rollouts
from treadle.store.tags import Tags
from treadle.store.traffic import TrafficTable


class Store(Struct, frozen=True):
    """A record of the parts; `folder` is `.treadle`. Wrap writes that belong together in `database.transaction()`.

    `notices` collects what the user should be told, such as a damaged database that was set aside.
    """

    folder: str
    objects: Objects
    results: Results
    leases: Leases
    history: History
    files: FileDigests
    memo: Memo
    models: ModelsDoor
    traffic: TrafficTable
    plans: Plans
    ledger: Ledger
    rollouts: Rollouts
    desks: Desks
    tags: Tags
    database: Database
    notices: list[str]


def open_store(root: str | os.PathLike[str]) -> Store:
    """The store of the project at `root`; nothing is read or made until a part of it is used."""
    folder = os.path.join(os.path.abspath(root), ".treadle")
    notices: list[str] = []
    database = Database(os.path.join(folder, "state.db"), notices)
    objects = Objects(os.path.join(folder, "objects"))
    return Store(
        folder=folder,
        objects=objects,
        results=Results(database, objects),
        leases=Leases(database),
        history=History(database),
        files=FileDigests(database),
        memo=Memo(database),
        models=Models(database),
        traffic=TrafficTable(database),
        plans=Plans(os.path.join(folder, "plans")),
        ledger=Ledger(database),
        rollouts=Rollouts(database),
        desks=Desks(database),
        tags=Tags(database),
        database=database,
        notices=notices,
    )
