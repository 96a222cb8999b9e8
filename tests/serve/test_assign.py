"""Arms: vectors that any other implementation can be checked against, and the shares that they promise."""

import pytest

from treadle.domain.serving import Switchback, Traffic
from treadle.serve.assign import assign, mirrored, share, switchback_unit

TRAFFIC = Traffic(name="m", enrolled=0.2, salt_enrol="e1", salt_arm="a1")
UNITS = [f"rider-{n}" for n in range(20_000)]


@pytest.mark.parametrize(
    ("salt", "unit", "bits"),
    [
        # int(sha256(f"{salt}:{unit}").hexdigest()[:15], 16): the first 60 bits
        ("", "", 0xE7AC0786668E0FF),
        ("salt", "rider-1", 0x75DB79ABBBFAA17),
        ("e1", "Zürich", 0x5DDD2E15F414721),
    ],
)
def test_vectors(salt: str, unit: str, bits: int) -> None:
    assert share(salt, unit) == bits / 2**60


def test_the_same_unit_always_gets_the_same_arm() -> None:
    assert [assign(TRAFFIC, unit) for unit in UNITS[:100]] == [assign(TRAFFIC, unit) for unit in UNITS[:100]]


def test_enrolment_is_nested_and_nobody_changes_arm_as_it_grows() -> None:
    small = {u: assign(TRAFFIC, u) for u in UNITS}
    large = {u: assign(Traffic(name="m", enrolled=0.6, salt_enrol="e1", salt_arm="a1"), u) for u in UNITS}
    enrolled = [u for u in UNITS if small[u].propensity > 0]
    assert abs(len(enrolled) / len(UNITS) - 0.2) < 0.01
    assert all(large[u] == small[u] for u in enrolled)
    challengers = sum(large[u].arm == "challenger" for u in UNITS)
    assert abs(challengers / len(UNITS) - 0.3) < 0.012


def test_who_is_not_enrolled_is_not_analysed() -> None:
    outside = [assign(TRAFFIC, u) for u in UNITS if share("e1", u) >= 0.2]
    assert {(one.arm, one.propensity) for one in outside} == {("champion", 0.0)}


def test_a_request_without_its_unit_stays_with_the_champion() -> None:
    traffic = Traffic(name="m", enrolled=1.0, unit="rider")
    assert assign(traffic, "request-7", sticky=False).propensity == 0
    assert assign(Traffic(name="m", enrolled=1.0), "request-7", sticky=False).propensity == 0.5
    assert assign(Traffic(name="m", enrolled=1.0, switchback=Switchback("zone", 60)), "r", sticky=False).propensity == 0
    assert assign(None, "x").arm == "champion"


def test_windows_of_a_switchback() -> None:
    assert switchback_unit("north", 3599.9, 1800) == "north@1"
    assert switchback_unit("north", 3600.0, 1800) == "north@2"
    assert switchback_unit("south", 3600.0, 1800) == "south@2"


def test_the_share_of_shadows() -> None:
    traffic = Traffic(name="m", shadow=0.25, salt_arm="a1")
    assert abs(sum(mirrored(traffic, u) for u in UNITS) / len(UNITS) - 0.25) < 0.01
    assert not mirrored(None, "x") and not mirrored(TRAFFIC, "x")
