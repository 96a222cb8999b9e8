"""Calling what the user wrote, a function or a shell command, and telling how it failed in the user's own terms."""

import json
import os
import re
import shlex
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

from treadle.domain.task import Failure
from treadle.errors import CodecError, StepError, StoreError, TreadleError, did_you_mean
from treadle.executors.system import peak_memory

PLACEHOLDER = re.compile(r"\{(in|out|params)\.([A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*)\}")
SHELL = ["/bin/sh", "-c"]
TAIL = 20  # lines of the log that a failed command shows
TAIL_BYTES = 1 << 14
MESSAGE, TRACEBACK = 4_000, 100_000  # characters that a record keeps
HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
MACHINERY = ("<frozen importlib", "<frozen runpy", os.sep + os.path.join("importlib", "__init__.py"))


class StepFailed(TreadleError):
    """A step did not succeed, for a reason that needs no traceback; `kind` and `code` as in Failure."""

    def __init__(self, kind: str, text: str, code: int | None = None) -> None:
        self.kind = kind
        self.code = code
        super().__init__(text)


# functions


def call_function(call: str, arguments: dict[str, Any]) -> Any:
    """Import `module:qualname` and call it with keyword arguments, but for positional-only ones.

    Raises StepFailed when there is no such function, and whatever the import and the function raise.
    """
    function = find_function(call)
    code = getattr(function, "__code__", None)
    names = code.co_varnames[: code.co_posonlyargcount] if code is not None else ()
    leading = []
    for name in names:
        if name not in arguments:
            break  # it has a default, or Python says what is missing
        leading.append(arguments.pop(name))
    return function(*leading, **arguments)


def find_function(call: str) -> Any:
    """The function that `module:qualname` names; raises StepFailed, or what the module raises."""
    name, _, attribute = call.partition(":")
    try:
        module = import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # something that the module imports
        place = error.name.replace(".", os.sep) + ".py"
        text = f"no module named '{error.name}': there is no {place} below the project's root"
        raise StepFailed("error", f"{text}, and it is not installed in this environment") from None
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            hint = did_you_mean(part, [name for name in dir(found) if not name.startswith("_")])
            text = f"{getattr(module, '__file__', None) or name} has no '{attribute}'"
            raise StepFailed("error", f"{text}; {hint}" if hint.startswith("did") else text)
        found = getattr(found, part)
    if not callable(found):
        raise StepFailed("error", f"{call} is a {type(found).__name__}, not a function")
    return found


# commands


def render(
    template: str, inputs: Mapping[str, Sequence[str]], outputs: Mapping[str, str], params: Mapping[str, Any]
) -> str:
    """The command with `{in.NAME}`, `{out.NAME}` and `{params.NAME}` replaced by words quoted for the shell.

    A list becomes several words, a mapping JSON, true and false as in YAML; every other brace is the shell's.
    Raises StepFailed for a name that does not exist.
    """

    def replacement(match: re.Match[str]) -> str:
        group, name = match.groups()
        try:
            if group == "in":
                words: Sequence[Any] = inputs[name]
            elif group == "out":
                words = [outputs[name]]
            else:
                found = _parameter(params, name)
                words = found if isinstance(found, list | tuple) else [found]
        except KeyError:
            known = {"in": inputs, "out": outputs, "params": params}[group]
            hint = did_you_mean(name, known)
            text = f"the command names {match.group()}, which does not exist"
            raise StepFailed("error", f"{text}; {hint}" if hint else text) from None
        return " ".join(shlex.quote(_word(word)) for word in words)

    return PLACEHOLDER.sub(replacement, template)


def run_command(command: str, root: str, environment: dict[bytes, bytes], log: str) -> int:
    """Run a command with /bin/sh to its end, in `root`, its output where this process has its own; its peak of memory.

    Raises StepFailed with the last lines of `log` when it ends with another code than 0.
    """
    begin = _size(log)
    leader = os.getpgrp() == os.getpid() == os.getsid(0)  # else it needs a group of its own, to be ended as a whole
    if leader:
        code, peak = _run_here(command, root, environment)
    else:
        code, peak = _run_apart(command, root, environment), 0
    if code == 0:
        return peak
    if code < 0:
        raise StepFailed("crash", f"the command was killed by {_signal(-code)}{last_lines(log, begin)}", code)
    by = f" (killed by {_signal(code - 128)})" if code > 128 else ""
    raise StepFailed("exit", f"the command ended with code {code}{by}{last_lines(log, begin)}", code)


