"""Model files that lie: whatever they hold, nothing of it is made before it was proved and allowed."""

import io
import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from msgspec import convert, structs
from sklearn.linear_model import Ridge

from treadle.domain.artifact import Artifact
from treadle.domain.model import ModelVersion, Signature
from treadle.plugins import Catalog
from treadle.serve.load import Formats, ModelRefused, load
from treadle.settings import ModelFormats
from treadle.store import Objects
from treadle_steps import deploy
from treadle_steps.codecs import SkopsCodec

FRAME = pd.DataFrame({"a": np.linspace(0, 1, 40), "b": np.linspace(1, 0, 40) ** 2})
MODEL = Ridge().fit(FRAME, FRAME.a * 2)
MARK = "mark-of-a-stranger"


class Stranger(Ridge):
    """An estimator of the user's own."""


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (self.path,)


def skops_bytes(model: Any, folder: Path) -> bytes:
    SkopsCodec().write(model, folder / "m.skops")
    return (folder / "m.skops").read_bytes()


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return Objects(tmp_path / ".treadle" / "objects")


def version(artifact: Artifact, model: Any = MODEL) -> ModelVersion:
    card = dict(deploy.model(model, None, FRAME, name="demand"))
    return ModelVersion(
        name="demand",
        version=3,
        artifact=artifact,
        format=artifact.codec,
        created=0.0,
        signature=convert(card.pop("signature"), Signature),
        example=tuple(card.pop("example")),
        compiled=card.pop("compiled"),
        card=card,
    )


def formats(trusted: tuple[str, ...] = (), allow_pickle: bool = False, made_here: bool = True) -> Formats:
    allowed = ModelFormats(trusted=trusted, allow_pickle=allow_pickle)
    return Formats(allowed, Catalog.from_entry_points(), lambda version: made_here)


def test_a_model_that_was_registered_answers(objects: Objects, tmp_path: Path) -> None:
    entry = version(objects.add_bytes(skops_bytes(MODEL, tmp_path), "skops"))
    assert entry.compiled.startswith("compiled: ")
    found = load(entry, objects, formats())
    columns = {name: FRAME[name].to_numpy() for name in ("b", "a")}
    assert found.version == entry
    assert np.allclose(found.predict(columns), MODEL.predict(FRAME), rtol=1e-12)
    one = {name: values[:1] for name, values in columns.items()}
    assert np.allclose(found.predict(one), MODEL.predict(FRAME[:1]), rtol=1e-12)


def test_a_swapped_file_is_refused_before_anything_is_loaded(objects: Objects, tmp_path: Path) -> None:
    artifact = objects.add_bytes(skops_bytes(MODEL, tmp_path), "skops")
    place = Path(objects.path(artifact.digest))
    place.chmod(0o644)
    place.write_bytes(pickle.dumps(Bomb(str(tmp_path / MARK))))
    with pytest.raises(ModelRefused, match="was damaged"):
        load(version(artifact), objects, formats(allow_pickle=True))
    assert not (tmp_path / MARK).exists()


def test_a_truncated_and_a_lost_file_are_refused(objects: Objects, tmp_path: Path) -> None:
    artifact = objects.add_bytes(skops_bytes(MODEL, tmp_path), "skops")
    place = Path(objects.path(artifact.digest))
    place.chmod(0o644)
    place.write_bytes(place.read_bytes()[:200])
    with pytest.raises(ModelRefused, match="was damaged"):
        load(version(artifact), objects, formats())
    with pytest.raises(ModelRefused, match="not in the store any more"):
        load(version(artifact), objects, formats())


@pytest.mark.parametrize("damage", ["pickle", "empty", "truncated", "no schema", "schema of nothing", "nested"])
def test_bytes_that_are_no_skops_file_are_refused(objects: Objects, tmp_path: Path, damage: str) -> None:
    whole = skops_bytes(MODEL, tmp_path)
    data = {
        "pickle": pickle.dumps(Bomb(str(tmp_path / MARK))),
        "empty": b"",
        "truncated": whole[: len(whole) // 2],
        "no schema": archive({"x": b"1"}),
        "schema of nothing": archive({"schema.json": b"{}"}),
        "nested": archive({"schema.json": b"[" * 100_000}),
    }[damage]
    entry = version(objects.add_bytes(data, "skops"))
    with pytest.raises(ModelRefused, match="demand version 3 is refused: this is no skops file"):
        load(entry, objects, formats(allow_pickle=True))
    assert not (tmp_path / MARK).exists()


def archive(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return out.getvalue()


def test_only_the_settings_say_what_is_trusted(objects: Objects, tmp_path: Path) -> None:
    model = Stranger().fit(FRAME, FRAME.a)
    name = f"{Stranger.__module__}.Stranger"
    entry = version(objects.add_bytes(skops_bytes(model, tmp_path), "skops"))
    lying = structs.replace(entry, card={**entry.card, "trusted": [name]})
    with pytest.raises(ModelRefused, match=rf"does not trust: {name}; .*models = \{{trusted"):
        load(lying, objects, formats())
    assert type(load(entry, objects, formats(trusted=(name,)))).__name__ == "LoadedModel"


def test_a_file_that_names_a_system_call_is_refused(objects: Objects, tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(skops_bytes(MODEL, tmp_path))) as file:
        members = {name: file.read(name) for name in file.namelist()}
    schema = json.loads(members["schema.json"])
    schema.update(
        {
            "__class__": "system",
            "__module__": "os",
            "__loader__": "FunctionNode",
            "content": {"function": "system", "module_path": "os"},
        }
    )
    members["schema.json"] = json.dumps(schema).encode()
    with pytest.raises(ModelRefused, match=r"does not trust: .*os\.system|this is no skops file"):
        load(version(objects.add_bytes(archive(members), "skops")), objects, formats())


def test_pickles_need_the_settings_and_a_run_made_here(objects: Objects, tmp_path: Path) -> None:
    entry = version(objects.add_bytes(pickle.dumps(MODEL), "pickle"))
    bomb = version(objects.add_bytes(pickle.dumps(Bomb(str(tmp_path / MARK))), "pickle"))
    for one in (entry, bomb):
        with pytest.raises(ModelRefused, match="may run any code"):
            load(one, objects, formats())
        with pytest.raises(ModelRefused, match="no run recorded here made"):
            load(one, objects, formats(allow_pickle=True, made_here=False))
    assert not (tmp_path / MARK).exists()
    assert load(entry, objects, formats(allow_pickle=True)).predict({"a": np.ones(1), "b": np.ones(1)}).shape == (1,)


def test_names_that_lead_elsewhere_are_no_paths(objects: Objects, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(skops_bytes(MODEL, tmp_path))
    for digest in ("../../secret", "/etc/passwd", "", "ab/../../../secret"):
        with pytest.raises(ModelRefused, match="is not a digest"):
            load(version(Artifact(digest, "skops", 1, "../../secret")), objects, formats())
    with pytest.raises(ModelRefused, match="is a folder"):
        load(version(Artifact("0" * 64, "skops", 1, "../up/")), objects, formats())


def test_a_format_that_nobody_serves_is_refused(objects: Objects) -> None:
    with pytest.raises(ModelRefused, match="nothing installed serves the format 'json'"):
        load(version(objects.add_bytes(b"{}", "json")), objects, formats())
    with pytest.raises(ModelRefused, match="no codec is called 'skop'; did you mean 'skops'"):
        load(version(objects.add_bytes(b"{}", "skop")), objects, formats())
