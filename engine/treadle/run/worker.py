"""perform(task) → Outcome: the only function that runs on the far side, and the border no exception crosses.

perform
├── _entered                    a function's folder, import path and environment, for as long as it runs
├── masked                      its output, without the values of its secrets
├── _input                      artifacts → values, files → paths
├── Context                     what a function with `ctx` tells while it runs
├── call_function | run_command
├── take_apart                  what was returned → outputs by name
├── encode                      values → artifacts
└── failure_of                  whatever went wrong → Failure
"""

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import structs

from treadle.authoring import Codec
from treadle.domain.artifact import Artifact
from treadle.domain.signature import CONTEXT
from treadle.domain.spec import Output
from treadle.domain.task import Failure, Files, Given, Item, ItemOutcome, Outcome, Stored, Task, Usage
from treadle.environment import snapshot, surroundings
from treadle.errors import CodecError, StoreError, TreadleError
from treadle.executors.output import Mask, masked
from treadle.plugins import Catalog
from treadle.quantity import format_size
from treadle.run.batch import perform_items
from treadle.run.context import Context, number
from treadle.run.fresh import compile_afresh
from treadle.run.invoke import StepFailed, call_function, failure_of, render, run_command
from treadle.run.lazy import LazyList, wants_lazily
from treadle.run.program import as_main
from treadle.run.scratch import IN, OUT, Spare
from treadle.store import Objects, decode, encode
from treadle.store.objects import LIST, is_folder
from treadle.store.scratch import ensure_folder


class Made(NamedTuple):
    """What a step made; `peak` is the most bytes of memory that its command had, if it is one."""

    outputs: dict[str, Artifact]
    metrics: dict[str, float]
    peak: int = 0


def prepare() -> None:
    """Load once what every task needs, the codecs; a nursery calls it before the first fork."""
    try:
        _codecs()
    except Exception:  # noqa: BLE001  # a plug-in is broken: the step that stores something reports it
        return


def tidy(task: Task) -> None:
    """Empty the scratch folder of a command of which nothing is left, for the next one that this process performs."""
    _spare().keep(task.scratch, _shown(task))


def perform(task: Task) -> Outcome:
    """Perform one task; whatever goes wrong becomes a failure with the user's own traceback."""
    started = time.time()
    outputs: dict[str, Artifact] = {}
    metrics: dict[str, float] = {}
    peak = 0
    items: tuple[ItemOutcome, ...] = ()
    failure: Failure | None = None
    mask = Mask(())
    try:
        with _prepared(task):
            mask = Mask(_secrets(task))
            objects = Objects(task.objects)
            with masked(mask), as_main(task.program):
                if task.items:
                    items = perform_items(task, lambda own, item: _attempt(own, item, objects, mask))
                else:
                    outputs, metrics, peak = _work(task, objects, mask)
            objects.sync()
    except BaseException as error:  # noqa: BLE001  # the border: a step may raise anything
        outputs, metrics, failure = {}, {}, _masked(mask, _explained(task, error))
    return Outcome(
        step_id=task.step_id,
        attempt=task.attempt,
        outputs=outputs,
        metrics=metrics,
        failure=failure,
        started=started,
        finished=time.time(),
        worker=os.getpid(),
        usage=Usage(peak_memory=peak),
        items=items,
    )


def _attempt(task: Task, item: Item, objects: Objects, mask: Mask) -> ItemOutcome:
    """One item of a batch: the task with the element for its inputs; whatever goes wrong is the item's failure."""
    started = time.time()
    outputs: dict[str, Artifact] = {}
    metrics: dict[str, float] = {}
    failure: Failure | None = None
    try:
        ensure_folder(task.scratch)
        os.chdir(task.root)
        os.environ["TREADLE_SCRATCH"] = os.environ["TMPDIR"] = task.scratch
        _forget_temporary_folder()
        given = dict.fromkeys(task.each, (item.element,))
        outputs, metrics, _ = _work(structs.replace(task, inputs={**task.inputs, **given}), objects, mask)
    except BaseException as error:  # noqa: BLE001  # the border: a step may raise anything
        outputs, metrics, failure = {}, {}, _masked(mask, _explained(task, error))
    finished = time.time()
    return ItemOutcome(
        index=item.index, outputs=outputs, metrics=metrics, failure=failure, started=started, finished=finished
    )


