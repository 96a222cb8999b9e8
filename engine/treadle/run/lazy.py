"""A list whose values are read when they are asked for, for functions that say they can use one."""

import re
from collections import abc
from collections.abc import Callable, Iterator, Sequence
from typing import Any, get_origin, overload

from treadle.domain.artifact import Artifact
from treadle.run.invoke import find_function

LAZY = re.compile(r"(typing\.|t\.|collections\.abc\.|abc\.)?(Sequence|Iterable|Collection)\b")


class LazyList(Sequence[Any]):
    """The values of artifacts, each read anew when it is asked for; nothing is kept."""

    def __init__(self, items: Sequence[Artifact], read: Callable[[Artifact], Any]) -> None:
        self._items = items
        self._read = read

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Any]:
        return map(self._read, self._items)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> "LazyList": ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return LazyList(self._items[index], self._read)
        return self._read(self._items[index])


def wants_lazily(call: str, argument: str) -> bool:
    """Whether the function annotates the argument as a Sequence, Collection or Iterable."""
    found = getattr(find_function(call), "__annotations__", {}).get(argument)
    if isinstance(found, str):
        return LAZY.match(found) is not None
    return (get_origin(found) or found) in (abc.Sequence, abc.Iterable, abc.Collection)
