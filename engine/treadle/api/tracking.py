"""Have runs and the registry mirrored to the MLflow server of the settings; costs nothing without one."""

import time
from collections.abc import Callable
from contextlib import suppress

from treadle.api.project import Project
from treadle.domain.event import Event, Notice
from treadle.domain.run import RunRecord


def mirror_run(project: Project, start: RunRecord, notify: Callable[[Event], None]) -> None:
    """Have a process of its own send a run that begins now, and what earlier ones left."""
    server = project.settings.track.mlflow
    if not server:
        return
    from treadle import mirror  # lazy: only with `track` in the settings

    folder = project.store.folder
    left = len(mirror.waiting(folder))
    try:
        mirror.add(folder, start.run_id)
    except OSError as error:
        text = f"this run is not sent to MLflow: {error}"
        notify(Notice(run_id=start.run_id, at=start.started, text=text))
    if mirror.wake(project.root, folder) and left:
        many = f"{left} earlier run{'' if left == 1 else 's'}"
        text = f"{many} still to be sent to {_shown(server)} (.treadle/mlflow/log says why)"
        notify(Notice(run_id=start.run_id, at=start.started, text=text))


def mirror_aliases(project: Project) -> None:
    """Have the aliases of the registry sent, after one moved, whether a sender is at work or not.

    What cannot be noted, on a full disk, is sent with the next run or move.
    """
    if not project.settings.track.mlflow:
        return
    from treadle import mirror  # lazy: only with `track` in the settings

    with suppress(OSError):
        mirror.note_moved(project.store.folder)
    mirror.wake(project.root, project.store.folder)


class AliasMirror:
    """Has aliases sent whenever the registry has changed: those that a rollout moves, and whatever else does.

    What a server that was away for long did not get is tried again every `pause` seconds.
    """

    def __init__(self, project: Project, pause: float = 300.0) -> None:
        self._project = project
        self._pause = pause
        self._seen = project.store.models.changes() if project.settings.track.mlflow else 0
        self._tried = time.monotonic()

    def look(self) -> None:
        """One cheap look; raises StoreError."""
        if not self._project.settings.track.mlflow:
            return
        changes = self._project.store.models.changes()
        if changes != self._seen:
            mirror_aliases(self._project)
            self._seen = changes
        elif time.monotonic() - self._tried >= self._pause:
            from treadle import mirror  # lazy: only with `track` in the settings

            self._tried = time.monotonic()
            if mirror.anything(self._project.store.folder):
                mirror.wake(self._project.root, self._project.store.folder)


def _shown(server: str) -> str:
    """The address without credentials."""
    scheme, _, rest = server.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
