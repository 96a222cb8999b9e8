"""The store of a project: its parts, opened together, each at its first use."""

import os
from functools import cached_property
from typing import TYPE_CHECKING

from treadle.store.database import Database
from treadle.store.files import FileDigests
from treadle.store.history import History
from treadle.store.leases import Leases
from treadle.store.memo import Memo
from treadle.store.models import Models, ModelsDoor
from treadle.store.objects import Objects
from treadle.store.plans import Plans
from treadle.store.results import Results
from treadle.store.tags import Tags

if TYPE_CHECKING:
    from treadle.store.ledger import Ledger
    from treadle.store.rollouts import Desks, Rollouts
    from treadle.store.traffic import TrafficTable


class Store:
    """A record of the parts; `folder` is `.treadle`. Wrap writes that belong together in `database.transaction()`.

    `notices` collects what the user should be told, such as a damaged database that was set aside.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.folder = os.path.join(os.path.abspath(root), ".treadle")
        self.notices: list[str] = []
        self.database = Database(os.path.join(self.folder, "state.db"), self.notices)
        self.objects = Objects(os.path.join(self.folder, "objects"))
        self.results = Results(self.database, self.objects)
        self.leases = Leases(self.database)
        self.history = History(self.database)
        self.files = FileDigests(self.database)
        self.memo = Memo(self.database)
        self.models: ModelsDoor = Models(self.database)
        self.plans = Plans(os.path.join(self.folder, "plans"))
        self.tags = Tags(self.database)

    @cached_property
    def traffic(self) -> "TrafficTable":
        """What the servers of rollouts have seen."""
        from treadle.store.traffic import TrafficTable  # lazy: with the next two 2 ms, only for the loop

        return TrafficTable(self.database)

    @cached_property
    def ledger(self) -> "Ledger":
        """The automatic acts."""
        from treadle.store.ledger import Ledger  # lazy: only for the loop

        return Ledger(self.database)

    @cached_property
    def rollouts(self) -> "Rollouts":
        """The rollouts as they stand."""
        from treadle.store.rollouts import Rollouts  # lazy: only for the loop

        return Rollouts(self.database)

    @cached_property
    def desks(self) -> "Desks":
        """What controllers remember."""
        from treadle.store.rollouts import Desks  # lazy: only for the loop

        return Desks(self.database)


def open_store(root: str | os.PathLike[str]) -> Store:
    """The store of the project at `root`; nothing is read or made until a part of it is used."""
    return Store(root)
