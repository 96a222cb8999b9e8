"""What must stay in the store whatever its age: what the locks of branches and tags name, and what models need."""

import os
import re
import subprocess
from collections.abc import Iterable, Iterator

from treadle.api.project import Project
from treadle.environment import variables
from treadle.errors import StoreError

SUFFIX = ".lock.yaml"
DIGEST = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
LEFT_OUT = {".git", ".treadle"}


def roots(project: Project) -> frozenset[str]:
    """Every key and digest that a lock names, in the working tree or at the tip of any branch or tag.

    Locks are searched for digests, not parsed: one that is in conflict, or of another version, still holds what it
    names. Raises StoreError when there is a git repository that git cannot read: then nothing may be deleted.
    """
    found: set[str] = set()
    for text in (*_of_tree(project.root), *_of_refs(project.root)):
        found.update(digest.decode("ascii") for digest in DIGEST.findall(text))
    return frozenset(found)


def _of_tree(root: str) -> Iterator[bytes]:
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in LEFT_OUT]
        for name in names:
            if name.endswith(SUFFIX):
                with open(os.path.join(folder, name), "rb") as file:
                    yield file.read()


def _of_refs(root: str) -> Iterator[bytes]:
    """The locks at the tip of every branch, local or of a remote, and of every tag; each content once."""
    if not _in_git(root):
        return
    commits = set(
        _git(root, "for-each-ref", "--format=%(objectname)", "refs/heads", "refs/remotes", "refs/tags").split()
    )
    commits.update(_git(root, "rev-parse", "--verify", "--quiet", "HEAD", may_fail=True).split())
    blobs: set[str] = set()
    for commit in sorted(commits):
        blobs.update(_locks(_git(root, "ls-tree", "-r", "-z", "--full-tree", commit.decode("ascii"))))
    if blobs:
        # One process for all: what stands between the contents is no digest of ours, git's names have 40 characters
        yield _git(root, "cat-file", "--batch", given="\n".join(sorted(blobs)))


def _locks(tree: bytes) -> Iterable[str]:
    """The names of the blobs in a listing of `ls-tree -z` whose paths are those of locks."""
    for entry in tree.split(b"\0"):
        facts, _, path = entry.partition(b"\t")
        if path.endswith(SUFFIX.encode()):
            yield facts.split()[2].decode("ascii")


def _in_git(root: str) -> bool:
    folder = root
    while not os.path.exists(os.path.join(folder, ".git")):
        parent = os.path.dirname(folder)
        if parent == folder:
            return False
        folder = parent
    return True


def _git(root: str, *arguments: str, given: str = "", may_fail: bool = False) -> bytes:
    try:
        done = subprocess.run(
            ["git", "-C", root, *arguments], input=given.encode(), capture_output=True, env=variables(), check=False
        )
    except OSError as error:
        raise StoreError(f"git cannot be run, so the locks of its branches are not known: {error}") from error
    if done.returncode and not may_fail:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise StoreError(f"git {arguments[0]} failed, so the locks of its branches are not known: {said}")
    return done.stdout
