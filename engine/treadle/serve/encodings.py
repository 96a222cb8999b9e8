"""Content-Encoding of requests and answers: gzip and deflate, with a bound on what may come out."""

import zlib

from treadle.serve.refusal import Refusal, shown

SMALLEST = 1024  # bytes of an answer that are worth compressing
_WINDOW = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}


def decoded(body: bytes, encoding: bytes | None, limit: int) -> bytes:
    """The body as it was before its Content-Encoding; refuses bombs, damaged streams and unknown encodings."""
    name = (encoding or b"identity").strip().lower()
    if name in (b"identity", b""):
        return body
    if name not in _WINDOW:
        text = f"Content-Encoding is {shown(name.decode('latin-1'))}, expected gzip, deflate or identity"
        raise Refusal(415, text)
    reader = zlib.decompressobj(_WINDOW[name])
    try:
        found = reader.decompress(body, limit + 1)
    except zlib.error as error:
        raise Refusal(400, f"the body is not {name.decode()}: {error}") from None
    if len(found) > limit:
        raise Refusal(413, f"the body is larger than {limit} bytes when decompressed, which is the limit")
    if not reader.eof:
        raise Refusal(400, f"the {name.decode()} body ends too early")
    return found


def encoded(body: bytes, accept: bytes | None) -> tuple[bytes, bytes | None]:
    """An answer as the client accepts it, and the name of the encoding if there is one."""
    if accept is None or len(body) < SMALLEST:
        return body, None
    offered = [part.split(b";")[0].strip().lower() for part in accept.split(b",") if b"q=0" not in part.split(b";")[1:]]
    for name in (b"gzip", b"deflate"):
        if name in offered:
            packer = zlib.compressobj(1, zlib.DEFLATED, _WINDOW[name])
            return packer.compress(body) + packer.flush(), name
    return body, None
