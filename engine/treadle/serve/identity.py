"""What a request is called, and on whose behalf it comes."""

import os
import re
from typing import Any

from treadle.serve.http import Request

SAFE = re.compile(r"[!-~]{1,128}\Z")  # printable ASCII: it goes back in a header
AMZN = b"x-amzn-sagemaker-"
LONGEST = 512  # characters of a unit


class RequestIds:
    """Ids of the requests of one worker; those that it makes up are its own."""

    def __init__(self) -> None:
        self._prefix = os.urandom(8).hex()
        self._number = 0

    def take(self, request: Request, own: str) -> str:
        """The first of x-request-id, SageMaker's Inference-Id and `own` that can go into a header, else a new one."""
        headers = request.headers
        for given in (headers.get(b"x-request-id"), headers.get(AMZN + b"inference-id"), own.encode() if own else None):
            text = given.decode("latin-1") if given else ""
            if text and SAFE.match(text):
                return text
        self._number += 1
        return f"{self._prefix}-{self._number:x}"


def unit_of(request: Request, parameter: Any) -> str:
    """The unit that a request names: header, parameter, SageMaker's custom attributes, cookie; empty for none."""
    headers = request.headers
    given = headers.get(b"x-unit-id")
    if given:
        return given.decode("latin-1")[:LONGEST]
    if type(parameter) in (str, int):
        return str(parameter)[:LONGEST]
    attributes = headers.get(AMZN + b"custom-attributes")
    if attributes:
        return _named(attributes.decode("latin-1").replace(";", ",").split(","), "unit_id")
    cookie = headers.get(b"cookie")
    return _named(cookie.decode("latin-1").split(";"), "treadle_unit") if cookie else ""


def _named(pairs: list[str], wanted: str) -> str:
    for pair in pairs:
        name, equals, value = pair.strip().partition("=")
        if equals and name.strip() == wanted:
            return value.strip().strip('"')[:LONGEST]
    return ""
