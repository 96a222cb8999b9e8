"""A run where nothing may be written: with nothing to do it is answered, and forgotten; else it is refused."""

import time

from treadle.api.project import Project
from treadle.domain.plan import Plan
from treadle.run.selection import Selection
from treadle.store.database import Denied


def unrecorded(project: Project, made: Plan, selection: Selection) -> None:
    """Let a run that cannot be recorded go on if no step has to run; raises Denied, which names those that have."""
    refusal = project.store.database.refusal()
    if not refusal:
        return
    from treadle.run.preview import preview  # lazy: a run that may write decides as it goes

    fates = preview(made, project.store, project.code, selection, time.time())
    needed = [one.step for one in fates if one.fate in ("run", "wait")]
    if needed:
        more = f" and {len(needed) - 1} more" if len(needed) > 1 else ""
        raise Denied(f"'{needed[0]}'{more} would run, and {refusal}")
    project.store.database.forget_changes()
    project.store.notices.append(f"this run is not recorded: {refusal}")
