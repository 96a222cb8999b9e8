"""Rollouts: what the user asked for, what was observed, where a rollout stands, and what is to be done."""

from typing import Any

from msgspec import Struct

ENDED = ("done", "rolled_back", "inconclusive", "invalid")
CHAMPION, CHALLENGER = 0, 1


# what the user asked for, resolved: seconds, shares


class Switchback(Struct, frozen=True):
    """Units are (value of `by`, floor(time / window)); the first `burn_in` seconds of a window are dropped."""

    by: str
    window: float
    burn_in: float = 0.0


class Shadow(Struct, frozen=True):
    """The challenger answers copies of `share` of the requests for `seconds`; nobody sees its answers."""

    share: float = 1.0
    seconds: float = 3600.0
    max_error_rate: float = 0.001
    max_disagreement: dict[str, float] = {}
    min_requests: int = 100


class Enrolment(Struct, frozen=True):
    """A step of the test: the share of units enrolled; inside it the split is always one half."""

    enrol: float
    hold: float = 0.0
    until_decided: bool = False
    approve: bool = False


class Success(Struct, frozen=True, kw_only=True):
    """The metric that decides. Outcomes lie in [low, high] unless `continuous`; `margin` is in the metric's units.

    With `blocks`, in seconds, counts of windows of this length are judged instead of single units.
    """

    metric: str
    goal: str = "superior"
    margin: float = 0.0
    alpha: float = 0.05
    maturity: float = 0.0
    low: float = 0.0
    high: float = 1.0
    continuous: bool = False
    higher_is_better: bool = True
    blocks: float = 0.0


class Guardrail(Struct, frozen=True, kw_only=True):
    """What must not get worse: a limit, a ratio to the champion in the same window, or a sequential test for harm."""

    metric: str
    max: float | None = None
    min: float | None = None
    max_ratio: float | None = None
    harm: float | None = None
    alpha: float = 0.01
    min_requests: int = 500
    consecutive: int = 1
    low: float = 0.0
    high: float = 1.0
    continuous: bool = False
    higher_is_better: bool = True


class Limits(Struct, frozen=True):
    """No decision before `min_*`, none awaited after `max_*`."""

    min_duration: float = 86400.0
    max_duration: float = 14 * 86400.0
    min_units: int = 1000
    max_units: int = 200_000


class Undo(Struct, frozen=True):
    """What follows a rollback: the challenger stays loaded and may not be tried again unchanged."""

    automatic: bool = True
    keep_warm: float = 86400.0
    quarantine: float = 7 * 86400.0


class After(Struct, frozen=True):
    """Each share of the ramp holds `bake`; then the old champion keeps `holdback` of the units for `holdback_for`."""

    bake: float = 7200.0
    holdback: float = 0.02
    holdback_for: float = 7 * 86400.0


class RolloutSpec(Struct, frozen=True, kw_only=True):
    """A whole rollout block with every default filled in."""

    success: Success
    unit: str = "request"
    switchback: Switchback | None = None
    shadow: Shadow | None = None
    steps: tuple[Enrolment, ...] = (
        Enrolment(0.02, 1800.0),
        Enrolment(0.10, 7200.0),
        Enrolment(0.50, 43200.0),
        Enrolment(1.0, 0.0, True),
    )
    ramp: tuple[float, ...] = (0.75, 0.9, 1.0)
    guardrails: tuple[Guardrail, ...] = (Guardrail(metric="error_rate", max=0.01, min_requests=100, consecutive=2),)
    limits: Limits = Limits()
    on_inconclusive: str = "keep_champion"
    rollback: Undo = Undo()
    after: After = After()
    approve: bool = False
    target: str = "local"


# what was observed since the last evaluation


class Unit(Struct, frozen=True, gc=False):
    """One randomised unit: its place in the order of assignment, arm, and P(challenger) when it was assigned.

    `outcome` is None until it is known; `guards` are its outcomes for the guardrails with `harm`. `cluster` is the
    cluster of a switchback's unit, whose window ends when it is assigned; "" for other units.
    """

    order: int
    arm: int
    propensity: float
    assigned: float
    outcome: float | None = None
    guards: dict[str, float] = {}
    cluster: str = ""


class Reading(Struct, frozen=True):
    """A metric of one arm in a window, over so many requests."""

    value: float
    requests: int


class GuardWindow(Struct, frozen=True):
    """A guardrail's metric for both arms in the window that ended at `end`."""

    metric: str
    end: float
    champion: Reading
    challenger: Reading


class ShadowSeen(Struct, frozen=True):
    """What the shadow saw since it began: requests answered by both, errors, disagreement by metric."""

    requests: int
    errors: int
    disagreement: dict[str, float] = {}


