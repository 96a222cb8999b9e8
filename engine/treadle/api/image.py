"""A model → a folder from which `docker build` makes an image that answers as `treadle serve` does here.

export_docker
├── write_bundle     the model and its entry: nothing else of the project's store
├── copy_code        the project's own classes that the settings trust, and what they import
├── own_wheel        this Treadle
├── closure, hashed  what all of that needs, pinned
└── document         the bill of materials
"""

import hashlib
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Sequence

from msgspec import Struct, json

from treadle.api import bundle, sbom, wheel
from treadle.api.models import find
from treadle.api.project import Project, open_project
from treadle.api.requirements import Pin, closure, hashed, plain
from treadle.api.serve import pipeline_models
from treadle.code import CodeError
from treadle.domain.model import ModelVersion
from treadle.errors import CodecError, input_error
from treadle.serve.load import PICKLE

DOCKERFILE = """\
# Made by `treadle export docker`. Build it here: docker build -t NAME .
# SageMaker expects containers to run as root: --build-arg USER_ID=0
ARG BASE=docker.io/library/python:{python}-slim
FROM ${{BASE}} AS build
COPY requirements.txt {wheel} /build/
WORKDIR /build
RUN python3 -m venv /opt/venv \\
 && /opt/venv/bin/python -m pip install --no-cache-dir --no-deps{hashes} -r requirements.txt

FROM ${{BASE}}
{system}ARG USER_ID=10001
COPY --from=build /opt/venv /opt/venv
COPY entrypoint /usr/local/bin/entrypoint
COPY project /srv/treadle
COPY model /opt/ml/model
COPY sbom.json /usr/share/doc/treadle/sbom.json
RUN chmod 755 /usr/local/bin/entrypoint \\
 && mkdir -p /srv/treadle/.treadle && chown -R ${{USER_ID}}:0 /srv/treadle/.treadle
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/srv/treadle
WORKDIR /srv/treadle
USER ${{USER_ID}}
EXPOSE 8080
# the predictions that were answered: keep them on a volume, or they go with the container
VOLUME /srv/treadle/.treadle
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=2s --start-period=60s CMD ["entrypoint", "healthy"]
LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true
ENTRYPOINT ["/usr/local/bin/entrypoint"]
CMD ["serve"]
"""
# what wheels need of the system and slim images do not have
SYSTEM = {"lightgbm": "libgomp1"}
INSTALL = """\
RUN apt-get update && apt-get install -y --no-install-recommends {packages} && rm -rf /var/lib/apt/lists/*
"""
ENTRYPOINT = """\
#!/bin/sh
# `serve` is the word that SageMaker and KServe pass; options of `treadle serve` may follow it
set -eu
port="${SAGEMAKER_BIND_TO_PORT:-${PORT:-8080}}"
case "${1:-serve}" in
serve)
    [ $# -eq 0 ] || shift
    models=/opt/ml/model
    [ -z "${TREADLE_MODELS:-}" ] || models="$TREADLE_MODELS"
    [ -z "${TREADLE_TOKEN_FILE:-}" ] || set -- --token-file "$TREADLE_TOKEN_FILE" "$@"
    exec treadle serve "$models" --host 0.0.0.0 --port "$port" \\
        --workers "${SAGEMAKER_MODEL_SERVER_WORKERS:-1}" "$@"
    ;;
healthy)
    exec python3 -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:$port/ping', timeout=2)"
    ;;
*)
    exec "$@"
    ;;
esac
"""


class Image(Struct, frozen=True):
    """What was exported: the folder, the models as NAME/VERSION, its files, and whether hashes could be had."""

    folder: str
    models: tuple[str, ...]
    files: tuple[str, ...]
    hashed: bool


