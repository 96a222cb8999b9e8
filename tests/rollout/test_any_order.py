"""Whatever happens in whatever order: no promotion without evidence, one rollout at a time, and an end."""

import random
from math import log
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from treadle.document import rollout as document
from treadle.domain.rollout import (
    ENDED,
    Evidence,
    GuardWindow,
    Promote,
    Quarantine,
    Reading,
    Restore,
    Rollout,
    RolloutState,
    ShadowSeen,
    Unit,
)
from treadle.rollout import machine, srm

HOUR = 3600.0
BLOCK: dict[str, Any] = {
    "metric": "bought",
    "maturity": "1h",
    "shadow": {"for": "1h", "min_requests": 10},
    "steps": [{"enrol": "10%", "hold": "1h"}, {"enrol": "100%", "until": "decided"}],
    "ramp": [0.75, 1.0],
    "guardrails": [{"metric": "error_rate", "max": 0.1, "min_requests": 10, "consecutive": 2}],
    "limits": {"min_duration": "6h", "max_duration": "2d", "min_units": 300, "max_units": 4000},
    "after": {"bake": "1h", "holdback": "2%", "holdback_for": "1h"},
    "rollback": {"quarantine": "6h"},
}
ORDER = ("pending", "shadow", "step", "deciding", "ramp", "baked", "done")
SPEC = document.resolve(BLOCK)
FINITE = {"allow_nan": False, "allow_infinity": False}


