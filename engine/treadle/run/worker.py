"""perform(task) → Outcome: the only function that runs on the far side, and the border no exception crosses."""

import os
import sys
import time
from functools import cache
from typing import Any

from treadle.authoring import Codec
from treadle.domain.artifact import Artifact
from treadle.domain.task import Failure, Files, Outcome, Stored, Task
from treadle.errors import CodecError, StepError, TreadleError
from treadle.plugins import Catalog, load
from treadle.run import command, traceback
from treadle.run.command import CommandFailed
from treadle.run.fresh import compile_afresh
from treadle.store import Objects, decode, encode


def prepare() -> None:
    """Load once what every task needs; a nursery calls it before the first fork."""
    _codecs()


class OutputMismatch(TreadleError):
    """What a step returned is not what its outputs say."""


def perform(task: Task) -> Outcome:
    """Perform one task; whatever goes wrong becomes a failure with the user's own traceback."""
    started = time.time()
    outputs: dict[str, Artifact] = {}
    metrics: dict[str, float] = {}
    failure = None
    try:
        os.makedirs(task.scratch, exist_ok=True)
        _enter(task)
        objects = Objects(task.objects)
        if task.kind == "command":
            outputs, metrics = command.run(task, objects)
        else:
            outputs, metrics = _function(task, objects)
        objects.sync()
    except StepError as error:
        failure = Failure("error", str(error))
    except CommandFailed as error:
        failure = Failure(error.kind, str(error), code=error.code)
    except OutputMismatch as error:
        failure = Failure("output", str(error))
    except InputDamaged as error:
        failure = Failure("input", str(error))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # the border: a step may raise anything
        failure = traceback.failure(error)
    if failure is not None:
        failure = _masked(task, failure)
    return Outcome(
        step_id=task.step_id,
        attempt=task.attempt,
        outputs=outputs,
        metrics=metrics,
        failure=failure,
        started=started,
        finished=time.time(),
        worker=os.getpid(),
    )


class InputDamaged(TreadleError):
    """A stored input is missing or does not have its digest."""


def _enter(task: Task) -> None:
    """The step's working folder, its import path and its environment."""
    os.chdir(task.root)
    compile_afresh(task.root)
    if sys.path[:1] != [task.root]:
        sys.path.insert(0, task.root)
    os.environ.update(task.env)
    os.environ["TREADLE_SCRATCH"] = task.scratch
    os.environ["TMPDIR"] = task.scratch


def _function(task: Task, objects: Objects) -> tuple[dict[str, Artifact], dict[str, float]]:
    arguments = {port: _input(task, port, objects) for port in task.inputs}
    function = load(task.call)
    returned = function(**arguments, **task.params)
    values = _values(task, returned)
    codecs = _codecs()
    try:
        outputs = {
            output.name: encode(values[output.name], codecs, objects, task.scratch, output.name, output.codec)
            for output in task.outputs
        }
    except CodecError as error:
        raise OutputMismatch(str(error)) from None
    return outputs, _metrics(values)


def _input(task: Task, port: str, objects: Objects) -> Any:
    from pathlib import Path  # lazy: the nursery has it already, inline runs may not

    found: list[Any] = []
    for source in task.inputs[port]:
        if isinstance(source, Files):
            paths = [Path(path) for path in source.paths]
            found.append(paths if source.shape == "files" else paths[0])
        else:
            found.append(_stored(task, port, source, objects))
    return found if port in task.listed else found[0]


def _stored(task: Task, port: str, source: Stored, objects: Objects) -> Any:
    try:
        return decode(source.artifact, _codec, objects, os.path.join(task.scratch, "in", port))
    except CodecError as error:
        raise InputDamaged(f"input '{port}': {error}") from None


def _values(task: Task, returned: Any) -> dict[str, Any]:
    """The returned value taken apart into the outputs by name."""
    names = [output.name for output in task.outputs]
    fields = getattr(type(returned), "_fields", None)
    if isinstance(returned, tuple) and fields:
        found = dict(zip(fields, returned, strict=True))
    elif len(names) == 1 and not (task.declared and isinstance(returned, dict) and set(returned) == set(names)):
        return {names[0]: returned}
    elif isinstance(returned, dict):
        found = returned
    elif isinstance(returned, tuple | list):
        if len(returned) != len(names):
            raise OutputMismatch(f"the step returned {len(returned)} values for the outputs {', '.join(names)}")
        found = dict(zip(names, returned, strict=True))
    else:
        kind = type(returned).__qualname__
        raise OutputMismatch(f"the step returned a {kind} where a tuple or dict of {', '.join(names)} is expected")
    if len(names) == 1 and names[0] not in found:
        return {names[0]: returned}
    missing = [name for name in names if name not in found]
    if missing:
        raise OutputMismatch(f"the step did not return {', '.join(missing)}; it returned {', '.join(map(str, found))}")
    return {name: found[name] for name in names}


def _metrics(values: dict[str, Any]) -> dict[str, float]:
    """The output called `metrics`, or the only output when it is a mapping: its numbers."""
    source = values.get("metrics", next(iter(values.values())) if len(values) == 1 else None)
    if not isinstance(source, dict):
        return {}
    found = {}
    for name, value in source.items():
        if type(value).__module__ == "numpy" and hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
            value = value.item()
        if isinstance(value, int | float) and not isinstance(value, bool):
            found[str(name)] = float(value)
    return found


def _masked(task: Task, failure: Failure) -> Failure:
    """The failure without the values of the step's secrets."""
    message, text = failure.message, failure.traceback
    for name in task.secrets:
        value = os.environ.get(name)
        if value:
            message, text = message.replace(value, "***"), text.replace(value, "***")
    return Failure(failure.kind, message, text, failure.code)


@cache
def _catalog() -> Catalog:
    return Catalog.from_entry_points()


@cache
def _codec(name: str) -> Codec:
    return _catalog().codec(name)


@cache
def _codecs() -> tuple[Codec, ...]:
    return tuple(_catalog().codecs())
