"""What may be deleted, and deleting it; and proving that everything stored is whole.

An object stays while a result, a recent run, a registered model or a root refers to it, and for a while after it
was made or used.
"""

import os
import time
from collections.abc import Callable, Iterator, Set
from contextlib import suppress
from shutil import rmtree

from msgspec import Struct

from treadle.digest import of_file
from treadle.domain.advance import Advance, Tell, silent
from treadle.domain.artifact import Artifact
from treadle.store.database import Denied, os_failure
from treadle.store.open import Store
from treadle.store.process import pid_exists
from treadle.store.results import Result
from treadle.store.scratch import owner

GRACE = 3600.0  # seconds that an object nobody refers to is left alone: its result may be about to be recorded
OLD = 30 * 86400.0  # seconds after which memos and compiled plans are made anew


class Share(Struct, frozen=True):
    """How many objects of how many bytes a step's results give back."""

    count: int
    size: int


class Waste(Struct, frozen=True):
    """What a sweep would delete; `steps` are by step id, "" for objects that no result refers to."""

    objects: tuple[str, ...]
    results: tuple[str, ...]
    count: int
    size: int
    steps: dict[str, Share]
    cutoff: float  # what was touched after this moment stays


class Report(Struct, frozen=True):
    """The outcome of verifying `count` objects of `size` bytes.

    `damaged` was moved aside, `repaired` is what is whole or there again, `forgotten` has (pipeline, step)
    of results that need what is not there: they count as misses from now on. `remote` says what was wrong with it.
    `denied` says why nothing could be moved or forgotten, where the store may only be read.
    """

    count: int
    size: int
    damaged: tuple[str, ...]
    repaired: tuple[str, ...]
    forgotten: tuple[tuple[str, str], ...]
    remote: tuple[str, ...] = ()
    denied: str = ""


def plan(store: Store, keep_runs: int, roots: Set[str] = frozenset(), now: float | None = None) -> Waste:
    """What may go if the newest `keep_runs` runs of each pipeline are kept, and `roots`: keys or digests of objects.

    What runs that are going on now may use stays as well. Raises StoreError.
    """
    at = time.time() if now is None else now
    living = store.history.living()
    busy = {run.pipeline for run in living}
    cutoff = min([at - GRACE, *(run.started for run in living)])
    kept_keys, kept = set(roots), set(roots)
    for run in [*store.history.recent(keep_runs), *living]:
        for record in run.steps.values():
            kept_keys.add(record.key)
            for artifact in record.outputs.values():
                kept.update(store.objects.parts(artifact))
            if record.track is not None:
                kept.add(record.track.digest)
    for name in store.models.names():
        for version in store.models.versions(name):
            kept.update(store.objects.parts(version.artifact))
    going: list[Result] = []
    items: list[Result] = []
    for result in store.results.all():
        if result.key in kept_keys or result.created > cutoff or result.pipeline in busy:
            kept.update(_parts(store, result))
        elif "foreach" in result.parts:
            items.append(result)
        else:
            going.append(result)
    # an item of a list that is kept stays, so that a list that changes a little costs little
    going += [item for item in items if not all(artifact.digest in kept for artifact in item.outputs.values())]
    makers = {digest: result.step for result in going for digest in _parts(store, result)}
    gone: list[str] = []
    steps: dict[str, list[int]] = {}
    total = 0
    for digest, path in _stored(store.objects.folder):
        if digest in kept:
            continue
        with suppress(FileNotFoundError):
            found = os.stat(path)
            if found.st_mtime > cutoff:
                continue
            gone.append(digest)
            total += found.st_size
            share = steps.setdefault(makers.get(digest, ""), [0, 0])
            share[0] += 1
            share[1] += found.st_size
    shares = {step: Share(*share) for step, share in sorted(steps.items())}
    return Waste(tuple(gone), tuple(result.key for result in going), len(gone), total, shares, cutoff)


def sweep(store: Store, waste: Waste, now: float | None = None, tell: Tell = silent) -> int:
    """Delete what `plan` found, and what dead processes left behind; returns the bytes of the objects deleted.

    Results go first, so that a crash in between leaves objects nobody refers to and never the reverse.
    What was used since the plan was made stays.
    """
    at = time.time() if now is None else now
    computing = store.leases.drop_stale(at)
    store.results.forget(*(key for key in waste.results if key not in computing))
    freed = 0
    for number, digest in enumerate(waste.objects):
        tell(Advance("deleting", number, waste.count, "objects"))
        path = store.objects.path(digest)
        try:
            found = os.stat(path)
            if found.st_mtime <= waste.cutoff:
                os.unlink(path)
                freed += found.st_size
        except FileNotFoundError:
            continue
        except OSError as error:
            raise os_failure(error, path) from error
    _sweep_scratch(store, at)
    named = {value for result in store.results.all() for value in result.parts.values()}
    store.memo.drop_older(at - OLD, spare=named)  # the sources and listings that a manifest names explain it
    for path in (*_entries(store.plans.folder), *_entries(os.path.join(store.folder, "remote"))):
        with suppress(OSError):
            if os.stat(path).st_mtime < at - OLD:
                _delete(path)
    return freed


