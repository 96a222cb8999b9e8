"""Which distributions an image needs, pinned to what is installed here, with their hashes and licences."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from msgspec import DecodeError, Struct, json

PATIENCE = 120.0  # seconds for the index to answer
LINE = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==(\S+)")
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


class Pin(Struct, frozen=True):
    """One distribution: its version, the SHA-256 digests of its files (none when offline), and its licence."""

    name: str
    version: str
    hashes: tuple[str, ...] = ()
    licence: str = ""


def closure(roots: Iterable[str], versions: Mapping[str, str]) -> list[Pin]:
    """Everything that the roots need at run time, sorted; `versions` overrides what is installed.

    Extras and markers of other platforms are left out. Raises PackageNotFoundError for a root that is not installed.
    """
    found: dict[str, Pin] = {}
    todo = list(roots)
    wanted = set(todo)
    while todo:
        name = todo.pop()
        if name in found:
            continue
        try:
            dist = distribution(name)
        except PackageNotFoundError:
            if name in wanted:
                raise
            continue  # a marker that does not hold here
        own = {plain(known): one for known, one in versions.items()}
        found[name] = Pin(name, own.get(name, dist.version), licence=_licence(dist))
        todo += [plain(re.split(r"[\s;<>=!~\[(]", text, maxsplit=1)[0]) for text in dist.requires or () if _holds(text)]
    return sorted(found.values(), key=lambda pin: pin.name)


def plain(name: str) -> str:
    """A distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def hashed(pins: Iterable[Pin]) -> list[Pin]:
    """The pins with the hashes that the index gives: of uv, which knows all platforms, else of pip; or none."""
    pins = list(pins)
    text = "".join(f"{pin.name}=={pin.version}\n" for pin in pins)
    found = _by_uv(text) or _by_pip(text)
    if set(found) != {pin.name for pin in pins}:
        return pins
    return [Pin(pin.name, pin.version, found[pin.name], pin.licence) for pin in pins]


def _by_uv(text: str) -> dict[str, tuple[str, ...]]:
    uv = shutil.which("uv") or os.path.join(os.path.dirname(sys.executable), "uv")
    if not os.path.exists(uv):
        return {}
    options = ["--generate-hashes", "--no-deps", "--no-header", "--no-annotate", "--quiet", "--python", sys.executable]
    done = _run([uv, "pip", "compile", *options, "-"], text)
    found: dict[str, tuple[str, ...]] = {}
    for block in re.split(r"\n(?=\S)", done):
        line = LINE.match(block)
        hashes = HASH.findall(block)
        if line and hashes:
            found[plain(line[1])] = tuple(hashes)
    return found


def _by_pip(text: str) -> dict[str, tuple[str, ...]]:
    words = ["install", "--dry-run", "--ignore-installed", "--no-deps", "--quiet", "--report", "-", "-r", "/dev/stdin"]
    done = _run([sys.executable, "-m", "pip", *words], text)
    try:
        items = json.decode(done or b"{}").get("install", [])
    except DecodeError:
        return {}
    found: dict[str, tuple[str, ...]] = {}
    for item in items:
        digest = item["download_info"].get("archive_info", {}).get("hashes", {}).get("sha256")
        if digest:
            found[plain(item["metadata"]["name"])] = (digest,)
    return found


def _run(words: list[str], text: str) -> str:
    try:
        done = subprocess.run(words, input=text, capture_output=True, text=True, timeout=PATIENCE)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _holds(requirement: str) -> bool:
    """Whether a requirement has no marker that keeps it away from here: extras and other systems are left out."""
    marker = requirement.partition(";")[2]
    if "extra" in marker:
        return False
    system = re.search(r"(?:sys_platform|platform_system)\s*(==|!=)\s*[\"'](\w+)[\"']", marker)
    if system:
        here = system[2].lower().startswith("linux")
        return here if system[1] == "==" else not here
    return True


def _licence(dist: Distribution) -> str:
    for field in ("License-Expression", "License"):
        said = (dist.metadata.get_all(field) or [""])[0]
        if said and len(said) < 80 and "\n" not in said:
            return str(said)
    kinds = [c.rsplit(" :: ", 1)[1] for c in dist.metadata.get_all("Classifier") or () if c.startswith("License ::")]
    return " OR ".join(kinds)
