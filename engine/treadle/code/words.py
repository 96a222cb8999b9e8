"""The words of a shell command that may name files, each with the folder that the command is in by then."""

import posixpath
import re
import shlex
from functools import lru_cache

PLACEHOLDER = re.compile(r"\{(in|out|params)\.[^{}]+\}")
SUBTLE = re.compile(r"""['"\\]|[^\S \t\r\n]""")  # quotes, and blanks that are none to a shell
TOKEN = re.compile(r"[;&|()<>`]+|[^\s;&|()<>`]+")  # what shlex says of a text without them, in a fiftieth of the time
OPERATORS = frozenset(";&|()<>`")
PATH = "PYTHONPATH="
DEEPEST = 3  # quotes in quotes

Word = tuple[str, str, str]  # a word as seen from the root, the word in front of it, the folder where the command is


@lru_cache(maxsize=4096)
def words(template: str) -> tuple[str, list[Word], list[str]]:
    """A command with a word for each placeholder; its words; and the folders that it adds to PYTHONPATH.

    What it writes by `>` or `tee` is left out. Of `--config=a.yaml` the part after the sign counts too, of a quoted
    `bash -c 'python a.py'` each word. After `cd folder` words are seen from there.
    """
    text = PLACEHOLDER.sub("x", template)
    found: list[Word] = []
    paths: list[str] = []
    _add(text, "", 0, found, paths)
    return text, found, paths


@lru_cache(maxsize=256)
def words_of_script(text: str, home: str) -> tuple[list[Word], list[str]]:
    """The words of a shell script in the folder `home`, as seen from the root and from there; its PYTHONPATH.

    Where it goes to a folder by a variable, such as `cd "$(dirname "$0")"`, that is taken for its own.
    """
    found: list[Word] = []
    paths: list[str] = []
    for start in dict.fromkeys(("", home)):
        _add(text, start, 0, found, paths)
    return found, paths


def _add(text: str, start: str, depth: int, found: list[Word], paths: list[str]) -> None:
    folder, before = start, ""
    subtle = SUBTLE.search(text) is not None
    for token in _split(text) if subtle else TOKEN.findall(text):
        if token[:1] in OPERATORS:
            folder = start if ")" in token else folder
            before = token
            continue
        if before == "tee" or (before[-1:] in OPERATORS and ">" in before):
            before = ""
            continue
        if before == "cd" and "$" not in token:
            folder = posixpath.join(folder, token)
        found.append((posixpath.join(folder, token) if folder else token, before, folder))
        if "=" in token:
            value = token.partition("=")[2]
            found.append((posixpath.join(folder, value) if folder else value, "", folder))
            if token.startswith(PATH):
                paths += [posixpath.join(folder, one) for one in value.split(":") if one and "$" not in one]
        if subtle and " " in token and depth < DEEPEST:
            _add(token, folder, depth + 1, found, paths)
        before = token


def _split(text: str) -> list[str]:
    lexer = shlex.shlex(text.replace("\\\n", " "), posix=True, punctuation_chars="".join(sorted(OPERATORS)))
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        return list(lexer)
    except ValueError:  # an apostrophe in a comment, or in what a here-document holds
        return TOKEN.findall(text)
