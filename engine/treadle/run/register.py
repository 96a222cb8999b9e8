"""From a step that returned a model's card to the version that goes into the registry."""

import time
from collections.abc import Callable, Iterable, Mapping

from msgspec import ValidationError, convert, structs

from treadle.domain.artifact import Artifact
from treadle.domain.model import ModelVersion, Signature
from treadle.domain.plan import PlannedStep
from treadle.domain.run import RunRecord, StepRecord
from treadle.errors import CodecError
from treadle.run.decide import Decider, Decision
from treadle.store import Objects, Store
from treadle.store.codecs import CARD, CardCodec
from treadle.store.objects import LIST

FORM = "form"  # the kind of object that a compiled form is
MODEL = "model"  # the input of the step that is registered
ACTOR = "run"


class Unregistrable(ValueError):
    """A card that cannot become a version, in words for the user."""


class Registrar:
    """The versions that the cards of one run's steps describe, on their way into the registry."""

    def __init__(self, store: Store, run: RunRecord, steps: Mapping[str, PlannedStep], decider: Decider) -> None:
        self._store = store
        self._run = run
        self._steps = steps
        self._decider = decider
        self.waiting: list[tuple[ModelVersion, str]] = []  # each with the digest of its card

    def take(
        self,
        step: PlannedStep,
        done: StepRecord,
        outputs: Mapping[str, Mapping[str, Artifact]],
        records: Mapping[str, StepRecord],
        decisions: Mapping[str, Decision],
    ) -> str:
        """Note the version of a step that returned a card, now or when it ran, unless it is registered already.

        Returns what keeps it out of the registry, in words: the step itself has done its work.
        """
        card = card_of(done)
        if card is None:
            return ""
        try:
            model = model_of(step, outputs)
            if self._store.models.known(model.digest, card.digest):
                return ""
            version = draft(self._run, done, model, self._store, time.time())
        except (Unregistrable, CodecError) as error:
            return str(error)
        above = upstream(step, self._steps)
        lineage = {one.id: self._parts(one.id, records, decisions) for one in above if one.kind != "gather"}
        data = data_of(above, lambda name: self._decider.sources.data(name).digest)
        self.waiting.append((structs.replace(version, lineage=lineage, data=data), card.digest))
        return ""

    def register(self) -> list[ModelVersion]:
        """Put what waits into the registry, and return what is new there; part of the caller's transaction."""
        entries, self.waiting = self.waiting, []
        registered = [self._store.models.register(version, card, ACTOR) for version, card in entries]
        return [version for version, new in registered if new]

    def _parts(self, step: str, records: Mapping[str, StepRecord], decisions: Mapping[str, Decision]) -> dict[str, str]:
        """The manifest of the key that a step of this run has, or had when it ran."""
        if step in decisions:
            return decisions[step].key.parts
        result = self._store.results.get(records[step].key)
        return result.parts if result is not None else {}


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
    known = {key: card.pop(key) for key in ("signature", "example", "metrics", "compiled", "form") if key in card}
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
            form=_form(known.get("form"), store.objects),
            pipeline=run.pipeline,
            step=done.id,
            run_id=run.run_id,
            key=done.key,
            git=run.git,
        )
    except (ValidationError, KeyError, TypeError, ValueError) as error:
        raise Unregistrable(f"the card of '{done.id}' cannot be registered: {error}") from None


def _form(text: str | None, objects: Objects) -> Artifact | None:
    """The compiled form that a card carries as text, stored under its digest."""
    from base64 import b64decode  # lazy: only for a model that was compiled

    return objects.add_bytes(b64decode(text, validate=True), FORM) if text else None


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
