"""Follow the registry: look for changes in a thread, load and warm there, swap on the loop.

What a model can do later (a compiled form answers before the model itself is made) is done in a thread of its own, when
it has answered for a moment. An alias that moves is in charge within `EVERY` seconds plus the time to load. What cannot
be loaded leaves the old version in charge and is said once.
"""

import asyncio
import gc
import threading
from collections.abc import Callable, Mapping

from treadle.errors import TreadleError
from treadle.serve.endpoint import Endpoint
from treadle.serve.lane import ModelFailed, warm
from treadle.serve.predictor import Predictor
from treadle.serve.refusal import Refusal
from treadle.serve.shelf import Shelf, State
from treadle.serve.tables import Checker

EVERY = 0.2  # seconds between looks
LATER = 1.0  # seconds that a new version answers undisturbed before the rest of it is made
KEPT = 3  # versions of a model that stay in memory, so that going back is instant


class Follower:
    """Keeps endpoints at what the shelf says, from a thread of its own."""

    def __init__(
        self,
        shelf: Shelf,
        endpoints: Mapping[str, Endpoint],
        loop: asyncio.AbstractEventLoop,
        say: Callable[[str], None],
    ) -> None:
        self._shelf = shelf
        self._endpoints = endpoints
        self._loop = loop
        self._say = say
        self._seen: dict[str, State] = {}
        self._said: dict[str, str] = {}
        self._memory: dict[str, dict[int, Predictor]] = {name: {} for name in endpoints}
        self._unfinished: list[Predictor] = []
        self._finishing: threading.Thread | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follow", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, unless it is loading: that ends with the process."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            for name in self._endpoints:
                try:
                    self._look(name)
                except (TreadleError, ModelFailed, Refusal, OSError) as error:
                    if self._said.get(name) != str(error):
                        self._said[name] = str(error)
                        self._say(f"model '{name}': {error}")
            if self._unfinished and (self._finishing is None or not self._finishing.is_alive()):
                predictors, self._unfinished = self._unfinished, []
                self._finishing = threading.Thread(target=self._finish, args=(predictors,), name="finish", daemon=True)
                self._finishing.start()
            self._stop.wait(EVERY)

    def _finish(self, predictors: list[Predictor]) -> None:
        self._stop.wait(LATER)
        for predictor in predictors:
            if self._stop.is_set():
                return
            try:
                predictor.complete()
            except TreadleError as error:  # its compiled form goes on
                entry = predictor.version
                self._say(
                    f"model '{entry.name}' version {entry.version}: rows that need the model itself fail: {error}"
                )
        gc.collect()
        gc.freeze()

    def _look(self, name: str) -> None:
        state = self._shelf.state(name)
        if state == self._seen.get(name) or state.champion is None:
            return
        before = len(self._memory[name])
        champion = self._get(name, state.champion)
        challenger = None
        if state.challenger is not None and state.challenger != state.champion:
            try:
                challenger = self._get(name, state.challenger)
            except (TreadleError, ModelFailed, Refusal, OSError) as error:
                self._say(f"model '{name}' version {state.challenger} gets no traffic: {error}")
        if len(self._memory[name]) != before:
            # A full collection over the objects of a model takes 30-50 ms and is the whole tail of latencies.
            gc.collect()
            gc.freeze()
        swapped = threading.Event()

        def swap() -> None:
            self._endpoints[name].swap(champion, challenger, state.traffic)
            swapped.set()

        self._loop.call_soon_threadsafe(swap)
        swapped.wait(10)
        self._seen[name] = state
        self._said.pop(name, None)
        self._forget(name, {state.champion, state.challenger})
        arms = f"version {state.champion}" + (f", challenger {state.challenger}" if challenger is not None else "")
        self._say(f"model '{name}': {arms}")

    def _get(self, name: str, version: int) -> Predictor:
        memory = self._memory[name]
        if version not in memory:
            predictor = self._shelf.load(name, version)
            entry = predictor.version
            rows = [dict(row) for row in entry.example]
            if rows:
                checker = Checker(entry.signature)
                known = set(checker.fields)
                warm(predictor, checker.records([{k: v for k, v in row.items() if k in known} for row in rows]))
            memory[version] = predictor
            self._unfinished.append(predictor)
        memory[version] = memory.pop(version)  # the latest used come last
        return memory[version]

    def _forget(self, name: str, used: set[int | None]) -> None:
        memory = self._memory[name]
        for version in list(memory):
            if len(memory) > KEPT and version not in used:
                memory.pop(version).close()
