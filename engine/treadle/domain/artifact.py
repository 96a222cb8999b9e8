"""Content-addressed names: what a step makes and what decides whether it runs."""

from msgspec import Struct


class Artifact(Struct, frozen=True):
    """An output of a step, named by the digest of its stored bytes; `size` in bytes.

    `name` keeps a file's or folder's own name, so that a reader sees the suffix it expects.
    """

    digest: str
    codec: str
    size: int
    name: str = ""


class StepKey(Struct, frozen=True):
    """The digest of everything a step depends on, with the parts it was made of.

    `parts` maps a name a user knows (`param alpha`, `input data`, `code features:build`) to a digest or a short value.
    """

    digest: str
    parts: dict[str, str]