def _work(task: Task, objects: Objects, mask: Mask) -> Made:
    if task.kind == "command":
        return _perform_command(task, objects)
    arguments = {port: _input(task, port, objects) for port in task.inputs} | task.params
    told: dict[str, float] = {}
    if task.track:
        told, returned = _call_with_context(task, arguments, mask)
    else:
        returned = call_function(task.call, arguments)
    values = take_apart(returned, task.outputs, task.declared)
    metrics = told | metrics_of(values)
    return Made({output.name: _stored(task, output, values[output.name], objects) for output in task.outputs}, metrics)


def _call_with_context(task: Task, arguments: dict[str, Any], mask: Mask) -> tuple[dict[str, float], Any]:
    context = Context(task, mask)
    try:
        returned = call_function(task.call, arguments | {CONTEXT: context})
    finally:
        context.close()
    return context.last, returned


# surroundings


def _prepared(task: Task) -> AbstractContextManager[None]:
    """What a task needs around it; a single command has its environment alone, and needs but a folder."""
    if task.kind != "command" or task.items:
        return _entered(task)
    if not _spare().take(task.scratch, _shown(task)):
        ensure_folder(task.scratch)
    return nullcontext()


@cache
def _spare() -> Spare:
    return Spare()


def _shown(task: Task) -> dict[str, str]:
    """The inputs of a command that it is shown as one file each, which may be a copy, and its name."""
    found = {}
    for port, sources in task.inputs.items():
        source = sources[0] if len(sources) == 1 else None
        if isinstance(source, Stored) and source.artifact.codec != LIST and not is_folder(source.artifact):
            found[port] = source.artifact.name or source.artifact.digest
    return found


@contextmanager
def _entered(task: Task) -> Iterator[None]:
    """The step's folder, import path and environment; afterwards those from before, where a process lives on."""
    alone = task.isolation == "fresh" and task.kind == "function"  # a process that waits for a shell may live on
    before = None if alone else (snapshot(), os.getcwd(), list(sys.path))
    try:
        ensure_folder(task.scratch)
        os.chdir(task.root)
        _compile_afresh_once(task.root)
        if sys.path[:1] != [task.root]:
            sys.path.insert(0, task.root)
        if task.devices is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, task.devices))
        os.environ.update(task.env)
        os.environ["TREADLE_SCRATCH"] = os.environ["TMPDIR"] = task.scratch
        _forget_temporary_folder()
        yield
    finally:
        if before is not None:
            _leave(*before)


def _leave(environment: dict[bytes, bytes], folder: str, path: list[str]) -> None:
    now = snapshot()
    for name in now.keys() - environment.keys():
        del os.environb[name]
    for name, value in environment.items() - now.items():
        os.environb[name] = value
    os.chdir(folder)
    sys.path[:] = path
    _forget_temporary_folder()


@cache
def _compile_afresh_once(root: str) -> None:
    compile_afresh(root)


def _forget_temporary_folder() -> None:
    """`tempfile` looks at TMPDIR once; a nursery or an earlier step may have made it look already."""
    found = sys.modules.get("tempfile")
    if found is not None:
        found.tempdir = None  # type: ignore[attr-defined]


def _secrets(task: Task) -> list[str]:
    if not task.secrets:
        return []
    given = {**os.environ, **task.env}
    missing = [name for name in task.secrets if name not in given]
    if missing:
        raise StepFailed("error", f"the secret {', '.join(missing)} is not set in the environment")
    return [given[name] for name in task.secrets]


def _explained(task: Task, error: BaseException) -> Failure:
    failure = failure_of(error)
    if isinstance(error, MemoryError) and task.memory:
        text = f"MemoryError: the step's memory limit is {format_size(task.memory)} (`resources: {{memory: …}}`)"
        return Failure(failure.kind, text, failure.traceback, failure.code)
    return failure


