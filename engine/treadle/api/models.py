"""The registry: list, show, promote, roll back, quarantine and compare models."""

import os
import time
from collections.abc import Iterable
from typing import Any

from msgspec import Struct, structs, to_builtins

from treadle.api.project import Project, open_project
from treadle.api.tracking import mirror_aliases
from treadle.control import rollouts
from treadle.domain.model import CHAMPION, ROLLBACK, AliasEvent, ModelVersion, Quarantine, earlier
from treadle.errors import InputError, did_you_mean, input_error
from treadle.plugins import Catalog
from treadle.serve.load import Formats
from treadle.settings import Settings
from treadle.store import Move, Store


class Entry(Struct, frozen=True, kw_only=True):
    """A registered name: its aliases, its versions, and which of them are in quarantine."""

    name: str
    aliases: dict[str, int]
    versions: tuple[int, ...]  # newest first
    latest: float  # when the newest was registered, in seconds since the epoch
    quarantined: tuple[int, ...]


class Shown(Struct, frozen=True, kw_only=True):
    """A version with the aliases that name it, its quarantine if it is in one, and how the name's aliases moved."""

    version: ModelVersion
    aliases: tuple[str, ...]
    quarantine: Quarantine | None
    history: tuple[AliasEvent, ...]  # oldest first


class Difference(Struct, frozen=True):
    """One fact in which two versions differ; None where a version has no such fact."""

    kind: str  # metric, input, requirement, data, parameter, code, importance, fact
    name: str
    before: Any
    after: Any


def list_models(path: str | os.PathLike[str] = ".") -> list[Entry]:
    """The registered names of the project that contains `path`, sorted."""
    models, now = open_project(path).store.models, time.time()
    found = []
    for name in models.names():
        versions = models.versions(name)
        barred = tuple(sorted(models.quarantined(name, now)))
        found.append(
            Entry(
                name=name,
                aliases=models.aliases(name),
                versions=tuple(one.version for one in versions),
                latest=versions[0].created,
                quarantined=barred,
            )
        )
    return found


def get_model(reference: str, path: str | os.PathLike[str] = ".") -> Shown:
    """The version that NAME, NAME@alias or NAME/version means; raises InputError when there is none.

    A bare name means its champion, or its newest version when it has none.
    """
    store = open_project(path).store
    version = find(store, reference)
    aliases = tuple(alias for alias, number in store.models.aliases(version.name).items() if number == version.version)
    barred = store.models.quarantined(version.name, time.time()).get(version.version)
    history = tuple(store.models.events(version.name))
    return Shown(version=version, aliases=aliases, quarantine=barred, history=history)


def promote(move: Move, force: bool = False, path: str | os.PathLike[str] = ".") -> AliasEvent:
    """Move an alias to a version; raises InputError for an unknown one and, without `force`, for one in quarantine."""
    project = open_project(path)
    store = project.store
    assert move.version is not None
    _version(store, move.name, str(move.version))
    _need_alias(move.alias)
    with store.models.transaction():
        barred = store.models.quarantined(move.name, move.at).get(move.version)
        if barred is not None and not force:
            until = time.strftime("%Y-%m-%d %H:%M", time.localtime(barred.until))
            text = f"{move.name} version {move.version} is in quarantine until {until}: {barred.reason}"
            raise input_error("quarantined-model", text, None, "--force promotes it all the same")
        moved = _by_hand(store, store.models.move(move))
    mirror_aliases(project)
    return moved


def rollback(move: Move, quarantine: float | None = None, path: str | os.PathLike[str] = ".") -> AliasEvent:
    """Move an alias back to the version it had before; `move.version` is not looked at.

    With `quarantine`, in seconds, the version that it leaves must not be promoted for as long. Raises InputError
    when there is nothing to go back to.
    """
    project = open_project(path)
    store = project.store
    _need_name(store, move.name)
    with store.models.transaction():
        aliases = store.models.aliases(move.name)
        if move.alias not in aliases:
            raise _no_alias(move.name, move.alias, aliases)
        now = aliases[move.alias]
        before = earlier(store.models.events(move.name, move.alias), store.models.quarantined(move.name, move.at))
        if before is None:
            text = f"{move.name}@{move.alias} has been no other version before {now}"
            raise input_error("no-earlier-version", text, None, f"treadle models promote {move.name} VERSION")
        if quarantine is not None:
            entry = Quarantine(
                name=move.name,
                version=now,
                until=move.at + quarantine,
                at=move.at,
                actor=move.actor,
                reason=move.reason,
            )
            store.models.quarantine(entry)
        moved = _by_hand(store, store.models.move(structs.replace(move, version=before, kind=ROLLBACK)))
    mirror_aliases(project)
    return moved


