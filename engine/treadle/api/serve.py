"""Serve models of the project's registry until told to stop."""

import mmap
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress

from msgspec import Struct

from treadle.api.bundle import BundleShelf, entry_path, is_folder, read_entry
from treadle.api.bundle import names as bundled
from treadle.api.compiled import Request, make
from treadle.api.models import formats
from treadle.api.project import Project, open_project
from treadle.domain.model import CHALLENGER, CHAMPION, ModelVersion
from treadle.environment import provide
from treadle.errors import TreadleError, did_you_mean, input_error
from treadle.serve.access import is_loopback
from treadle.serve.limits import Limits
from treadle.serve.predictor import Predictor
from treadle.serve.shelf import Shelf, State
from treadle.serve.supervise import Orders, bind, supervise

DEPLOY = "deploy.model"
SHORTEST = 16  # characters of a token


class Options(Struct, frozen=True, kw_only=True):
    """Where and how to serve; port 0 takes a free one."""

    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 1
    token_file: str = ""


class Served(Struct, frozen=True):
    """What is served, and where; `guarded` says how requests that change state are kept out."""

    models: tuple[str, ...]
    url: str
    guarded: str


def serve(target: str, options: Options, ready: Callable[[Served], None]) -> int:
    """Serve the models of a pipeline file, of a folder, or MODEL[@alias], until SIGTERM or SIGINT.

    Returns the exit code. A folder is one that `treadle export docker` made: it needs no registry.

    `ready` is called once when every worker has answered every model's example. Raises InputError for a target that
    names nothing to serve, an address that cannot be had, and a token file that cannot be used.
    """
    pipeline = target.endswith((".yaml", ".yml"))
    project = open_project(target if pipeline else ".")
    folder = "" if pipeline or not is_folder(target) else target
    if folder:
        names, alias = bundled(folder), CHAMPION
    else:
        names, alias = (pipeline_models(project, target), CHAMPION) if pipeline else _model(project, target)
    if options.workers < 1:
        raise input_error("bad-workers", f"--workers is {options.workers}", None, "one worker or more")
    token = read_token(options.token_file) if options.token_file else None
    loopback = is_loopback(options.host)
    listening = bind(options.host, options.port)
    host, port = listening.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    root, store, keep = project.root, project.store.folder, project.settings.keep_predictions
    provide("OMP_NUM_THREADS", "1")  # two threads buy nothing for one row, and worsen the tail
    from treadle.serve.worker import Serving, work  # lazy: numpy and the loop, for all workers at once

    for name in names:
        _prepare(project, read_entry(entry_path(folder, name)) if folder else project.store.models.alias(name, alias))
    project.store.database.close()
    guarded = "token" if token else "loopback" if loopback else "refused"

    def compact() -> None:
        from treadle.store.predictions.parquet import compact as pack  # lazy: only this process needs Parquet

        for name in names:
            pack(os.path.join(store, "predictions", name), time.time(), keep)

    limits, supervisor = Limits(), os.getpid()
    with tempfile.TemporaryDirectory(prefix="treadle-serve-") as meeting, listening:

        def serve_one(sock: socket.socket, board: mmap.mmap, number: int) -> int:
            serving = Serving(
                models=names,
                workers=options.workers,
                store=store,
                meeting=meeting,
                limits=limits,
                token=token,
                loopback=loopback,
                shelf=lambda: BundleShelf(folder, root) if folder else RegistryShelf(root, alias),
                supervisor=supervisor,
            )
            return work(serving, sock, board, number)

        orders = Orders(
            workers=options.workers,
            hang=limits.hang,
            stop=limits.stop + 5,
            compact=compact,
            ready=lambda: ready(Served(names, url, guarded)),
        )
        return supervise(listening, serve_one, orders)


def _prepare(project: Project, version: ModelVersion | None) -> None:
    """Import what a version's format needs to answer; nothing of the model is read."""
    if version is not None:
        with suppress(TreadleError):  # a format that is not installed is a refusal of its workers
            codec = project.catalog.codec(version.format)
            getattr(codec, "prepare", lambda compiled: None)(version.form is not None)


class RegistryShelf(Shelf):
    """The project's registry as a server sees it; opened in the process, and used by the thread, that asks it."""

    def __init__(self, root: str, alias: str = CHAMPION) -> None:
        self._project = open_project(root)
        self._project.store.database.hold()  # an empty registry in its place would name no champion
        self._alias = alias
        self._changes = -1
        self._aliases: dict[str, dict[str, int]] = {}

    def state(self, name: str) -> State:
        store = self._project.store
        changes = store.models.changes()
        if changes != self._changes:
            self._changes, self._aliases = changes, {}
        if name not in self._aliases:
            self._aliases[name] = store.models.aliases(name)
        aliases = self._aliases[name]
        if self._alias != CHAMPION:
            return State(aliases.get(self._alias))
        traffic = store.traffic.get(name)
        if traffic is None:
            return State(aliases.get(CHAMPION))
        champion = traffic.champion or aliases.get(CHAMPION)
        return State(champion, traffic.challenger or aliases.get(CHALLENGER), traffic)

    def load(self, name: str, version: int) -> Predictor:
        from treadle.serve.load import load  # lazy: formats bring scikit-learn, which only workers need

        if self._project.root not in sys.path:
            sys.path.insert(0, self._project.root)  # models may hold the project's own classes
        found = self._project.store.models.get(name, version)
        if found is None:
            raise input_error("unknown-model", f"model '{name}' has no version {version}")
        return load(found, self._project.store.objects, formats(self._project)).put_aside()


def _model(project: Project, target: str) -> tuple[tuple[str, ...], str]:
    name, _, alias = target.partition("@")
    alias = alias or CHAMPION
    names = project.store.models.names()
    if name not in names:
        hint = did_you_mean(name, names) or "run a pipeline with a deploy.model step first"
        raise input_error("unknown-model", f"no model is called '{name}'", None, hint)
    aliases = project.store.models.aliases(name)
    if alias not in aliases:
        raise input_error(
            "unknown-alias", f"no version of '{name}' is called '{alias}'", None, did_you_mean(alias, aliases)
        )
    return (name,), alias


def pipeline_models(project: Project, path: str) -> tuple[str, ...]:
    """The registered models that a pipeline file deploys; raises InputError when there are none."""
    plan, _ = make(project, path, Request())
    names = tuple(dict.fromkeys(str(step.params["name"]) for step in plan.steps if step.library == DEPLOY))
    if not names:
        raise input_error("nothing-to-serve", f"{path} has no step that deploys a model", None, f"uses: {DEPLOY}")
    known = project.store.models.names()
    for name in names:
        if name not in known:
            raise input_error("unknown-model", f"model '{name}' is not registered yet", None, f"treadle run {path}")
    return names


def read_token(path: str) -> str:
    """The token in a file; raises InputError when it cannot be read or is too weak."""
    try:
        with open(path, encoding="utf-8") as file:
            token = file.read().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise input_error("bad-token", f"the token file {path} cannot be read: {error}") from None
    if len(token) < SHORTEST or not token.isascii() or not token.isprintable() or " " in token:
        hint = f"openssl rand -hex 32 > {path}"
        raise input_error(
            "bad-token", f"the token in {path} must be {SHORTEST} or more characters of ASCII", None, hint
        )
    return token
