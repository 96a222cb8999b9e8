"""The story of examples/surge_pricing as processes: `treadle up` here, the city there, and what became of it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from support.project import clean_environment
from support.sources import ROOT
from treadle.domain.loop import KeptRollout
from treadle.store import Store, open_store

MODEL = "surge-pricing"
PIPELINE = "pipelines/surge.yaml"
SHORT = (
    ("window: 4s", "window: 2s"),
    ("{enrol: 20%, hold: 2s}", "{enrol: 50%, hold: 1s}"),
    ("min_duration: 5s", "min_duration: 3s"),
    ("min_units: 400", "min_units: 150"),
    ("{bake: 2s, holdback: 5%, holdback_for: 3s}", "{bake: 1s, holdback: 5%, holdback_for: 1s}"),
    ("cooldown: 20s", "cooldown: 2s"),
    ("min_requests: 40", "min_requests: 20"),
)
GREED, TOO_GREEDY = "greed: {type: float, default: 1.0", "greed: {type: float, default: 3.5"
PATIENCE = 900.0  # seconds until a story that goes nowhere fails; no figure of the product


class Story:
    """A copy of the example that is up, and its city."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "city"
        shutil.copytree(ROOT / "examples/surge_pricing", self.root, ignore=shutil.ignore_patterns(".treadle"))
        self.environment = clean_environment(folder)
        self.began = time.monotonic()
        self.up: subprocess.Popen[bytes] | None = None
        self.city: subprocess.Popen[bytes] | None = None
        self.notes: list[tuple[float, str]] = []
        self.store: Store = open_store(self.root)

    def start(self, port: int = 0) -> None:
        """Bring the pipeline up, in a process of its own."""
        with open(self.root / "up.log", "ab") as log:
            self.up = subprocess.Popen(
                [sys.executable, "-P", "-m", "treadle", "up", PIPELINE, "--port", str(port)],
                cwd=self.root, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def visit(self, url: str, minutes: float, competitor: float, speed: float = 100, rides: float = 120) -> None:
        """Let the city live for some of its minutes; a competitor comes in one of them."""
        words = ["--url", url, "--minutes", str(minutes), "--competitor", str(competitor), "--speed", str(speed)]
        with open(self.root / "city.log", "ab") as log:
            self.city = subprocess.Popen(
                [sys.executable, "city.py", *words, "--rides", str(rides)],
                cwd=self.root, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def until(self, holds: Callable[[], object], what: str) -> None:
        """Wait until something holds, and note when it did."""
        end = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < end, f"never: {what}\n{self.log()}"
            assert self.up is None or self.up.poll() is None, f"up has ended: {what}\n{self.log()}"
            time.sleep(0.2)
        self.note(what)

    def note(self, what: str) -> None:
        self.notes.append((time.monotonic() - self.began, what))

    def url(self) -> str:
        """Where it serves, "" before it does."""
        beats = self.store.desks.beats()
        return beats["surge"].server if "surge" in beats else ""

    def edit(self, before: str, after: str) -> None:
        """A person changes the pipeline file."""
        path = self.root / PIPELINE
        text = path.read_text(encoding="utf-8")
        assert before in text
        path.write_text(text.replace(before, after), encoding="utf-8")

    def shorten(self) -> None:
        """Shorter waits than in the example, so that a third of its riders is enough."""
        for before, after in SHORT:
            self.edit(before, after)

    def spoil(self) -> None:
        """Somebody's mistake: whatever it learns from, the model asks for far too much."""
        self.edit(GREED, TOO_GREEDY)

    def repair(self) -> None:
        """The file is put right."""
        self.edit(TOO_GREEDY, GREED)

    def kept(self) -> KeptRollout | None:
        """The newest rollout."""
        return next(iter(self.store.rollouts.of(MODEL, 1)), None)

    def phase(self) -> str:
        kept = self.kept()
        return kept.rollout.state.phase if kept is not None else ""

    def champion(self) -> int:
        return self.store.models.aliases(MODEL).get("champion", 0)

    def status(self) -> dict[str, object]:
        """What `treadle status --json` says."""
        command = [sys.executable, "-P", "-m", "treadle", "status", "--json"]
        done = subprocess.run(command, cwd=self.root, env=self.environment, capture_output=True, check=True)
        found: dict[str, object] = json.loads(done.stdout)
        return found

    def log(self) -> str:
        texts = [(self.root / name).read_text(errors="replace")[-4000:] for name in ("up.log", "city.log")
                 if (self.root / name).exists()]  # fmt: skip
        return "\n".join(texts)

    def close(self) -> int:
        """Stop everything as a user would; the exit code of `up`."""
        if self.city is not None:
            self.city.kill()
            self.city.wait()
        code = 0
        if self.up is not None and self.up.poll() is None:
            self.up.send_signal(signal.SIGTERM)
            code = self.up.wait(120)
        self.store.database.close()
        return code


def processes_below(pid: int) -> list[int]:
    """The process and all its descendants, from /proc."""
    parents: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as file:
                    parent = int(file.read().rpartition(")")[2].split()[1])
            except OSError:
                continue
            parents.setdefault(parent, []).append(int(name))
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        waiting += parents.get(one, [])
    return found
