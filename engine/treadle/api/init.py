"""Start a project: a template's files, and what makes an editor, pre-commit and CI know pipelines."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from treadle.api.shipped import shipped
from treadle.document.pipeline import pipeline_schema
from treadle.document.table import table_schema
from treadle.errors import InputError, Problem, did_you_mean, input_error

TEMPLATES: Mapping[str, tuple[str, str]] = {
    "tabular": ("examples/tabular", "a table, a schema, a function of your own, a model and a gate"),
    "shell": ("examples/shell", "shell commands and files only"),
    "surge-pricing": ("pipelines", "a simulated city: rides, drift and a price model"),
}
STARTER = {
    "github-workflow.yml": ".github/workflows/treadle.yml",
    "pre-commit-config.yaml": ".pre-commit-config.yaml",
    "vscode-settings.json": ".vscode/settings.json",
}
LEFT_OUT = (".treadle", "__pycache__", "README.md", "treadle.toml")
MODELINE = "# yaml-language-server: $schema="


class Started(Struct, frozen=True):
    """What `init` made: the folder, the new files, those that were there already, and the pipeline to run first."""

    folder: str
    made: tuple[str, ...]
    kept: tuple[str, ...]
    pipeline: str


def init(folder: str | os.PathLike[str] = ".", template: str = "tabular") -> Started:
    """Write the files of a template; a file that is there with the same content is kept.

    Raises InputError, before anything is written, for an unknown template and for files that are there with other
    content.
    """
    if template not in TEMPLATES:
        hint = did_you_mean(template, TEMPLATES)
        raise input_error("unknown-template", f"no template is called '{template}'", None, hint)
    root = Path(folder).resolve()
    files = {**_template(template), **_starter()}
    standing = [name for name in files if (root / name).exists() or (root / name).is_symlink()]
    foreign = [name for name in standing if _content(root / name) != files[name]]
    if foreign:
        hint = "nothing was written; choose another folder, or move the file away"
        raise InputError(Problem("file-exists", f"{root / name} is there already", None, hint) for name in foreign)
    made = [name for name in files if name not in standing]
    try:
        for name in made:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(files[name])
    except OSError as error:
        raise input_error("unwritable-file", f"{error.filename} cannot be written: {error.strerror}") from None
    first = next(name for name in files if name.startswith("pipelines/") and b"\nsteps:" in files[name])
    return Started(str(root), tuple(made), tuple(standing), first)


def _template(name: str) -> dict[str, bytes]:
    source = shipped(TEMPLATES[name][0])
    prefix = "pipelines/" if source.name == "pipelines" else ""
    found = {"treadle.toml": b""}
    for path in sorted(source.rglob("*")):
        relative = path.relative_to(source)
        if path.is_file() and not set(relative.parts) & set(LEFT_OUT):
            found[prefix + relative.as_posix()] = _modeline(path.read_bytes(), prefix + relative.as_posix())
    return found


def _modeline(data: bytes, name: str) -> bytes:
    """Point the line that tells editors of the schema to the project's own copy."""
    mark = MODELINE.encode()
    if not data.startswith(mark):
        return data
    first, _, rest = data.partition(b"\n")
    up = "../" * name.count("/") or "./"
    return mark + f"{up}schemas/{first.decode().rpartition('/')[2]}\n".encode() + rest


def _starter() -> dict[str, bytes]:
    folder = Path(__file__).parent / "starter"
    found = {target: (folder / name).read_bytes() for name, target in STARTER.items()}
    for name, schema in (("pipeline", pipeline_schema()), ("table", table_schema())):
        found[f"schemas/{name}.schema.json"] = (json.dumps(schema, indent=2) + "\n").encode()
    return found


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