def _by_hand(store: Store, event: AliasEvent) -> AliasEvent:
    """A person who moves the champion has the last word: its rollout ends; part of the caller's transaction."""
    if event.alias == CHAMPION:
        rollouts.step_aside(store, event.name, f"version {event.new} was made champion by hand", event.at)
    return event


def compare(before: str, after: str, path: str | os.PathLike[str] = ".") -> list[Difference]:
    """In what two versions differ, fact by fact; references as in `get_model`."""
    store = open_project(path).store
    one, other = facts(find(store, before)), facts(find(store, after))
    keys = [*one, *(key for key in other if key not in one)]
    different = [key for key in keys if one.get(key) != other.get(key)]
    order = {kind: number for number, kind in enumerate(dict.fromkeys(kind for kind, _ in keys))}
    return [Difference(*key, one.get(key), other.get(key)) for key in sorted(different, key=lambda k: (order[k[0]], k))]


def facts(version: ModelVersion) -> dict[tuple[str, str], Any]:
    """What a version is made of and how good it is, one by one: (kind, name) → value."""
    found: dict[tuple[str, str], Any] = {("metric", name): value for name, value in version.metrics.items()}
    for field in version.signature.inputs:
        found["input", field.name] = field.dtype if field.required else f"{field.dtype}, optional"
    for name, value in version.card.get("requirements", {}).items():
        found["requirement", name] = value
    found.update({("data", name): digest for name, digest in version.data.items()})
    for step, parts in version.lineage.items():
        for part, value in parts.items():
            kind, _, name = part.partition(" ")
            if kind in ("param", "code", "library"):
                found["parameter" if kind == "param" else kind, f"{name or part} of {step}"] = value
    found["fact", "model"] = version.artifact.digest
    found["fact", "estimator"] = version.card.get("estimator")
    found["fact", "served by"] = version.compiled
    return found


def formats(project: Project) -> Formats:
    """How the project's models may be loaded: its settings, what is installed, and the runs recorded here."""
    return formats_of(project.settings, project.catalog, project.store)


def formats_of(settings: Settings, catalog: Catalog, store: Store) -> Formats:
    """As `formats`, from the parts."""

    def made_here(version: ModelVersion) -> bool:
        run = store.history.get(version.run_id) if version.run_id else None
        steps = run.steps.values() if run is not None else ()
        return any(version.artifact in step.outputs.values() for step in steps)

    return Formats(settings.models, catalog, made_here)


def find(store: Store, reference: str) -> ModelVersion:
    """The version that NAME, NAME@alias or NAME/version means; raises InputError when there is none."""
    name, at, alias = reference.partition("@")
    if at:
        _need_name(store, name)
        found = store.models.alias(name, alias)
        if found is None:
            raise _no_alias(name, alias, store.models.aliases(name))
        return found
    name, slash, number = reference.partition("/")
    if slash:
        return _version(store, name, number)
    _need_name(store, name)
    return store.models.alias(name, CHAMPION) or store.models.versions(name)[0]


def _version(store: Store, name: str, number: str) -> ModelVersion:
    _need_name(store, name)
    found = store.models.get(name, int(number)) if number.isdecimal() and len(number) < 10 else None
    if found is None:
        known = ", ".join(str(one.version) for one in store.models.versions(name)[:12])
        raise input_error("unknown-version", f"model '{name}' has no version '{number}'", None, f"newest: {known}")
    return found


def _need_name(store: Store, name: str) -> None:
    names = store.models.names()
    if name not in names:
        text = f"no model is called '{name}'" if names else "no model is registered here"
        hint = did_you_mean(name, names) or "a step that `uses: deploy.model` registers one: treadle steps deploy.model"
        raise input_error("unknown-model", text, None, hint)


def _need_alias(alias: str) -> None:
    if not alias.replace("-", "").replace("_", "").isalnum() or alias.isdecimal() or len(alias) > 64:
        hint = "letters, digits, '-' and '_', such as champion; not only digits, which would be a version"
        raise input_error("bad-alias", f"'{alias}' is no name for an alias", None, hint)


def _no_alias(name: str, alias: str, known: Iterable[str]) -> InputError:
    return input_error("unknown-alias", f"model '{name}' has no alias '{alias}'", None, did_you_mean(alias, known))


def as_plain(value: Any) -> Any:
    """A value of this module as plain data for JSON."""
    return to_builtins(value)
