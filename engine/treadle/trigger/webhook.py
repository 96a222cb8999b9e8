"""Whether a post may fire a trigger: it carries the token, and a signed one can be used once."""

from collections.abc import Mapping
from hmac import compare_digest, digest

from msgspec import Struct

FRESH = 300.0  # seconds that a signed post is good for, either way
NONCE = 128


class Post(Struct, frozen=True):
    """What came in: the headers in lower case, and the body."""

    headers: Mapping[str, str]
    body: bytes


class Refused(Struct, frozen=True):
    """Why a post is refused; `status` is the HTTP status."""

    status: int
    reason: str


class Accepted(Struct, frozen=True):
    """A post to act on; `nonces` is what must be stored before acting, so that nobody can send it again."""

    mark: str
    nonces: dict[str, float]


def sign(token: str, timestamp: str, nonce: str, body: bytes) -> str:
    """The signature of a post: HMAC-SHA256 over `timestamp.nonce.body`, in hex."""
    return digest(token.encode(), f"{timestamp}.{nonce}.".encode() + body, "sha256").hex()


def admit(post: Post, token: str, nonces: Mapping[str, float], now: float) -> Accepted | Refused:
    """Check a post against the token.

    Signed: `x-treadle-timestamp`, `x-treadle-nonce` and `x-treadle-signature`; good once, within five minutes.
    `nonces` are those seen, with the time until which each counts. There is no door without a token.
    """
    if not token:
        return Refused(403, "this webhook has no token: set one, or nobody may fire it")
    nonce, stamp = post.headers.get("x-treadle-nonce", ""), post.headers.get("x-treadle-timestamp", "")
    signature = post.headers.get("x-treadle-signature", "")
    if not (nonce and stamp and signature):
        return Refused(401, "a post carries x-treadle-timestamp, x-treadle-nonce and x-treadle-signature")
    if len(nonce) > NONCE or not compare_digest(
        signature.lower().encode(), sign(token, stamp, nonce, post.body).encode()
    ):
        return Refused(403, "the signature does not fit")
    try:
        age = now - float(stamp)
    except ValueError:
        return Refused(401, "x-treadle-timestamp is seconds since the epoch")
    if not abs(age) <= FRESH:
        return Refused(403, f"the timestamp is {age:.0f} seconds off: more than {FRESH:.0f}")
    living = {seen: until for seen, until in nonces.items() if until >= now}
    if nonce in living:
        return Refused(409, "this post was seen before")
    # kept until its own timestamp is too old, so that forgetting it opens no door
    return Accepted(nonce, {**living, nonce: float(stamp) + FRESH})
