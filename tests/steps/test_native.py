"""Boosters and ONNX graphs as files of their own formats: the same class, the same answers, the same bytes."""

import hashlib
import json
import subprocess
import sys
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from treadle.authoring import CodecError, StepError
from treadle.plugins import Catalog
from treadle.testing import check_codec
from treadle_steps import deploy, evaluate, graphs, native, predict, train
from treadle_steps.codecs import SkopsCodec

RNG = np.random.default_rng(5)
ROWS = 240
X = pd.DataFrame({"a": RNG.normal(size=ROWS), "b": RNG.normal(size=ROWS)})
X.loc[3, "a"] = np.nan
Y = X["a"].fillna(0).to_numpy() + X["b"].to_numpy()
THREE = np.digitize(Y, [-1, 1])
WORDS = np.array(["no", "maybe", "yes"])[THREE]
ZONED = X.assign(zone=pd.Categorical(np.tile(["x", "yé", "z"], ROWS // 3)))
FEW = {"n_estimators": 4}


@cache
def models() -> dict[str, tuple[Any, pd.DataFrame]]:
    """Each kind of model that has a format of its own, and rows for it."""
    import lightgbm as lgb
    import xgboost as xgb

    quiet: dict[str, Any] = {**FEW, "verbosity": -1, "n_jobs": 1}
    stop = [lgb.early_stopping(2, verbose=False)]
    noise = RNG.normal(size=ROWS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {
            "xgboost classes": xgb.XGBClassifier(**FEW, monotone_constraints=(1, 0)).fit(X, THREE),
            "xgboost stopped": xgb.XGBRegressor(n_estimators=30, early_stopping_rounds=2, n_jobs=1).fit(
                X, Y, eval_set=[(X, noise)], verbose=False
            ),
            "xgboost forest": xgb.XGBRFRegressor(**FEW).fit(X, Y),
            "xgboost dart": xgb.XGBRegressor(**FEW, booster="dart", rate_drop=0.3).fit(X, Y),
            "xgboost linear": xgb.XGBRegressor(**FEW, booster="gblinear", updater="coord_descent").fit(X, Y),
            "xgboost ranker": xgb.XGBRanker(**FEW).fit(X, THREE, group=[100, 140]),
            "lightgbm classes": lgb.LGBMClassifier(**quiet, class_weight={"no": 2, "maybe": 1, "yes": 1}).fit(X, WORDS),
            "lightgbm flags": lgb.LGBMClassifier(**quiet).fit(X, Y > 0),
            "lightgbm stopped": lgb.LGBMRegressor(**{**quiet, "n_estimators": 30}).fit(
                X, Y, eval_set=[(X, noise)], callbacks=stop
            ),
            "lightgbm ranker": lgb.LGBMRanker(**quiet).fit(X, THREE, group=[100, 140]),
            "lightgbm zones": lgb.LGBMRegressor(**quiet).fit(ZONED, Y),
        }
    bare = {
        "xgboost bare": found["xgboost dart"].get_booster(),
        "lightgbm bare": found["lightgbm stopped"].booster_,
    }
    rows = {"lightgbm zones": ZONED}
    return {name: (one, rows.get(name, X)) for name, one in {**found, **bare}.items()}


def a_graph(columns: bool = False) -> Any:
    """An ONNX model: 2 a + b + 0.5, from two columns or from a matrix that names its columns."""
    onnx = pytest.importorskip("onnx")
    h, kind = onnx.helper, onnx.TensorProto.FLOAT
    weights = h.make_tensor("w", kind, [2, 1], [2.0, 1.0])
    bias = h.make_tensor("c", kind, [1], [0.5])
    if columns:
        given = [h.make_tensor_value_info(name, kind, [None, 1]) for name in ("a", "b")]
        nodes = [h.make_node("Concat", ["a", "b"], ["x"], axis=1)]
    else:
        given, nodes = [h.make_tensor_value_info("x", kind, [None, 2])], []
    nodes += [h.make_node("MatMul", ["x", "w"], ["m"]), h.make_node("Add", ["m", "c"], ["y"])]
    graph = h.make_graph(nodes, "g", given, [h.make_tensor_value_info("y", kind, [None, 1])], [weights, bias])
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
    if not columns:
        h.set_model_props(model, {"features": json.dumps(["a", "b"])})
    return model


NAMES = [
    *("xgboost classes", "xgboost stopped", "xgboost forest", "xgboost dart", "xgboost linear", "xgboost ranker"),
    *("lightgbm classes", "lightgbm flags", "lightgbm stopped", "lightgbm ranker", "lightgbm zones"),
    *("xgboost bare", "lightgbm bare"),
]


@pytest.mark.parametrize("name", NAMES)
def test_a_booster_comes_back_whole(name: str, tmp_path: Path) -> None:
    pytest.importorskip(name.partition(" ")[0])
    model, rows = models()[name]
    codecs = Catalog.from_entry_points().codecs()
    assert [codec.name for codec in codecs if codec.accepts(model)] == [name.partition(" ")[0]]
    codec = next(codec for codec in codecs if codec.accepts(model))
    codec.write(model, tmp_path / "1")
    back = codec.read(tmp_path / "1")
    codec.write(back, tmp_path / "2")
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    assert type(back) is type(model)
    ask, again = native.asker(model), native.asker(back)
    np.testing.assert_array_equal(again(rows), ask(rows), strict=True)
    if name.endswith("bare"):
        return
    np.testing.assert_equal(back.get_params(), model.get_params())
    np.testing.assert_array_equal(back.feature_names_in_, model.feature_names_in_)
    if hasattr(model, "predict_proba"):
        np.testing.assert_array_equal(back.predict_proba(rows), model.predict_proba(rows), strict=True)
        np.testing.assert_array_equal(back.classes_, model.classes_, strict=True)


def test_the_files_open_with_their_own_libraries(tmp_path: Path) -> None:
    xgboost, lightgbm = pytest.importorskip("xgboost"), pytest.importorskip("lightgbm")
    (classes, _), (stopped, _) = models()["xgboost classes"], models()["lightgbm stopped"]
    (tmp_path / "m.ubj").write_bytes(native.dump(classes))
    (tmp_path / "m.txt").write_bytes(native.dump(stopped))
    opened = xgboost.XGBClassifier()
    opened.load_model(tmp_path / "m.ubj")
    np.testing.assert_array_equal(opened.predict_proba(X), classes.predict_proba(X))
    told = lightgbm.Booster(model_file=tmp_path / "m.txt").predict(X, num_iteration=stopped.best_iteration_)
    np.testing.assert_array_equal(told, stopped.predict(X))


def test_what_training_added_goes_along() -> None:
    pytest.importorskip("lightgbm")
    table = X.assign(y=Y)
    how: dict[str, Any] = {"params": {"verbosity": -1, **FEW}, "target": "y", "cv": 0}
    made = train.estimator(table, estimator="lightgbm.LGBMRegressor", **how).model
    back = native.load(native.dump(made))
    assert (back.target_name_, back.feature_kinds_) == ("y", {"a": "float", "b": "float"})
    assert back.get_params() == made.get_params()


def test_what_holds_code_is_left_to_skops() -> None:
    xgboost, lightgbm = pytest.importorskip("xgboost"), pytest.importorskip("lightgbm")

    def own(truth: Any, guess: Any) -> Any:
        return guess - truth, np.ones_like(guess)

    class Mine(xgboost.XGBRegressor):  # type: ignore[misc]
        pass

    strange = [
        xgboost.XGBRegressor(**FEW, objective=own).fit(X, Y),
        Mine(**FEW).fit(X, Y),
        xgboost.XGBRegressor(),
        lightgbm.LGBMRegressor(),
        make_pipeline(StandardScaler(), xgboost.XGBRegressor(**FEW)).fit(X, Y),
    ]
    for model in strange:
        assert native.package(model) == ""
        assert SkopsCodec().accepts(model)
    with pytest.raises(CodecError, match="cannot be stored as xgboost: the model is not fitted"):
        Catalog.from_entry_points().codec("xgboost").write(strange[2], Path("x"))


SCRIPT = """
import sys; sys.path.insert(0, {folder!r})
junk = [object() for _ in range(5000)]
import test_native
print(*test_native.digests())
"""


def digests() -> list[str]:
    found = [native.dump(model) for model, _ in models().values()] + [graphs.dump(a_graph())]
    return [hashlib.sha256(data).hexdigest() for data in found]


def test_two_processes_give_the_same_bytes() -> None:
    for needed in ("xgboost", "lightgbm", "onnx"):
        pytest.importorskip(needed)
    text = SCRIPT.format(folder=str(Path(__file__).parent))
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == digests()


@pytest.mark.parametrize("name", ["xgboost dart", "lightgbm stopped", "onnx"])
def test_our_codecs_keep_the_contract(name: str) -> None:
    pytest.importorskip(name.partition(" ")[0])
    model = a_graph() if name == "onnx" else models()[name][0]
    check_codec(Catalog.from_entry_points().codec(name.partition(" ")[0]), model)


def ubj() -> bytes:
    return native.dump(models()["xgboost classes"][0])


def text() -> bytes:
    return native.dump(models()["lightgbm classes"][0])


@pytest.mark.parametrize(
    ("of", "damage", "words"),
    [
        ("xgboost", lambda whole: b"", "no model of XGBoost"),
        ("xgboost", lambda whole: b"\x80\x05cposix\nsystem\n.", "no model of XGBoost"),
        ("xgboost", lambda whole: whole[: len(whole) // 2], "no model of XGBoost"),
        ("xgboost", lambda whole: whole[:-1], "no model of XGBoost"),
        ("xgboost", lambda whole: b"{}", "no model of XGBoost"),
        ("xgboost", lambda whole: b"{" * 100_000, "no model of XGBoost"),
        ("xgboost", lambda whole: b"{L" + b"\xff" * 60, "no model of XGBoost"),
        ("xgboost", lambda whole: whole.replace(b"sklearn.XGBClassifier", b"sklearn.XGBClassifieR"), "names the class"),
        ("lightgbm", lambda whole: b"tree", "no model of LightGBM"),
        ("lightgbm", lambda whole: whole[: whole.index(b"leaf_value")], "no model of LightGBM"),
        ("lightgbm", lambda whole: whole.replace(b"num_leaves=", b"num_leaves=9"), "no model of LightGBM"),
        ("lightgbm", lambda whole: whole.replace(b"treadle:{", b"treadle:["), "note is no JSON"),
        ("lightgbm", lambda whole: whole.replace(b"treadle:{", b"treadle:[]{"), "note is no JSON"),
        ("lightgbm", lambda whole: whole.replace(b"treadle:", b"treadle:[] #"), "note is no JSON"),
        ("lightgbm", lambda whole: whole.replace(b"lightgbm.sklearn.LGBMClassifier", b"os.system"), "the class os"),
        ("lightgbm", lambda whole: whole.replace(b'"state":', b'"other":'), "note does not read"),
        ("lightgbm", lambda whole: whole.replace(b'"map":', b'"array":', 1), "note does not read"),
    ],
)  # fmt: skip
def test_files_that_lie_are_refused(of: str, damage: Any, words: str) -> None:
    pytest.importorskip(of)
    data = damage(ubj() if of == "xgboost" else text())
    with pytest.raises(CodecError, match=words):
        Catalog.from_entry_points().codec(of).read_model(data, ())  # type: ignore[attr-defined]


@pytest.mark.parametrize("columns", [True, False])
def test_a_graph_is_stored_and_asked(columns: bool, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    model = a_graph(columns)
    codecs = Catalog.from_entry_points().codecs()
    assert [codec.name for codec in codecs if codec.accepts(model)] == ["onnx"]
    codec = next(codec for codec in codecs if codec.name == "onnx")
    codec.write(model, tmp_path / "m")
    back = codec.read(tmp_path / "m")
    assert back == model
    rows = X.fillna(0)
    expected = (rows["a"] * 2 + rows["b"] + 0.5).to_numpy()
    np.testing.assert_allclose(graphs.asker(back)(rows), expected, rtol=1e-5, atol=1e-6)
    assert graphs.names(back) == ["a", "b"]


def test_graphs_that_reach_for_other_files_or_run_nowhere_are_refused() -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    codec: Any = Catalog.from_entry_points().codec("onnx")
    outside = a_graph()
    weights = outside.graph.initializer[0]
    weights.ClearField("float_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="../../etc/passwd")
    inner = onnx.helper.make_node("If", ["x"], ["z"], then_branch=outside.graph, else_branch=outside.graph)
    nested = a_graph()
    nested.graph.node.append(inner)
    for model in (outside, nested):
        with pytest.raises(CodecError, match="lie in another file"):
            codec.read_model(model.SerializeToString(), ())
    for data in (b"", b"\xff\xff\xff", b"tree"):
        with pytest.raises(CodecError, match="no ONNX model"):
            codec.read_model(data, ())
    strange = a_graph()
    strange.graph.node[0].op_type = "Launch"
    with pytest.raises(CodecError, match="onnxruntime cannot run it"):
        codec.predictor(lambda: strange, {"compiled": "original", "signature": {"inputs": []}}, [], b"")


@pytest.mark.parametrize("name", ["xgboost bare", "lightgbm bare", "onnx"])
def test_steps_take_bare_models(name: str) -> None:
    pytest.importorskip(name.partition(" ")[0])
    model = a_graph() if name == "onnx" else models()[name][0]
    table = X.fillna(0).assign(y=Y)
    report = evaluate.regression(model, table, target="y", importance=1, bootstrap=0)
    assert report.metrics["mae"] >= 0
    card = deploy.model(model, reference=table, name="m")
    assert [field["name"] for field in card["signature"]["inputs"]] == ["a", "b"]
    kinds = {"xgboost bare": "xgboost.core.Booster", "lightgbm bare": "lightgbm.basic.Booster"}
    assert card["estimator"] == kinds.get(name, "onnx.onnx_ml_pb2.ModelProto")
    own = {"onnx": "onnxruntime", "lightgbm bare": "lightgbm"}.get(name)
    assert own is None or own in card["requirements"]
    asked = graphs.asker(model) if name == "onnx" else native.asker(model)
    made = pd.read_parquet(predict.batch(model, table).predictions)
    np.testing.assert_array_equal(made["prediction"], asked(table[["a", "b"]]))
    with pytest.raises(StepError, match="knows no classes"):
        evaluate.classification(model, table, target="y")
