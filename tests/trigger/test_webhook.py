"""Who may fire a trigger over the network: signed, fresh, once."""

import hashlib
import hmac

import pytest

from treadle.trigger.webhook import Accepted, Post, Refused, admit, sign

NOW, TOKEN = 1_772_000_000.0, "a token of the user"


def post(nonce: str = "n1", stamp: str = str(NOW), body: bytes = b"{}", **headers: str) -> Post:
    signed = {
        "x-treadle-nonce": nonce,
        "x-treadle-timestamp": stamp,
        "x-treadle-signature": sign(TOKEN, stamp, nonce, body),
    }
    return Post({**signed, **{key.replace("_", "-"): value for key, value in headers.items()}}, body)


def test_a_signed_post_is_good_once() -> None:
    first = admit(post(), TOKEN, {}, NOW)
    assert first == Accepted("n1", {"n1": NOW + 300})
    assert admit(post(), TOKEN, first.nonces, NOW + 1) == Refused(409, "this post was seen before")


def test_the_signature_is_what_the_page_says() -> None:
    expected = hmac.new(TOKEN.encode(), b"12.n.body", hashlib.sha256).hexdigest()
    assert sign(TOKEN, "12", "n", b"body") == expected


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (post(x_treadle_signature="0" * 64), 403),
        (post(x_treadle_nonce="n2"), 403),
        (Post(post().headers, b"other"), 403),
        (post(x_treadle_signature=""), 401),
        (Post({}, b""), 401),
        (post(stamp="yesterday"), 401),
        (post(stamp="nan"), 403),
        (post(stamp=str(NOW - 301)), 403),
        (post(stamp=str(NOW + 301)), 403),
        (post(nonce="n" * 129), 403),
    ],
)
def test_anything_else_is_refused(given: Post, status: int) -> None:
    found = admit(given, TOKEN, {}, NOW)
    assert isinstance(found, Refused)
    assert found.status == status
    assert TOKEN not in found.reason


def test_without_a_token_there_is_no_door() -> None:
    stamp, nonce = str(NOW), "n"
    empty = {"x-treadle-nonce": nonce, "x-treadle-timestamp": stamp, "x-treadle-signature": sign("", stamp, nonce, b"")}
    found = admit(Post(empty, b""), "", {}, NOW)
    assert isinstance(found, Refused)
    assert found.status == 403


def test_a_nonce_is_kept_for_as_long_as_its_post_is_fresh() -> None:
    early = post(stamp=str(NOW + 290))  # their clock is ahead: the post stays fresh for longer
    accepted = admit(early, TOKEN, {"old": NOW - 1}, NOW)
    assert isinstance(accepted, Accepted)
    assert set(accepted.nonces) == {"n1"}
    for later in (1, 300, 580, 590):
        kept = admit(post(nonce="n9", stamp=str(NOW + later)), TOKEN, accepted.nonces, NOW + later)
        assert isinstance(kept, Accepted)
        found = admit(early, TOKEN, kept.nonces, NOW + later)
        assert isinstance(found, Refused)
