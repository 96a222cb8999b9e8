"""Everything a user can type, read or meet is documented: commands, options, keys, problems, events, settings."""

import argparse
import ast
import importlib
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from support.markdown import inline_code, page, pages, section, sections
from support.sources import shipped, source
from treadle.domain.event import Event

SLUG = re.compile(r"[a-z]+(-[a-z0-9]+)*")


def options(parser: argparse.ArgumentParser, words: str) -> Iterator[tuple[str, str]]:
    """Each command and subcommand with each of its long options."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, child in action.choices.items():
                yield f"{words} {name}", ""
                yield from options(child, f"{words} {name}")
        elif action.help != argparse.SUPPRESS:
            yield from ((words, option) for option in action.option_strings if option.startswith("--"))


def commands() -> dict[str, argparse.ArgumentParser]:
    made = {}
    for name, (module, line) in importlib.import_module("treadle.cli.main").COMMANDS.items():
        assert line.strip(), f"{name} has no one-line help"
        made[name] = argparse.ArgumentParser(prog=f"treadle {name}", add_help=False)
        importlib.import_module(module).add_arguments(made[name])
    assert made
    return made


def test_every_command_and_option_has_its_place() -> None:
    text = page("docs/commands.md")
    missing = []
    for name, parser in commands().items():
        own = section(text, name, f"treadle {name}")
        if own is None:
            missing.append(f"a section 'treadle {name}'")
            continue
        for words, option in options(parser, name):
            if words != name and words not in own:
                missing.append(f"{words}: not named in the section")
            if option and not re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", own):
                missing.append(f"{words} {option}")
    assert missing == []


def test_no_command_is_documented_that_does_not_exist() -> None:
    known = set(commands())
    titles = [found.title for found in sections(page("docs/commands.md"))]
    named = [title.removeprefix("treadle ").split()[0] for title in titles if title.startswith("treadle ")]
    assert [name for name in named if name not in known] == []


def keys(schema: Any) -> Iterator[str]:
    """Every property name anywhere in a JSON Schema."""
    if isinstance(schema, dict):
        properties = schema.get("properties")
        if isinstance(properties, dict):
            yield from properties
        for name, value in schema.items():
            if name not in ("default", "examples", "enum", "const"):
                yield from keys(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from keys(item)


def undocumented(names: set[str], text: str) -> list[str]:
    words = {word for code in inline_code(text) for word in re.findall(r"[\w$-]+", code)}
    return sorted(names - words)


@pytest.mark.parametrize("words", ["`key`", "`retry: {key: 2}`", "`a.key`"])
def test_a_key_counts_when_inline_code_names_it(words: str) -> None:
    assert undocumented({"key"}, f"text {words} text") == []
    assert undocumented({"key"}, "a key in prose\n\n```yaml\nkey: 1\n```\n") == ["key"]


def test_every_key_of_the_pipeline_file_is_documented() -> None:
    found = set(keys(importlib.import_module("treadle.document.pipeline").pipeline_schema()))
    assert {"steps", "uses", "gate"} <= found
    assert undocumented(found, page("docs/pipeline-file.md")) == []


def test_every_key_of_a_table_schema_is_documented() -> None:
    found = set(keys(importlib.import_module("treadle.document.table").table_schema()))
    assert found
    assert undocumented(found, "\n\n".join(page(name) for name in pages("docs/"))) == []


def test_every_setting_is_documented() -> None:
    settings = importlib.import_module("treadle.settings").Settings
    names = {field.encode_name for field in msgspec.structs.fields(settings)} - {"root"}
    assert names
    assert undocumented(names, "\n\n".join(page(name) for name in pages("docs/"))) == []


def codes(tree: ast.Module) -> Iterator[str]:
    """The codes given to Problem(...), to `input_error(...)` and to functions named after either."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func).split(".")[-1].lower()
        if "problem" not in name and name not in ("input_error", "codeerror", "report", "refuse"):
            continue
        first = next((word.value for word in node.keywords if word.arg == "code"), None) or (*node.args, None)[0]
        choices = [first.body, first.orelse] if isinstance(first, ast.IfExp) else [first]
        for choice in choices:
            if isinstance(choice, ast.Constant) and isinstance(choice.value, str) and SLUG.fullmatch(choice.value):
                yield choice.value


def test_codes_are_found() -> None:
    text = "Problem('a-b', t); self._problem(node, 'x'); errors.input_error(code='c-d' if x else 'e', text=t); f('g-h')"
    assert list(codes(source("x.py", text).tree)) == ["a-b", "c-d", "e"]


def used_codes() -> set[str]:
    return {code for one in shipped() for code in codes(one.tree)}


def test_every_problem_has_a_section() -> None:
    found = used_codes()
    assert found, "no problem is raised anywhere: the walk over the sources is blind"
    titles = {one.title for one in sections(page("docs/errors.md"))}
    assert sorted(found - titles) == []


def test_no_section_is_about_a_problem_that_cannot_happen() -> None:
    constants = {
        node.value
        for one in shipped()
        for node in ast.walk(one.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    titles = {one.title for one in sections(page("docs/errors.md")) if "-" in one.title and SLUG.fullmatch(one.title)}
    assert sorted(titles - constants) == []


def test_every_event_and_its_fields_are_documented() -> None:
    page_name = "docs/events.md" if "docs/events.md" in pages("docs/") else "docs/commands.md"
    names: set[str] = set()
    for kind in Event.__subclasses__():
        names.add(str(kind.__struct_config__.tag))
        names |= {field.encode_name for field in msgspec.structs.fields(kind)}
    assert "run_started" in names
    assert undocumented(names, page(page_name)) == []
