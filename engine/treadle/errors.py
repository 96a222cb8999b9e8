"""Every error the engine raises, and the problem a user reads.

TreadleError
├── InputError      the user's files or arguments are wrong: one or more problems (exit code 2)
├── StoreError      the store cannot be read or written: full disk, permissions
├── CodecError      a value that no codec stores, or stored bytes that do not read back
├── StepError       a step refuses its input, in words for the user; shown without a traceback
├── LockDiffers     something is not as the lock says (exit code 3)
└── ExecutorError   the place where work happens went away
Interrupted         is a KeyboardInterrupt
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from treadle.domain.location import Location

if TYPE_CHECKING:
    from treadle.domain.lock import LockDifference
    from treadle.domain.run import RunRecord


class Related(Struct, frozen=True):
    """A second place that belongs to a problem, such as the first of two duplicates."""

    text: str
    where: Location


class Problem(Struct, frozen=True):
    """One thing that is wrong: what, where, and what to do.

    `code` is a short name with a section in docs/errors.md; `severity` is error or warning;
    `length` is how many characters the caret underlines.
    """

    code: str
    text: str
    where: Location | None = None
    hint: str = ""
    severity: str = "error"
    related: tuple[Related, ...] = ()
    length: int = 1


class Mistake(NamedTuple):
    """What is wrong with a part of a parameter's value: `path` leads to it, to a key itself where `at_key`."""

    path: tuple[str | int, ...]
    text: str
    hint: str = ""
    at_key: bool = False


class TreadleError(Exception):
    """Base of all errors of the engine."""


class InputError(TreadleError):
    """The user's input is wrong; carries every problem found, not only the first."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("; ".join(f"{p.where}: {p.text}" if p.where else p.text for p in self.problems))

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows in place of a traceback, which would be all ours."""
        shown = []
        for problem in self.problems:
            shown.append(f"{problem.severity}[{problem.code}]: {problem.text}")
            shown += [f"  --> {problem.where}"] if problem.where else []
            shown += [f"  = hint: {problem.hint}"] if problem.hint else []
        return shown


class StoreError(TreadleError):
    """The store under `.treadle/` cannot be read or written."""


class CodecError(TreadleError):
    """A value cannot be stored, or stored bytes cannot be read back."""


class StepError(TreadleError):
    """A step refuses what it was given; `hint` says what to do about it."""

    def __init__(self, text: str, hint: str = "") -> None:
        self.text = text
        self.hint = hint
        super().__init__(f"{text}\n{hint}" if hint else text)


class LockDiffers(TreadleError):
    """The pipeline, or what a run of it made, is not as locked; `record` is the run, when there was one."""

    def __init__(self, path: str, differences: "Sequence[LockDifference]", record: "RunRecord | None" = None) -> None:
        self.path = path
        self.differences = tuple(differences)
        self.record = record
        super().__init__(f"{path} differs: " + "; ".join(found.text for found in differences))


class ExecutorError(TreadleError):
    """The executor itself failed, not a step in it."""


class Interrupted(KeyboardInterrupt):
    """A run was interrupted, by Ctrl-C or SIGTERM, after `done` of its `total` steps; everything done is kept."""

    def __init__(self, done: int, total: int) -> None:
        self.done = done
        self.total = total
        super().__init__(f"interrupted: {done} of {total} steps are done and kept; run the same command to go on")


def input_error(code: str, text: str, where: Location | None = None, hint: str = "") -> InputError:
    """An InputError with a single problem."""
    return InputError([Problem(code, text, where, hint)])


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """A hint naming the nearest of `choices`, or all of them when there are few, or nothing."""
    from difflib import get_close_matches  # lazy: 3 ms that only a mistake needs

    known: Sequence[str] = sorted(set(choices))
    close = get_close_matches(word[:100], known, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    if 0 < len(known) <= 12:
        return "known: " + ", ".join(known)
    return ""
