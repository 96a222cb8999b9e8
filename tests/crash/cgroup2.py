"""Memory limits by control groups of version 2, in a real kernel: one of its own, as a process of this machine.

    python tests/crash/cgroup2.py     (Debian: apt-get install user-mode-linux; the superuser; half a minute)

The kernel sees the files of this machine and can write none of them. In each case a step eats memory, in a control
group that was made in another way; the first line of its log says what limited it.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = "/sys/fs/cgroup"
GROUP = f"{ROOT}/job"
MARK = "CASE|"
FILES = {
    "treadle.toml": "",
    "p.yaml": "version: 1\nsteps: {eats: {uses: 'work:eats', resources: {memory: 60MiB}}}\n",
    "work.py": (
        "import subprocess\n\n\ndef eats():\n    child = subprocess.Popen(['sleep', '60'])\n    data = []\n"
        "    while len(data) < 500:\n        data.append(bytearray(b'x') * (4 << 20))\n"
    ),
}


class Case(NamedTuple):
    """A group to run in, empty for the root; whether it was delegated; who else is in it; and what should limit."""

    name: str
    group: str
    handed_on: bool
    delegated: bool
    shared: bool
    user: int
    limit: str


CASES = (
    Case("the root group, which does not hand memory on", "", False, False, False, 0, "RLIMIT_DATA"),
    Case("the root group, which does", "", True, False, False, 0, "cgroup v2"),
    Case("a group that was not delegated", GROUP, True, False, False, 0, "RLIMIT_DATA"),
    Case("a delegated group with a process of others", GROUP, True, True, True, 0, "RLIMIT_DATA"),
    Case("a delegated group", GROUP, True, True, False, 0, "cgroup v2"),
    Case("a delegated group, of a user", GROUP, True, True, False, 65534, "cgroup v2"),
)


def main() -> int:
    kernel = shutil.which("linux.uml")
    if kernel is None or os.getuid():
        print("this needs linux.uml (Debian: user-mode-linux), and the superuser")
        return 2
    with tempfile.TemporaryDirectory() as folder:
        init = Path(folder) / "init"
        init.write_text(f"#!/bin/sh\nexec {sys.executable} -P {os.path.abspath(__file__)} inside\n", encoding="utf-8")
        init.chmod(0o755)
        words = [kernel, "mem=700M", "rootfstype=hostfs", "rootflags=/", "ro", "quiet", "con=null", "con0=fd:0,fd:1"]
        done = subprocess.run(
            [*words, f"init={init}"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False
        )
    found = [line.partition(MARK)[2].strip().split("|") for line in done.stdout.splitlines() if MARK in line]
    if len(found) != len(CASES):
        print(done.stdout, done.stderr)
        return 1
    print("| control group | limit | the step | processes left |\n| --- | --- | --- | --: |")
    for row in found:
        print(f"| {' | '.join(row)} |")
    wrong = [case.name for case, row in zip(CASES, found, strict=True) if case.limit not in row[1] or row[3] != "0"]
    print("\nwrong: " + ", ".join(wrong) if wrong else "\nall as it should be")
    return 1 if wrong else 0


def inside() -> None:
    """The first process of that kernel."""
    for kind, place in (("proc", "/proc"), ("sysfs", "/sys"), ("tmpfs", "/tmp"), ("cgroup2", ROOT)):
        subprocess.run(["/bin/mount", "-t", kind, "none", place], check=True)
    os.environ.update(HOME="/tmp", PATH="/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", PYTHONDONTWRITEBYTECODE="1")
    try:
        for case in CASES:
            print(MARK + "|".join(tried(case)), flush=True)
    finally:
        Path("/proc/sysrq-trigger").write_text("o", encoding="ascii")
        subprocess.run(["sleep", "10"], check=False)


def tried(case: Case) -> list[str]:
    """A run in the group: what limited the step, what became of it, and how many of its processes live."""
    project = Path("/tmp/p")
    shutil.rmtree(project, ignore_errors=True)
    project.mkdir()
    for name, text in FILES.items():
        (project / name).write_text(text, encoding="utf-8")
    made(case)
    others = subprocess.Popen(["sleep", "50"]) if case.shared else None
    if others is not None:
        Path(case.group, "cgroup.procs").write_text(str(others.pid), encoding="ascii")
    words = [sys.executable, "-P", "-m", "treadle", "run", "p.yaml", "-q"]
    if case.user:
        os.chown(project, case.user, case.user)
        caps = ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]  # the interpreter may be root's
        words = ["setpriv", "--reuid", str(case.user), *caps, *words]
    enter = f"echo $$ > {case.group}/cgroup.procs && " if case.group else ""
    done = subprocess.run(
        ["/bin/sh", "-c", f'{enter}exec "$@"', "sh", *words], cwd=project, capture_output=True, text=True, check=False
    )
    log = "".join(path.read_text(encoding="utf-8") for path in project.glob(".treadle/logs/*/eats.log"))
    fate = next((word for word in ("out of memory", "MemoryError") if word in done.stdout + done.stderr), "not limited")
    if others is not None:
        others.kill()
        others.wait()
    left = subprocess.run(["pgrep", "-c", "sleep"], capture_output=True, text=True, check=False).stdout.strip()
    return [case.name, log.partition("\n")[0].removeprefix("treadle: "), fate, left]


def made(case: Case) -> None:
    """Make the group of a case, and nothing else."""
    for path in sorted(Path(ROOT).glob("job/**/"), reverse=True):
        path.rmdir()
    Path(ROOT, "cgroup.subtree_control").write_text("+memory" if case.handed_on else "-memory", encoding="ascii")
    if case.group:
        os.mkdir(case.group)
        if case.delegated:
            os.setxattr(case.group, "user.delegate", b"1")
        for name in ("", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"):
            os.chown(os.path.join(case.group, name), case.user, case.user)


if __name__ == "__main__":
    if sys.argv[1:] == ["inside"]:
        inside()
    raise SystemExit(main())
