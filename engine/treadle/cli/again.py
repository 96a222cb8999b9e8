"""`treadle run` when there is nothing to do: answered from the stamp of the last time, with next to no imports.

Whatever is not exactly as it was, or not asked exactly as it was, goes the long way through `cli/run.py`.
"""

import os
import sys
import time

from treadle import stamp
from treadle.cli.table import render
from treadle.environment import variable
from treadle.identity import commit, run_id
from treadle.run.ending import last_line

TYPE_CHECKING = False  # importing typing for it would take 3 ms
if TYPE_CHECKING:
    from collections.abc import Sequence


def again(words: "Sequence[str]") -> bool:
    """Answer `treadle run WORDS` from its stamp, and record the run; False where that cannot be done."""
    started = time.time()
    try:
        found = stamp.read(words, os.getcwd())
        if found is None:
            return False
        if any(variable(name) != value for name, value in found.variables.items()) or not stamp.stands(found, started):
            return False
        own, finished = run_id(started), time.time()
        if not stamp.record(found, (own, started, finished, commit(found.root))):
            return False
    except (OSError, ValueError, EOFError, TypeError):  # unreadable, or no stamp of ours
        return False
    coloured = sys.stdout.isatty() and not variable("NO_COLOR")
    shown = [] if "-q" in words or "--quiet" in words else found.tables
    blocks = [render(head, rows, coloured) for head, rows in shown]
    print("\n\n".join([*blocks, last_line("ok", found.fates, finished - started, own)]))
    return True