class Evidence(Struct, frozen=True, kw_only=True):
    """Everything new. `assigned` counts the units of (champion, challenger) since the test began, at the even split.

    `commands` are approve, pause, resume and abort, by hand; `broken` names a data-quality failure.
    """

    units: tuple[Unit, ...] = ()
    assigned: tuple[int, int] | None = None
    windows: tuple[GuardWindow, ...] = ()
    shadow: ShadowSeen | None = None
    commands: tuple[str, ...] = ()
    broken: str = ""


# where a rollout stands


class Wager(Struct, frozen=True):
    """A betting e-process: log E now and at its best, and the sums that its next bet needs."""

    log_e: float = 0.0
    peak: float = 0.0
    sum_x: float = 0.0
    sum_xx: float = 0.0
    n: int = 0


class Sums(Struct, frozen=True):
    """Running sums over the judged units of one metric: outcomes, pseudo-outcomes, and counts by arm."""

    n: int = 0
    sum_y: float = 0.0
    sum_psi: float = 0.0
    sum_psi2: float = 0.0
    units: tuple[int, int] = (0, 0)
    nonzero: tuple[int, int] = (0, 0)
    totals: tuple[float, float] = (0.0, 0.0)


Counts = tuple[float, float]  # successes, units


class Blocks(Struct, frozen=True):
    """Counts window by window: log E now and at its best, both arms before, and the window `number` that is open."""

    log_e: float = 0.0
    peak: float = 0.0
    champion: Counts = (0, 0)
    challenger: Counts = (0, 0)
    number: int = -1
    open: tuple[Counts, Counts] = ((0, 0), (0, 0))


class Trial(Struct, frozen=True):
    """The evidence on one metric: its sums, its wagers by the name of the null hypothesis, or its blocks."""

    sums: Sums = Sums()
    wagers: dict[str, Wager] = {}
    blocks: Blocks = Blocks()


class Echo(Struct, frozen=True):
    """Whether windows of a switchback resemble those before them: residuals by cluster with their window's number.

    `products` of neighbours and `squares` of the earlier ones, over `pairs`; `arms` are (sum, number) of outcomes.
    """

    last: dict[str, tuple[int, float]] = {}
    products: float = 0.0
    squares: float = 0.0
    pairs: int = 0
    arms: tuple[Counts, Counts] = ((0, 0), (0, 0))


class RolloutState(Struct, frozen=True, kw_only=True):
    """Where it stands: all that `advance` remembers, O(1) in the number of units (switchbacks: of clusters)."""

    phase: str = "pending"
    index: int = 0
    started: float = 0.0
    since: float = 0.0  # of this phase and index
    opened: float | None = None  # when the first unit could be enrolled
    clock: float = 0.0  # the latest time seen; it never runs back
    paused: bool = False
    approved: tuple[str, ...] = ()
    asked: str = ""
    promoted: bool = False
    extended: bool = False
    cursor: int = -1  # the order of the last unit judged
    repeated: int = 0
    unlabelled: tuple[int, int] = (0, 0)
    assigned: tuple[int, int] = (0, 0)
    assigned_before: int = 0  # challenger's units when this step began
    trials: dict[str, Trial] = {}
    echo: Echo = Echo()
    strikes: dict[str, int] = {}
    judged: dict[str, float] = {}  # end of the last window judged, by guardrail
    watched: tuple[str, ...] = ()  # guardrails judged since this step began
    unfit: str = ""  # why the outcomes cannot be judged at all
    reason: str = ""


class Rollout(Struct, frozen=True, kw_only=True):
    """One rollout: who against whom, under which terms, and where it stands."""

    rollout_id: str
    model: str
    champion: int
    challenger: int
    challenger_digest: str
    spec: RolloutSpec
    state: RolloutState

    @property
    def active(self) -> bool:
        """Whether it has not ended."""
        return self.state.phase not in ENDED


# what is to be done


class SetTraffic(Struct, frozen=True, tag=True):
    """Enrol `coverage` of the units and give `split` of these to the challenger; copy `shadow` of the requests."""

    coverage: float
    split: float
    shadow: float = 0.0


class Promote(Struct, frozen=True, tag=True):
    """Make this version the champion."""

    version: int
    reason: str


class Restore(Struct, frozen=True, tag=True):
    """Make this version the champion again: the one promoted over it was rolled back."""

    version: int
    reason: str


class Quarantine(Struct, frozen=True, tag=True):
    """Refuse this version, and any with its bytes, until then; keep it loaded until `warm_until`."""

    version: int
    digest: str
    until: float
    warm_until: float


class Alert(Struct, frozen=True, tag=True):
    """Tell people."""

    text: str


class AskApproval(Struct, frozen=True, tag=True):
    """Wait for a person before `gate`."""

    gate: str


class Journal(Struct, frozen=True, tag=True):
    """The record of one evaluation: what went in, every sum and E-value, what was decided and by which rule."""

    rollout_id: str
    at: float
    rule: str
    before: str
    after: str
    decision: str
    inputs: dict[str, Any]
    figures: dict[str, Any]


Action = SetTraffic | Promote | Restore | Quarantine | Alert | AskApproval | Journal
