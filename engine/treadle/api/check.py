"""Check pipeline files and table schemas without running anything of the user's."""

import os
from collections.abc import Sequence

from msgspec import Struct

from treadle.api.project import Project, inside, open_project
from treadle.domain.advance import Advance, Tell, silent
from treadle.errors import Problem
from treadle.load import load_file, pipeline_files
from treadle.settings import find_root


class Checked(Struct, frozen=True):
    """The outcome of `check`: the files looked at and every problem found in them."""

    files: tuple[str, ...]
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        return all(problem.severity != "error" for problem in self.problems)


def check(paths: Sequence[str | os.PathLike[str]], tell: Tell = silent) -> Checked:
    """Every problem of all files; folders are searched for pipelines and table schemas. Runs no user code.

    A file is one of the project that it lies in, also where that is a project within the folder.
    """
    files: list[str] = []
    problems: list[Problem] = []
    projects: dict[str, Project] = {}
    for path in paths:
        here = open_project(path)
        projects.setdefault(here.root, here)
        found, missing = pipeline_files(str(path))
        problems += missing
        for number, file in enumerate(found):
            tell(Advance("checking", number, len(found)))
            root = find_root(os.path.dirname(file))
            project = projects.get(root) or projects.setdefault(root, open_project(file))
            relative = inside(project, file)
            files.append(relative)
            problems += load_file(relative, project.root, project.catalog, project.code)
    for project in projects.values():
        project.store.memo.flush()
    return Checked(tuple(files), tuple(problems))
