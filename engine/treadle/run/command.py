"""A step that is a shell command: its placeholders filled in, its outputs taken from a staging place."""

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

from treadle.domain.artifact import Artifact
from treadle.domain.task import Files, Task
from treadle.errors import CodecError, TreadleError
from treadle.store import Objects, encode

PLACEHOLDER = re.compile(r"\{(in|out|params)\.([A-Za-z_][A-Za-z0-9_-]*)\}")
TAIL = 20


class CommandFailed(TreadleError):
    """A command ended with another code than 0, or without making an output."""

    def __init__(self, kind: str, text: str, code: int | None = None) -> None:
        self.kind = kind
        self.code = code
        super().__init__(text)


def run(task: Task, objects: Objects) -> tuple[dict[str, Artifact], dict[str, float]]:
    """Run the command and store what it made; raises CommandFailed."""
    staging = os.path.join(task.scratch, "out")
    places = {o.name: os.path.join(staging, o.path or o.name) for o in task.outputs}
    for place in places.values():
        os.makedirs(os.path.dirname(place), exist_ok=True)
    try:
        inputs = {port: _paths(task, port, objects) for port in task.inputs}
    except CodecError as error:
        raise CommandFailed("input", str(error)) from None
    text = render(task.call, inputs, places, task.params)
    done = subprocess.run(["/bin/sh", "-c", text], cwd=task.root, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise CommandFailed("exit", f"the command ended with code {done.returncode}{_tail(task.log)}", done.returncode)
    missing = [f"{name} ({os.path.relpath(p, staging)})" for name, p in places.items() if not os.path.exists(p)]
    if missing:
        raise CommandFailed("output", f"the command ended well but did not make {', '.join(missing)}")
    outputs = {name: encode(Path(place), (), objects, task.scratch, name, None) for name, place in places.items()}
    return outputs, _metrics(places)


def render(template: str, inputs: dict[str, list[str]], outputs: dict[str, str], params: dict[str, Any]) -> str:
    """The command with its placeholders replaced, quoted for the shell; every other brace is the shell's."""

    def value(match: re.Match[str]) -> str:
        group, name = match.groups()
        if group == "in":
            return " ".join(shlex.quote(path) for path in inputs[name])
        if group == "out":
            return shlex.quote(outputs[name])
        found = params[name]
        words = found if isinstance(found, list) else [found]
        return " ".join(shlex.quote(_word(word)) for word in words)

    return PLACEHOLDER.sub(value, template)


def _paths(task: Task, port: str, objects: Objects) -> list[str]:
    found: list[str] = []
    for number, source in enumerate(task.inputs[port]):
        if isinstance(source, Files):
            found += source.paths
        else:
            place = os.path.join(task.scratch, "in", port, str(number))
            found.append(objects.hand_out(source.artifact, place))
    return found


def _metrics(places: dict[str, str]) -> dict[str, float]:
    """The numbers of an output called `metrics` that is a JSON object."""
    import json  # lazy: most commands have no metrics

    place = places.get("metrics")
    if place is None:
        return {}
    try:
        with open(place, encoding="utf-8") as file:
            found = json.load(file)
    except (ValueError, OSError):
        raise CommandFailed("output", "the output 'metrics' is not a JSON object of names and numbers") from None
    if not isinstance(found, dict):
        raise CommandFailed("output", "the output 'metrics' is not a JSON object of names and numbers")
    return {k: float(v) for k, v in found.items() if isinstance(v, int | float) and not isinstance(v, bool)}


def _word(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _tail(log: str) -> str:
    try:
        with open(log, "rb") as file:
            file.seek(max(0, os.path.getsize(log) - 8192))
            lines = file.read().decode("utf-8", "replace").splitlines()[-TAIL:]
    except OSError:
        return ""
    return ":\n" + "\n".join(f"  {line}" for line in lines) if lines else ""
