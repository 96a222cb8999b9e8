"""PlannedStep + what it reads → StepKey: everything a step depends on, part by part, by names a user knows.

No run id, time, host, absolute path or pipeline name goes into a key.
"""

import sys
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import islice
from typing import Any

from treadle.digest import of_value
from treadle.domain.artifact import StepKey
from treadle.domain.plan import PlannedStep

KEY_VERSION = "2"  # a change here makes every user's cache miss: do it knowingly, and say so in the changelog
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
SHOWN = 200  # characters of a parameter's value that a manifest keeps as they are


class Code:
    """The code of a step and what it imports, as parts of its manifest; digested once, however many steps share it.

    `parts` maps `code NAME` to digests, `libraries` a `library NAME` to its version.
    """

    def __init__(self, parts: Mapping[str, str], versions: Mapping[str, str]) -> None:
        self.parts = parts
        self.libraries = {f"library {name}": version for name, version in versions.items()}

    @cached_property
    def digest(self) -> str:
        """The digest of the parts, empty when there are none."""
        return of_value(dict(self.parts)) if self.parts else ""

    @cached_property
    def libraries_digest(self) -> str:
        """The digest of the libraries, empty when there are none."""
        return of_value(self.libraries) if self.libraries else ""


def step_key(
    step: PlannedStep,
    code: Code,
    inputs: Mapping[str, str],
    files: Mapping[str, str] | None = None,
    known: StepKey | None = None,
) -> StepKey:
    """The key of a step; `inputs` maps each input to a digest, `files` each file that a parameter names.

    Parameters listed in `no_key` and secrets are left out, and the code where `code_version` stands for it. `known` is
    a key from before, of any step: where its manifest is the same it is the key, and nothing is digested.
    """
    parts = {"key version": KEY_VERSION, "kind": step.kind, "call": step.call}
    if step.kind == "function" and step.environment != "off":
        parts["python"] = PYTHON
    if step.code_version is not None:
        parts["code version"] = step.code_version
    parts.update({f"param {name}": _value(v) for name, v in step.params.items() if name not in step.no_key})
    parts.update({f"env {name}": _value(value) for name, value in step.env.items()})
    parts.update({f"input {name}": digest for name, digest in inputs.items()})
    parts.update({f"form {name}": form for name, form in step.forms.items()})
    parts.update({f"file {path}": digest for path, digest in (files or {}).items()})
    parts["outputs"] = _outputs(step)
    rest = len(parts)
    if step.code_version is None:
        parts.update(code.parts)
    if step.environment != "off":
        parts.update(code.libraries)
    if known is not None and known.parts == parts:
        return known
    digests = {
        "code": code.digest if step.code_version is None else "",
        "library": code.libraries_digest if step.environment != "off" else "",
        "rest": of_value(dict(islice(parts.items(), rest))),
    }
    return StepKey(of_value(digests), parts)


def digest(parts: Mapping[str, str]) -> str:
    """The key that a manifest stands for: the digest of its code, its libraries and the rest, each digested alone.

    Code and libraries are shared by many steps, so that they are digested once.
    """
    groups: dict[str, dict[str, str]] = {"code": {}, "library": {}, "rest": {}}
    for name, value in parts.items():
        groups[_group(name)][name] = value
    return of_value({name: of_value(group) if group or name == "rest" else "" for name, group in groups.items()})


def _group(name: str) -> str:
    if name == "command" or (name.startswith("code ") and name != "code version"):
        return "code"
    return "library" if name.startswith("library ") else "rest"


def inputs_digest(digests: list[str], listed: bool) -> str:
    """The digest of one input: its only source, or the list of its sources in order."""
    return digests[0] if len(digests) == 1 and not listed else of_value(digests)


def texts(value: Any) -> Iterator[str]:
    """Every text in a plain value, keys of dictionaries left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts(item)


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
