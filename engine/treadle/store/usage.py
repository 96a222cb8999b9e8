"""What the store holds, and for which steps."""

from msgspec import Struct

from treadle.store.history import RunSummary
from treadle.store.open import Store
from treadle.store.sweep import Share, stored_sizes


class StepUsage(Struct, frozen=True):
    """The results of one step of one pipeline, and the objects that they name; shared ones count for one step."""

    pipeline: str
    step: str
    results: int
    objects: Share


class Usage(Struct, frozen=True):
    """Objects and their bytes in all, results, those objects that no result names, each step, the latest runs."""

    objects: Share
    results: int
    loose: Share
    steps: tuple[StepUsage, ...]
    runs: tuple[RunSummary, ...]


def usage(store: Store, runs: int) -> Usage:
    """The use of the store, the largest steps first, and the fates of the newest `runs` runs; reads no content."""
    sizes = stored_sizes(store)
    total = Share(len(sizes), sum(sizes.values()))
    results: dict[tuple[str, str], int] = {}
    shares: dict[tuple[str, str], list[int]] = {}
    for result in sorted(store.results.all(), key=lambda result: result.created):
        name = (result.pipeline, result.step)
        results[name] = results.get(name, 0) + 1
        share = shares.setdefault(name, [0, 0])
        for artifact in result.outputs.values():
            for digest in store.objects.parts(artifact):
                size = sizes.pop(digest, None)  # counted once
                if size is not None:
                    share[0] += 1
                    share[1] += size
    steps = [StepUsage(*name, count, Share(*shares[name])) for name, count in results.items()]
    steps.sort(key=lambda step: (-step.objects.size, step.pipeline, step.step))
    return Usage(
        objects=total,
        results=sum(results.values()),
        loose=Share(len(sizes), sum(sizes.values())),
        steps=tuple(steps),
        runs=tuple(store.history.summaries(runs)),
    )