def _masked(mask: Mask, failure: Failure) -> Failure:
    return Failure(failure.kind, mask.text(failure.message), mask.text(failure.traceback), failure.code)


# inputs


def _input(task: Task, port: str, objects: Objects) -> Any:
    found: list[Any] = []
    for source in task.inputs[port]:
        if isinstance(source, Files):
            paths = [Path(path) for path in source.paths]
            found.append(paths if source.shape == "files" else paths[0])
        elif isinstance(source, Given):
            found.append(json.loads(source.json))
        elif source.artifact.codec == LIST and task.kind == "function" and wants_lazily(task.call, port):
            found.append(_lazy(task, port, source, objects))
        else:
            found.append(_decoded(task, port, source, objects))
    return found if port in task.listed else found[0]


def _lazy(task: Task, port: str, source: Stored, objects: Objects) -> LazyList:
    try:
        items = objects.items(source.artifact)
    except CodecError as error:
        raise StepFailed("input", f"input '{port}' cannot be read: {error}") from None
    return LazyList(items, lambda item: _decoded(task, port, Stored(item), objects))


def _decoded(task: Task, port: str, source: Stored, objects: Objects) -> Any:
    try:
        place = _inside(os.path.join(task.scratch, IN), port)
        return decode(source.artifact, _codec, objects, place, task.forms.get(port, ""))
    except (TreadleError, OSError) as error:
        raise StepFailed("input", f"input '{port}' cannot be read: {error}") from None
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  # a codec may raise anything
        raise StepFailed("input", f"input '{port}' cannot be read: {type(error).__name__}: {error}") from None


# outputs


def take_apart(returned: Any, outputs: tuple[Output, ...], declared: bool) -> dict[str, Any]:
    """What a function returned, by the names of its outputs; raises StepFailed of kind `output`.

    Several outputs come as a NamedTuple (by field), a mapping (by key), a tuple or a list (by order). One output is
    the value itself, unless it was declared or is a field, and the value holds exactly it.
    """
    names = [output.name for output in outputs]
    fields: tuple[str, ...] = getattr(type(returned), "_fields", ()) if isinstance(returned, tuple) else ()
    if len(names) == 1:
        return {names[0]: _only(returned, names[0], fields, declared)}
    if fields and (set(names) <= set(fields) or not declared):
        _demand(names, fields, type(returned).__name__)
        return {name: getattr(returned, name) for name in names}
    if isinstance(returned, Mapping):
        _demand(names, list(map(str, returned)), "dict it returned")
        return {name: returned[name] for name in names}
    if isinstance(returned, tuple | list):
        if len(returned) != len(names):
            count = f"{len(returned)} value{'' if len(returned) == 1 else 's'}"
            raise StepFailed("output", f"the step returned {count} for {len(names)} outputs: {', '.join(names)}")
        return dict(zip(names, returned, strict=True))
    text = "the step returned nothing" if returned is None else f"the step returned a {type(returned).__qualname__}"
    raise StepFailed("output", f"{text}, where a tuple or dict of {', '.join(names)} is expected")


def _demand(names: list[str], has: Iterable[str], what: str) -> None:
    missing = [f"'{name}'" for name in names if name not in has]
    if missing:
        found = ", ".join(has) or "nothing"
        raise StepFailed("output", f"the step did not return {', '.join(missing)}; the {what} has: {found}")


def _only(returned: Any, name: str, fields: tuple[str, ...], declared: bool) -> Any:
    if name in fields:
        return getattr(returned, name)
    if declared and isinstance(returned, Mapping) and set(returned) == {name}:
        return returned[name]
    if declared and type(returned) is tuple and len(returned) == 1:
        return returned[0]
    return returned


