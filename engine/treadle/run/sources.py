"""What the data entries of a plan stand for in one run: looked at once, and made local before a step reads them."""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from treadle.digest import of_bytes
from treadle.domain.model import CHAMPION
from treadle.domain.plan import Plan, PlannedStep
from treadle.domain.spec import DataSource
from treadle.errors import InputError, input_error
from treadle.store import Data, Store
from treadle.store.cards import card_bytes, put_card
from treadle.store.data import absent_data

if TYPE_CHECKING:
    from treadle.store.mlflow import Tracked
    from treadle.store.predictions import Window
    from treadle.store.remote import Remote


class Sources:
    """Files, URLs, windows of predictions and cards of champions by the name of their entry.

    `absent` holds digests of entries whose files are not here: with a lock they need not be.
    """

    def __init__(self, plan: Plan, store: Store, root: str, absent: Mapping[str, str]) -> None:
        self._plan = plan
        self._store = store
        self._root = root
        self._absent = absent
        self._data: dict[str, Data] = {}
        self._windows: dict[str, Window] = {}
        self._cards: dict[str, bytes] = {}

    def data(self, name: str) -> Data:
        """The identity and the paths of an entry; raises InputError when there is nothing."""
        if name not in self._data:
            if not self._data:
                self._foresee()
            try:
                self._data[name] = self._look(name)
            except InputError:
                if name not in self._absent:
                    raise
                self._data[name] = absent_data(self._absent[name])
        return self._data[name]

    def fetch(self, step: PlannedStep) -> None:
        """Before a step runs: local copies of what it reads; raises InputError for what cannot be reached.

        A URL is fetched, a window of predictions or a card is written, only when a step is to read it.
        """
        for name in dict.fromkeys(_names(step)):
            entry, data = self._plan.data[name], self.data(name)
            if entry.kind == "url":
                self._data[name] = self._remote(entry).fetch(entry, data)
            elif name in self._windows and not os.path.exists(data.paths[0]):
                from treadle.store.predictions.parquet import write_window  # lazy: only pipelines that read predictions

                write_window(self._windows[name], data.paths[0], os.path.join(self._store.folder, "tmp"))
            elif name in self._cards:
                put_card(data.paths[0], self._cards[name])

    def changed(self, name: str) -> bool:
        """Whether the files of an entry are not what they were; windows and cards are copies, and never change."""
        return name not in self._windows and name not in self._cards and self._store.files.changed(self.data(name))

    def digests(self, names: Iterable[str] | None = None) -> dict[str, str]:
        """The digests of these entries, or of those looked at so far, as far as they are files of the user's."""
        found = {}
        for name in list(self._data) if names is None else names:
            if self._plan.data[name].kind == "path":
                with suppress(InputError):
                    found[name] = self.data(name).digest
        return found

    def _foresee(self) -> None:
        """Most entries are a file each; what is known of them is read in one go."""
        targets = [source.target for source in self._plan.data.values() if source.kind == "path"]
        self._store.files.foresee([os.path.normpath(os.path.join(self._root, target)) for target in targets])

    def _look(self, name: str) -> Data:
        source = self._plan.data[name]
        if source.kind == "predictions":
            return self._window(name, source)
        if source.kind == "model":
            return self._card(name, source)
        if source.kind == "url":
            return self._remote(source).data(source)
        return self._store.files.data(self._root, source)

    def _window(self, name: str, source: DataSource) -> Data:
        from treadle.store import predictions  # lazy: 1 ms, only pipelines that read predictions

        folder = predictions.model_folder(self._store.folder, source.target)
        window = predictions.find_window(folder, source.window)
        if window is None and source.optional:
            window = predictions.empty_window(folder)
        if window is None:
            text = f"data '{name}' reads the predictions of '{source.target}', but none are recorded here"
            hint = "predictions are recorded while a model serves; until then run the steps that do not need them"
            raise input_error("no-predictions", text, source.where, hint)
        self._windows[name] = window
        return self._made(window.digest, os.path.join(folder, "windows", f"{window.digest}.parquet"))

    def _card(self, name: str, source: DataSource) -> Data:
        """What the champion was accepted on: its profile, history, importance and metrics."""
        version = self._store.models.alias(source.target, CHAMPION)
        if version is None:
            text = f"data '{name}' reads the card of '{source.target}', but no version of it is champion"
            hint = "a step `uses: deploy.model` registers the first; until then run the steps that do not need it"
            raise input_error("no-champion", text, source.where, hint)
        self._cards[name] = card_bytes(version)
        digest = of_bytes(self._cards[name])
        return self._made(digest, os.path.join(self._store.folder, "cards", f"{digest}.json"))

    def _made(self, digest: str, path: str) -> Data:
        """A file that the store itself makes of what it knows."""
        return Data(
            digest=digest,
            shape="file",
            paths=(path,),
            root=self._root,
            target=path,
            names=(os.path.basename(path),),
            signatures=(),
            settled=True,
        )

    def _remote(self, source: DataSource) -> "Remote | Tracked":
        from treadle.store.url import is_mlflow  # lazy: only for data behind a URL

        store = self._store
        if is_mlflow(source.target):
            from treadle.store.mlflow import Tracked  # lazy: only for data on an MLflow server

            return Tracked(store.folder, store.files.tell)
        from treadle.store.remote import Remote  # lazy: only for data behind a URL

        return Remote(store.folder, store.objects, store.memo, store.files, store.files.tell)


def _names(step: PlannedStep) -> Iterable[str]:
    """The data entries that a step reads, as an input or element by element."""
    for sources in step.inputs.values():
        yield from (source.output for source in sources if source.step is None)
    if step.foreach is not None and step.foreach.step is None:
        yield step.foreach.output
