"""From a save to the start of the first step that it affects, with a warm pool; beside a plain watchdog loop.

The clock is read just before the file is written and in the first line of the step itself; each sample is the
median of SAVES saves to one running process. The peer starts a Python that runs the script at once, with no
debounce, plan, keys or cache: what a loop of twenty lines would do.
"""

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from harness import Case, treadle

RUNS = 5
SAVES = 15
BUDGET = 0.150
STEPS = 20  # the edited one has this many others beside it

WORK = """import time
from pathlib import Path


def step(*, number: int, turn: int = {turn}) -> int:
    Path("started").write_text(str(time.time()))
    return number


def other(*, number: int) -> int:
    return number
"""
SCRIPT = "import time\nfrom pathlib import Path\nPath('started').write_text(str(time.time()))  # {turn}\n"


def workloads(folder: Path) -> dict[str, list[Case]]:
    own, peer = folder / "treadle", folder / "plain"
    for place in (own, peer):
        place.mkdir()
    own.joinpath("treadle.toml").touch()
    others = "".join(f"  other{n}: {{uses: 'rest:other', with: {{number: {n}}}}}\n" for n in range(STEPS))
    own.joinpath("graph.yaml").write_text(
        f"version: 1\nsteps:\n  step: {{uses: 'work:step', with: {{number: 1}}}}\n{others}"
    )
    own.joinpath("work.py").write_text(WORK.format(turn=0))
    own.joinpath("rest.py").write_text(WORK.format(turn=0))
    peer.joinpath("work.py").write_text(SCRIPT.format(turn=0))
    return {
        "save to first step": [
            Case("treadle watch", [sys.executable, __file__, "treadle"], own, budget=BUDGET, told=True),
            Case("watchdog and a new Python", [sys.executable, __file__, "plain"], peer, told=True),
        ]
    }


def drive_treadle() -> list[float]:
    """Save the module again and again, each time when the turn before is over."""
    command = list(treadle("watch", "graph.yaml", "--json"))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = []
        for turn in range(1, SAVES + 1):
            time.sleep(0.3)
            found.append(saved(WORK.format(turn=turn + time.time_ns())))
            event = json.loads(process.stdout.readline())
            assert event["ran"] == ["step"], event
            found[-1] = float(Path("started").read_text()) - found[-1]
        process.terminate()
    return found


def drive_plain() -> list[float]:
    """The same with nothing but watchdog and a new process."""
    loop = (
        "import subprocess, sys, threading\n"
        "from watchdog.events import FileSystemEventHandler\n"
        "from watchdog.observers import Observer\n"
        "class Run(FileSystemEventHandler):\n"
        "    def on_closed(self, event):\n"
        "        if event.src_path.endswith('work.py'):\n"
        "            subprocess.run([sys.executable, 'work.py'])\n"
        "            print('done', flush=True)\n"
        "observer = Observer(); observer.schedule(Run(), '.'); observer.start()\n"
        "print('ready', flush=True); threading.Event().wait()\n"
    )
    with subprocess.Popen([sys.executable, "-c", loop], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = []
        for turn in range(1, SAVES + 1):
            time.sleep(0.3)
            found.append(saved(SCRIPT.format(turn=turn)))
            process.stdout.readline()
            found[-1] = float(Path("started").read_text()) - found[-1]
        process.terminate()
    return found


def saved(text: str) -> float:
    """Write the module, and return when that began."""
    began = time.time()
    Path("work.py").write_text(text)
    return began


if __name__ == "__main__":
    print(statistics.median(drive_treadle() if sys.argv[1] == "treadle" else drive_plain()))
