"""One version of a model as text."""

import time
from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING

from treadle.api.models import Shown
from treadle.cli import table
from treadle.domain.model import Field, ModelVersion
from treadle.quantity import format_duration, format_size

if TYPE_CHECKING:
    from treadle.api.loading import Loading

MOST_CHOICES = 8
MOST_EVENTS = 20
MOST_DEFINITIONS = 6  # of one package


def when(at: float) -> str:
    """A moment in local time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def shown(found: Shown, loading: "Loading | None", colour: bool) -> str:
    """The version, its fields, and how the aliases of its name moved, newest first."""
    version = found.version
    named = f" ({', '.join(found.aliases)})" if found.aliases else ""
    facts = _facts(version)
    if found.quarantine is not None:
        facts.append(("quarantine", f"until {when(found.quarantine.until)}: {found.quarantine.reason}"))
    if loading is not None:
        facts.append(("loads", f"no: {loading.refused}" if loading.refused else _loaded(loading)))
    width = max(len(name) for name, _ in facts)
    parts = [
        "\n".join([f"{version.name} version {version.version}{named}", *(f"  {n:{width}}  {t}" for n, t in facts)])
    ]
    parts += [_fields(version, colour)] if version.signature.inputs else []
    rows = [
        (when(e.at), e.alias, f"{_number(e.old)} → {_number(e.new)}", e.kind, e.actor, e.reason)
        for e in reversed(found.history[-MOST_EVENTS:])
    ]
    parts.append(table.render(("moved", "alias", "version", "kind", "by", "reason"), rows, colour))
    return "\n\n".join(parts)


def _facts(version: ModelVersion) -> list[tuple[str, str]]:
    made = f"{when(version.created)} by step {version.step} of {version.pipeline}, run {version.run_id}"
    facts = [("made", made)]
    if version.git:
        facts.append(("commit", version.git[:12]))
    facts.append(("model", f"{version.format}, {format_size(version.artifact.size)}, {version.artifact.digest[:12]}…"))
    if version.card.get("estimator"):
        facts.append(("estimator", str(version.card["estimator"])))
    facts.append(("served by", version.compiled or "the model itself"))
    if version.metrics:
        facts.append(("metrics", ", ".join(f"{name} {value:.6g}" for name, value in sorted(version.metrics.items()))))
    if version.data:
        facts.append(("data", ", ".join(f"{name} {digest[:12]}…" for name, digest in version.data.items())))
    code = sorted({part[5:] for parts in version.lineage.values() for part in parts if part.startswith("code ")})
    if code:
        facts.append(("code", ", ".join(_packages(code))))
    requirements = version.card.get("requirements")
    if isinstance(requirements, dict) and requirements:
        facts.append(("requires", ", ".join(f"{name} {value}" for name, value in requirements.items())))
    return facts


def _packages(code: list[str]) -> Iterator[str]:
    """Definitions by name where their package has a few, as a number where it has many."""
    for name, own in groupby(code, key=lambda part: part.partition(":")[0].partition(".")[0]):
        found = list(own)
        yield ", ".join(found) if len(found) <= MOST_DEFINITIONS else f"{name} ({len(found)} definitions)"


def _fields(version: ModelVersion, colour: bool) -> str:
    importance = version.card.get("importance") or {}
    rows = [
        (
            kind,
            field.name,
            field.dtype,
            "yes" if field.required else "no",
            _importance(importance, kind, field),
            _choices(field),
        )
        for kind, fields in (("input", version.signature.inputs), ("output", version.signature.outputs))
        for field in fields
    ]
    return table.render(("", "field", "type", "required", "importance", "choices"), rows, colour)


def _importance(importance: dict[str, float], kind: str, field: Field) -> str:
    return f"{importance[field.name]:.3f}" if kind == "input" and field.name in importance else ""


def _choices(field: Field) -> str:
    choices = field.choices or ()
    return ", ".join(choices[:MOST_CHOICES]) + (
        f" and {len(choices) - MOST_CHOICES} more" if len(choices) > MOST_CHOICES else ""
    )


def _loaded(loading: "Loading") -> str:
    answers = ", ".join(f"{one:.6g}" if isinstance(one, float) else str(one) for one in loading.predictions)
    return f"yes, in {format_duration(loading.seconds)}; its example is answered: {answers}"


def _number(version: int | None) -> str:
    return "-" if version is None else str(version)
