"""Compiled predictors: equal to scikit-learn on whatever they answer, silent where scikit-learn would refuse."""

import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sklearn import ensemble, impute, linear_model, preprocessing, svm, tree
from sklearn.base import is_classifier
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.pipeline import Pipeline, make_pipeline

from treadle_steps.compiled import answer, differ, proof
from treadle_steps.compiled.build import program
from treadle_steps.compiled.frame import columns_of, dtype_of, table
from treadle_steps.compiled.program import NotCompiled
from treadle_steps.compiled.verdict import verdict

ROWS = 120
HOSTILE = (np.nan, np.inf, -np.inf, 0.0, -0.0, 1e300, -1e300, 1e38, 3.4028235e38, 3.4028236e38, 1e-320, 0.1, 16777217.0)
TEXTS = ("red", "green", "blue", "", "unseen", "\x00", None)


def data(seed: int, gaps: bool = False) -> pd.DataFrame:
    """Numbers in a, b, c (some of them equal, so that splits are met exactly), text in colour, integers in n."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {"a": rng.normal(size=ROWS), "b": rng.integers(0, 5, ROWS) / 4, "c": rng.normal(size=ROWS) * 1e3}
    )
    frame["n"] = rng.integers(-3, 3, ROWS)
    frame["colour"] = rng.choice(["red", "green", "blue"], ROWS)
    if gaps:
        frame.loc[::6, "a"] = np.nan
    return frame


NUMBERS = ["a", "b", "c", "n"]
TREES: dict[str, Any] = {
    "hist": lambda s: ensemble.HistGradientBoostingRegressor(max_iter=12, random_state=s, max_depth=s % 4 + 1),
    "hist poisson": lambda s: ensemble.HistGradientBoostingRegressor(max_iter=5, loss="poisson"),
    "hist classes": lambda s: ensemble.HistGradientBoostingClassifier(max_iter=8, random_state=s),
    "boosting": lambda s: ensemble.GradientBoostingRegressor(n_estimators=15, random_state=s, subsample=0.8),
    "boosting classes": lambda s: ensemble.GradientBoostingClassifier(n_estimators=6, random_state=s),
    "forest": lambda s: ensemble.RandomForestRegressor(8, random_state=s),
    "forest classes": lambda s: ensemble.RandomForestClassifier(8, random_state=s, max_depth=4),
    "extra": lambda s: ensemble.ExtraTreesRegressor(8, random_state=s),
    "extra classes": lambda s: ensemble.ExtraTreesClassifier(8, random_state=s),
    "tree": lambda s: tree.DecisionTreeRegressor(random_state=s, max_depth=s % 7 + 1),
    "tree classes": lambda s: tree.DecisionTreeClassifier(random_state=s),
}
LINEAR: dict[str, Any] = {
    "ols": lambda s: linear_model.LinearRegression(fit_intercept=bool(s % 2)),
    "ridge": lambda s: linear_model.Ridge(alpha=s % 5 + 0.1),
    "lasso": lambda s: linear_model.Lasso(alpha=0.01),
    "elastic": lambda s: linear_model.ElasticNet(alpha=0.01),
    "sgd": lambda s: linear_model.SGDRegressor(random_state=s),
    "svr": lambda s: svm.LinearSVR(random_state=s),
    "poisson": lambda s: linear_model.PoissonRegressor(),
    "logistic": lambda s: linear_model.LogisticRegression(),
    "sgd classes": lambda s: linear_model.SGDClassifier(random_state=s),
    "svc": lambda s: svm.LinearSVC(random_state=s),
    "ridge classes": lambda s: linear_model.RidgeClassifier(),
}


def prepared(last: Any, variant: int) -> Any:
    """A model behind a ColumnTransformer that fills, scales and encodes."""
    scaler = [preprocessing.StandardScaler(), preprocessing.MinMaxScaler(clip=True), preprocessing.RobustScaler()][
        variant % 3
    ]
    encoder = [
        preprocessing.OneHotEncoder(handle_unknown="ignore", sparse_output=False),
        preprocessing.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
        preprocessing.OneHotEncoder(),  # refuses unseen categories
        preprocessing.OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=2, sparse_output=False),
        preprocessing.OneHotEncoder(handle_unknown="ignore", drop="first", sparse_output=False),
    ][variant % 5]
    numeric = Pipeline([("fill", impute.SimpleImputer(strategy=["mean", "median"][variant % 2])), ("scale", scaler)])
    parts = [("numeric", numeric, ["a", "b"]), ("words", encoder, ["colour"]), ("rest", "passthrough", ["n"])]
    return Pipeline([("prepare", ColumnTransformer(parts, sparse_threshold=0.0)), ("model", last)])


def target(model: Any, frame: pd.DataFrame, seed: int) -> Any:
    rng = np.random.default_rng(seed + 1)
    y = frame.b * 3 + frame.n + rng.normal(size=ROWS)
    if is_classifier(model):
        names = np.array(["no", "yes", "maybe"])[: 2 + seed % 2]
        return names[pd.qcut(y, len(names), labels=False)]
    return np.abs(y)


def fitted(model: Any, names: list[str], seed: int, gaps: bool) -> tuple[Any, list[dict[str, Any]], pd.DataFrame]:
    frame = data(seed, gaps)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a few rounds do not converge is no matter here
        model.fit(frame[names], target(model, frame, seed))
    return model, [{"name": name, "dtype": dtype_of(frame[name])} for name in names], frame[names]


def one_by_one(columns: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for row in range(len(next(iter(columns.values())))):
        yield {name: values[row : row + 1] for name, values in columns.items()}


def told(model: Any, fields: Any, columns: Any) -> Any:
    """What the model itself says, or the error it raises."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.asarray(model.predict(table(columns, fields, True)))
    except ValueError as error:
        return error


