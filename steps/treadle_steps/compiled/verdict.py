"""Which predictor is to serve a model, and why: decided where the model is registered."""

from typing import Any, NamedTuple

from treadle_steps.bare import own
from treadle_steps.compiled import build, forms, proof
from treadle_steps.compiled.answer import COMPILED, ORIGINAL, Fields, Original
from treadle_steps.compiled.differ import difference
from treadle_steps.compiled.frame import columns_of
from treadle_steps.compiled.program import NotCompiled
from treadle_steps.compiled.run import program

LARGEST = 8 << 20  # bytes of a form that goes with the card; larger ones are made anew where the model is loaded


class Verdict(NamedTuple):
    """Who serves and why, and the form, empty for none or a large one."""

    text: str
    form: bytes = b""


def verdict(model: Any, fields: Fields, sample: Any) -> Verdict:
    """The compiled form proved on a sample of real rows, or the model itself.

    `sample` is a data frame with the fields as columns.
    """
    if not fields:
        return Verdict(f"{ORIGINAL}: the model does not say what it reads")
    if own(model) is not model:
        return Verdict(f"{ORIGINAL}: {type(own(model)).__name__} has no compiled form here")
    odd = [field["name"] for field in fields if field["dtype"] in ("float", "datetime")]
    if odd:
        return Verdict(f"{ORIGINAL}: the column '{odd[0]}' is a date or float32")
    try:
        data = forms.encode(build.form(model, [field["name"] for field in fields]))
    except NotCompiled as reason:
        return Verdict(f"{ORIGINAL}: {reason}")
    made = program(forms.decode(data))
    columns, original = columns_of(sample, fields), Original(lambda: model, fields)
    found = proof.prove(made, original, columns, proof.thresholds(model, fields))
    if found.holds and made.probabilities is not None and difference(
        made.probabilities, original.probabilities, columns
    ):  # fmt: skip
        found = proof.Proof(False, "its compiled form is not exact in the probabilities of a row of the reference")
    if not found.holds:
        return Verdict(f"{ORIGINAL}: {found.text}")
    return Verdict(f"{COMPILED}: {found.text}", data if len(data) <= LARGEST else b"")
