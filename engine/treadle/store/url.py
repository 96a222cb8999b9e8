"""URLs as people and records may see them: without credentials."""

import re
from urllib.parse import parse_qsl, urlsplit, urlunsplit

SECRET = re.compile(r"(?i)token|key|secret|sig|pass|pwd|auth|cred|session|jwt|expires|x-amz-|x-goog-|^s[a-z]$|^code$")
HIDDEN = "…"
MLFLOW = ("models", "runs", "mlflow-artifacts")


def shown(url: str) -> str:
    """The URL without user, password, fragment and the values of parameters whose names look like secrets."""
    return "::".join(_shown(part) for part in url.split("::"))


def is_mlflow(url: str) -> bool:
    """Whether an address is one of MLflow's own, such as `models:/churn@champion`."""
    return url.partition(":/")[0] in MLFLOW


def without_secrets(text: str, url: str) -> str:
    """A message, such as a library's, in which the URL and its secrets do not appear."""
    found = text.replace(url, shown(url))
    for secret in sorted(_secrets(url), key=len, reverse=True):
        found = found.replace(secret, HIDDEN)
    return re.sub(r"(\w+://)[^/\s@]+@", r"\1", found)


def file_name(url: str) -> str:
    """The name of the file that a URL ends with, safe as a name of ours."""
    last = urlsplit(url.rpartition("::")[2] or url).path.rstrip("/").rpartition("/")[2]
    name = re.sub(r"[^\w.\-]", "_", last)[-120:].lstrip(".")
    return name or "data"


def _shown(url: str) -> str:
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    query = "&".join(f"{name}={HIDDEN if SECRET.search(name) else value}" for name, value in _pairs(parts.query))
    return urlunsplit((parts.scheme, place, parts.path, query, ""))


def _secrets(url: str) -> set[str]:
    found: set[str] = set()
    for one in url.split("::"):
        parts = urlsplit(one)
        user, _, password = parts.netloc.rpartition("@")[0].partition(":")
        found.update((user, password))
        found.update(value for name, value in _pairs(parts.query) if SECRET.search(name))
    return {secret for secret in found if len(secret) > 2}


def _pairs(query: str) -> list[tuple[str, str]]:
    return parse_qsl(query, keep_blank_values=True)
