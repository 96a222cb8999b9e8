"""What registered models need: every version, and all that it was made from."""

import re

from treadle.store.open import Store

DIGEST = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


def pinned(store: Store) -> frozenset[str]:
    """The keys and digests that any model version names, and those of the steps that led to them.

    Every version counts, since each may be rolled back to. Nothing when the store has no models. Raises StoreError.
    """
    if not store.database.rows("SELECT 1 FROM sqlite_master WHERE name = 'model_versions'"):
        return frozenset()
    rows = store.database.rows("SELECT model, card, data FROM model_versions")
    todo = {digest for row in rows for value in row for digest in _digests(value)}
    if not todo:
        return frozenset()
    results = {result.key: result for result in store.results.all()}
    makers: dict[str, list[str]] = {}
    for result in results.values():
        for artifact in result.outputs.values():
            makers.setdefault(artifact.digest, []).append(result.key)
    found: set[str] = set()
    while todo:
        one = todo.pop()
        if one in found:
            continue
        found.add(one)
        todo.update(makers.get(one, ()))
        if one in results:
            todo.update(artifact.digest for artifact in results[one].outputs.values())
            inputs = (value for part, value in results[one].parts.items() if part.startswith("input "))
            todo.update(digest for value in inputs for digest in _digests(value))
    return frozenset(found)


def _digests(value: str | bytes) -> list[str]:
    """Whatever looks like a digest in a column: a record of any version is read alike."""
    data = value.encode() if isinstance(value, str) else value
    return [digest.decode("ascii") for digest in DIGEST.findall(data)]
