"""Posts to triggers: `POST /triggers/NAME` on a port of loopback, signed with the token, good once."""

import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from msgspec import json

from treadle.api.serve import read_token
from treadle.control import desk
from treadle.control.facts import Facts
from treadle.domain.trigger import Happened
from treadle.errors import StoreError, input_error
from treadle.store import Store
from treadle.trigger.webhook import Accepted, Post, Refused, admit

LARGEST = 64 << 10  # bytes of a post
PATIENCE = 10.0  # seconds for a post to arrive


class Hooks:
    """Listens while the pipeline has webhooks; a post that was answered with 202 is in the store."""

    def __init__(self, store: Store, token_file: str, port: int, say: Callable[[str], None]) -> None:
        self.url = ""
        self._store = store
        self._token = read_token(token_file) if token_file else ""
        self._port = port
        self._say = say
        self._facts: Facts | None = None
        self._server: ThreadingHTTPServer | None = None

    def __enter__(self) -> "Hooks":
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def follow(self, facts: Facts) -> None:
        """Serve the webhooks of these facts from now on; raises InputError when the port is taken."""
        self._facts = facts
        names = sorted(rule.subject for rule in facts.rules.values() if rule.kind == "webhook")
        if not names or self._server is not None:
            return
        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", self._port), _handler(self))
        except OSError as error:
            text = f"webhooks cannot listen on port {self._port}: {error.strerror}"
            raise input_error("address-in-use", text, None, "choose another with --hook-port") from None
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        guarded = "" if self._token else "; refused until --token-file is given"
        self._say(f"posts to {self.url}/triggers/NAME start {', '.join(names)}{guarded}")

    def take(self, name: str, post: Post, now: float) -> tuple[int, str]:
        """The status and the words that answer a post."""
        assert self._facts is not None
        rules = [one for one in self._facts.rules.values() if one.kind == "webhook" and one.subject == name]
        if not rules:
            return 404, f"no trigger is started by '{name}'"
        pipeline = self._facts.pipeline
        try:
            with self._store.database.transaction():
                found = admit(post, self._token, self._store.desks.get(pipeline).nonces, now)
                if isinstance(found, Refused):
                    return found.status, found.reason
                assert isinstance(found, Accepted)
                events = [Happened(rule.name, now, found.mark, {"bytes": len(post.body)}) for rule in rules]
                desk.keep(self._store, pipeline, *events, nonces=found.nonces)
        except StoreError as error:
            return 503, f"not taken: {error}"
        return 202, "taken"


def _handler(hooks: Hooks) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = PATIENCE
        server_version, sys_version = "treadle", ""

        def do_POST(self) -> None:
            head, _, name = self.path.lstrip("/").partition("/")
            try:
                length = int(self.headers.get("content-length", ""))
            except ValueError:
                return self._answer(411, "a post says how long it is")
            if not 0 <= length <= LARGEST:
                return self._answer(413, f"a post has at most {LARGEST} bytes")
            body = self.rfile.read(length)
            if head != "triggers":
                return self._answer(404, "post to /triggers/NAME")
            headers = {key.lower(): value for key, value in self.headers.items()}
            return self._answer(*hooks.take(name, Post(headers, body), time.time()))

        def _answer(self, status: int, text: str) -> None:
            data = json.encode({"status": status, "text": text})
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            """Posts are in the ledger."""

    return Handler
