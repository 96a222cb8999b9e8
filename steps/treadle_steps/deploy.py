"""Make of a model what a server needs to know of it."""

import base64
import platform
import re
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from typing import Annotated, Any

import numpy as np
import pandas as pd

from treadle.authoring import Checked, ModelCard, StepError
from treadle_steps import judging, psi, signature
from treadle_steps.bare import own
from treadle_steps.compiled import answer
from treadle_steps.compiled.frame import columns_of
from treadle_steps.compiled.verdict import verdict
from treadle_steps.estimators import final
from treadle_steps.reference import past_windows
from treadle_steps.refusals import kind_of, need_columns, need_usable, table
from treadle_steps.rollout import checked
from treadle_steps.windows import seconds

NEEDED = ("scikit-learn", "numpy", "scipy", "pandas", "skops")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")  # it becomes a part of a URL and of a path
SAMPLE = 200  # rows of the reference on which predictors are compared
LEAST_ROWS = 100  # of a window of the reference
RARE_VALUES = 1000  # a profile keeps all values of a column only when they are no more than these


def model(
    model: Any,
    report: dict[str, Any] | None = None,
    reference: pd.DataFrame | None = None,
    *,
    name: str,
    rollout: Annotated[dict[str, Any] | None, Checked("treadle_steps.rollout:mistakes")] = None,
    at: str | None = None,
    window: str = "1h",
) -> ModelCard:
    """Register a model under a name, with its signature, metrics, requirements, profile and rollout.

    The run that made the card, or found it unchanged, puts the model into the registry: the first version of a name
    becomes its champion, a later one its challenger. The profile holds, for each feature, its bins and counts in the
    reference; `monitor.drift` takes the card as its reference. The reference also gives the signature its types,
    example rows, the importance of the columns, and the rows on which a compiled form is proved. With `at`, its column
    of event times, the counts of its windows go with it: they say how much windows differ without any drift.
    Raises StepError for a name that cannot be part of a path, for a rollout key that is not known, and when the
    reference lacks a feature or the model answers it differently column by column.

    Example:

        deploy:
          uses: deploy.model
          in: {model: train, report: evaluate, reference: split.test}
          with: {name: surge-pricing, rollout: {metric: accepted, unit: rider_id}}
    """
    model = _usable(name, model)
    features = [str(field) for field in getattr(model, "feature_names_in_", [])]
    kinds: dict[str, str] = dict(getattr(model, "feature_kinds_", {}))
    profile: dict[str, Any] = {}
    frame = answers = None
    if reference is not None:
        frame = table(reference, "reference")
        need_columns(frame, features, "the model's feature", "the reference")
        kinds = {field: kind_of(frame[field]) for field in features}
        profile = {field: psi.freeze(frame[field], RARE_VALUES) for field in features}
        if at is not None:
            need_columns(frame, [at], "at:", "the reference")
    classes = getattr(model, "classes_", None)
    target = getattr(model, "target_name_", None)
    fields = signature.inputs(model, features, kinds, frame)
    facts: dict[str, Any] = {}
    if frame is not None and features:
        _need_same(model, frame, fields)
        answers = np.asarray(model.predict(frame[features]))
        if answers.ndim == 1:
            profile.setdefault("prediction", psi.freeze(pd.Series(answers, name="prediction"), RARE_VALUES))
        starts, counts = past_windows(
            frame.assign(prediction=answers) if answers.ndim == 1 and "prediction" not in features else frame,
            profile,
            at,
            seconds(window, "window"),
            LEAST_ROWS,
        )
        facts["history"] = {"starts": starts, "counts": counts}
        facts["example"] = signature.example(frame, features)
        facts["importance"] = signature.importance(model, frame, features)
        facts["compiled"], form = verdict(model, fields, frame[features].head(SAMPLE))
        facts["form"] = base64.b64encode(form).decode()
    else:
        facts["compiled"] = "original: there is no reference to prove a compiled form on"
    return ModelCard(
        name=name,
        estimator=f"{type(own(final(model))).__module__}.{type(own(final(model))).__qualname__}",
        inputs=[{"name": field, **({"dtype": kinds[field]} if field in kinds else {})} for field in features],
        target=target,
        classes=None if classes is None else [str(label) for label in classes],
        metrics=(report or {}).get("metrics", {}),
        requirements=_requirements(model),
        python=platform.python_version(),
        profile=profile,
        rollout=checked(rollout),
        signature={
            "inputs": fields,
            "outputs": signature.outputs(model, target, answers),
            "probabilities": signature.probabilities(model),
        },
        **facts,
    )


def _usable(name: str, model: Any) -> Any:
    """The model as it is asked; raises StepError for a wrong name and for what predicts nothing."""
    if not NAME.fullmatch(name):
        raise StepError(
            f"the model's name is {name!r}", "use letters, digits, '.', '_' and '-', and begin with no sign"
        )
    judging.need_model(model)
    return judging.asked(model)


def _need_same(model: Any, frame: pd.DataFrame, fields: list[dict[str, Any]]) -> None:
    """Raise StepError when the model tells its reference from the same values as a server hands them over."""
    rows = frame[[field["name"] for field in fields]].head(SAMPLE)
    for name in rows.columns:
        need_usable(rows[name], "feature")
    direct, served = judging.predicted(model, rows), answer.Original(lambda: model, fields)(columns_of(rows, fields))
    if not np.array_equal(np.asarray(direct), served, equal_nan=np.asarray(direct).dtype.kind == "f"):
        text = f"{type(final(model)).__name__} answers differently when its columns come one by one, as in a request"
        raise StepError(text, "make its columns numbers or text before training, not types of their own")


def _requirements(model: Any) -> dict[str, str]:
    """Installed versions of what loads and runs the model, its own library included."""
    top = type(own(final(model))).__module__.partition(".")[0]
    beside = ("onnxruntime",) if top == "onnx" else ()
    found = {}
    for library in sorted({*NEEDED, *beside, *packages_distributions().get(top, [])}):
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue  # skops is not needed where models are stored in another format
    return found