def export_docker(target: str, folder: str, path: str | os.PathLike[str] = ".") -> Image:
    """Make the folder for MODEL[@ALIAS], MODEL/VERSION or all models of a pipeline file.

    Raises InputError for what is not registered, a model that is a pickle, and a folder that is not empty.
    """
    pipeline = target.endswith((".yaml", ".yml"))
    project = open_project(target if pipeline else path)
    wanted = pipeline_models(project, target) if pipeline else (target,)
    versions = [find(project.store, name) for name in wanted]
    for version in versions:
        _need_data(version)
    if os.path.isdir(folder) and os.listdir(folder):
        raise input_error("folder-not-empty", f"{folder} is not empty", None, "choose a new folder, or remove this one")
    above = os.path.dirname(os.path.abspath(folder))
    os.makedirs(above, exist_ok=True)
    part = tempfile.mkdtemp(prefix=".export-", dir=above)
    try:
        os.chmod(part, 0o755)
        pinned = _fill(project, versions, part)
        if os.path.isdir(folder):
            os.rmdir(folder)
        os.rename(part, folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    files = sorted(
        os.path.relpath(os.path.join(top, name), folder) for top, _, found in os.walk(folder) for name in found
    )
    models = tuple(f"{one.name}/{one.version}" for one in versions)
    return Image(folder, models, tuple(files), pinned)


def _fill(project: Project, versions: Sequence[ModelVersion], folder: str) -> bool:
    for version in versions:
        try:
            bundle.write_bundle(os.path.join(folder, "model"), version, project.store.objects)
        except CodecError as error:
            hint = f"run {version.pipeline or 'its pipeline'} again: it makes it anew"
            raise input_error("model-lost", f"{version.name}/{version.version}: {error}", None, hint) from None
    own = os.path.join(folder, "project")
    os.makedirs(own)
    modules, imports = _code(project)
    bundle.copy_code(project.root, modules, own)
    trusted = json.encode(list(project.settings.models.trusted)).decode()
    _write(
        own,
        "treadle.toml",
        f"models = {{trusted = {trusted}}}\nkeep_predictions = {project.settings.keep_predictions}\n",
    )
    name = wheel.own_wheel(folder)
    with open(os.path.join(folder, name), "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    needed = {known: said for one in versions for known, said in one.card.get("requirements", {}).items()}
    roots = ["treadle", *map(plain, needed), *(plain(one) for one in project.code.environment(imports))]
    pins = hashed(pin for pin in closure(roots, needed) if pin.name != "treadle")
    whole = all(pin.hashes for pin in pins)
    _write(folder, "requirements.txt", _requirements(pins, name, digest if whole else ""))
    python = ".".join(platform.python_version_tuple()[:2])
    flag = " --require-hashes" if whole else ""
    packages = " ".join(sorted({SYSTEM[pin.name] for pin in pins if pin.name in SYSTEM}))
    system = INSTALL.format(packages=packages) if packages else ""
    _write(folder, "Dockerfile", DOCKERFILE.format(python=python, wheel=name, hashes=flag, system=system))
    _write(folder, "entrypoint", ENTRYPOINT)
    _write(
        folder,
        ".dockerignore",
        "*\n!Dockerfile\n!entrypoint\n!model\n!project\n!requirements.txt\n!sbom.json\n!*.whl\n",
    )
    bill = sbom.document(pins, versions, time.time())
    _write(folder, "sbom.json", json.format(json.encode(bill), indent=1).decode() + "\n")
    return whole


def _code(project: Project) -> tuple[list[str], list[str]]:
    """The project's own modules that a model file may name, with those that they import; and third-party imports."""
    modules: dict[str, None] = {}
    imports: dict[str, None] = {}
    for name in project.settings.models.trusted:
        module, _, kind = name.rpartition(".")
        base = os.path.join(project.root, *module.split("."))
        if not module or not (os.path.isfile(f"{base}.py") or os.path.isdir(base)):
            continue
        try:
            found = project.code.closure(f"{module}:{kind}")
        except CodeError as error:
            raise input_error("bad-settings", f"'models.trusted' names {name}: {error}") from None
        imports.update(dict.fromkeys(found.imports))
        reached = [part.removeprefix("code ").partition(":")[0] for part in found.parts if part.startswith("code ")]
        modules.update(dict.fromkeys([module, *reached]))
    return list(modules), list(imports)


def _requirements(pins: Sequence[Pin], name: str, digest: str) -> str:
    lines = []
    for pin in pins:
        hashes = "".join(f" \\\n    --hash=sha256:{one}" for one in sorted(pin.hashes))
        lines.append(f"{pin.name}=={pin.version}{hashes}\n")
    lines.append(f"./{name}" + (f" \\\n    --hash=sha256:{digest}" if digest else "") + "\n")
    return "".join(lines)


def _need_data(version: ModelVersion) -> None:
    if version.format == PICKLE:
        text = f"{version.name}/{version.version} is a pickle, which only the project that made it may load"
        raise input_error("pickle-in-image", text, None, "store it with skops, then export it")


def _write(folder: str, name: str, text: str) -> None:
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        file.write(text)