def compare(model: Any, fields: Any, rows: list[dict[str, Any]], exact: bool) -> int:
    """Assert that the compiled form agrees wherever it answers; returns how often it did."""
    made = program(model, [field["name"] for field in fields])
    answered = 0
    for row in rows:
        found = differ.attempt(made, row)
        if found is None:
            continue
        answered += 1
        wanted = told(model, fields, row)
        assert not isinstance(wanted, ValueError), f"answered {row}, which the model refuses: {wanted}"
        assert (found.dtype.kind, found.shape) == (wanted.dtype.kind, wanted.shape)
        if exact or found.dtype.kind != "f":
            assert np.array_equal(found, wanted), row
        else:
            assert np.allclose(found, wanted, rtol=1e-9, atol=1e-9), row
    return answered


def hostile_rows(
    frame: pd.DataFrame, fields: Any, splits: Mapping[str, list[float]], draw: Any
) -> list[dict[str, Any]]:
    rows = list(one_by_one(columns_of(frame.head(6), fields)))
    found = []
    for _ in range(12):
        row = dict(draw(st.sampled_from(rows)))
        name = draw(st.sampled_from([field["name"] for field in fields]))
        if row[name].dtype == object:
            row[name] = np.array([draw(st.sampled_from(TEXTS))], dtype=object)
        else:
            edges = [edge for value in splits.get(name, []) for edge in proof._around([value])]
            row[name] = np.array([draw(st.sampled_from([*HOSTILE, *edges]) | st.floats())], dtype=np.float64)
        found.append(row)
    return [*rows, *found]


EXAMPLES = int(os.environ.get("COMPILED_EXAMPLES", "3"))  # more of them when looking for trouble
QUIET = settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.generate],  # a failure names its row; shrinking fits hundreds of models
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)


@pytest.mark.parametrize("kind", TREES)
@QUIET
@given(drawn=st.data())
def test_trees_are_equal_to_the_last_bit(kind: str, drawn: Any) -> None:
    seed = drawn.draw(st.integers(0, 50))
    gaps = drawn.draw(st.booleans()) and "boosting" not in kind
    model, fields, frame = fitted(TREES[kind](seed), NUMBERS, seed, gaps)
    rows = hostile_rows(frame, fields, proof.thresholds(model, fields), drawn.draw)
    assert compare(model, fields, rows, exact=True) >= (0 if gaps else 6)


@pytest.mark.parametrize("kind", LINEAR)
@QUIET
@given(drawn=st.data())
def test_linear_models_are_equal_within_a_billionth(kind: str, drawn: Any) -> None:
    seed = drawn.draw(st.integers(0, 50))
    model = LINEAR[kind](seed)
    scaled = make_pipeline(preprocessing.StandardScaler(), model) if drawn.draw(st.booleans()) else model
    try:
        model, fields, frame = fitted(scaled, NUMBERS, seed, False)
    except ValueError:
        return  # this estimator diverges on columns that are not scaled
    rows = hostile_rows(frame, fields, {}, drawn.draw)
    try:
        assert compare(model, fields, rows, exact=False) >= 1
    except NotCompiled as reason:
        assert kind == "ridge classes" and "several outputs" in str(reason)


@pytest.mark.parametrize("kind", ["hist", "hist classes", "forest", "boosting", "ridge", "logistic"])
@QUIET
@given(drawn=st.data())
def test_preparation_is_part_of_the_compiled_form(kind: str, drawn: Any) -> None:
    seed, variant = drawn.draw(st.integers(0, 50)), drawn.draw(st.integers(0, 29))
    last = {**TREES, **LINEAR}[kind](seed)
    model, fields, frame = fitted(prepared(last, variant), [*NUMBERS, "colour"], seed, True)
    rows = hostile_rows(frame, fields, {}, drawn.draw)
    assert compare(model, fields, rows, exact=kind not in LINEAR) >= 6


