"""Versions of the registry as MLflow models: a folder with MLmodel that `mlflow.pyfunc.load_model` opens."""

import io
import os
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from msgspec import json, to_builtins

from treadle.domain.model import Field, ModelVersion
from treadle.domain.run import RunRecord
from treadle.errors import TreadleError
from treadle.mirror.outbox import Sent
from treadle.mlflow import FOUND_ALREADY, Refused, Server, size_of
from treadle.plugins import Catalog
from treadle.store import Store

TAG = "treadle.version"
FILES = {"skops": "model.skops", "pickle": "model.pkl"}  # what the loader below can open by itself
LOADER = "treadle_pyfunc"


def send(server: Server, store: Store, run: RunRecord, sent: Sent) -> None:
    """Register the versions that a run registered here; raises Unreachable, Refused."""
    for name in store.models.names():
        for version in store.models.versions(name):
            known = f"{name}/{version.version}"
            if version.run_id == run.run_id and known not in sent.models:
                sent.models[known] = _register(server, store, version, sent)


def versions(server: Server, name: str) -> dict[str, str]:
    """Our versions of a name → the server's, for those that were sent."""
    rule = "name = '" + name.replace("'", "") + "'"
    found = server.get("mlflow/model-versions/search", filter=rule, max_results=1000).get("model_versions", [])
    tagged = [(entry, tag) for entry in found for tag in entry.get("tags", []) if tag["key"] == TAG]
    return {str(tag["value"]): str(entry["version"]) for entry, tag in tagged}


def _register(server: Server, store: Store, version: ModelVersion, sent: Sent) -> str:
    place = f"{sent.artifacts}/models/{version.name}-{version.version}"
    there = versions(server, version.name).get(str(version.version))
    if there is not None:
        return there
    for name, data in folder_of(version).items():
        server.upload(f"{place}/{name}", io.BytesIO(data), len(data))
    path = store.objects.path(version.artifact.digest)
    if os.path.exists(path):
        with open(path, "rb") as file:
            server.upload(f"{place}/data/{file_of(version)}", file, size_of(file))
    try:
        server.post("mlflow/registered-models/create", name=version.name)
    except Refused as error:
        if error.code != FOUND_ALREADY:
            raise
    made = server.post(
        "mlflow/model-versions/create",
        name=version.name,
        source=place,
        run_id=sent.run,
        description=f"registered by treadle run {version.run_id}, step {version.step}",
        tags=[{"key": TAG, "value": str(version.version)}, {"key": "treadle.digest", "value": version.artifact.digest}],
    )
    return str(made["model_version"]["version"])


def file_of(version: ModelVersion) -> str:
    """The name of the model's own file in its folder."""
    return FILES.get(version.format, "model.bin")


def folder_of(version: ModelVersion) -> dict[str, bytes]:
    """The files beside the model's own: MLmodel (JSON, which is YAML), the loader, requirements, an example."""
    requirements: Mapping[str, str] = version.card.get("requirements", {})
    python = str(version.card.get("python", ""))
    names = [field.name for field in version.signature.inputs]
    described = {
        "artifact_path": f"models/{version.name}-{version.version}",
        "flavors": {
            "python_function": {
                "loader_module": LOADER,
                "code": "code",
                "data": "data",
                "env": {"virtualenv": "python_env.yaml"},
                **({"python_version": python} if python else {}),
            }
        },
        "mlflow_version": "3.0.0",
        "model_uuid": version.artifact.digest[:32],
        "utc_time_created": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(version.created)) + ".000000",
        "metadata": {"treadle": {"run_id": version.run_id, "git": version.git, "key": version.key}},
    }
    if names:
        described["signature"] = {
            "inputs": _schema(version.signature.inputs),
            "outputs": _schema(version.signature.outputs) if version.signature.outputs else None,
            "params": None,
        }
    pinned = "".join(f"{name}=={number}\n" for name, number in requirements.items())
    environment = {"build_dependencies": ["pip"], "dependencies": ["-r requirements.txt"]}
    files = {
        "MLmodel": json.format(json.encode(described)),
        f"code/{LOADER}.py": loader().encode(),
        "requirements.txt": pinned.encode(),
        "python_env.yaml": json.encode({**({"python": python} if python else {}), **environment}),
        "data/columns.json": json.encode(names),
    }
    files |= reader_of(version.format)
    if version.example:
        files["input_example.json"] = json.encode(to_builtins(list(version.example)))
    return files


def loader() -> str:
    """The source of the module that opens a model of ours; it needs nothing of treadle."""
    return (Path(__file__).parent / "loader.py.txt").read_text(encoding="utf-8")


def reader_of(name: str) -> dict[str, bytes]:
    """The module that reads a format without treadle, and its name for the loader, where the codec has one."""
    try:
        alone = getattr(Catalog.from_entry_points().codec(name), "alone", "")
        spec = find_spec(alone) if alone else None
    except (TreadleError, ImportError):
        return {}
    if spec is None or spec.origin is None:
        return {}
    module = alone.replace(".", "_")  # a process may open models of several formats
    return {f"code/{module}.py": Path(spec.origin).read_bytes(), "data/reader.json": json.encode(module)}


def _schema(fields: tuple[Field, ...]) -> str:
    """A schema as MLflow writes it: JSON in a text."""
    columns = [{"type": field.dtype, "name": field.name, "required": field.required} for field in fields]
    return json.encode(columns).decode()
