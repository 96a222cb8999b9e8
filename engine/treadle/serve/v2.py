"""Open Inference Protocol V2 over REST, with the binary tensor extension: bytes ↔ tables; no HTTP in here.

Specification: kserve/open-inference-protocol inference_rest.md, Triton's extension_binary_data.md.
"""

from typing import Any

import numpy as np
from msgspec import DecodeError, Struct, ValidationError, field, json

from treadle.domain.model import ModelVersion, Signature
from treadle.errors import did_you_mean
from treadle.serve.refusal import Refusal, shown
from treadle.serve.tables import Checker, Table, listing
from treadle.serve.tensors import DTYPES, OF_FIELD, count, datatype_of, flatten, from_bytes, to_bytes

LENGTH_HEADER = b"inference-header-content-length"
HEADER_LIMIT = 4 << 20
PREDICT, PROBABILITIES = "predict", "predict_proba"  # as MLServer calls the outputs of scikit-learn's models


class Tensor(Struct):
    name: str
    datatype: str
    shape: list[Any]
    data: Any = None
    parameters: dict[str, Any] = {}


class Wanted(Struct):
    name: str
    parameters: dict[str, Any] = {}


class Inference(Struct):
    inputs: list[Tensor]
    id: str = ""
    parameters: dict[str, Any] = {}
    outputs: list[Wanted] = []
    raw: bool = field(default=False, name="-raw-")  # the whole body was one tensor


class Output(Struct, omit_defaults=True):
    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, Any] = {}
    data: Any = None


_decoder = json.Decoder(Inference)
_encode = json.Encoder().encode


def json_text(value: Any) -> str:
    """A value as a text of JSON: parameters of the protocol are text, numbers and booleans alone."""
    return _encode(value).decode()


def parse(body: bytes | memoryview, header_length: bytes | None, signature: Signature) -> tuple[Inference, memoryview]:
    """The JSON part of a request and what follows it; raises Refusal."""
    if header_length is None:
        return _decoded(body), memoryview(b"")
    if not header_length.isdigit() or len(header_length) > 12:
        text = (
            f"Inference-Header-Content-Length is {shown(header_length.decode('latin-1'))}, expected a number of bytes"
        )
        raise Refusal(400, text)
    length = int(header_length)
    if length > len(body) or length > HEADER_LIMIT:
        raise Refusal(400, f"Inference-Header-Content-Length is {length}, but the body has {len(body)} bytes")
    view = memoryview(body)
    if length == 0:
        return _raw(signature, len(view)), view
    return _decoded(view[:length]), view[length:]


def table(inference: Inference, tail: memoryview, checker: Checker) -> Table:
    """The table that the inputs make; raises Refusal naming the input and what was expected.

    One 2-D tensor with a column for every field is a table in the order of the signature; else there is one input
    a field, of shape [n] or [n, 1].
    """
    inputs = inference.inputs
    if len(inputs) == 1 and checker.doubles and not len(tail):  # what most clients of numeric models send
        one, width = inputs[0], len(checker.fields)
        plain = one.datatype == "FP64" and type(one.data) is list and one.name not in checker.fields
        if plain and one.shape == [1, width] and len(one.data) == width > 1:
            return checker.flat(one.data, 1)
    arrays, rest = [], tail
    for tensor in inputs:
        if tensor.datatype not in DTYPES:
            hint = did_you_mean(tensor.datatype, DTYPES)
            raise Refusal(400, f"input {shown(tensor.name)}: datatype {shown(tensor.datatype)} is unknown; {hint}")
        values, rest = _values(tensor, rest)
        arrays.append(values)
    if len(rest):
        raise Refusal(400, f"{len(rest)} bytes follow the last binary tensor; binary_data_size must cover them")
    if len(inputs) == 1 and inputs[0].name not in checker.fields:
        return _block(inputs[0], arrays[0], checker)
    named: dict[str, Any] = {}
    rows = -1
    for tensor, values in zip(inputs, arrays, strict=True):
        if not (len(tensor.shape) == 1 or (len(tensor.shape) == 2 and tensor.shape[1] == 1)):
            raise Refusal(400, f"input {shown(tensor.name)}: shape {shown(tensor.shape)}, expected [n] or [n, 1]")
        if tensor.name in named:
            raise Refusal(400, f"input {shown(tensor.name)} is given twice")
        if tensor.name in checker.fields or tensor.name in checker.units:
            if rows >= 0 and len(values) != rows:
                raise Refusal(400, f"input {shown(tensor.name)}: {len(values)} rows, but the inputs before have {rows}")
            rows = len(values)
        named[tensor.name] = values
    return checker.named(named, max(rows, 0))


def encode(
    inference: Inference, version: ModelVersion, request_id: str, values: Any, probabilities: Any
) -> tuple[bytes, int | None]:
    """The answer's body, and the length of its JSON part when tensors follow it.

    `values` is (rows,) or (rows, outputs), `probabilities` (rows, classes) or None. NaN and infinities are
    null in JSON, as strict JSON has no word for them.
    """
    outputs = _outputs(version.signature, values)
    if inference.outputs:
        outputs = {PREDICT: next(iter(outputs.values())), **outputs}
        if probabilities is not None:
            outputs[PROBABILITIES] = probabilities
        wanted = {one.name: one.parameters for one in inference.outputs}
        unknown = [name for name in wanted if name not in outputs]
        if unknown:
            raise Refusal(400, f"output {shown(unknown[0])} is unknown; this model has {listing(tuple(outputs))}")
        outputs = {name: outputs[name] for name in wanted}
    else:
        wanted = {}
    default = inference.raw or inference.parameters.get("binary_data_output") is True
    parts: list[bytes] = []
    tensors = []
    for name, array in outputs.items():
        datatype = datatype_of(array)
        tensor = Output(name, datatype, list(array.shape))
        if wanted.get(name, {}).get("binary_data", default) is True:
            parts.append(to_bytes(datatype, array))
            tensor.parameters = {"binary_data_size": len(parts[-1])}
        else:
            tensor.data = array.reshape(-1).tolist()
        tensors.append(tensor)
    answer: dict[str, Any] = {"model_name": version.name, "model_version": str(version.version)}
    answer["id"] = inference.id or request_id
    answer["outputs"] = tensors
    head = _encode(answer)
    return (b"".join([head, *parts]), len(head)) if parts else (head, None)


