"""An exception of a step → Failure with the user's own traceback: our frames and Python's machinery left out."""

import traceback
from types import TracebackType

from treadle.domain.task import Failure

OURS = ("/treadle/run/", "/treadle/executors/", "/treadle/plugins.py", "<frozen ", "/importlib/__init__.py")
MOST = 20_000


def failure(error: BaseException) -> Failure:
    """The failure that an exception means, told as the user would see it in a script of their own."""
    if isinstance(error, SystemExit):
        return Failure("error", f"the step ended the process: sys.exit({error.code!r})")
    frames = _theirs(error.__traceback__)
    lines = ["Traceback (most recent call last):\n", *traceback.format_list(frames)] if frames else []
    if error.__cause__ is not None:
        lines = [*traceback.format_exception(error.__cause__), "\nwhich led to:\n\n", *lines]
    lines += traceback.format_exception_only(error)
    text = "".join(lines)
    head = str(error).split("\n")[0][:500]
    message = f"{type(error).__name__}: {head}" if head else type(error).__name__
    if isinstance(error, ModuleNotFoundError):
        message += " (is it installed in this environment?)"
    if isinstance(error, MemoryError):
        message += " (the step's memory limit, or the machine's)"
    return Failure("error", message, text[-MOST:])


def _theirs(trace: TracebackType | None) -> list[traceback.FrameSummary]:
    return [frame for frame in traceback.extract_tb(trace) if not any(part in frame.filename for part in OURS)]
