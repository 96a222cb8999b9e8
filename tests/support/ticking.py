"""A controller in a process of its own, told what time it is on its standard input: for tests that kill it.

python -m support.ticking ROOT      each line is a time; the answer is one line per tick
"""

import sys
from pathlib import Path

from support.world import NAME, NoRuns
from treadle.control.controller import Controller
from treadle.control.facts import Facts
from treadle.store import open_store


def main(root: Path) -> None:
    facts = Facts(pipeline="shop", path="shop.yaml", models=(NAME,))
    controller = Controller(open_store(root), str(root), facts, NoRuns(), lambda text: None)
    for line in sys.stdin:
        controller.tick(float(line))
        print("ticked", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
