"""What the author of steps and codecs runs under pytest: does it keep the contract that caching rests on?

check_step
├── Project.signature     its signature can be read without importing it
├── call twice            in two processes with different hash seeds: equal bytes of every output
│   ├── inputs            the same bytes before and after
│   └── encode            every output can be stored, and read back
└── refuse                garbage as an input is a StepError, not a traceback
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct, json

from treadle.authoring import Codec
from treadle.code import CodeError, DictMemo, Project
from treadle.environment import variables
from treadle.errors import StepError
from treadle.run.invoke import find_function
from treadle.store.codecs import PickleCodec

SEEDS = ("1", "2")
GARBAGE: tuple[Any, ...] = (42, "nonsense", {"no": "table"})


class Case(Struct, frozen=True, kw_only=True):
    """One call of a step: `call` is module:function, `inputs` and `params` are its arguments by name.

    `garbage` lists the inputs that must refuse what they cannot use with a StepError (default: all).
    """

    call: str
    inputs: Mapping[str, Any] = {}
    params: Mapping[str, Any] = {}
    garbage: tuple[str, ...] | None = None


class Told(Struct, frozen=True):
    """What one process saw of one case: the digest of each output, and what was wrong."""

    outputs: dict[str, str] = {}
    problems: tuple[str, ...] = ()


def check_step(call: str, inputs: Mapping[str, Any], params: Mapping[str, Any] | None = None) -> None:
    """Run a step as pipelines do and raise AssertionError listing every part of the contract that it breaks.

    The contract: its signature can be read by syntax tree; equal inputs give equal bytes in every process; it does not
    change its inputs; its outputs can be stored and read back; it refuses garbage with StepError. `call` is
    module:function, importable from the current folder; inputs must be picklable by cloudpickle.
    """
    check_steps([Case(call=call, inputs=inputs, params=params or {})])


def check_steps(cases: Sequence[Case]) -> None:
    """`check_step` for many cases in two processes altogether."""
    problems = [f"{case.call}: {text}" for case in cases for text in _unreadable(case)]
    first, second = (_told(cases, seed) for seed in SEEDS)
    for case, one, other in zip(cases, first, second, strict=True):
        problems += [f"{case.call}: {text}" for text in dict.fromkeys((*one.problems, *other.problems))]
        for name, digest in one.outputs.items():
            if other.outputs.get(name, digest) != digest:
                text = f"output '{name}' has other bytes in another process: sets, hash(), addresses, clocks, seeds?"
                problems.append(f"{case.call}: {text}")
    if problems:
        raise AssertionError("\n".join(problems))


def check_codec(codec: Codec, value: Any) -> None:
    """Raise AssertionError when a codec does not store `value` as it must.

    The contract: it has a name, accepts the value, writes the same bytes every time, reads back what writes the same
    bytes again, and refuses a value of another kind by `accepts`.
    """
    problems = []
    if not codec.name or not codec.name.isidentifier():
        problems.append(f"its name is {codec.name!r}, which no pipeline file can say")
    if not codec.accepts(value):
        problems.append(f"it does not accept this {type(value).__name__}")
    if codec.accepts(object()):
        problems.append("it accepts any object at all")
    with tempfile.TemporaryDirectory() as folder:
        one, two, three = (Path(folder, f"{number}", f"value{codec.suffix}") for number in (1, 2, 3))
        for path in (one, two, three):
            path.parent.mkdir()
        codec.write(value, one)
        codec.write(value, two)
        if one.is_dir() != codec.folder:
            problems.append(f"it wrote a {'folder' if one.is_dir() else 'file'}, and says folder = {codec.folder}")
        if _content(one) != _content(two):
            problems.append("it writes other bytes each time")
        codec.write(codec.read(one), three)
        if _content(one) != _content(three):
            problems.append("what it reads back is not what it wrote: stored again it has other bytes")
    if problems:
        raise AssertionError("\n".join(f"codec '{codec.name}': {text}" for text in problems))


def _unreadable(case: Case) -> list[str]:
    """What is wrong with the signature, read as `check` does."""
    try:
        signature = Project(os.getcwd(), DictMemo()).signature(case.call)
    except CodeError as error:
        return [f"its signature cannot be read: {error.text}"]
    known = {argument.name: argument for argument in signature.arguments}
    found = [] if signature.doc else ["it has no docstring: `treadle steps` has nothing to say"]
    if not signature.accepts_any:
        found += [f"it has no argument '{name}'" for name in (*case.inputs, *case.params) if name not in known]
    starred = any(argument.keyword_only for argument in signature.arguments)
    for name in case.params if starred else ():
        if name in known and not known[name].keyword_only:
            found.append(f"'{name}' is given as a parameter but stands before the star")
    return found


def _told(cases: Sequence[Case], seed: str) -> list[Told]:
    """What a new process saw of each case."""
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder, "cases"), Path(folder, "told")
        PickleCodec().write([(c.call, dict(c.inputs), dict(c.params), c.garbage) for c in cases], asked)
        code = f"from treadle.testing import _answer; _answer({str(asked)!r}, {str(answered)!r})"
        env = {**variables(), "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join([os.getcwd(), *sys.path])}
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise AssertionError(f"the process of the steps ended with {done.returncode}:\n{done.stderr[-4000:]}")
        return json.decode(answered.read_bytes(), type=list[Told])


def _answer(asked: str, answered: str) -> None:
    """Run all cases of a file; the other side of `_told`."""
    cases = [
        Case(call=call, inputs=inputs, params=params, garbage=garbage)
        for call, inputs, params, garbage in PickleCodec().read(Path(asked))
    ]
    with tempfile.TemporaryDirectory() as folder:
        store = _Store(folder)
        Path(answered).write_bytes(json.encode([_run(case, store) for case in cases]))


def _run(case: Case, store: "_Store") -> Told:
    from treadle.run.worker import take_apart  # lazy: the worker's machinery, only in the process that calls

    problems: list[str] = []
    try:
        function = find_function(case.call)
        before = store.digests(case.inputs)
        returned = function(**case.inputs, **case.params)
    except Exception as error:  # noqa: BLE001  # a step may raise anything
        return Told({}, (f"it failed: {type(error).__name__}: {error}",))
    changed = [name for name, digest in store.digests(case.inputs).items() if before[name] != digest]
    problems += [f"it changes its input '{name}'" for name in changed]
    names = getattr(type(returned), "_fields", ()) if isinstance(returned, tuple) else ()
    values = take_apart(returned, _outputs(names or ("out",)), False)
    outputs: dict[str, str] = {}
    for name, value in values.items():
        try:
            outputs[name] = store.put(value)
        except Exception as error:  # noqa: BLE001  # a codec may raise anything
            problems.append(f"output '{name}' cannot be stored and read back: {error}")
    return Told(outputs, (*problems, *_accepted(case, function)))


def _accepted(case: Case, function: Any) -> list[str]:
    """Garbage that the step took, or failed at with something else than a StepError."""
    problems = []
    for name in case.inputs if case.garbage is None else case.garbage:
        for value in GARBAGE:
            try:
                function(**{**case.inputs, name: value}, **case.params)
            except StepError as error:
                if not str(error).strip():
                    problems.append(f"input '{name}' refuses {value!r} without a word")
            except Exception as error:  # noqa: BLE001  # that is what is looked for
                kind = type(error).__name__
                problems.append(f"input '{name}' fails at {value!r} with {kind} instead of StepError: {error}")
            else:
                problems.append(f"input '{name}' takes {value!r}")
    return problems


def _outputs(names: Sequence[str]) -> tuple[Any, ...]:
    from treadle.domain.spec import Output  # lazy: only in the process that calls

    return tuple(Output(name) for name in names)


class _Store:
    """Where one process puts what it is given and makes, to learn the digests."""

    def __init__(self, folder: str) -> None:
        from treadle.plugins import Catalog  # lazy: the codecs of plug-ins, only in the process that calls
        from treadle.store import Objects  # lazy: the store, only in the process that calls

        self.folder = folder
        self.objects = Objects(os.path.join(folder, "objects"))
        self.catalog = Catalog.from_entry_points()

    def digests(self, values: Mapping[str, Any]) -> dict[str, str]:
        return {name: self.put(value) for name, value in values.items()}

    def put(self, value: Any) -> str:
        """The digest of a value as it is stored, after it was read back once."""
        from treadle.store import decode, encode  # lazy: the store, only in the process that calls

        if isinstance(value, list) and value and all(isinstance(item, Path) for item in value):
            return " ".join(self.put(item) for item in value)
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            if isinstance(value, Path):  # encode would take the file over
                copy = Path(scratch, value.name)
                copy.write_bytes(_content(value))
                value = copy
            artifact = encode(value, self.catalog.codecs(), self.objects, scratch, "value")
            decode(artifact, self.catalog.codec, self.objects, scratch)
            return artifact.digest


def _content(path: Path) -> bytes:
    """The bytes of a file, or of all files of a folder with their names."""
    if path.is_file():
        return path.read_bytes()
    files = sorted(inner for inner in path.rglob("*") if inner.is_file())
    return b"\0".join(str(inner.relative_to(path)).encode() + b"\0" + inner.read_bytes() for inner in files)
