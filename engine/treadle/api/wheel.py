"""The installed Treadle as a wheel, so that an image gets exactly the code that tried the model here."""

import csv
import hashlib
import io
import os
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from importlib.util import find_spec

from msgspec import json

NAME = "treadle"
PACKAGES = ("treadle", "treadle_steps")
SHIPPED = ("schemas", "pipelines")  # beside the packages in the source tree, below treadle/_shipped in a wheel
EPOCH = (1980, 1, 1, 0, 0, 0)
LEFT_OUT = (  # made anew where it is installed
    *(".pyc", "/RECORD", "/INSTALLER", "/REQUESTED", "/direct_url.json"),
    *("/uv_build.json", "/uv_cache.json"),
)


def own_wheel(folder: str) -> str:
    """Put the wheel of this Treadle into `folder`; returns its name. The same code gives the same bytes."""
    dist = distribution(NAME)
    name = f"{NAME}-{dist.version}-py3-none-any.whl"
    origin = json.decode(dist.read_text("direct_url.json") or "{}")
    editable = origin.get("dir_info", {}).get("editable", False)
    members = dict(_installed(dist))
    if editable:
        members = {path: data for path, data in members.items() if ".dist-info/" in path}
        members.update(_sources(origin["url"].removeprefix("file://")))
    record = next(path for path in members if path.endswith(".dist-info/METADATA")).replace("METADATA", "RECORD")
    listing = io.StringIO()
    rows = csv.writer(listing, lineterminator="\n")
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        for path, data in sorted(members.items()):
            digest = urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            rows.writerow([path, f"sha256={digest}", len(data)])
            wheel.writestr(_entry(path), data, zipfile.ZIP_DEFLATED)
        rows.writerow([record, "", ""])
        wheel.writestr(_entry(record), listing.getvalue(), zipfile.ZIP_DEFLATED)
    return name


def _installed(dist: Distribution) -> Iterator[tuple[str, bytes]]:
    """What RECORD lists below site-packages; scripts are made anew from entry points."""
    for file in dist.files or ():
        path = file.as_posix()
        if not path.startswith("..") and not path.endswith(LEFT_OUT):
            yield path, file.read_binary()


def _sources(root: str) -> Iterator[tuple[str, bytes]]:
    """The packages of a development installation as its build would lay them out."""
    places = [(name, os.path.dirname(str(getattr(find_spec(name), "origin", "")))) for name in PACKAGES]
    places += [(f"{NAME}/_shipped/{name}", os.path.join(root, name)) for name in SHIPPED]
    for prefix, folder in places:
        for top, folders, names in os.walk(folder):
            folders[:] = [one for one in folders if not one.startswith((".", "__pycache__"))]
            for name in names:
                if not name.startswith(".") and not name.endswith(LEFT_OUT):
                    path = os.path.join(top, name)
                    with open(path, "rb") as file:
                        yield f"{prefix}/{os.path.relpath(path, folder)}", file.read()


def _entry(path: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(path, EPOCH)
    entry.external_attr = 0o644 << 16
    return entry
