"""The lock file: its grammar, reading it, and writing it so that equal locks have equal bytes."""

import json
import math
import re
from typing import Any

from treadle.document.grammar import NUMBER, TEXT, Field, Map, MapOf, Scalar, check, json_schema
from treadle.document.parse import parse, plain
from treadle.domain.artifact import Artifact
from treadle.domain.lock import Lock, LockedStep
from treadle.errors import InputError, Problem

HEAD = "# What the last accepted run used and made. Written by `treadle lock`: commit it, do not edit it.\n"
VERSION = 1
PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./\[\]=,-]*")
NOT_PLAIN = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}
UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
EXAMPLE = "6b9c…"

DIGEST = Scalar(("string",), "^[0-9a-f]{64}$", "a digest: 64 hexadecimal digits", "bad-lock")
OUTPUT = Map(
    {
        "codec": Field(TEXT, "How it is stored.", "parquet", True),
        "digest": Field(DIGEST, "The digest of its content.", EXAMPLE, True),
        "size": Field(Scalar(("integer",), least=0), "Its size in bytes.", 1024, True),
        "name": Field(TEXT, "The name of a file or folder; folders end with a slash.", "model.pkl"),
    }
)
STEP = Map(
    {
        "key": Field(DIGEST, "The key of the step.", EXAMPLE, True),
        "parts": Field(MapOf(TEXT), "What the key is made of, all code as one digest.", {"param alpha": "0.1"}, True),
        "outputs": Field(MapOf(OUTPUT), "What the step made.", {"out": {"codec": "json"}}, True),
        "metrics": Field(MapOf(NUMBER), "What it measured: conditions, gates and matrices read it.", {"mae": 0.1}),
    }
)
LOCK = Map(
    {
        "version": Field(Scalar(("integer",), choices=(VERSION,)), "The version of this format.", VERSION, True),
        "data": Field(MapOf(DIGEST), "The digest of each data entry.", {"trips": EXAMPLE}),
        "code": Field(MapOf(DIGEST), "The digest of each piece of code that a step reaches.", {"work:fit": EXAMPLE}),
        "steps": Field(MapOf(STEP), "Each step that ran or was a hit.", {}),
    }
)


def lock_schema() -> dict[str, Any]:
    """The published JSON Schema of lock files."""
    return json_schema(
        LOCK,
        "Treadle lock",
        "What the last accepted run of a pipeline used and made.",
        "https://treadle.dev/schemas/lock.schema.json",
    )


def read_lock(data: bytes, path: str) -> Lock:
    """A lock from its text; raises InputError with what to do when it is none, or is in conflict."""
    remake = f"make it anew: treadle lock {path.removesuffix('.lock.yaml')}.yaml"
    for number, line in enumerate(data.splitlines(), 1):
        if line.startswith((b"<<<<<<< ", b">>>>>>> ")):
            text = f"line {number} of {path} is from a merge that is in conflict"
            raise InputError([Problem("lock-in-conflict", text, None, f"resolve the pipeline, run it, then {remake}")])
    node, problems = parse(data, path)
    found = problems if node is None else [*problems, *check(node, LOCK, path)]
    if node is None or found:
        raise InputError([*found, Problem("bad-lock", f"{path} is not a lock", None, remake)])
    tree = plain(node)
    steps = {name: _step(step) for name, step in tree.get("steps", {}).items()}
    return Lock(data=tree.get("data", {}), code=tree.get("code", {}), steps=steps)


def render(lock: Lock) -> str:
    """The text of a lock: everything sorted, one line a fact, so that git can merge it."""
    return HEAD + "\n".join([f"version: {VERSION}", *_lines(sections(lock), 0)]) + "\n"


def sections(lock: Lock) -> dict[str, dict[str, Any]]:
    """A lock as plain values, section by section."""
    return {"data": dict(lock.data), "code": dict(lock.code), "steps": {n: _plain(s) for n, s in lock.steps.items()}}


def render_entry(name: str, value: Any) -> str:
    """One entry of a section as it stands in the file."""
    return "\n".join(_lines({name: value}, 1)) + "\n"


def _lines(values: dict[str, Any], depth: int) -> list[str]:
    lines = []
    for name in sorted(values):
        head, value = f"{'  ' * depth}{_key(name)}:", values[name]
        if not isinstance(value, dict):
            lines.append(f"{head} {_scalar(value)}")
        elif value:
            lines += [head, *_lines(value, depth + 1)]
        else:
            lines.append(f"{head} {{}}")
    return lines


def _plain(step: LockedStep) -> dict[str, Any]:
    outputs = {}
    for name, made in step.outputs.items():
        outputs[name] = {"codec": made.codec, "digest": made.digest, "size": made.size}
        if made.name:
            outputs[name]["name"] = made.name
    found: dict[str, Any] = {"key": step.key, "parts": dict(step.parts), "outputs": outputs}
    return {**found, "metrics": dict(step.metrics)} if step.metrics else found


def _step(tree: dict[str, Any]) -> LockedStep:
    made = {
        name: Artifact(out["digest"], out["codec"], out["size"], out.get("name", ""))
        for name, out in tree["outputs"].items()
    }
    metrics = {name: float(value) for name, value in tree.get("metrics", {}).items()}
    return LockedStep(key=tree["key"], parts=tree["parts"], outputs=made, metrics=metrics)


def _key(text: str) -> str:
    return text if PLAIN.fullmatch(text) and text.lower() not in NOT_PLAIN else _quoted(text)


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    return repr(value)


def _quoted(text: str) -> str:
    """A text in double quotes: JSON, but for characters that YAML wants escaped."""
    return UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))
