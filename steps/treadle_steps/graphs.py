"""ONNX models: read as data, asked through onnxruntime.

Nothing here needs treadle: MLflow models carry this file along.
"""

import json
from collections.abc import Callable
from typing import Any

KIND = "onnx.onnx_ml_pb2.ModelProto"
FEATURES = "features"  # the metadata that names the columns of a model with one matrix as its input
ELSEWHERE = 1  # TensorProto.EXTERNAL


class NoGraph(ValueError):
    """Bytes that are no ONNX model, or one that cannot be run here."""


def fits(value: Any) -> bool:
    """Whether a value is an ONNX model; nothing is imported for that."""
    return f"{type(value).__module__}.{type(value).__qualname__}" == KIND


def dump(model: Any) -> bytes:
    """The bytes of a file: equal for equal models. Raises NoGraph for one whose weights lie in other files."""
    if not fits(model):
        raise NoGraph(f"a {type(model).__name__} is no onnx.ModelProto")
    _need_whole(model)
    return bytes(model.SerializeToString(deterministic=True))


def load(data: bytes) -> Any:
    """The onnx.ModelProto in a file; raises NoGraph. It reads no other file: weights that lie elsewhere are refused."""
    import onnx  # lazy: an extra
    from google.protobuf.message import DecodeError  # lazy: comes with onnx

    try:
        model = onnx.load_model_from_string(data)
    except DecodeError as error:
        raise NoGraph(f"its bytes are no ONNX model: {error}") from None
    if not model.graph.output:
        raise NoGraph("its bytes are no ONNX model: it has no output")
    _need_whole(model)
    return model


def names(model: Any) -> list[str] | None:
    """The columns that a model reads: its inputs where each is a column, else what its metadata says; None for nothing.

    Raises NoGraph for metadata that are no list of names.
    """
    for entry in model.metadata_props:
        if entry.key == FEATURES:
            try:
                found = json.loads(entry.value)
            except ValueError:
                found = None
            if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
                raise NoGraph(f"its metadata '{FEATURES}' is no JSON list of names")
            return found
    inputs = _inputs(model)
    return [one.name for one in inputs] if all(_is_column(one) for one in inputs) else None


def asker(model: Any) -> Callable[[Any], Any]:
    """What predicts a frame: the first output, one value a row. Raises NoGraph when onnxruntime does not take it."""
    import numpy as np  # lazy: only who asks a model needs it
    import onnx  # lazy: an extra
    import onnxruntime  # lazy: an extra
    from onnxruntime.capi import onnxruntime_pybind11_state as state  # lazy: an extra

    errors = tuple(one for one in vars(state).values() if isinstance(one, type) and issubclass(one, Exception))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # the same sums on every machine
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except errors as error:
        raise NoGraph(f"onnxruntime cannot run it: {str(error).splitlines()[0]}") from None
    inputs = _inputs(model)
    kinds = {one.name: onnx.helper.tensor_dtype_to_np_dtype(one.type.tensor_type.elem_type) for one in inputs}
    output = model.graph.output[0].name

    def ask(rows: Any) -> Any:
        if len(inputs) == 1 and not _is_column(inputs[0]):
            given = {inputs[0].name: np.asarray(rows, dtype=kinds[inputs[0].name])}
        else:
            given = {one.name: np.asarray(rows[one.name], dtype=kinds[one.name]) for one in inputs}
            given = {one.name: given[one.name].reshape(-1, *[1] * (_rank(one) - 1)) for one in inputs}
        try:
            found = np.asarray(session.run([output], given)[0])
        except errors as error:
            raise ValueError(f"onnxruntime: {str(error).splitlines()[0]}") from None
        return found.reshape(-1) if found.ndim == 2 and found.shape[1] == 1 else found

    return ask


def _inputs(model: Any) -> list[Any]:
    known = {one.name for one in model.graph.initializer}
    return [one for one in model.graph.input if one.name not in known]


def _rank(given: Any) -> int:
    return len(given.type.tensor_type.shape.dim)


def _is_column(given: Any) -> bool:
    """Whether an input takes one value a row: its shape is (rows) or (rows, 1)."""
    return _rank(given) == 1 or (_rank(given) == 2 and given.type.tensor_type.shape.dim[1].dim_value == 1)


def _need_whole(message: Any) -> None:
    """Raise NoGraph for a tensor, however deep, whose values lie in another file: that may be any file."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for one in value if hasattr(value, "add") else [value]:
            if one.DESCRIPTOR.name == "TensorProto" and one.data_location == ELSEWHERE:
                raise NoGraph(f"the values of its tensor '{one.name}' lie in another file; save it as one file")
            _need_whole(one)
