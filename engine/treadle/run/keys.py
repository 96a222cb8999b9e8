"""PlannedStep + what it reads → StepKey: everything a step depends on, part by part, by names a user knows.

No run id, time, host, absolute path or pipeline name goes into a key.
"""

import sys
from collections.abc import Mapping
from typing import Any

from treadle.digest import of_value
from treadle.domain.artifact import StepKey
from treadle.domain.plan import PlannedStep

KEY_VERSION = "1"  # a change here makes every user's cache miss: do it knowingly, and say so in the changelog
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
SHOWN = 200  # characters of a parameter's value that a manifest keeps as they are


def step_key(
    step: PlannedStep, code: Mapping[str, str], libraries: Mapping[str, str], inputs: Mapping[str, str]
) -> StepKey:
    """The key of a step.

    `code` maps `code NAME` to digests, `libraries` a distribution to its version, `inputs` each input
    to a digest. Parameters listed in `no_key` and secrets are left out.
    """
    parts = {"key version": KEY_VERSION, "kind": step.kind, "call": step.call}
    if step.kind == "function" and step.environment != "off":
        parts["python"] = PYTHON
    if step.code_version is not None:
        parts["code version"] = step.code_version
    else:
        parts.update(code)
    if step.environment != "off":
        parts.update({f"library {name}": version for name, version in libraries.items()})
    parts.update({f"param {name}": _value(v) for name, v in step.params.items() if name not in step.no_key})
    parts.update({f"env {name}": _value(value) for name, value in step.env.items()})
    parts.update({f"input {name}": digest for name, digest in inputs.items()})
    parts["outputs"] = _outputs(step)
    return StepKey(of_value(parts), parts)


def inputs_digest(digests: list[str], listed: bool) -> str:
    """The digest of one input: its only source, or the list of its sources in order."""
    return digests[0] if len(digests) == 1 and not listed else of_value(digests)


def _value(value: Any) -> str:
    """A value as text that tells types apart; long ones are cut and carry their digest."""
    text = repr(_plain(value))
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}… {of_value(value)}"


def _plain(value: Any) -> Any:
    """Dictionaries in a fixed order and tuples as lists, so that equal values have one text."""
    if isinstance(value, dict):
        return {key: _plain(value[key]) for key in sorted(value, key=repr)}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _outputs(step: PlannedStep) -> str:
    named = ", ".join(
        f"{o.name}{f' = {o.path}' if o.path else ''}{f' ({o.codec})' if o.codec else ''}" for o in step.outputs
    )
    return f"{named} (declared)" if step.declared else named
