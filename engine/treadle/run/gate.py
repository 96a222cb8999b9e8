"""Gates and conditions: typed expressions over metrics and parameters, judged with the figures they saw."""

from collections.abc import Mapping
from typing import Any

from msgspec import structs

from treadle import expression
from treadle.domain.plan import PlannedStep
from treadle.domain.run import GateVerdict, StepRecord

BESIDE = "champion_"  # how a step names what it measured of the champion
Metrics = Mapping[str, Mapping[str, float]]  # step → its metrics


def holds(text: str, params: Mapping[str, Any], metrics: Metrics, cell: Mapping[str, Any]) -> bool:
    """Whether a step's `if:` is true; raises expression.ExpressionError when a value is not there."""
    tree = expression.parse(text)
    values = _values(tree, params, metrics) | {f"matrix.{name}": value for name, value in cell.items()}
    return bool(expression.evaluate(tree, values))


def judge(
    step: PlannedStep, own: Mapping[str, float], params: Mapping[str, Any], metrics: Metrics
) -> list[GateVerdict]:
    """Each rule of a step's gate with its verdict.

    `champion.X` is what the step itself measured of the champion on the same data, its metric `champion_X`; a rule
    that names it holds as long as no other model serves under that alias.
    """
    beside = {f"champion.{name.removeprefix(BESIDE)}": value for name, value in own.items() if name.startswith(BESIDE)}
    verdicts = []
    for gate in step.gates:
        tree = expression.parse(gate.text)
        values = _values(tree, params, metrics) | dict(own) | beside
        used = list(dict.fromkeys(name for name, _ in expression.names(tree)))
        seen = {name: float(values[name]) for name in used if isinstance(values.get(name), int | float)}
        if any(name.startswith("champion.") and name not in values for name in used):
            verdicts.append(GateVerdict(gate.text, True, seen, "no other champion"))
            continue
        try:
            verdicts.append(GateVerdict(gate.text, bool(expression.evaluate(tree, values)), seen))
        except expression.ExpressionError as error:
            verdicts.append(GateVerdict(gate.text, False, seen, str(error)))
    return verdicts


def with_verdicts(done: StepRecord, verdicts: list[GateVerdict]) -> StepRecord:
    """The record of a step with the verdicts of its gate."""
    return structs.replace(done, gates=tuple(verdicts)) if verdicts else done


def _values(tree: expression.Expression, params: Mapping[str, Any], metrics: Metrics) -> dict[str, Any]:
    """Parameters, and the metrics of the steps that the expression names: not of all, which would take n² time."""
    values = {f"params.{name}": value for name, value in params.items()}
    for step in {name.partition(".")[0] for name, _ in expression.names(tree)} & metrics.keys():
        values.update({f"{step}.{name}": value for name, value in metrics[step].items()})
    return values
