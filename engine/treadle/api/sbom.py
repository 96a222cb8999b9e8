"""A software bill of materials of an image: CycloneDX 1.5, JSON."""

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from treadle.api.requirements import Pin
from treadle.domain.model import ModelVersion
from treadle.version import __version__


def document(pins: Iterable[Pin], models: Iterable[ModelVersion], now: float) -> dict[str, Any]:
    """Libraries with their versions, hashes and licences, and the models; `now` in seconds since the epoch."""
    components = [_library(pin) for pin in pins] + [_model(version) for version in models]
    own = {"type": "application", "name": "treadle", "version": __version__}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid4()}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(int(now), UTC).isoformat().replace("+00:00", "Z"),
            "tools": {"components": [own]},
            "component": {"type": "container", "name": "+".join(one.name for one in models) or "image"},
        },
        "components": components,
    }


def _library(pin: Pin) -> dict[str, Any]:
    purl = f"pkg:pypi/{quote(pin.name)}@{quote(pin.version)}"
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl,
        "name": pin.name,
        "version": pin.version,
        "purl": purl,
    }
    if pin.licence:
        found["licenses"] = [{"license": {"name": pin.licence}}]
    if len(pin.hashes) == 1:  # of several files nobody knows which one an image will get
        found["hashes"] = [{"alg": "SHA-256", "content": pin.hashes[0]}]
    return found


def _model(version: ModelVersion) -> dict[str, Any]:
    return {
        "type": "machine-learning-model",
        "bom-ref": f"model:{version.name}/{version.version}",
        "name": version.name,
        "version": str(version.version),
        "description": str(version.card.get("estimator", "")),
        "properties": [
            {"name": "treadle:digest", "value": version.artifact.digest},
            {"name": "treadle:format", "value": version.format},
            {"name": "treadle:git", "value": version.git},
        ],
    }