def check_outputs(inference: Inference, signature: Signature) -> bool:
    """Refuse outputs that the model does not have, before it works for them; says whether probabilities are wanted."""
    known = output_names(signature)
    if signature.probabilities:
        known = (*known, PROBABILITIES)
    for one in inference.outputs:
        if one.name not in known and one.name != PREDICT:
            raise Refusal(400, f"output {shown(one.name)} is unknown; this model has {listing(known)}")
    return any(one.name == PROBABILITIES for one in inference.outputs)


def output_names(signature: Signature) -> tuple[str, ...]:
    """The names of a model's outputs."""
    return tuple(one.name for one in signature.outputs) or (PREDICT,)


def metadata(version: ModelVersion, versions: list[str]) -> dict[str, Any]:
    """What GET /v2/models/NAME answers."""
    outputs = version.signature.outputs
    return {
        "name": version.name,
        "versions": versions,
        "platform": f"treadle_{version.format}",
        "inputs": [_described(one.name, one.dtype, [-1]) for one in version.signature.inputs],
        "outputs": [
            *([_described(one.name, one.dtype, [-1]) for one in outputs] or [_described(PREDICT, "double", [-1])]),
            *([_shares(version.signature.probabilities)] if version.signature.probabilities else []),
        ],
    }


def _shares(classes: tuple[str, ...]) -> dict[str, Any]:
    return {**_described(PROBABILITIES, "double", [-1, len(classes)]), "parameters": {"classes": json_text(classes)}}


def _described(name: str, dtype: str, shape: list[int]) -> dict[str, Any]:
    return {"name": name, "datatype": OF_FIELD[dtype], "shape": shape}


def _decoded(body: bytes | memoryview) -> Inference:
    try:
        return _decoder.decode(body)
    except ValidationError as error:
        raise Refusal(400, f"the request is not an inference request: {error}") from None
    except (DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Refusal(400, f"the request is not JSON: {shown(str(error))}") from None


def _raw(signature: Signature, size: int) -> Inference:
    """The request that a body without a JSON part stands for: one tensor, whose shape follows from its size."""
    fields = signature.inputs
    if len({one.dtype for one in fields}) != 1 or OF_FIELD[fields[0].dtype] == "BYTES":
        raise Refusal(400, "a raw request needs a model whose inputs are all of one numeric type")
    datatype = OF_FIELD[fields[0].dtype]
    width = len(fields) * np.dtype(DTYPES[datatype]).itemsize
    if size == 0 or size % width:
        raise Refusal(400, f"a raw request has {size} bytes, expected a multiple of {width}: {len(fields)} {datatype}")
    tensor = Tensor("-raw-", datatype, [size // width, len(fields)], None, {"binary_data_size": size})
    return Inference([tensor], raw=True)


def _values(tensor: Tensor, tail: memoryview) -> tuple[Any, memoryview]:
    size = tensor.parameters.get("binary_data_size")
    if size is None:
        if tensor.datatype == "FP16":
            raise Refusal(400, f"input {shown(tensor.name)}: FP16 goes as binary data only")
        return flatten(tensor.name, tensor.data, tensor.shape), tail
    if type(size) is not int or not 0 <= size <= len(tail):
        text = f"input {shown(tensor.name)}: binary_data_size is {shown(size)}, but {len(tail)} bytes are left"
        raise Refusal(400, text)
    if tensor.data is not None:
        raise Refusal(400, f"input {shown(tensor.name)} has data as well as binary_data_size; expected one of them")
    return from_bytes(tensor.name, tensor.datatype, tensor.shape, tail[:size]), tail[size:]


def _block(tensor: Tensor, values: Any, checker: Checker) -> Table:
    width = len(checker.fields)
    shape = tensor.shape
    if len(shape) != 2 or shape[1] != width:
        if len(shape) == 1 or (len(shape) == 2 and shape[1] == 1):
            hint = did_you_mean(tensor.name, checker.fields[:1000])
            raise Refusal(
                400, f"input {shown(tensor.name)} is unknown; {hint or 'expected ' + listing(checker.fields)}"
            )
        text = f"input {shown(tensor.name)}: shape {shown(shape)}, expected [n, {width}]: {listing(checker.fields)}"
        raise Refusal(400, text)
    rows = count(tensor.name, shape) // max(width, 1)
    if type(values) is list:
        return checker.flat(values, rows)
    return checker.array(values.reshape(rows, width))


def _outputs(signature: Signature, values: Any) -> dict[str, Any]:
    names = output_names(signature)
    array = np.asarray(values)
    if array.ndim == 2 and len(names) == array.shape[1] and len(names) > 1:
        return {name: array[:, place] for place, name in enumerate(names)}
    return {names[0]: array}
