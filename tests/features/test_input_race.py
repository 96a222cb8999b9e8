"""What a step reads changes while it runs: the result is delivered, not recorded, and that is said."""

import pytest

from support.project import Project

PIPELINE = """
    version: 1
    data: {raw: {path: "PATH"}}
    steps:
      a: {uses: "work:a", in: {source: data.raw}}
      b: {uses: "work:b", in: {x: a}}
"""
WORK = """
    import json
    import os
    from pathlib import Path

    from helpers import shout


    def a(source):
        settings = json.loads(Path("conf/settings.json").read_text())
        if os.path.exists("race"):
            exec(Path("race").read_text())
        return shout(settings["x"])


    def b(x):
        return shout(x)
"""
# what happens while `a` runs, and what is said to have changed; nothing for what changes nothing
RACES = {
    "a file grows": ("raw/a.txt", 'open("raw/a.txt", "a").write("!")', "input 'raw' changed"),
    "a file of a folder changes": ("raw", 'open("raw/sub/b.txt", "w").write("c")', "input 'raw' changed"),
    "a folder gains a file": ("raw", 'open("raw/new.txt", "w").write("c")', "input 'raw' changed"),
    "a glob gains a file": ("raw/*.txt", 'open("raw/new.txt", "w").write("c")', "input 'raw' changed"),
    "a glob loses a file": ("raw/*.txt", 'os.unlink("raw/z.txt")', "input 'raw' changed"),
    "the same size and time": (
        "raw/a.txt",
        'at = os.stat("raw/a.txt"); open("raw/a.txt", "w").write("b"); os.utime("raw/a.txt", ns=(1, at.st_mtime_ns))',
        "input 'raw' changed",
    ),
    "a file that the code opens": (
        "raw/a.txt",
        'open("conf/settings.json", "w").write(chr(123) + chr(34) + "x" + chr(34) + ": 2}")',
        "code file conf/settings.json changed",
    ),
    "the code itself": ("raw/a.txt", 'open("work.py", "a").write("Y = 1\\ndef a(source): return 5")', "code work"),
    "a helper's code": ("raw/a.txt", 'open("helpers.py", "a").write("def shout(x): return 7")', "code helpers"),
    "touched only": ("raw/a.txt", 'os.utime("raw/a.txt", (1, 1))', ""),
    "a comment": ("raw/a.txt", 'open("helpers.py", "a").write("# a comment")', ""),
    "another file": ("raw/*.txt", 'open("raw/other.csv", "w").write("c")', ""),
}


@pytest.mark.parametrize("name", RACES)
def test_a_change_under_a_running_step(project: Project, name: str) -> None:
    path, race, said = RACES[name]
    project.write("pipeline.yaml", PIPELINE.replace("PATH", path)).write("work.py", WORK)
    project.write("helpers.py", "def shout(x):\n    return x\n").write("conf/settings.json", '{"x": 1}')
    project.write("raw/a.txt", "a").write("raw/z.txt", "z").write("raw/sub/b.txt", "b").write("race", race)
    result = project.treadle("run", "pipeline.yaml", "--json")
    assert result.code == 0, result.stdout + result.stderr
    notices = [event["text"] for event in result.events() if event["event"] == "notice" and event["step"] == "a"]
    finished = [event["step"] for event in result.events() if event["event"] == "step_finished"]
    assert finished == ["a", "b"]  # delivered: the next step had it
    results = {step["step"] for step in project.treadle("cache", "stats", "--json").json()["steps"]}
    assert ("a" in results) == (not said)
    assert len(notices) == bool(said)
    if said:
        assert notices[0].startswith(said)
        assert notices[0].endswith(" while the step ran: its result is used but not recorded")
