"""Check pipeline files and table schemas without running anything of the user's."""

import os
from collections.abc import Sequence

from msgspec import Struct

from treadle.api.project import inside, open_project
from treadle.domain.advance import Advance, Tell, silent
from treadle.errors import Problem
from treadle.load import load_file, pipeline_files


class Checked(Struct, frozen=True):
    """The outcome of `check`: the files looked at and every problem found in them."""

    files: tuple[str, ...]
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        return all(problem.severity != "error" for problem in self.problems)


def check(paths: Sequence[str | os.PathLike[str]], tell: Tell = silent) -> Checked:
    """Every problem of all files; folders are searched for pipelines and table schemas. Runs no user code."""
    files: list[str] = []
    problems: list[Problem] = []
    for path in paths:
        project = open_project(path)
        found, missing = pipeline_files(str(path))
        problems += missing
        for number, file in enumerate(found):
            tell(Advance("checking", number, len(found)))
            relative = inside(project, file)
            files.append(relative)
            problems += load_file(relative, project.root, project.catalog, project.code)
        project.store.memo.flush()
    return Checked(tuple(files), tuple(problems))