@QUIET
@given(drawn=st.data())
def test_categorical_splits_and_gaps_of_histogram_boosting(drawn: Any) -> None:
    seed = drawn.draw(st.integers(0, 50))
    names = ["b", "colour", "a"]
    frame = data(seed, True)
    frame["colour"] = frame.colour.astype("category")
    model = ensemble.HistGradientBoostingRegressor(max_iter=15, categorical_features="from_dtype", min_samples_leaf=3)
    model.fit(frame[names], frame.colour.cat.codes * 2 + frame.b)
    fields = [{"name": name, "dtype": dtype_of(frame[name])} for name in names]
    rows = hostile_rows(frame[names], fields, {}, drawn.draw)
    assert compare(model, fields, rows, exact=True) >= 6


@pytest.mark.parametrize("count", [2, 7, 64])
@pytest.mark.parametrize("kind", ["hist", "hist classes", "boosting classes", "forest classes", "tree", "logistic"])
def test_several_rows_at_once_are_the_same_as_one_by_one(kind: str, count: int) -> None:
    model, fields, frame = fitted({**TREES, **LINEAR}[kind](1), NUMBERS, 1, kind.startswith("hist"))
    columns = {name: values[:count] for name, values in columns_of(frame, fields).items()}
    found = program(model, NUMBERS)(columns)
    assert np.array_equal(found, told(model, fields, columns))


@pytest.mark.parametrize(
    "model",
    [
        TransformedTargetRegressor(linear_model.Ridge(), transformer=preprocessing.StandardScaler()),
        TransformedTargetRegressor(tree.DecisionTreeRegressor(max_depth=3), func=np.log1p, inverse_func=np.expm1),
    ],
)
def test_a_transformed_target_comes_back(model: Any) -> None:
    model, fields, frame = fitted(model, NUMBERS, 3, False)
    assert compare(model, fields, list(one_by_one(columns_of(frame, fields))), exact=False) == ROWS


def test_a_score_that_nearly_ties_is_left_to_the_model() -> None:
    model, fields, _ = fitted(linear_model.LogisticRegression(), ["a"], 4, False)
    edge = float(-model.intercept_[0] / model.coef_[0, 0])
    rows = [{"a": np.array([value])} for value in (edge, np.nextafter(edge, 9), edge * (1 + 1e-13))]
    assert compare(model, fields, rows, exact=True) == 0
    assert compare(model, fields, [{"a": np.array([edge + 1e-3])}], exact=True) == 1


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (svm.SVR(), "SVR has no compiled form"),
        (make_pipeline(preprocessing.PolynomialFeatures(), linear_model.Ridge()), "PolynomialFeatures has no"),
        (ensemble.GradientBoostingRegressor(n_estimators=3, init=linear_model.Ridge()), "init of its own"),
    ],
)
def test_what_has_no_compiled_form_says_which_part(model: Any, words: str) -> None:
    model, fields, frame = fitted(model, NUMBERS, 5, False)
    found = verdict(model, fields, frame).text
    assert found.startswith("original: ") and words in found
    served = answer.predictor(lambda: model, {"signature": {"inputs": fields}, "compiled": found}, [], b"")
    assert np.array_equal(served(columns_of(frame, fields)), model.predict(frame))


def test_the_verdict_counts_the_rows_it_was_proved_on() -> None:
    model, fields, frame = fitted(TREES["hist"](2), NUMBERS, 2, True)
    found = verdict(model, fields, frame).text
    assert found.startswith("compiled: equal to the last bit on ")
    assert "of them adversarial" in found


def test_a_form_that_is_not_exact_never_serves(caplog: pytest.LogCaptureFixture) -> None:
    model, fields, frame = fitted(TREES["hist"](2), NUMBERS, 2, False)
    honest = model.predict
    model.predict = lambda x: honest(x) + 1e-6  # differs from what its trees say
    assert verdict(model, fields, frame).text == "original: its compiled form is not exact on a row of the reference"
    rows = frame.head(3).to_dict("records")
    card = {"name": "demand", "signature": {"inputs": fields}, "compiled": "compiled: claimed by someone"}
    with caplog.at_level(logging.WARNING, "treadle.serve"):
        served = answer.predictor(lambda: model, card, rows, b"")
    assert served.doubted
    assert "demand is served by the model itself: on its example, the compiled form differs by" in caplog.text


def test_a_refusal_of_the_model_is_the_refusal_of_its_predictor() -> None:
    model, fields, frame = fitted(linear_model.Ridge(), NUMBERS, 2, False)
    card = {"signature": {"inputs": fields}, "compiled": verdict(model, fields, frame).text}
    served = answer.predictor(lambda: model, card, frame.head(2).to_dict("records"), b"")
    assert type(served) is answer.Compiled
    columns = columns_of(frame.head(1), fields)
    for bad in (np.array([np.nan]), np.array([np.inf]), np.array(["x"], dtype=object)):
        with pytest.raises(ValueError, match=r"NaN|infinity|no number"):
            served({**columns, "a": bad})
    with pytest.raises(ValueError, match="the column 'a' is missing"):
        served({name: values for name, values in columns.items() if name != "a"})
