"""The step library as its source shows it; nothing of it is imported."""

from msgspec import Struct

from treadle.api.project import open_project
from treadle.errors import InputError, Problem, did_you_mean


class LibraryStep(Struct, frozen=True, kw_only=True):
    """One library step: inputs with whether they are needed, parameters with annotation and default."""

    name: str
    call: str
    summary: str
    doc: str
    inputs: tuple[tuple[str, bool], ...]
    params: tuple[tuple[str, str, str], ...]
    outputs: tuple[str, ...]
    example: str


def list_steps() -> list[LibraryStep]:
    """Every library step that is installed, by name."""
    names = open_project().catalog.steps
    return [explain(name) for name in sorted(names)]


def explain(name: str) -> LibraryStep:
    """One library step; raises InputError when nothing installed offers it."""
    project = open_project()
    steps = project.catalog.steps
    if name not in steps:
        text = f"no library step is called '{name}'"
        raise InputError([Problem("unknown-library-step", text, None, did_you_mean(name, steps))])
    signature = project.code.signature(steps[name])
    inputs = tuple((a.name, a.required) for a in signature.arguments if not a.keyword_only)
    params = tuple((a.name, a.annotation or "", a.default or "") for a in signature.arguments if a.keyword_only)
    needed = [a.name for a in signature.arguments if a.keyword_only and a.required]
    lines = [f"  {name.split('.')[-1]}:", f"    uses: {name}"]
    if inputs:
        lines.append(f"    in: {{{', '.join(f'{port}: STEP' for port, required in inputs if required)}}}")
    if needed:
        lines.append(f"    with: {{{', '.join(f'{param}: …' for param in needed)}}}")
    return LibraryStep(
        name=name,
        call=steps[name],
        summary=signature.doc.split("\n")[0].rstrip("."),
        doc="\n".join(signature.doc.split("\n")[1:]).strip(),
        inputs=inputs,
        params=params,
        outputs=signature.outputs or ("out",),
        example="\n".join(lines),
    )
