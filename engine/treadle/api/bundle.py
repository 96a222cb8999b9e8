"""Models in a folder of their own, for machines that have no registry of the project.

FOLDER/NAME/version.json   the registry's entry, without what only the project needs
FOLDER/NAME/objects/       the model and its compiled form under their digests, which are proved before they are read
"""

import os
import shutil
import sys

from msgspec import DecodeError, ValidationError, json, structs

from treadle.api.models import formats
from treadle.api.project import open_project
from treadle.domain.model import ModelVersion
from treadle.errors import CodecError, input_error
from treadle.serve.predictor import Predictor
from treadle.serve.shelf import Shelf, State
from treadle.store import Objects
from treadle.store.scratch import replace_file

ENTRY = "version.json"
KEPT = ("estimator", "target", "classes", "requirements", "python", "rollout")  # of the card; its profile is data


def write_bundle(folder: str, version: ModelVersion, objects: Objects) -> None:
    """Put one version into `folder`; raises CodecError when its bytes are lost or damaged."""
    own = os.path.join(folder, version.name)
    data = objects.read(version.artifact)
    parts = [(version.artifact, data)]
    if version.form is not None:
        parts.append((version.form, objects.read(version.form)))
    for artifact, content in parts:
        place = Objects(os.path.join(own, "objects")).path(artifact.digest)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "wb") as file:
            file.write(content)
    card = {name: version.card[name] for name in KEPT if name in version.card}
    entry = structs.replace(version, card=card, lineage={}, data={}, pipeline="", step="", key="")
    replace_file(os.path.join(own, ENTRY), json.format(json.encode(entry), indent=1), own)


def is_folder(target: str) -> bool:
    """Whether what a user typed means a folder: no model's name has a slash."""
    return os.sep in target or target in (".", "..")


def names(folder: str) -> tuple[str, ...]:
    """The models in a folder; raises InputError when there are none."""
    try:
        found = sorted(one.name for one in os.scandir(folder) if os.path.isfile(os.path.join(one.path, ENTRY)))
    except OSError as error:
        raise input_error("nothing-to-serve", f"{folder} cannot be read: {error.strerror}") from None
    if not found:
        hint = "treadle export docker MODEL -o DIR makes such a folder: DIR/model"
        raise input_error("nothing-to-serve", f"{folder} holds no NAME/{ENTRY}", None, hint)
    return tuple(found)


class BundleShelf(Shelf):
    """A folder of models as a server sees it; a `version.json` that is replaced takes effect like an alias that moves.

    Which types a model file may hold is said by the settings of the working folder, never by the bundle.
    """

    def __init__(self, folder: str, root: str) -> None:
        self._folder = os.path.abspath(folder)
        self._project = open_project(root)
        self._seen: dict[str, tuple[int, ModelVersion]] = {}

    def state(self, name: str) -> State:
        return State(self._entry(name).version)

    def load(self, name: str, version: int) -> Predictor:
        from treadle.serve.load import load  # lazy: formats bring scikit-learn, which only workers need

        if self._project.root not in sys.path:
            sys.path.insert(0, self._project.root)  # models may hold the project's own classes
        objects = Objects(os.path.join(self._folder, name, "objects"))
        return load(self._entry(name), objects, formats(self._project)).put_aside()

    def _entry(self, name: str) -> ModelVersion:
        path = entry_path(self._folder, name)
        changed = os.stat(path).st_mtime_ns
        if name not in self._seen or self._seen[name][0] != changed:
            self._seen[name] = changed, read_entry(path)
        return self._seen[name][1]


def entry_path(folder: str, name: str) -> str:
    """Where a folder keeps the entry of a model."""
    return os.path.join(folder, name, ENTRY)


def read_entry(path: str) -> ModelVersion:
    """The entry in a `version.json`; raises CodecError when it is none."""
    with open(path, "rb") as file:
        data = file.read()
    try:
        return json.decode(data, type=ModelVersion)
    except (DecodeError, ValidationError) as error:
        raise CodecError(f"{path}: {error}") from None


def copy_code(root: str, modules: list[str], target: str) -> None:
    """Copy the Python files of modules of the project, and those that make their folders packages."""
    for module in modules:
        words = module.split(".")
        packages = [os.path.join(*words[:depth], "__init__.py") for depth in range(1, len(words) + 1)]
        for relative in (os.path.join(*words) + ".py", *packages):
            if os.path.isfile(os.path.join(root, relative)):
                os.makedirs(os.path.dirname(os.path.join(target, relative)), exist_ok=True)
                shutil.copyfile(os.path.join(root, relative), os.path.join(target, relative))