def _run_here(command: str, root: str, environment: dict[bytes, bytes]) -> tuple[int, int]:
    """Run a command in this session and group. `subprocess` would take longer than the shell needs to start."""
    nothing = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
    usual = [signal.SIGPIPE, signal.SIGXFSZ]  # which Python ignores, and a command should not
    before = os.getcwd()
    if before != root:
        os.chdir(root)
    try:
        pid = os.posix_spawn("/bin/sh", [*SHELL, command], environment, file_actions=nothing, setsigdef=usual)
    finally:
        if before != root:
            os.chdir(before)
    try:
        _, status, used = os.wait4(pid, 0)
        return os.waitstatus_to_exitcode(status), peak_memory(used)
    except BaseException:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise


def _run_apart(command: str, root: str, environment: dict[bytes, bytes]) -> int:
    import subprocess  # lazy: only in a process that is not the step's own

    process = subprocess.Popen(
        [*SHELL, command], cwd=root, env=environment, stdin=subprocess.DEVNULL, start_new_session=True
    )
    try:
        return process.wait()
    except BaseException:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise


def last_lines(log: str, begin: int = 0) -> str:
    """The last lines that a log has got since it was `begin` bytes long, to put behind a message; or nothing."""
    try:
        with open(log, "rb") as file:
            file.seek(max(begin, os.path.getsize(log) - TAIL_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return ":\n" + "\n".join(f"  {line}" for line in lines[-TAIL:]) if lines else ""


def _parameter(params: Mapping[str, Any], name: str) -> Any:
    found: Any = params
    for part in name.split("."):
        if not isinstance(found, Mapping):
            raise KeyError(name)
        found = found[part]
    return found


def _word(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value)


def _signal(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
    return f"{name} (out of memory?)" if name == "SIGKILL" else name


def _size(path: str) -> int:
    sys.stdout.flush()
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


# failures


def failure_of(error: BaseException) -> Failure:
    """The failure that an exception means; its traceback has the frames of the user and of libraries, not ours."""
    if isinstance(error, StepFailed):
        return Failure(error.kind, _short(str(error), MESSAGE + TAIL_BYTES), code=error.code)
    if isinstance(error, StepError | StoreError | CodecError):
        return Failure("error", _short(str(error), MESSAGE))
    if isinstance(error, SystemExit):
        return _exited(error)
    if isinstance(error, KeyboardInterrupt):
        return Failure("cancelled", "interrupted")
    told = traceback.TracebackException.from_exception(error, compact=True)
    _strip(told, set())
    return Failure("error", _short(_message(error, told), MESSAGE), _short("".join(told.format()), TRACEBACK))


def _exited(error: SystemExit) -> Failure:
    if error.code is None or error.code == 0:
        return Failure("exit", "the step called sys.exit() instead of returning its outputs", code=0)
    if isinstance(error.code, int):
        return Failure("exit", f"the step called sys.exit({error.code})", code=error.code)
    return Failure("exit", _short(f"the step called sys.exit: {error.code}", MESSAGE), code=1)


def _message(error: BaseException, told: traceback.TracebackException) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{type(error).__name__}: {error.filename}:{error.lineno}: {error.msg}"
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"no module named '{error.name}': is it installed in this environment?"
    if isinstance(error, MemoryError):
        return "MemoryError: not enough memory"
    return "".join(told.format_exception_only()).strip()


def _strip(told: traceback.TracebackException, seen: set[int]) -> None:
    """Remove our own frames, and those of the import system, from an exception and from those it came from."""
    if id(told) in seen:
        return
    seen.add(id(told))
    told.stack = traceback.StackSummary.from_list([frame for frame in told.stack if not _ours(frame.filename)])
    for linked in (told.__cause__, told.__context__, *(told.exceptions or ())):
        if linked is not None:
            _strip(linked, seen)


def _ours(file: str) -> bool:
    return file.startswith((HERE, *MACHINERY[:2])) or file.endswith(MACHINERY[2])


def _short(text: str, most: int) -> str:
    """The text without its middle, if it is too long for a record; characters that no file can hold are escaped."""
    if len(text) > most:
        text = f"{text[: most // 2]}\n… {len(text) - most} characters left out …\n{text[-(most // 2) :]}"
    return text.encode("utf-8", "backslashreplace").decode()
