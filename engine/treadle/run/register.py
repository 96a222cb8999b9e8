"""From a step that returned a model's card to the version that goes into the registry."""

from collections.abc import Callable, Iterable, Mapping

from msgspec import ValidationError, convert

from treadle.domain.artifact import Artifact
from treadle.domain.model import ModelVersion, Signature
from treadle.domain.plan import PlannedStep
from treadle.domain.run import RunRecord, StepRecord
from treadle.store import Store
from treadle.store.codecs import CARD, CardCodec
from treadle.store.objects import LIST

MODEL = "model"  # the input of the step that is registered
ACTOR = "run"


class Unregistrable(ValueError):
    """A card that cannot become a version, in words for the user."""


def card_of(done: StepRecord) -> Artifact | None:
    """The model's card among the outputs of a step, or None."""
    return next((artifact for artifact in done.outputs.values() if artifact.codec == CARD), None)


def model_of(step: PlannedStep, outputs: Mapping[str, Mapping[str, Artifact]]) -> Artifact:
    """The artifact that a card of this step is about; raises Unregistrable."""
    sources = step.inputs.get(MODEL, ())
    if len(sources) != 1 or sources[0].step is None:
        raise Unregistrable(f"'{step.id}' returns a model's card, but has no input `{MODEL}` that a step made")
    found = outputs[sources[0].step][sources[0].output]
    if found.codec == LIST:
        raise Unregistrable(f"the input `{MODEL}` of '{step.id}' is a list; choose one with `select` where it is made")
    return found


def draft(run: RunRecord, done: StepRecord, model: Artifact, store: Store, now: float) -> ModelVersion:
    """The version that the card of a finished step describes, without number and lineage.

    Raises Unregistrable for a card that lacks what a registry needs, CodecError when it is damaged.
    """
    artifact = card_of(done)
    assert artifact is not None
    card = CardCodec().parse(store.objects.read(artifact))
    known = {key: card.pop(key) for key in ("signature", "example", "metrics", "compiled") if key in card}
    try:
        return ModelVersion(
            name=card["name"],
            version=0,
            artifact=model,
            format=model.codec,
            created=now,
            signature=convert(known.get("signature", {}), Signature),
            example=tuple(known.get("example", ())),
            metrics=convert(known.get("metrics", {}), dict[str, float]),
            card=card,
            compiled=str(known.get("compiled", "")),
            pipeline=run.pipeline,
            step=done.id,
            run_id=run.run_id,
            key=done.key,
            git=run.git,
        )
    except (ValidationError, KeyError, TypeError) as error:
        raise Unregistrable(f"the card of '{done.id}' cannot be registered: {error}") from None


def upstream(step: PlannedStep, steps: Mapping[str, PlannedStep]) -> list[PlannedStep]:
    """The step and everything it needs, however many steps away, in no order."""
    found = {step.id: step}
    waiting = [step]
    while waiting:
        for name in waiting.pop().needs:
            if name not in found:
                found[name] = steps[name]
                waiting.append(steps[name])
    return list(found.values())


def data_of(steps: Iterable[PlannedStep], digest: Callable[[str], str]) -> dict[str, str]:
    """The content digest of each data entry that these steps read."""
    sources = (source for step in steps for group in step.inputs.values() for source in group)
    return {name: digest(name) for name in sorted({source.output for source in sources if source.step is None})}
