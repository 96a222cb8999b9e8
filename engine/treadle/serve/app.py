"""Paths → dialects: which codec reads a request, which model answers it, in which shape it is refused."""

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import json

from treadle.errors import StoreError
from treadle.serve import feedback, mlflow, openapi, v1, v2
from treadle.serve.access import Access
from treadle.serve.encodings import decoded, encoded
from treadle.serve.endpoint import Answer, Ask, Endpoint
from treadle.serve.http import Request
from treadle.serve.identity import AMZN, RequestIds, unit_of
from treadle.serve.journal import Journal
from treadle.serve.limits import Limits
from treadle.serve.metrics import Metrics, collect, exposition
from treadle.serve.refusal import Refusal, shown
from treadle.version import __version__

JSON = (b"content-type", b"application/json")
OCTETS = (b"content-type", b"application/octet-stream")
TEXT = (b"content-type", b"text/plain; charset=utf-8")
EXTENSIONS = ["binary_tensor_data", "model_repository"]
FIXED: dict[str, tuple[str, ...]] = {
    "/ping": ("GET",), "/health": ("GET",), "/version": ("GET",), "/execution-parameters": ("GET",),
    "/metrics": ("GET",), "/docs": ("GET",), "/openapi.json": ("GET",), "/": ("GET",),
    "/feedback": ("POST",), "/invocations": ("POST",),
    "/v1/models": ("GET",), "/v2": ("GET",), "/v2/": ("GET",), "/v2/health/live": ("GET",),
    "/v2/health/ready": ("GET",), "/v2/models": ("GET",), "/v2/repository/index": ("POST",),
}  # fmt: skip

SAGEMAKER = re.compile(r"/endpoints/([^/]+)/invocations")  # where the runtime client of AWS's own SDK asks

_encode = json.Encoder().encode
Finish = Callable[[Answer], tuple[bytes, tuple[tuple[bytes, bytes], ...]]]