def metrics_of(values: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of the output called `metrics`, or else of the only output when it is a mapping.

    Raises StepFailed when `metrics` is no mapping.
    """
    named = "metrics" in values
    source = values["metrics"] if named else next(iter(values.values())) if len(values) == 1 else None
    if not isinstance(source, Mapping):
        if named:
            kind = type(source).__qualname__
            raise StepFailed("output", f"the output 'metrics' must be a mapping of names to numbers, not a {kind}")
        return {}
    numbers = {str(name): number(value) for name, value in source.items()}
    return {name: value for name, value in numbers.items() if value is not None}


def _stored(task: Task, output: Output, value: Any, objects: Objects) -> Artifact:
    try:
        return encode(value, _codecs(), objects, task.scratch, output.name, output.codec)
    except CodecError as error:
        raise StepFailed("output", str(error)) from None
    except (StoreError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001  # a codec may raise anything
        text = f"output '{output.name}' cannot be stored: {type(error).__name__}: {error}"
        raise StepFailed("output", text) from None


# commands


def _perform_command(task: Task, objects: Objects) -> Made:
    staging = os.path.join(task.scratch, OUT)
    places = {output.name: _inside(staging, output.path or output.name) for output in task.outputs}
    for folder in dict.fromkeys((staging, *map(os.path.dirname, places.values()))):
        ensure_folder(folder)
    inputs = {port: _paths(task, port, objects) for port in task.inputs}
    command = render(task.call, inputs, places, task.params)
    peak = run_command(command, task.root, surroundings(task.env, task.scratch, task.devices), task.log)
    missing = [output for output in task.outputs if not os.path.exists(places[output.name])]
    if missing:
        text = ", ".join(f"'{output.name}' ({output.path or output.name})" for output in missing)
        raise StepFailed("output", f"the command ended well but did not make {text}")
    metrics = _written_metrics(places)
    return Made({o.name: _taken(task, o, places[o.name], objects) for o in task.outputs}, metrics, peak)


def _taken(task: Task, output: Output, place: str, objects: Objects) -> Artifact:
    """Store what the command made; with a codec, as if a function had returned the value that the file holds."""
    if output.codec not in (None, "file", "folder"):
        add = objects.add_folder if os.path.isdir(place) else objects.add_file
        return add(place, str(output.codec), os.path.basename(place), give=True)
    return _stored(task, Output(output.name, codec=output.codec), Path(place), objects)


def _paths(task: Task, port: str, objects: Objects) -> list[str]:
    found: list[str] = []
    folder = _inside(os.path.join(task.scratch, IN), port)
    for source in task.inputs[port]:
        if isinstance(source, Files):
            found += source.paths
            continue
        if isinstance(source, Given):
            found += _words(json.loads(source.json), source, folder)
            continue
        try:
            items = objects.items(source.artifact) if source.artifact.codec == LIST else [source.artifact]
            for item in items:
                found.append(objects.hand_out(item, os.path.join(folder, str(len(found))) if found else folder))
        except CodecError as error:
            raise StepFailed("input", f"input '{port}' cannot be read: {error}") from None
    return found


def _words(value: Any, source: Given, folder: str) -> list[str]:
    """A plain element as a command gets it: a scalar as the word itself, lists and maps as the path of a JSON file."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list | dict):
        return [source.json]
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "element.json")
    with open(path, "w", encoding="utf-8") as file:
        file.write(source.json)
    return [path]


def _written_metrics(places: Mapping[str, str]) -> dict[str, float]:
    """The numbers of a JSON object that the command wrote as output `metrics`, or as a file `metrics.json`."""
    for name, place in places.items():
        if name != "metrics" and os.path.basename(place) != "metrics.json":
            continue
        try:
            with open(place, encoding="utf-8") as file:
                found = json.load(file)
        except (ValueError, OSError):
            found = None
        if isinstance(found, dict):
            return metrics_of({"metrics": found})
        if name == "metrics":
            raise StepFailed("output", "the output 'metrics' is not a JSON object of names and numbers")
    return {}


def _inside(folder: str, name: str) -> str:
    """The path of `name` in `folder`; raises StepFailed when it would be elsewhere."""
    path = os.path.normpath(os.path.join(folder, name))
    if not path.startswith(folder + os.sep):
        raise StepFailed("error", f"'{name}' is not a path inside the step's own folder")
    return path


# codecs


@cache
def _catalog() -> Catalog:
    return Catalog.from_entry_points()


@cache
def _codec(name: str) -> Codec:
    return _catalog().codec(name)


@cache
def _codecs() -> tuple[Codec, ...]:
    return tuple(_catalog().codecs())
