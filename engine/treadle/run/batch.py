"""The far side of `foreach`: a batch of items, one after the other in one process, each with an end of its own.

What has ended is also written to a file of the batch, so that a process that dies takes only the item it was at.
"""

import os
import time
from collections.abc import Callable

from msgspec import DecodeError, msgpack, structs

from treadle.domain.task import BATCH, Failure, Item, ItemOutcome, Task
from treadle.quantity import format_duration
from treadle.run.scratch import remove

ENDED = "ended"  # the file's name in the batch's scratch folder
HEAD = 8  # bytes of length before each entry

Attempt = Callable[[Task, Item], ItemOutcome]

_decode = msgpack.Decoder(ItemOutcome).decode


def perform_items(task: Task, attempt: Attempt) -> tuple[ItemOutcome, ...]:
    """Perform items until all are done, one was interrupted, or BATCH seconds are over."""
    ended: list[ItemOutcome] = []
    limit = time.monotonic() + BATCH
    os.makedirs(task.scratch, exist_ok=True)
    with open(os.path.join(task.scratch, ENDED), "ab", buffering=0) as file:
        for item in task.items:
            if ended and time.monotonic() >= limit:
                break
            began = time.monotonic()
            own = structs.replace(task, scratch=os.path.join(task.scratch, str(item.index)))
            outcome = attempt(own, item)
            if outcome.failure is not None and outcome.failure.kind == "cancelled":
                break
            if task.timeout is not None and time.monotonic() - began > task.timeout:
                text = f"took longer than its timeout of {format_duration(task.timeout)}"
                outcome = structs.replace(outcome, outputs={}, metrics={}, failure=Failure("timeout", text))
            remove(own.scratch)
            data = msgpack.encode(outcome)
            file.write(len(data).to_bytes(HEAD, "big") + data)
            ended.append(outcome)
    return tuple(ended)


def ended_items(scratch: str) -> tuple[ItemOutcome, ...]:
    """What a batch whose process died had finished."""
    try:
        with open(os.path.join(scratch, ENDED), "rb") as file:
            data = file.read()
    except OSError:
        return ()
    found: list[ItemOutcome] = []
    while len(data) >= HEAD:
        size = int.from_bytes(data[:HEAD], "big")
        try:
            found.append(_decode(data[HEAD : HEAD + size]))
        except DecodeError:
            break  # it died while it wrote this one
        data = data[HEAD + size :]
    return tuple(found)
