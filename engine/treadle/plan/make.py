"""PipelineSpec → Plan.

make_plan
├── params.resolve            defaults under this run's values
├── for each step: _Maker.step or _Maker.matrix    cells and the gather that joins them
└── order.ordered             every step after its needs
"""

import re
from collections.abc import Callable, Collection, Mapping
from functools import cache
from itertools import product
from typing import Any

from msgspec import msgpack

from treadle import expression
from treadle.digest import of_bytes
from treadle.domain.plan import Plan, PlannedStep, Source
from treadle.domain.signature import Signature
from treadle.domain.spec import Output, PipelineSpec, Reference, Resources, Retry, StepSpec
from treadle.errors import InputError, Problem
from treadle.plan import fill, order, params
from treadle.settings import Settings

Env = Callable[[str], str | None]

CHAMPION = "champion."
DEPLOY = "deploy.model"
RETRY, RESOURCES = Retry(), Resources()


def make_plan(
    spec: PipelineSpec,
    signatures: Mapping[str, Signature],
    library: Mapping[str, str],
    given: Mapping[str, Any],
    settings: Settings,
    env: Env,
    forms: Collection[str] = (),
) -> Plan:
    """Bind every step to its code, inputs and parameters; `given` overrides parameters for this run.

    `forms` are the types in which inputs may be asked for.

    The spec has passed `load.check`. Raises InputError for parameters that do not fit and for
    environment variables that are not set.
    """
    values = params.resolve(spec, given)
    maker = _Maker(spec, signatures, library, values, settings, env, forms)
    steps: dict[str, PlannedStep] = {}
    for step in spec.steps.values():
        for planned in maker.matrix(step) if step.matrix else [maker.step(step, {})]:
            steps[planned.id] = planned
    if maker.problems:
        raise InputError(maker.problems)
    planned_steps = tuple(steps[name] for name in order.ordered({name: step.needs for name, step in steps.items()}))
    return Plan(
        pipeline=spec.name,
        path=spec.path,
        digest=of_bytes(msgpack.encode((spec.name, values, spec.data, planned_steps))),
        params=values,
        data=spec.data,
        steps=planned_steps,
    )


def outputs_of(step: StepSpec, signature: Signature | None) -> tuple[tuple[Output, ...], bool]:
    """The outputs of a step and whether the user named them; a function has `out` when nothing says more."""
    if step.outputs is not None:
        return step.outputs, True
    if step.command is not None:
        return (), True
    return _undeclared(signature.outputs if signature is not None and signature.outputs else ("out",)), False


@cache
def _undeclared(names: tuple[str, ...]) -> tuple[Output, ...]:
    return tuple(map(Output, names))  # the same for all steps that call one function


def main_output(outputs: tuple[Output, ...]) -> str:
    """The output that the step's id alone names: the first that is not its metrics."""
    for output in outputs:
        if output.name != "metrics":
            return output.name
    return outputs[0].name if outputs else "out"


