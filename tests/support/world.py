"""A model in service without sockets: a registry, a prediction log, users who answer, and a clock that tests move.

Everything below the server is real: the store, the log, the assignment, the controller. Only the requests are made up.
"""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from support.clock import FakeClock
from treadle.control.controller import Controller
from treadle.control.facts import Facts
from treadle.control.runs import Ended
from treadle.domain.artifact import Artifact
from treadle.domain.loop import KeptRollout
from treadle.domain.model import Field, ModelVersion, Signature
from treadle.domain.serving import Outcome, Prediction
from treadle.domain.trigger import Rule
from treadle.serve.assign import assign, mirrored, switchback_unit
from treadle.store import Store, open_store
from treadle.store.predictions import OUTCOMES, PREDICTIONS, SegmentWriter, Tail, model_folder
from treadle.store.predictions.segments import Answers, Results

NAME = "shop"
OPEN: list["World"] = []  # closed by the fixture of tests/loop
QUICK: dict[str, Any] = {
    "metric": "bought",
    "unit": "user",
    "maturity": "10s",
    "steps": [{"enrol": "20%", "hold": "30s"}, {"enrol": "100%", "until": "decided"}],
    "ramp": ["75%"],
    "guardrails": [{"metric": "error_rate", "max": 0.05, "min_requests": 50, "consecutive": 2}],
    "limits": {"min_duration": "60s", "max_duration": "1h", "min_units": 300, "max_units": 20000},
    "after": {"bake": "30s", "holdback": "10%", "holdback_for": "60s"},
    "rollback": {"quarantine": "1h"},
}


class NoRuns:
    """Runs that a test ends by hand: `ends` has the status of each run by id, or by the order of its beginning."""

    def __init__(self) -> None:
        self.started: list[tuple[str, tuple[str, ...]]] = []
        self.ends: dict[str, Ended] = {}

    def start(self, run_id: str, steps: Sequence[str]) -> None:
        self.started.append((run_id, tuple(steps)))

    def ended(self, run_id: str) -> Ended | None:
        return self.ends.get(run_id)

    def stop(self) -> None:
        pass


