"""No tracked file names the machine it was written on, and every relative link leads somewhere."""

import re

import pytest

from support.markdown import exists, links, pages
from support.sources import ROOT, tracked

# Put together at run time, since this file is tracked too. Two folders of images are none of a machine.
FOLDERS = "|".join(["work", "opt(?!/(?:ml|venv)\\b)", "root", "home/[a-z]+", "Users/[A-Za-z]+"])
PATHS = re.compile(rf"(?<![\w.$}}/-])/(?:{FOLDERS})/[\w.-]")
HOSTS = re.compile(
    r"https?://(?:[\w.-]+@)?(?:[\w.-]+\.(?:internal|local|lan|corp|intranet)\b"
    r"|10\.\d+\.\d+\.\d+|192\.168\.\d+\.\d+|172\.(?:1[6-9]|2\d|3[01])\.\d+\.\d+)"
)


def machine_names(text: str) -> list[str]:
    return [match[0] for pattern in (PATHS, HOSTS) for match in pattern.finditer(text)]


def test_no_tracked_file_names_a_machine() -> None:
    found = []
    for name in tracked():
        data = (ROOT / name).read_bytes()
        if b"\0" in data[:8192]:
            continue
        text = data.decode("utf-8", "replace")
        found += [f"{name}:{number}: {word}" for number, line in enumerate(text.splitlines(), 1)
                  for word in machine_names(line)]  # fmt: skip
    assert found == []


@pytest.mark.parametrize("parts", [("'", "work", "main'"), (" ", "opt", "x"), ("=", "root", ".cache")])
def test_a_path_of_a_machine_is_seen(parts: tuple[str, ...]) -> None:
    assert len(machine_names("/".join(parts))) == 1


@pytest.mark.parametrize("text", ["https://example.org/work/x", "tests/work/x", "$HOME/work/x", "/usr/bin/env"])
def test_other_paths_pass(text: str) -> None:
    assert machine_names(text) == []


@pytest.mark.parametrize("host", ["10.1.2.3", "registry.internal", "192.168.0.1"])
def test_a_private_host_is_seen(host: str) -> None:
    assert len(machine_names(f"index = http://{host}/simple")) == 1


def test_every_relative_link_leads_somewhere() -> None:
    broken = []
    for name in pages():
        file = ROOT / name
        for target in links(file.read_text(encoding="utf-8")):
            if not re.match(r"[a-z][a-z0-9+.-]*:", target) and not exists(file, target):
                broken.append(f"{name}: {target}")
    assert broken == []


def test_a_broken_link_is_seen() -> None:
    base = ROOT / "LICENSE"
    assert not exists(base, "no-such-file.md")
    assert exists(base, "pyproject.toml")
    assert links("[a](b.md#c) `[x](y)` ![i](p.png)") == ["b.md#c", "p.png"]