class App:
    """Handles every request of one worker; `identity` tells its request ids from those of other workers."""

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        journals: Mapping[str, Journal],
        limits: Limits,
        metrics: Metrics,
        access: Access,
        meeting: tuple[str, str],
    ) -> None:
        self._endpoints = endpoints
        self._journals = journals
        self._limits = limits
        self._metrics = metrics
        self._access = access
        self._folder, self._own = meeting
        self._ids = RequestIds()
        self._infer = {f"/v2/models/{name}/infer": endpoint for name, endpoint in endpoints.items()}
        self._only = next(iter(endpoints.values()))
        self._tasks: set[asyncio.Task[None]] = set()
        self._document: bytes | None = None

    def handle(self, request: Request) -> None:
        """Answer a request, now or when its prediction is there."""
        try:
            if request.refused is not None:
                raise Refusal(*request.refused)
            endpoint = self._infer.get(request.path)
            if endpoint is not None and request.method == "POST":
                self._v2(request, endpoint, None)
            elif request.path == "/invocations" and request.method == "POST":
                self._invocations(request, self._target(request))
            else:
                self._rest(request)
        except Refusal as refusal:
            self._refuse(request, refusal)

    # predictions

    def _v2(self, request: Request, endpoint: Endpoint, version: int | None) -> None:
        checker = endpoint.checker(version)
        endpoint.admit()
        body = decoded(request.body, request.headers.get(b"content-encoding"), self._limits.body)
        signature = checker.signature
        inference, tail = v2.parse(body, request.headers.get(v2.LENGTH_HEADER), signature)
        wanted = v2.check_outputs(inference, signature)
        table = v2.table(inference, tail, checker)
        request_id = self._ids.take(request, inference.id)

        def finish(answer: Answer) -> tuple[bytes, tuple[tuple[bytes, bytes], ...]]:
            data, length = v2.encode(inference, answer.version, request_id, answer.values, answer.probabilities)
            if length is None:
                return data, (JSON,)
            return data, (OCTETS, (b"inference-header-content-length", b"%d" % length))

        unit = unit_of(request, inference.parameters.get("unit_id"))
        self._submit(request, endpoint, Ask(request_id, request.received, table, unit, version, wanted), finish)

    def _invocations(self, request: Request, endpoint: Endpoint) -> None:
        checker = endpoint.checker(None)
        endpoint.admit()
        kind, header = mlflow.media(request.headers.get(b"content-type"))
        body = decoded(request.body, request.headers.get(b"content-encoding"), self._limits.body)
        params: dict[str, Any] = {}
        if kind == "csv":
            table = mlflow.parse_csv(body, header, checker)
        else:
            table, params = mlflow.parse_json(body, checker)
        wanted = mlflow.wants_probabilities(params, checker.signature)
        accept = request.headers.get(b"accept", b"")
        as_csv = accept.split(b",")[0].split(b";")[0].strip() == b"text/csv"

        def finish(answer: Answer) -> tuple[bytes, tuple[tuple[bytes, bytes], ...]]:
            values = answer.probabilities if wanted else answer.values
            if as_csv:
                return mlflow.encode_csv(values), ((b"content-type", b"text/csv; charset=utf-8"),)
            return mlflow.encode(values), (JSON,)

        unit = unit_of(request, params.get("unit_id"))
        ask = Ask(self._ids.take(request, ""), request.received, table, unit, None, wanted)
        self._submit(request, endpoint, ask, finish)

    def _v1(self, request: Request, endpoint: Endpoint) -> None:
        checker = endpoint.checker(None)
        endpoint.admit()
        body = decoded(request.body, request.headers.get(b"content-encoding"), self._limits.body)
        table, parameters = v1.parse(body, checker)
        wanted = mlflow.wants_probabilities(parameters, checker.signature)

        def finish(answer: Answer) -> tuple[bytes, tuple[tuple[bytes, bytes], ...]]:
            return mlflow.encode(answer.probabilities if wanted else answer.values), (JSON,)

        unit = unit_of(request, parameters.get("unit_id"))
        ask = Ask(self._ids.take(request, ""), request.received, table, unit, None, wanted)
        self._submit(request, endpoint, ask, finish)

    def _submit(self, request: Request, endpoint: Endpoint, ask: Ask, finish: Finish) -> None:
        request_id = ask.request_id.encode()

        def done(answer: Answer) -> None:
            marks = self._marks(request, request_id, answer)
            if answer.refusal is not None:
                self._refuse(request, answer.refusal, marks)
                return
            try:
                body, headers = finish(answer)
            except Refusal as refusal:
                self._refuse(request, refusal, marks)
                return
            except (TypeError, ValueError, OverflowError) as error:
                text = f"the model's answer cannot be written in this protocol: {error}"
                self._refuse(request, Refusal(500, text), marks)
                return
            body, encoding = encoded(body, request.headers.get(b"accept-encoding"))
            if encoding is not None:
                marks = (*marks, (b"content-encoding", encoding))
            request.reply(200, (*headers, *marks), body)

        endpoint.submit(ask, done)

    def _marks(self, request: Request, request_id: bytes, answer: Answer) -> tuple[tuple[bytes, bytes], ...]:
        version, arm = b"%d" % answer.version.version, answer.arm.encode()
        marks = ((b"x-request-id", request_id), (b"x-model-version", version), (b"x-arm", arm))
        if AMZN + b"custom-attributes" in request.headers:
            said = b"arm=%b,version=%b" % (arm, version)
            marks = (*marks, (b"x-amzn-sagemaker-custom-attributes", said))  # type: ignore[assignment]
        if request.path.startswith("/endpoints/"):
            marks = (*marks, (b"x-amzn-invoked-production-variant", arm))  # type: ignore[assignment]
        return marks

    def _target(self, request: Request) -> Endpoint:
        name = request.headers.get(AMZN + b"target-model")
        return self._only if name is None else self._model(name.decode("latin-1"))

    def _model(self, name: str) -> Endpoint:
        endpoint = self._endpoints.get(name)
        if endpoint is None:
            raise Refusal(404, f"no model is called {shown(name)}; served: {', '.join(self._endpoints)}")
        return endpoint

    # everything else

    def _rest(self, request: Request) -> None:
        path, method = request.path, "GET" if request.method == "HEAD" else request.method
        if path in FIXED:
            if method not in FIXED[path]:
                raise Refusal(405, f"{path} takes {' or '.join(FIXED[path])}, not {shown(request.method)}")
            self._fixed(request, path)
        elif path.startswith("/v2/models/"):
            self._v2_model(request, method, path.removeprefix("/v2/models/").split("/"))
        elif path.startswith("/v2/repository/models/"):
            self._access.check(request)
            raise Refusal(501, "models are loaded when the registry's aliases move; see treadle models promote")
        elif path.startswith("/v1/models/"):
            self._v1_model(request, method, path.removeprefix("/v1/models/"))
        elif (endpoint := SAGEMAKER.fullmatch(path)) is not None:
            if method != "POST":
                raise Refusal(405, f"an endpoint takes POST, not {shown(request.method)}")
            self._invocations(request, self._model(endpoint[1]))
        else:
            raise Refusal(404, f"there is nothing at {shown(path)}; GET /docs lists what there is")

    def _fixed(self, request: Request, path: str) -> None:
        ready = all(endpoint.arms is not None for endpoint in self._endpoints.values())
        if path in ("/ping", "/health", "/v2/health/ready"):
            if not ready:
                raise Refusal(503, "not ready: a model is being loaded", retry_after=1)
            request.reply(200, (JSON,), b"\n" if path != "/v2/health/ready" else b'{"ready":true}')
        elif path == "/v2/health/live":
            request.reply(200, (JSON,), b'{"live":true}')
        elif path == "/feedback":
            self._feedback(request)
        elif path == "/metrics":
            now = time.time()
            text = exposition(collect(self._folder, self._own, self._metrics.snapshot(now)), now)
            request.reply(200, ((b"content-type", b"text/plain; version=0.0.4; charset=utf-8"),), text.encode())
        elif path == "/docs":
            _page(request, ((b"content-type", b"text/html; charset=utf-8"), openapi.POLICY), openapi.page())
        elif path == "/openapi.json":
            _page(request, (JSON,), self._openapi())
        elif path == "/version":
            request.reply(200, (JSON,), __version__.encode())
        elif path == "/":
            request.reply(307, (TEXT, (b"location", b"/docs")), b"see /docs\n")
        else:
            request.reply(200, (JSON,), _encode(self._facts(path)))

    def _facts(self, path: str) -> Any:
        if path == "/execution-parameters":
            return {
                "MaxConcurrentTransforms": 8,
                "BatchStrategy": "MULTI_RECORD",
                "MaxPayloadInMB": self._limits.body >> 20,
            }
        if path in ("/v2", "/v2/"):
            return {"name": "treadle", "version": __version__, "extensions": EXTENSIONS}
        if path == "/v2/repository/index":
            return [
                {
                    "name": name,
                    "version": str(endpoint.arms.champion.version) if endpoint.arms else "",
                    "state": "READY" if endpoint.arms else "LOADING",
                    "reason": "",
                }
                for name, endpoint in self._endpoints.items()
            ]
        return {"models": list(self._endpoints)}

    def _v2_model(self, request: Request, method: str, parts: list[str]) -> None:
        endpoint = self._model(parts[0])
        rest, version = parts[1:], None
        if rest[:1] == ["versions"]:
            if len(rest) < 2 or not re.fullmatch(r"[0-9]{1,9}", rest[1]):
                raise Refusal(400, f"version {shown('/'.join(rest[1:2]))} is not a number")
            rest, version = rest[2:], int(rest[1])
        if rest == ["infer"]:
            if method != "POST":
                raise Refusal(405, f"infer takes POST, not {shown(request.method)}")
            self._v2(request, endpoint, version)
            return
        if method != "GET" or len(rest) > 1 or (rest and rest[0] not in ("ready", "config", "stats")):
            raise Refusal(404 if rest else 405, f"{method} {shown(request.path)} is not part of the protocol")
        if rest and rest[0] in ("config", "stats"):
            raise Refusal(501, f"{rest[0]} is an extension of Triton that this server does not have")
        endpoint.checker(version)
        arms = endpoint.ready()
        if rest == ["ready"]:
            request.reply(200, (JSON,), _encode({"name": endpoint.name, "ready": True}))
            return
        lane = endpoint.lane(version) if version is not None else arms.champion
        assert lane is not None, "checked above"
        versions = sorted({str(one.version) for one in arms.lanes().values()})
        request.reply(200, (JSON,), _encode(v2.metadata(lane.predictor.version, versions)))

    def _v1_model(self, request: Request, method: str, name: str) -> None:
        if name.endswith(":predict") and method == "POST":
            self._v1(request, self._model(name.removesuffix(":predict")))
            return
        if method != "GET" or name.endswith(":predict"):
            raise Refusal(405, f"{shown(request.path)} does not take {shown(request.method)}")
        endpoint = self._model(name)
        request.reply(200, (JSON,), _encode({"name": name, "ready": endpoint.arms is not None}))

    def _feedback(self, request: Request) -> None:
        self._access.check(request)
        body = decoded(request.body, request.headers.get(b"content-encoding"), self._limits.body)
        name = request.headers.get(b"x-model")
        endpoint = self._only if name is None else self._model(name.decode("latin-1"))
        outcomes = feedback.parse(body, time.time(), self._limits.rows)

        async def store() -> None:
            try:
                await self._journals[endpoint.name].outcomes(outcomes)
            except StoreError as error:
                self._refuse(request, Refusal(503, f"the outcomes could not be stored: {error}", retry_after=5))
            else:
                request.reply(200, (JSON,), _encode({"stored": len(outcomes)}))

        task = asyncio.get_running_loop().create_task(store())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _openapi(self) -> bytes:
        models = {n: e.arms.champion.predictor.version for n, e in self._endpoints.items() if e.arms is not None}
        return _encode(openapi.document(models))

    def _refuse(self, request: Request, refusal: Refusal, marks: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        headers: tuple[tuple[bytes, bytes], ...] = (JSON,)
        if refusal.retry_after:
            headers = (*headers, (b"retry-after", b"%d" % refusal.retry_after))
        path = request.path
        if path in ("/invocations", "/ping", "/health", "/version") or SAGEMAKER.fullmatch(path):
            body = mlflow.error(refusal)
            if refusal.status == 415:
                headers = (TEXT, *headers[1:])  # MLflow's clients know this one as plain text
                body = refusal.text.encode()
        else:
            body = _encode({"error": refusal.text})
        if not marks:
            name = _named(path) or self._only.name
            self._metrics.refused(name if name in self._endpoints else "", refusal.status)
            marks = ((b"x-request-id", self._ids.take(request, "").encode()),)  # a client's report can be found by it
        request.reply(refusal.status, (*headers, *marks), body)


def _named(path: str) -> str:
    """The model that a path names, or an empty text."""
    if path.count("/") < 3:
        return ""
    return path.split("/")[2 if path.startswith("/endpoints/") else 3].removesuffix(":predict")


def _page(request: Request, headers: tuple[tuple[bytes, bytes], ...], body: bytes) -> None:
    body, encoding = encoded(body, request.headers.get(b"accept-encoding"))
    extra = ((b"content-encoding", encoding),) if encoding else ()
    request.reply(200, (*headers, *extra), body)
