"""Data behind a URL, from a real server: what is fetched, how often, and what is said when it cannot be."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from support.project import Project, Result

PIPELINE = """
    version: 1
    data: {{zones: {{url: "{url}"}}}}
    steps:
      count: {{uses: "work:count", in: {{source: data.zones}}}}
      double: {{uses: "work:double", in: {{value: count}}}}
"""
WORK = """
    from pathlib import Path


    def count(source: Path) -> int:
        assert source.suffix == ".csv", source
        return len(source.read_text().splitlines())


    def double(value: int) -> int:
        return 2 * value
"""


class Server(ThreadingHTTPServer):
    """Serves `body` at /zones.csv and counts what it is asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body = b"a\nb\n"
        self.etag: str | None = '"one"'
        self.modified: str | None = None
        self.status = 200
        self.missing = 0  # bytes that the length promises and the body does not have
        self.asked: list[str] = []
        self.authorized: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/zones.csv"

    def gets(self) -> int:
        return self.asked.count("GET")


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, with_body: bool) -> None:
        server = self.server
        server.asked.append(self.command)
        server.authorized.append(self.headers.get("Authorization", ""))
        if self.path.startswith("/moved"):
            self.send_response(302)
            self.send_header("Location", "/zones.csv")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(server.status)
        self.send_header("Content-Length", str(len(server.body) + server.missing))
        if server.etag is not None:
            self.send_header("ETag", server.etag)
        if server.modified is not None:
            self.send_header("Last-Modified", server.modified)
        if server.missing:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if with_body:
            self.wfile.write(server.body)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def write(project: Project, url: str) -> Project:
    project.write("treadle.toml", 'executor = "inline"\n')  # what is tested happens before a step starts
    return project.write("pipeline.yaml", PIPELINE.format(url=url)).write("work.py", WORK)


def fates(result: Result) -> dict[str, str]:
    words = {"step_cached": "hit", "step_finished": "run", "step_skipped": "skip", "step_failed": "failed"}
    return {e["step"]: words[e["event"]] for e in result.events() if e["event"] in words}


def run(project: Project) -> dict[str, str]:
    return fates(project.treadle("run", "pipeline.yaml", "--json"))


BOTH, FIRST = {"count": "run", "double": "run"}, {"count": "run", "double": "hit"}
NONE = {"count": "hit", "double": "hit"}


def test_an_etag_is_the_identity_and_a_second_run_fetches_nothing(project: Project, server: Server) -> None:
    write(project, server.url)
    assert run(project) == BOTH
    assert server.gets() == 1
    assert run(project) == NONE
    assert server.gets() == 1
    server.etag, server.body = '"two"', b"c\nd\n"
    assert run(project) == FIRST  # as many lines as before: what follows is cut off
    server.etag, server.body = '"one"', b"a\nb\n"
    assert run(project) == NONE
    assert server.gets() == 2


def test_a_plan_fetches_nothing_that_has_an_etag(project: Project, server: Server) -> None:
    write(project, server.url)
    assert project.treadle("plan", "pipeline.yaml").code == 0
    assert server.gets() == 0


def test_a_step_that_runs_for_another_reason_gets_the_copy(project: Project, server: Server) -> None:
    write(project, server.url)
    run(project)
    project.write("work.py", WORK.replace("source.read_text()", '(source.read_text() + "x")'))
    assert run(project) == BOTH
    assert server.gets() == 1


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_strong_etag_the_content_is_the_identity(project: Project, server: Server, etag: str | None) -> None:
    server.etag = etag
    write(project, server.url)
    assert run(project) == BOTH
    assert run(project) == NONE
    assert server.gets() == 2  # nothing tells that it is the same
    server.body = b"c\nd\ne\n"
    assert run(project) == BOTH
    server.body = b"a\nb\n"
    assert run(project) == NONE


