"""Why a step would be a hit or run now, and what it would take to make it a hit."""

import os
import time
from collections.abc import Mapping
from typing import Any

from treadle.api.compiled import Request, make
from treadle.api.project import open_project
from treadle.api.runs import get_run
from treadle.run.explain import Explanation
from treadle.run.explain import explain as explain_step


def explain(
    path: str | os.PathLike[str], step: str, params: Mapping[str, Any] | None = None, against: str | None = None
) -> Explanation:
    """Compare a step's manifest with its nearest earlier record, or with run `against`; raises InputError."""
    project = open_project(path)
    plan, _ = make(project, path, Request(params=params or {}, targets=(step,)))
    run = None if against is None else get_run(against, path)
    found = explain_step(plan, project.store, project.code, step, run, time.time())
    project.store.memo.flush()
    return found
