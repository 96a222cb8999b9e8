"""What a server answers, what became of it, and how requests are divided between versions of a model."""

from typing import Any

from msgspec import Struct

ARMS = ("champion", "challenger", "shadow")


class Switchback(Struct, frozen=True):
    """Units are (cluster, time window): `by` names the cluster's field, `window` is in seconds."""

    by: str
    window: float


class Traffic(Struct, frozen=True, kw_only=True):
    """How requests of one model are divided; without a row in the store the champion answers alone.

    A unit is enrolled when its hash lies below `enrolled`; of the enrolled, the challenger answers those whose
    second hash lies below `split`, which stays constant while `enrolled` grows. `shadow` is the share of
    requests that the challenger answers as well, unseen. `challenger` and `champion` name versions; None means
    whatever their aliases name. `unit` is the payload field that names the unit, empty for none.
    """

    name: str
    enrolled: float = 0.0
    split: float = 0.5
    shadow: float = 0.0
    salt_enrol: str = ""
    salt_arm: str = ""
    unit: str = ""
    switchback: Switchback | None = None
    champion: int | None = None
    challenger: int | None = None
    rollout: str = ""  # id of the rollout that wrote the row


class Assignment(Struct, frozen=True):
    """The arm of a unit; `propensity` is P(challenger) for an enrolled unit and 0 for all others."""

    unit: str
    arm: str
    propensity: float


class Prediction(Struct, frozen=True, array_like=True, gc=False):
    """One answered request, or the part of it that one arm answered: `rows` rows of one version.

    `features` holds the columns by name, or, when all are doubles, the bytes of a little-endian float64 block
    in row order, with the names in the segment. `prediction` likewise. `units` has one unit for all rows, or
    one per row; `positions` are the rows' places in the request, empty when it is whole. `at` is in seconds
    since the epoch, `latency` in seconds from the whole request to the prediction. `shadow_of` is the version
    whose answer the user saw.
    """

    request_id: str
    at: float
    version: int
    arm: str
    units: list[str]
    propensity: float
    latency: float
    status: int
    rows: int
    features: bytes | dict[str, list[Any]]
    prediction: bytes | list[Any] | None
    positions: list[int] = []
    shadow_of: int | None = None


class Outcome(Struct, frozen=True, array_like=True, gc=False):
    """What became of a prediction, known by its request (and row) or by its unit; repeated ones replace.

    `at` is when it happened and `received` when it arrived, in seconds since the epoch.
    """

    metric: str
    value: float | str | bool
    at: float
    received: float
    request_id: str = ""
    row: int = 0
    unit: str = ""