def verify_all(store: Store, fetch: Callable[[str], bool] = lambda digest: False, tell: Tell = silent) -> Report:
    """Hash every object again, move the damaged aside and forget the results that need what is missing.

    `fetch` brings an object back by its digest and tells whether it could: where a remote has a copy, what is damaged
    or lost is repaired instead.
    """
    from concurrent.futures import ThreadPoolExecutor  # lazy: 10 ms that other commands spare

    from treadle.environment import cores  # lazy: only needed here

    def check(entry: tuple[str, str]) -> tuple[str, int, bool]:
        digest, path = entry
        try:
            return digest, os.stat(path).st_size, of_file(path) == digest
        except FileNotFoundError:  # swept meanwhile
            return digest, 0, True
        except OSError as error:
            raise os_failure(error, path) from error

    damaged, count, size = [], 0, 0
    with ThreadPoolExecutor(max(1, cores())) as pool:
        entries = list(_stored(store.objects.folder))
        for digest, length, sound in pool.map(check, entries, chunksize=1):
            count, size = count + 1, size + length
            tell(Advance("verifying", count, len(entries), "objects"))
            if not sound:
                store.objects.verify(Artifact(digest, "", length))
                damaged.append(digest)
    repaired = {digest for digest in damaged if fetch(digest)}
    repaired.update(restore(store, fetch))
    bad = {digest for digest in damaged if digest not in repaired}
    lost = [result for result in store.results.all() if not _whole(store, result, bad)]
    denied = ""
    if bad or lost:
        try:
            with store.database.transaction():
                store.results.forget(*(result.key for result in lost))
        except Denied as error:
            denied = str(error)
    forgotten = tuple(sorted({(result.pipeline, result.step) for result in lost}))
    return Report(count, size, tuple(sorted(damaged)), tuple(sorted(repaired)), forgotten, denied=denied)


def restore(store: Store, fetch: Callable[[str], bool]) -> list[str]:
    """Bring back what results and model versions name and the store lost; the digests that came."""
    named = [artifact for result in store.results.all() for artifact in result.outputs.values()]
    named += [version.artifact for name in store.models.names() for version in store.models.versions(name)]
    found = []
    for artifact in named:
        for digest in store.objects.parts(artifact):  # a folder's own list first, which then names the rest
            if not os.path.exists(store.objects.path(digest)) and fetch(digest):
                found.append(digest)
    return found


def stored_sizes(store: Store) -> dict[str, int]:
    """The size in bytes of every object, by digest."""
    sizes = {}
    for digest, path in _stored(store.objects.folder):
        with suppress(FileNotFoundError):  # swept meanwhile
            sizes[digest] = os.stat(path).st_size
    return sizes


def _whole(store: Store, result: Result, bad: Set[str]) -> bool:
    outputs = result.outputs.values()
    if not all(map(store.objects.has, outputs)):
        return False
    return not bad or bad.isdisjoint(digest for artifact in outputs for digest in store.objects.parts(artifact))


def _parts(store: Store, result: Result) -> Iterator[str]:
    for artifact in result.outputs.values():
        yield from store.objects.parts(artifact)
    if result.track is not None:
        yield result.track.digest


def _stored(folder: str) -> Iterator[tuple[str, str]]:
    """The digest and the path of every object."""
    for first in _names(folder):
        shard = os.path.join(folder, first, "")
        for name in _names(shard):
            yield first + name, shard + name


def _entries(folder: str) -> list[str]:
    return [os.path.join(folder, name) for name in _names(folder)]


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _sweep_scratch(store: Store, now: float) -> None:
    """Delete scratch files of dead processes and scratch folders of runs that are over."""
    living = tuple(run.run_id for run in store.history.living())
    for path in _entries(os.path.join(store.folder, "tmp")):
        name = os.path.basename(path)
        pid = owner(name)
        with suppress(OSError):
            # Age counts too: a process in another container is alive though its number means nothing here.
            if os.lstat(path).st_mtime > now - GRACE or name.startswith(living) or (pid and pid_exists(pid)):
                continue
            _delete(path)


def _delete(path: str) -> None:
    remove: Callable[[str], None] = rmtree if os.path.isdir(path) and not os.path.islink(path) else os.unlink
    remove(path)