class _Maker:
    """Turns the steps of one spec into planned ones and collects what is wrong on the way."""

    def __init__(
        self,
        spec: PipelineSpec,
        signatures: Mapping[str, Signature],
        library: Mapping[str, str],
        values: Mapping[str, Any],
        settings: Settings,
        env: Env,
        forms: Collection[str],
    ) -> None:
        self.problems: list[Problem] = []
        self._sources: dict[tuple[str | None, str], Source] = {}  # one for all who read it
        self._signatures = signatures
        self._library = library
        self._values = values
        self._settings = settings
        self._env = env
        self._forms = forms
        self._outputs = {name: outputs_of(step, signatures.get(name)) for name, step in spec.steps.items()}
        deploying = [step for step in spec.steps.values() if step.uses and step.uses.text == DEPLOY]
        self._deployed = sorted({str(self._fill(step, step.params.get("name", ""), {})) for step in deploying})
        self._main = {name: main_output(outputs) for name, (outputs, _) in self._outputs.items()}

    def matrix(self, step: StepSpec) -> list[PlannedStep]:
        """One step for each combination, and the gather that carries the plain id."""
        cells = []
        for combination in product(*step.matrix.values()):
            cell = dict(zip(step.matrix, combination, strict=True))
            cells.append(self.step(step, cell))
        outputs, _ = self._outputs[step.id]
        ids = tuple(cell.id for cell in cells)
        gather = PlannedStep(
            id=step.id,
            kind="gather",
            call="",
            where=step.where,
            inputs={o.name: tuple(Source(cell, o.name) for cell in ids) for o in outputs},
            outputs=outputs,
            needs=ids,
            gates=step.gates,
            select=step.select,
            save=self._fill(step, step.save, {}),
            stage=step.stage or "",
        )
        return [*cells, gather]

    def step(self, step: StepSpec, cell: dict[str, Any]) -> PlannedStep:
        """One planned step; `cell` is its place in a matrix, or empty."""
        outputs, declared = self._outputs[step.id]
        inputs = {port: tuple(self._source(ref) for ref in refs) for port, refs in step.inputs.items()}
        params = self._params(step, cell)
        foreach: Source | None = None
        each: tuple[str, ...] = ()
        if step.foreach is not None:
            foreach = self._source(step.foreach)
            each = self._each(step, foreach, inputs, params)
            inputs |= dict.fromkeys(each, (foreach,))
        uses = step.uses.text if step.uses else ""
        return PlannedStep(
            id=_cell_id(step.id, cell),
            kind="command" if step.command else "function",
            call=step.command.text if step.command else self._library.get(uses, uses),
            library=uses if ":" not in uses else "",
            where=step.where,
            params=params,
            inputs=inputs,
            listed=step.listed,
            forms=self._asked(step, inputs),
            outputs=self._paths(step, outputs, cell),
            declared=declared,
            context=step.id in self._signatures and self._signatures[step.id].context,
            needs=self._needs(step, inputs, foreach),
            condition=step.condition,
            gates=() if cell else step.gates,
            cell=cell,
            foreach=foreach,
            each=each,
            save={} if cell else self._fill(step, step.save, cell),
            env={name: str(self._fill(step, value, cell)) for name, value in step.env.items()} if step.env else {},
            secrets=step.secrets,
            caching=step.caching,
            no_key=step.no_key,
            code=step.code,
            code_version=step.code_version,
            environment=step.environment or self._settings.environment,
            isolation=step.isolation or self._settings.isolation,
            executor=step.executor,
            stage=step.stage or "",
            mutex=step.mutex,
            priority=step.priority,
            retry=step.retry or RETRY,
            timeout=step.timeout,
            resources=step.resources or RESOURCES,
            champion="" if cell else self._champion(step),
        )

    def _asked(self, step: StepSpec, inputs: Mapping[str, tuple[Source, ...]]) -> dict[str, str]:
        """The inputs that steps make and whose annotation names one of the forms; data is a path anyhow."""
        signature = self._signatures.get(step.id)
        asked = {a.name: a.form for a in signature.arguments if a.form in self._forms} if signature else {}
        made = {port for port, sources in inputs.items() if any(source.step is not None for source in sources)}
        return {port: form for port, form in asked.items() if port in made}

    def _champion(self, step: StepSpec) -> str:
        """The model that a gate's `champion.X` is about, where the step can judge it: the one that is deployed here."""
        signature = self._signatures.get(step.id)
        named = any(CHAMPION in gate.text for gate in step.gates)
        if not named or signature is None or "champion" in step.inputs or len(self._deployed) != 1:
            return ""
        return self._deployed[0] if any(argument.name == "champion" for argument in signature.arguments) else ""

    def _each(
        self, step: StepSpec, foreach: Source, inputs: Mapping[str, tuple[Source, ...]], params: Mapping[str, Any]
    ) -> tuple[str, ...]:
        """The inputs that receive the element: those that name the list, else the first argument without a value."""
        named = tuple(port for port, sources in inputs.items() if sources == (foreach,) and port not in step.listed)
        signature = self._signatures.get(step.id)
        if named or signature is None:
            return named or ("item",)
        free = [a.name for a in signature.arguments if a.name not in inputs and a.name not in params]
        return tuple(free[:1]) or ("item",)

    def _source(self, ref: Reference) -> Source:
        step = ref.name if ref.kind == "step" else None
        output = (ref.output or self._main.get(ref.name, "out")) if step else ref.name
        return self._sources.setdefault((step, output), Source(step, output))

    def _paths(self, step: StepSpec, outputs: tuple[Output, ...], cell: dict[str, Any]) -> tuple[Output, ...]:
        if not any(output.path for output in outputs):
            return outputs
        return tuple(Output(o.name, self._fill(step, o.path, cell), o.codec) for o in outputs)

    def _params(self, step: StepSpec, cell: dict[str, Any]) -> dict[str, Any]:
        """The step's parameters; a matrix name that no placeholder uses is an argument of that name."""
        filled: dict[str, Any] = self._fill(step, step.params, cell)
        if cell:
            used = fill.names([step.params, step.env])
            filled = {**filled, **{name: value for name, value in cell.items() if ("matrix", name) not in used}}
        if step.command:  # a command depends on what it names, be it its own or the pipeline's
            named = re.findall(r"\{params\.([^{}]+)\}", step.command.text)
            filled = {**{name: self._values[name] for name in named if name in self._values}, **filled}
        return filled

    def _fill(self, step: StepSpec, value: Any, cell: dict[str, Any]) -> Any:
        if "${" not in repr(value):  # most have none, and there may be 100,000 steps
            return value
        try:
            return fill.fill(value, fill.table(self._values, cell, self._env))
        except KeyError as missing:
            name = str(missing.args[0])
            text = f"'${{{name}}}' has no value"
            hint = f"set the environment variable {name[4:]}" if name.startswith("env.") else ""
            self.problems.append(Problem("unset-variable", text, step.where, hint))
            return value

    def _needs(self, step: StepSpec, inputs: dict[str, tuple[Source, ...]], foreach: Source | None) -> tuple[str, ...]:
        found = [source.step for sources in inputs.values() for source in sources if source.step]
        found += [ref.name for ref in step.after]
        if foreach and foreach.step:
            found.append(foreach.step)
        for text in (*((step.condition,) if step.condition else ()), *step.gates):
            heads = (name.partition(".")[0] for name, _ in expression.names(expression.parse(text.text)))
            found += [head for head in heads if head in self._outputs]
        return tuple(name for name in dict.fromkeys(found) if name != step.id)


def _cell_id(step: str, cell: dict[str, Any]) -> str:
    if not cell:
        return step
    return f"{step}[{','.join(f'{name}={_short(value)}' for name, value in cell.items())}]"


def _short(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = "null" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:30]}~{of_bytes(text.encode())[:8]}"
