"""A real PostgreSQL for the length of a test session, in a folder of its own, on a port of its own."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from glob import glob
from pathlib import Path

import pytest

FOUND = sorted(glob("/usr/lib/postgresql/*/bin/initdb")) or [shutil.which("initdb") or ""]
BIN = os.path.dirname(FOUND[-1])
IN_CI = bool(os.environ.get("CI"))

needs_postgres = pytest.mark.skipif(
    not BIN and not IN_CI, reason="no PostgreSQL server here: `apt-get install postgresql`, or your system's package"
)


@contextmanager
def a_server() -> Iterator[str]:
    """Start a server and yield its URL; PostgreSQL refuses to be root, so root steps down."""
    who = _nobody() if os.getuid() == 0 else None
    data = Path(tempfile.mkdtemp(prefix="treadle-pg-"))  # not in pytest's own folder, which only its owner may enter
    if who is not None:
        os.chown(data, who, -1)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def call(*words: str) -> None:
        subprocess.run(
            [f"{BIN}/{words[0]}", *words[1:]], user=who, cwd="/", check=True, capture_output=True, timeout=60
        )

    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={data} -c fsync=off"
    call("initdb", "-D", str(data), "-U", "tester", "--auth=trust", "-E", "UTF8", "--no-sync")
    call("pg_ctl", "-D", str(data), "-o", options, "-l", str(data / "log"), "-w", "start")
    try:
        yield f"postgresql://tester@127.0.0.1:{port}/postgres"
    finally:
        call("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")
        shutil.rmtree(data, ignore_errors=True)


def _nobody() -> int:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            continue
    raise RuntimeError("no user to run PostgreSQL as")
