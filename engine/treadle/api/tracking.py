"""Have runs and the registry mirrored to the MLflow server of the settings; costs nothing without one."""

from collections.abc import Callable

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


def mirror_aliases(project: Project) -> bool:
    """Have the aliases of the registry sent, after one moved; False when a sender at work may not see that."""
    if not project.settings.track.mlflow:
        return True
    from treadle import mirror  # lazy: only with `track` in the settings

    return mirror.wake(project.root, project.store.folder)


class AliasMirror:
    """Has aliases sent whenever the registry has changed: those that a rollout moves, and whatever else does."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._sent = project.store.models.changes() if project.settings.track.mlflow else 0

    def look(self) -> None:
        """One cheap look; tries again at the next one while an earlier sender is at work. Raises StoreError."""
        if self._project.settings.track.mlflow:
            changes = self._project.store.models.changes()
            if changes != self._sent and mirror_aliases(self._project):
                self._sent = changes


def _shown(server: str) -> str:
    """The address without credentials."""
    scheme, _, rest = server.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
