"""The installed Treadle as a wheel, so that an image gets exactly the code that tried the model here."""

import csv
import hashlib
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from base64 import urlsafe_b64encode
from importlib.metadata import Distribution, distribution

from msgspec import json

from treadle.errors import input_error

NAME = "treadle"
EPOCH = (1980, 1, 1, 0, 0, 0)


def own_wheel(folder: str) -> str:
    """Put the wheel of this Treadle into `folder`; returns its name. The same installation gives the same bytes.

    Raises InputError when a development installation cannot be built.
    """
    dist = distribution(NAME)
    origin = json.decode(dist.read_text("direct_url.json") or "{}")
    if origin.get("dir_info", {}).get("editable"):
        return _built(origin["url"].removeprefix("file://"), folder)
    return _packed(dist, folder)


def _built(source: str, folder: str) -> str:
    with tempfile.TemporaryDirectory() as made:
        words = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", made, source]
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["pip says nothing"])[-1]
            text = f"the wheel of the development installation at {source} cannot be built: {last}"
            raise input_error("no-wheel", text, None, "install Treadle as users do: pip install treadle")
        [name] = os.listdir(made)
        with open(os.path.join(made, name), "rb") as file, open(os.path.join(folder, name), "wb") as target:
            target.write(file.read())
    return name


def _packed(dist: Distribution, folder: str) -> str:
    """What RECORD lists below site-packages, zipped again; scripts are made anew from entry points."""
    name = f"{NAME}-{dist.version}-py3-none-any.whl"
    listing = io.StringIO()
    rows = csv.writer(listing, lineterminator="\n")
    record = ""
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        for file in sorted(dist.files or (), key=str):
            path = str(file)
            if path.endswith("/RECORD"):
                record = path
            if path.startswith("..") or path.endswith(
                (".pyc", "/RECORD", "/INSTALLER", "/REQUESTED", "direct_url.json")
            ):
                continue
            data = file.read_binary()
            digest = urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            rows.writerow([path, f"sha256={digest}", len(data)])
            wheel.writestr(zipfile.ZipInfo(path, EPOCH), data, zipfile.ZIP_DEFLATED)
        rows.writerow([record, "", ""])
        wheel.writestr(zipfile.ZipInfo(record, EPOCH), listing.getvalue(), zipfile.ZIP_DEFLATED)
    return name
