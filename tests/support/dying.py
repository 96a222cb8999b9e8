"""A server that promises 1,000 bytes of a table and dies after 20."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Dying(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.send_header("ETag", '"one"')
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        self.wfile.write(b"a,b\n1,2\n3,4\n5,6\n7,8\n")

    def log_message(self, *words: object) -> None:
        pass


@contextmanager
def dying_server() -> Iterator[int]:
    """The port of such a server, until the end of the block."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Dying)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
