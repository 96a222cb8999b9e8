"""Who may change state: on loopback anyone on this machine, beyond it who has the token."""

from hmac import compare_digest
from ipaddress import ip_address
from urllib.parse import urlsplit

from treadle.serve.http import Request
from treadle.serve.refusal import Refusal


class Access:
    """`token` is None where none was configured; `loopback` says whether only this machine can reach the server."""

    def __init__(self, token: str | None, loopback: bool) -> None:
        self._token = token
        self._loopback = loopback

    def check(self, request: Request) -> None:
        """Refuse a request that changes state and may not."""
        if self._token is not None:
            scheme, _, given = request.headers.get(b"authorization", b"").partition(b" ")
            if scheme.lower() != b"bearer" or not compare_digest(given.strip(), self._token.encode()):
                raise Refusal(401, "this changes state and needs the token: Authorization: Bearer TOKEN")
        elif not self._loopback:
            raise Refusal(403, "this changes state, and beyond loopback that needs a token: serve with --token-file")
        elif not _from_here(request):
            raise Refusal(403, "this changes state, and the request comes from a web page of another site")


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _from_here(request: Request) -> bool:
    """Whether no browser was led here by a page of another site, or by a name that was bound to this machine."""
    host = request.headers.get(b"host", b"localhost").decode("latin-1")
    places = [f"//{host}"]
    if b"origin" in request.headers:
        places.append(request.headers[b"origin"].decode("latin-1"))
    try:
        return all(is_loopback(urlsplit(place).hostname or "") for place in places)
    except ValueError:
        return False
