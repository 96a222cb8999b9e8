"""The user's Python, read by syntax tree and never imported: what functions offer, what code they reach."""

from treadle.code.annotation import accepts, checked_by, culprit, plain, takes
from treadle.code.closure import Closure
from treadle.code.files import Memo
from treadle.code.modules import CodeError, UnknownName
from treadle.code.project import DictMemo, Project

__all__ = [
    "Closure",
    "CodeError",
    "DictMemo",
    "Memo",
    "Project",
    "UnknownName",
    "accepts",
    "checked_by",
    "culprit",
    "plain",
    "takes",
]