class AnyOrder(RuleBasedStateMachine):
    """The store and the world around the machine: a clock that jumps, outcomes that come late, twice or never."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1e6
        self.rollouts: list[Rollout] = []
        self.shut: list[Quarantine] = []
        self.units: list[Unit] = []
        self.promoted: list[int] = []
        self.version = 4
        self.windows = 0
        self.full = 0  # windows since the last move that could be judged

    @property
    def current(self) -> Rollout | None:
        return next((one for one in self.rollouts if one.active), None)

    @rule(fresh=st.booleans())
    def begin(self, fresh: bool) -> None:
        self.version += fresh
        new = Rollout(
            rollout_id=f"r{len(self.rollouts)}",
            model="shop",
            champion=3,
            challenger=self.version,
            challenger_digest=f"d{self.version}",
            spec=SPEC,
            state=RolloutState(),
        )
        made = machine.begin(new, self.rollouts, self.shut, self.now)
        if isinstance(made, Rollout):
            self.rollouts.append(made)
            self.units = []

    @precondition(lambda self: self.current)
    @rule(
        count=st.sampled_from([1, 30, 200]),
        rates=st.sampled_from([(0.3, 0.3), (0.2, 0.7), (0.7, 0.2)]),
        lost=st.sampled_from(["none", "all", "challenger", "half"]),
        seed=st.integers(0, 2**32),
    )
    def users_come(self, count: int, rates: tuple[float, float], lost: str, seed: int) -> None:
        rng = random.Random(seed)
        for number in range(count):
            arm = int(rng.random() < 0.5)
            known = not (lost == "all" or (lost == "challenger" and arm) or (lost == "half" and number % 2))
            outcome = float(rng.random() < rates[arm]) if known else None
            self.units.append(Unit(len(self.units), arm, 0.5, self.now, outcome))

    @precondition(lambda self: self.current)
    @rule(
        back=st.integers(0, 400),
        shuffled=st.integers(0, 2**32),
        uneven=st.sampled_from([0, 0, 0, 900]),
        commands=st.lists(st.sampled_from(["pause", "resume", "approve", "resume"]), max_size=1),
        abort=st.sampled_from([False] * 15 + [True]),
        broken=st.sampled_from(["", "", "", "columns are missing"]),
        errors=st.sampled_from([0, 0, 0, 50]),
    )
    def evaluate(
        self, back: int, shuffled: int, uneven: int, commands: list[str], abort: bool, broken: str, errors: int
    ) -> None:
        state = self.current.state  # type: ignore[union-attr]
        units = self.units[max(0, state.cursor - back) :]
        random.Random(shuffled).shuffle(units)
        ones = sum(unit.arm for unit in self.units)
        self.turn(
            Evidence(
                units=tuple(units),
                assigned=(len(self.units) - ones, ones + uneven),
                shadow=ShadowSeen(1000, errors) if errors or not broken else None,
                commands=(*commands, *(["abort"] if abort else [])),
                broken=broken,
            )
        )

    @precondition(lambda self: self.current)
    @rule(
        value=st.sampled_from([0.0, 0.0, 0.0, 0.5, float("nan")]),
        requests=st.sampled_from([0, 9, 50]),
        again=st.booleans(),
    )
    def a_window_ends(self, value: float, requests: int, again: bool) -> None:
        self.windows += not again
        self.full += requests >= 10 and value == value
        self.turn(
            Evidence(windows=(GuardWindow("error_rate", self.windows, Reading(0, 50), Reading(value, requests)),))
        )

    @rule(seconds=st.one_of(st.floats(0, 3 * HOUR, **FINITE), st.floats(-5 * HOUR, 0, **FINITE), st.just(30 * HOUR)))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.current)
    @rule(
        seed=st.integers(0, 2**32), rates=st.sampled_from([(0.2, 0.7), (0.2, 0.7), (0.4, 0.4)]), full=st.integers(0, 9)
    )
    def a_good_day(self, seed: int, rates: tuple[float, float], full: int) -> None:
        """Without it hardly any walk would get as far as a promotion; some have windows too thin to judge."""
        for _ in range(6):
            self.users_come(60, rates, "none", seed)
            self.time_passes(1.1 * HOUR)
            self.a_window_ends(0.0, 50 if full else 5, again=False)
            if self.current is None:
                return
            self.evaluate(0, 0, 0, [], abort=False, broken="", errors=0)
            if self.current is None:
                return

    def turn(self, evidence: Evidence) -> None:
        before = self.current
        assert before is not None
        after, actions = machine.advance(before, evidence, self.now)
        self.rollouts[self.rollouts.index(before)] = after
        again, repeated = machine.advance(before, evidence, self.now)
        assert (again, repeated) == (after, actions) or "nan" in repr(actions)
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(after), type=Rollout) == after
        self.moves_as_drawn(before, after)
        for action in actions:
            if isinstance(action, Promote):
                self.promotes_with_evidence(after)
                self.promoted.append(after.challenger)
            elif isinstance(action, Restore):
                assert self.promoted.pop() == after.challenger
            elif isinstance(action, Quarantine):
                self.shut.append(action)

    def moves_as_drawn(self, before: Rollout, after: Rollout) -> None:
        """Forward one phase at a time, or out."""
        old, new = before.state.phase, after.state.phase
        if new in ORDER:
            assert ORDER.index(new) - ORDER.index(old) in (0, 1), (old, new)
        if (old, before.state.index) != (new, after.state.index):
            assert self.full or old not in ("step", "ramp") or new not in ORDER, "moved on without a window to judge by"
            self.full = 0
        assert after.state.clock >= before.state.clock
        assert machine.traffic(after).split in (0.0, 0.5) or new in ("ramp", "baked", "done")

    def promotes_with_evidence(self, after: Rollout) -> None:
        """From the units themselves, not from the sums that the machine kept."""
        state, limits = after.state, after.spec.limits
        judged = [u for u in self.units if u.order <= state.cursor and u.outcome is not None]
        assert len(judged) >= limits.min_units
        assert state.trials["(primary)"].wagers["superior"].peak >= log(1 / 0.05)
        means = [[u.outcome for u in judged if u.arm == arm] for arm in (0, 1)]
        assert all(means), "an arm without a single outcome"
        assert all(u.assigned + HOUR <= state.clock for u in judged)
        assert "error_rate" in state.judged
        assert state.opened is not None
        assert state.clock - state.opened >= limits.min_duration
        assert srm.log_e(state.assigned, (0.5, 0.5)) < srm.LIMIT or state.phase == "baked"

    @invariant()
    def one_at_a_time(self) -> None:
        assert sum(one.active for one in self.rollouts) <= 1

    @invariant()
    def sums_count_each_unit_once(self) -> None:
        current = self.current
        if current is not None and (trial := current.state.trials.get("(primary)")):
            judged = [u for u in self.units if u.order <= current.state.cursor and u.outcome is not None]
            assert trial.sums.n == len(judged)
            assert sum(current.state.unlabelled) + len(judged) == current.state.cursor + 1

    def teardown(self) -> None:
        """Then the world goes silent: no traffic, no labels, nobody at the keyboard. It ends all the same."""
        for _ in range(60):
            if self.current is None:
                break
            self.now += 12 * HOUR
            self.turn(Evidence(broken="no data"))
        assert all(one.state.phase in ENDED for one in self.rollouts)


AnyOrder.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAnyOrder = AnyOrder.TestCase
