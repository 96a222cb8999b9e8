"""What the checks know about a pipeline: its spec, the places in its file, the signatures of its functions."""

from collections.abc import Mapping

from msgspec import Struct

from treadle.domain.signature import Signature
from treadle.domain.spec import PipelineSpec, StepSpec
from treadle.load.places import Path, Places

METRICS = "metrics"
OUT = "out"  # the name of the output of a function that names none


class Need(Struct, frozen=True):
    """One step needs another; `path` leads to where the file says so, `offset` into an expression."""

    name: str
    path: Path
    offset: int = -1


class Facts(Struct, frozen=True):
    """The input of every check; `signatures` lacks the steps whose function cannot be read.

    `broken` names the steps with problems of shape: what they seem to lack may only be misspelt.
    """

    spec: PipelineSpec
    places: Places
    root: str
    library: Mapping[str, str]
    executors: Mapping[str, str]
    signatures: Mapping[str, Signature]
    broken: frozenset[str]

    def outputs(self, step: StepSpec) -> tuple[str, ...] | None:
        """The names of a step's outputs, None when they cannot be known."""
        if step.outputs is not None:
            return tuple(output.name for output in step.outputs)
        if step.command is not None:
            return ()
        signature = self.signatures.get(step.id)
        if signature is None:
            return None
        return signature.outputs or (OUT,)

    def metrics(self, step: StepSpec) -> tuple[str, ...] | None:
        """The names of a step's metrics: empty when it has none, None when they cannot be known.

        A matrix without `select` goes on as a list, which has none.
        """
        return () if step.matrix and step.select is None else self.cell_metrics(step)

    def cell_metrics(self, step: StepSpec) -> tuple[str, ...] | None:
        """The names of the metrics of a step itself, or of each cell of its matrix."""
        names = self.outputs(step)
        if names is None:
            return None
        if step.command is not None:
            return None if METRICS in names else ()
        values = [name for name in names if name != METRICS]
        has_none = METRICS not in names and len(values) != 1
        signature = self.signatures.get(step.id)
        if signature is not None and signature.context:
            return None  # it may tell any through `ctx`
        if step.outputs is None or signature is None:
            return () if has_none else signature.metrics if signature is not None else None
        # With declared outputs a returned dict literal may be the outputs themselves.
        if METRICS in names:
            return signature.metrics if METRICS in signature.outputs else None
        if has_none:
            return ()
        known = signature.metrics
        return None if known is None or values[0] in known or signature.outputs else known


def ambiguous(step: StepSpec, names: tuple[str, ...]) -> list[str]:
    """The outputs among which a reference to the step alone cannot choose; empty when one is the main output.

    Where a function's NamedTuple gives the outputs, its first field but `metrics` is the main one.
    """
    if step.outputs is None:
        return []
    values = [name for name in names if name != METRICS]
    return values if len(values) > 1 else []
