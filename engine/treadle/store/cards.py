"""The card of a version as a file for steps: what monitors compare with belongs to the version, not to the pipeline."""

import os

from msgspec import json, to_builtins

from treadle.domain.model import ModelVersion
from treadle.store.scratch import replace_file

LEFT_OUT = ("rollout", "requirements", "python")  # nothing that a monitor could compare with


def card_bytes(version: ModelVersion) -> bytes:
    """The card as JSON: name, version, metrics, and what the deploying step wrote of the reference."""
    card = {name: value for name, value in version.card.items() if name not in LEFT_OUT}
    return json.encode(to_builtins({**card, "version": version.version, "metrics": version.metrics}), order="sorted")


def put_card(path: str, data: bytes) -> None:
    """Put the file in place, whole or not at all; nothing is done when it is there."""
    if not os.path.exists(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        replace_file(path, data, os.path.dirname(path))
