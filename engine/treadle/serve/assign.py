"""Which arm answers a unit: a pure function of the unit and the traffic row, the same in every process.

H(salt, unit) is the first 60 bits of SHA-256 of `salt:unit`, over 2⁶⁰. A unit is enrolled when H(salt_enrol) lies
below `enrolled`, so enrolment is nested as it grows; an enrolled unit gets the challenger when H(salt_arm) lies below
`split`, whatever `enrolled` is: nobody changes arm during a test.
"""

from hashlib import sha256

from treadle.domain.serving import Assignment, Traffic


def share(salt: str, unit: str) -> float:
    """A number in [0, 1) that depends on salt and unit alone."""
    return (int.from_bytes(sha256(f"{salt}:{unit}".encode()).digest()[:8], "big") >> 4) / (1 << 60)


def assign(traffic: Traffic | None, unit: str, sticky: bool = True) -> Assignment:
    """The arm of a unit; one that is not `sticky` (a request's own id) takes part only where requests are the unit."""
    if traffic is None or traffic.enrolled <= 0 or (not sticky and (traffic.unit or traffic.switchback)):
        return Assignment(unit, "champion", 0.0)
    if share(traffic.salt_enrol, unit) >= traffic.enrolled:
        return Assignment(unit, "champion", 0.0)
    arm = "challenger" if share(traffic.salt_arm, unit) < traffic.split else "champion"
    return Assignment(unit, arm, traffic.split)


def mirrored(traffic: Traffic | None, request_id: str) -> bool:
    """Whether the challenger answers this request as well, unseen."""
    return (
        traffic is not None and traffic.shadow > 0 and share(f"{traffic.salt_arm}:shadow", request_id) < traffic.shadow
    )


def switchback_unit(cluster: str, at: float, window: float) -> str:
    """The unit of a switchback test: the cluster and the number of the time window that `at` (seconds) lies in."""
    return f"{cluster}@{int(at // window)}"