class World:
    """A shop with a champion, and a challenger when a test asks for one; `skew`: how far the server's clock is off."""

    def __init__(self, root: Path, rates: tuple[float, float] = (0.3, 0.3), seed: int = 1, skew: float = 0.0) -> None:
        self.root = root
        self.clock = FakeClock()
        self.store: Store = open_store(root)
        self.rates = {1: rates[0], 2: rates[1]}
        self.draw = random.Random(seed)
        self.skew = skew
        self.labels = True
        self.crashes: set[int] = set()  # versions that fail every request
        self.users = 4000
        self.label_after = 3.0
        self.said: list[str] = []
        self.runs = NoRuns()
        self.number = 0
        self._pending: list[Outcome] = []
        folder = model_folder(self.store.folder, NAME)
        self._log, self._outcomes = SegmentWriter(folder, PREDICTIONS), SegmentWriter(folder, OUTCOMES)
        self.facts = Facts(pipeline="shop", path="shop.yaml", models=(NAME,))
        self.controller = self.a_controller()
        OPEN.append(self)

    def close(self) -> None:
        """Let go of every file."""
        self.controller.close()
        self._log.close()
        self._outcomes.close()
        self.store.database.close()

    def a_controller(self, rules: dict[str, Rule] | None = None, **facts: Any) -> Controller:
        """A controller that knows nothing but what is in the store, as after a restart."""
        if rules is not None or facts:
            self.facts = Facts(pipeline="shop", path="shop.yaml", models=(NAME,), rules=rules or {}, **facts)
        if hasattr(self, "controller"):
            self.controller.close()
        self.controller = Controller(self.store, str(self.root), self.facts, self.runs, self.said.append)
        return self.controller

    def register(self, rollout: dict[str, Any] | None = None, digest: str = "", inputs: tuple[Field, ...] = ()) -> int:
        """Another version of the model, as a run would register it; returns its number."""
        number = len(self.store.models.versions(NAME)) + 1
        draft = ModelVersion(
            name=NAME,
            version=0,
            artifact=Artifact(digest=digest or f"{number:064d}", codec="skops", size=1),
            format="skops",
            created=self.clock(),
            signature=Signature(inputs=inputs),
            card={"rollout": QUICK if rollout is None else rollout},
        )
        made, _ = self.store.models.register(draft, f"card {number}", "run")
        return made.version

    def challenged(self, **changes: Any) -> "World":
        """With a champion and a challenger whose rollout has these keys changed."""
        self.register()
        self.clock.advance(1)
        self.register({**QUICK, **changes})
        return self

    def requests(self, count: int, over: float = 1.0) -> None:
        """Users ask within the last `over` seconds; each answer is logged, and its outcome some seconds later."""
        traffic = self.store.traffic.get(NAME)
        champion = self.store.models.aliases(NAME)["champion"]
        versions = {"champion": champion, "challenger": 0}
        if traffic is not None:
            versions = {"champion": traffic.champion or champion, "challenger": traffic.challenger or 0}
        server = self.clock() + self.skew
        records: list[Prediction] = []
        for place in range(count):
            at = server - over + over * (place + 1) / count
            unit = f"user-{self.draw.randrange(self.users)}"
            if traffic is not None and traffic.switchback is not None:
                unit = switchback_unit(f"zone-{self.draw.randrange(20)}", at, traffic.switchback.window)
            chosen = assign(traffic, unit)
            self.number += 1
            request, version = f"r{self.number}", versions[chosen.arm]
            status = 500 if version in self.crashes else 200
            records.append(_record(request, at, version, chosen.arm, unit, chosen.propensity, status))
            if mirrored(traffic, request):
                records.append(_record(request, at, versions["challenger"], "shadow", unit, 0.0, 200, champion))
            if status == 200 and self.labels:
                bought = self.draw.random() < self.rates[version]
                when = at + self.label_after
                self._pending.append(Outcome("bought", bought, when, when, request))
        self._log.append(Answers(records), server)
        due = [one for one in self._pending if one.received <= server]
        self._pending = [one for one in self._pending if one.received > server]
        if due:
            self._outcomes.append(Results(due), server)

    def live(self, seconds: float, each: int = 20, until: Callable[[], bool] | None = None) -> "World":
        """Let time pass second by second, with `each` requests in every one, a tick after each."""
        for _ in range(int(seconds)):
            self.clock.advance(1)
            if each:
                self.requests(each)
            self.controller.tick(self.clock())
            if until is not None and until():
                break
        return self

    def kept(self) -> KeptRollout:
        """The newest rollout."""
        return self.store.rollouts.of(NAME)[0]

    @property
    def phase(self) -> str:
        return self.kept().rollout.state.phase

    @property
    def reason(self) -> str:
        return self.kept().rollout.state.reason

    @property
    def champion(self) -> int:
        return self.store.models.aliases(NAME)["champion"]

    def ended(self) -> bool:
        """Whether the newest rollout has ended."""
        found = self.store.rollouts.of(NAME, 1)
        return bool(found) and not found[0].rollout.active

    @property
    def folder(self) -> str:
        return model_folder(self.store.folder, NAME)

    def reopened(self) -> None:
        """The server writes into new segments from here on."""
        self._log.close()
        self._outcomes.close()
        self._log, self._outcomes = SegmentWriter(self.folder, PREDICTIONS), SegmentWriter(self.folder, OUTCOMES)

    def predictions(self) -> list[Prediction]:
        """All that was logged."""
        tail = Tail(self.folder, 0.0)
        found = list(tail.read().predictions)
        tail.close()
        return found

    def decisions(self) -> list[str]:
        """The kinds of the ledger's entries on the rollout, oldest first."""
        return [entry.kind for entry in self.store.ledger.entries("rollout", limit=10_000)]


def _record(
    request: str,
    at: float,
    version: int,
    arm: str,
    unit: str,
    propensity: float,
    status: int,
    of: int | None = None,
) -> Prediction:
    answer = [1.0 + 0.01 * version] if status == 200 else None
    return Prediction(request, at, version, arm, [unit], propensity, 0.002, status, 1, {}, answer, [], of)
