"""The step library as its source shows it; nothing of it is imported."""

from typing import Any

from msgspec import Struct

from treadle.api.project import Project, open_project
from treadle.code import plain
from treadle.document.pipeline import pipeline_schema
from treadle.domain.signature import Signature
from treadle.errors import InputError, Problem, did_you_mean

EXAMPLE = "\nExample:\n"
PLACEHOLDER = {"type": "string", "pattern": r"\$\{"}


class LibraryStep(Struct, frozen=True, kw_only=True):
    """One library step: inputs with whether they are needed, parameters with annotation and default.

    `schema` is the JSON Schema of its `with`; `metrics` is None where they are known only after a run. `example` is
    what its docstring has under `Example:`, or a beginning made from its signature.
    """

    name: str
    call: str
    summary: str
    doc: str
    inputs: tuple[tuple[str, bool], ...]
    params: tuple[tuple[str, str, str], ...]
    outputs: tuple[str, ...]
    metrics: tuple[str, ...] | None
    schema: dict[str, Any]
    example: str


def list_steps() -> list[LibraryStep]:
    """Every library step that is installed, by name."""
    project = open_project()
    return [_read(name, project) for name in sorted(project.catalog.steps)]


def explain(name: str) -> LibraryStep:
    """One library step; raises InputError when nothing installed offers it."""
    project = open_project()
    steps = project.catalog.steps
    if name not in steps:
        text = f"no library step is called '{name}'"
        raise InputError([Problem("unknown-library-step", text, None, did_you_mean(name, steps))])
    return _read(name, project)


def editor_schema() -> dict[str, Any]:
    """The published schema of pipeline files with what each installed library step takes, for an editor.

    It refuses no file that `check` accepts: the published part is the same, and what it says of a step's `in` and
    `with` is what `check` holds against the step's signature.
    """
    schema = pipeline_schema()
    step = schema["properties"]["steps"]["additionalProperties"]
    steps = list_steps()
    step["properties"]["uses"]["anyOf"] = [{"enum": [one.name for one in steps]}, {"type": "string"}]
    step["allOf"] = [_rule(one) for one in steps]
    schema["$id"] = schema["$id"].replace("pipeline.schema", "pipeline-with-library.schema")
    return schema


def page(step: LibraryStep) -> str:
    """The documentation of one step, in Markdown."""
    lines = [f"# {step.name}", "", f"{step.summary}.", ""]
    if step.doc:
        lines += [step.doc, ""]
    if step.inputs:
        lines += ["| input | |", "| --- | --- |"]
        lines += [f"| `{name}` | {'' if needed else 'optional'} |" for name, needed in step.inputs]
        lines.append("")
    if step.params:
        lines += ["| parameter | type | default |", "| --- | --- | --- |"]
        lines += [f"| `{name}` | {_cell(kind)} | {_cell(default) or 'needed'} |" for name, kind, default in step.params]
        lines.append("")
    lines += ["| output |", "| --- |", *(f"| `{name}` |" for name in step.outputs), ""]
    if step.metrics:
        lines += [f"Metrics, where they can be known: {', '.join(f'`{name}`' for name in step.metrics)}.", ""]
    return "\n".join([*lines, "```yaml", *(line[2:] for line in step.example.splitlines()), "```", ""])


def contents(steps: list[LibraryStep]) -> str:
    """The list of all steps, in Markdown, each with a link to its page."""
    head = ["# The step library", "", "Made from the sources by `treadle steps --markdown`.", ""]
    rows = [f"| [{step.name}]({step.name}.md) | {_plain(step.summary)} |" for step in steps]
    return "\n".join([*head, "| step | what it does |", "| --- | --- |", *rows, ""])


def _read(name: str, project: Project) -> LibraryStep:
    signature = project.code.signature(project.catalog.steps[name])
    params = tuple((a.name, plain(a.annotation or ""), a.default or "") for a in signature.arguments if a.keyword_only)
    doc, _, example = signature.doc.partition(EXAMPLE)
    return LibraryStep(
        name=name,
        call=project.catalog.steps[name],
        summary=doc.split("\n")[0].rstrip("."),
        doc="\n".join(doc.split("\n")[1:]).strip(),
        inputs=tuple((a.name, a.required) for a in signature.arguments if not a.keyword_only),
        params=params,
        outputs=signature.outputs or ("out",),
        metrics=signature.metrics,
        schema=_schema(signature),
        example=_indented(example) or _example(name, signature),
    )


def _schema(signature: Signature) -> dict[str, Any]:
    from treadle.code.schema import of_annotation  # lazy: the syntax tree, only for who asks about the library

    # without a star in the signature every argument may be given in `with`
    starred = any(argument.keyword_only for argument in signature.arguments)
    arguments = [argument for argument in signature.arguments if argument.keyword_only or not starred]
    properties = {
        a.name: {**of_annotation(a.annotation), **({"default": a.literal} if not a.required else {})} for a in arguments
    }
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    required = [argument.name for argument in arguments if argument.required and starred]
    return {
        **schema,
        **({"required": required} if required else {}),
        "additionalProperties": signature.accepts_any,
    }


def _rule(step: LibraryStep) -> dict[str, Any]:
    """What the schema says of the steps that use one library step; a placeholder may stand for any value.

    What is needed is left to `check`: a matrix may give it.
    """
    properties = {name: _or_placeholder(schema) for name, schema in step.schema["properties"].items()}
    others = step.schema["additionalProperties"]
    given = {"properties": properties, "additionalProperties": others}
    names = [*(name for name, _ in step.inputs), *properties]
    inputs = {"properties": {name: {} for name in names}, "additionalProperties": others}
    return {
        "if": {"properties": {"uses": {"const": step.name}}, "required": ["uses"]},
        "then": {"properties": {"with": given, "in": inputs}},
    }


def _or_placeholder(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema, and a text with a placeholder in its place or in that of one of its parts."""
    facts = {key: value for key, value in schema.items() if key == "default"}
    rest = {key: value for key, value in schema.items() if key != "default"}
    if not rest:
        return schema
    for part in ("items", "additionalProperties"):
        if part in rest:
            rest[part] = _or_placeholder(rest[part])
    if "anyOf" in rest:
        return {"anyOf": [*(_or_placeholder(one) for one in rest["anyOf"]), PLACEHOLDER], **facts}
    return {"anyOf": [rest, PLACEHOLDER], **facts}


def _indented(example: str) -> str:
    """A step's own example as it stands under `steps:`."""
    from textwrap import dedent, indent  # lazy: only for who asks about the library

    return indent(dedent(example.strip("\n")), "  ").rstrip()


def _example(name: str, signature: Signature) -> str:
    inputs = [a.name for a in signature.arguments if not a.keyword_only and a.required]
    needed = [a.name for a in signature.arguments if a.keyword_only and a.required]
    lines = [f"  {name.split('.')[-1]}:", f"    uses: {name}"]
    if inputs:
        lines.append(f"    in: {{{', '.join(f'{port}: STEP' for port in inputs)}}}")
    if needed:
        lines.append(f"    with: {{{', '.join(f'{param}: …' for param in needed)}}}")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return f"`{text}`".replace("|", "\\|") if text else ""


def _plain(text: str) -> str:
    return text.replace("|", "\\|")
