"""A registered model outlives its run, and an older project gets the registry without losing anything."""

import sqlite3
import time
from pathlib import Path

from treadle.api.models import formats_of
from treadle.domain.artifact import Artifact
from treadle.domain.model import ModelVersion
from treadle.domain.run import RUNNING, RunRecord, StepRecord
from treadle.plugins import Catalog
from treadle.settings import Settings
from treadle.store import Result, Store, open_store
from treadle.store.schema import FIRST
from treadle.store.sweep import GRACE, plan, sweep


def registered(store: Store, artifact: Artifact, run_id: str = "") -> ModelVersion:
    draft = ModelVersion(name="m", version=0, artifact=artifact, format="bytes", created=1.0, run_id=run_id)
    return store.models.register(draft, "card", "run")[0]


def test_a_sweep_leaves_registered_models(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    kept, loose = (store.objects.add_bytes(data, "bytes") for data in (b"a model", b"something else"))
    registered(store, kept)
    later = time.time() + GRACE + 10
    waste = plan(store, keep_runs=0, now=later)
    assert waste.objects == (loose.digest,)
    sweep(store, waste, later)
    assert (store.objects.has(kept), store.objects.has(loose)) == (True, False)


def test_a_model_was_made_here_if_a_recorded_run_made_it(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    made, other = (store.objects.add_bytes(data, "bytes") for data in (b"made", b"other"))
    run = RunRecord(run_id="r1", pipeline="p", path="", plan="", status=RUNNING, started=1.0)
    store.history.start(run)
    store.history.add_steps("r1", [StepRecord(id="s", fate="run", key="k", outputs={"model": made})])
    made_here = formats_of(Settings(root=str(tmp_path)), Catalog({}), store).made_here
    assert made_here(registered(store, made, "r1"))
    assert not made_here(registered(store, other, "r1"))
    elsewhere = ModelVersion(name="m", version=9, artifact=made, format="bytes", created=1.0, run_id="r2")
    assert not made_here(elsewhere)


def test_a_project_from_before_the_registry_gets_it(tmp_path: Path) -> None:
    (tmp_path / ".treadle").mkdir()
    with sqlite3.connect(tmp_path / ".treadle" / "state.db") as connection:
        for statement in FIRST:
            connection.execute(statement)
        connection.execute("PRAGMA user_version=1")
    connection.close()
    store = open_store(tmp_path)
    store.results.put([Result(key="k", outputs={})])
    assert registered(store, Artifact("d", "bytes", 1)).version == 1
    assert open_store(tmp_path).results.get("k") is not None