def test_an_old_modification_time_spares_fetching_again(project: Project, server: Server) -> None:
    server.etag, server.modified = None, "Mon, 06 Jan 2025 10:00:00 GMT"
    write(project, server.url)
    assert (run(project), run(project), server.gets()) == (BOTH, NONE, 1)
    server.body, server.modified = b"1\n2\n", "Mon, 06 Jan 2025 10:00:01 GMT"
    assert (run(project), server.gets()) == (FIRST, 2)


def test_a_damaged_or_lost_copy_is_made_again(project: Project, server: Server) -> None:
    write(project, server.url)
    run(project)
    [copy] = (project.root / ".treadle/remote").glob("*/zones.csv")
    copy.unlink()
    copy.write_bytes(b"something else\n")
    project.write("work.py", WORK.replace("len(source", "0 + len(source"))
    assert run(project)["count"] == "run"
    assert copy.read_bytes() == b"a\nb\n"


def test_a_redirect_is_followed(project: Project, server: Server) -> None:
    write(project, server.url.replace("zones.csv", "moved/zones.csv"))
    assert run(project) == BOTH


def failure(project: Project) -> str:
    result = project.treadle("run", "pipeline.yaml")
    assert result.code == 1, result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    return result.stdout


def nothing_half(project: Project) -> bool:
    state = project.root / ".treadle"
    parts = [path for path in (state / "tmp").glob("*") if path.name.endswith(".part")]
    return not parts and not list((state / "remote").glob("*/*"))


def test_nothing_there(project: Project, server: Server) -> None:
    server.status = 404
    assert f"data 'zones': there is nothing at {server.url}" in failure(write(project, server.url))


@pytest.mark.parametrize("status", [401, 403])
def test_no_access(project: Project, server: Server, status: int) -> None:
    server.status = status
    assert f"data 'zones': access to {server.url} is refused" in failure(write(project, server.url))


def test_a_body_shorter_than_promised_leaves_nothing_half(project: Project, server: Server) -> None:
    server.missing = 100
    text = failure(write(project, server.url))
    assert f"data 'zones': {server.url}" in text
    assert nothing_half(project)
    server.missing = 0
    assert run(project) == BOTH


def test_offline_names_the_url_and_the_last_copy(project: Project, server: Server) -> None:
    write(project, server.url)
    assert run(project) == BOTH
    url = server.url
    write(project, url.replace(str(server.server_port), "1"))
    text = failure(project)
    assert "data 'zones': http://127.0.0.1:1/zones.csv cannot be reached" in text
    assert "check the address and the network" in text
    server.status = 503
    text = failure(write(project, url))
    assert "go on with the last copy: path: .treadle/remote/" in text


def test_credentials_are_used_and_never_shown(project: Project, server: Server) -> None:
    url = server.url.replace("http://", "http://ada:geheim77@") + "?token=verborgen88&part=3"
    write(project, url)
    assert run(project) == BOTH
    assert any(server.authorized), "the password was not sent"
    server.status = 500
    server.etag = '"two"'
    project.treadle("run", "pipeline.yaml")
    server.status = 403
    seen = "".join((r := project.treadle("run", "pipeline.yaml", *more)).stdout + r.stderr for more in ([], ["--json"]))
    assert "127.0.0.1" in seen
    for path in (project.root / ".treadle").rglob("*"):
        if path.is_file() and "plans" not in path.parts:
            seen += path.read_bytes().decode("latin-1")
    assert "geheim77" not in seen
    assert "verborgen88" not in seen


def test_a_file_url(project: Project) -> None:
    project.write("far/zones.csv", "a\nb\n")
    write(project, f"file://{project.root}/far/zones.csv")
    assert run(project) == BOTH
    assert run(project) == NONE
    project.write("far/zones.csv", "a\nb\nc\n")
    assert run(project) == BOTH


def test_a_library_that_is_not_there_is_named(project: Project) -> None:
    text = failure(write(project, "s3://bucket/zones.csv"))
    assert "s3://bucket/zones.csv" in text
    assert "treadle[s3]" in text
