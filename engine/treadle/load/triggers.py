"""`triggers`: what they watch exists, their schedules and time zones are real."""

from collections.abc import Callable, Iterator
from pathlib import Path
from posixpath import normpath

from treadle.domain.spec import Text, Trigger
from treadle.errors import Problem, did_you_mean
from treadle.load import expressions
from treadle.load.build import entries
from treadle.load.facts import Facts
from treadle.load.outputs import escapes
from treadle.load.references import unknown_step
from treadle.load.source import yaml_files

REASONS = ("rollout", "quality")
ALARM = "alarm"  # the metric of a monitor step that a drift trigger reads
_FIELDS = ("minute", "hour", "day-of-month", "month", "day-of-week")


def check(facts: Facts) -> Iterator[Problem]:
    """Problems with all triggers."""
    kinds: dict[str, Callable[[Facts, Trigger], Iterator[Problem]]] = {
        "drift": _drift,
        "performance": _performance,
        "cron": _cron,
        "files": _files,
        "pipeline": _pipeline,
    }
    for trigger in facts.spec.triggers.values():
        if trigger.kind in kinds and trigger.subject:
            yield from kinds[trigger.kind](facts, trigger)
        target = trigger.options.get("run")
        if isinstance(target, str) and target not in facts.spec.steps:
            yield unknown_step(facts, target, (*trigger.place[:2], "run"))
        yield from _unless(facts, trigger)
        yield from _lonely(facts, trigger)
        zone = trigger.options.get("timezone")
        if isinstance(zone, str):
            yield from _zone(facts, trigger, zone)


def _drift(facts: Facts, trigger: Trigger) -> Iterator[Problem]:
    step = facts.spec.steps.get(trigger.subject)
    if step is None:
        yield unknown_step(facts, trigger.subject, (*trigger.place, "drift"))
        return
    metrics = facts.cell_metrics(step)
    if metrics is not None and ALARM not in metrics and step.id not in facts.broken:
        monitors = [one.id for one in facts.spec.steps.values() if ALARM in (facts.cell_metrics(one) or ())]
        hint = (
            f"a monitor step is meant: {', '.join(monitors)}" if monitors else "such as a step that uses monitor.drift"
        )
        node = facts.places.value(*trigger.place, "drift")
        yield facts.places.problem("no-alarm", f"'{step.id}' has no metric '{ALARM}', so it never alarms", node, hint)


def _lonely(facts: Facts, trigger: Trigger) -> Iterator[Problem]:
    """Options of one kind of trigger that stand beside another kind, where nothing reads them."""
    written = entries(facts.places.value(*trigger.place))  # what causes of a group share is not theirs alone
    for option, kind in (("timezone", "cron"), ("debounce", "files")):
        if trigger.kind != kind and option in written:
            node = facts.places.key(*trigger.place, option)
            text = f"'{option}' is of `{kind}`, and this trigger has none"
            yield facts.places.problem("idle-option", text, node, "remove it")


def _performance(facts: Facts, trigger: Trigger) -> Iterator[Problem]:
    yield from expressions.check_performance(facts, trigger.place, Text(trigger.subject, trigger.where))


def _unless(facts: Facts, trigger: Trigger) -> Iterator[Problem]:
    """A reason that can never hold guards nothing."""
    given = trigger.options.get("unless")
    words = given if isinstance(given, list) else [given]
    known = (*REASONS, *facts.spec.steps)
    for word in words:
        if isinstance(word, str) and word not in known:
            node = facts.places.value(*trigger.place[:2], "unless")
            hint = did_you_mean(word, known) or "rollout, quality, or the name of a monitor step"
            yield facts.places.problem("unknown-reason", f"'{word}' is no reason not to fire", node, hint)


def _files(facts: Facts, trigger: Trigger) -> Iterator[Problem]:
    head, _, name = trigger.subject.partition(".")
    if head == "data" and name in facts.spec.data:
        yield from _watchable(facts, trigger, name)
        return
    node = facts.places.value(*trigger.place, "files")
    if head == "data" and name:
        hint = did_you_mean(name, facts.spec.data) or "declare it at the top, under `data`"
        text = f"no data entry is called '{name}'"
        yield facts.places.problem_inside("unknown-data", text, node, len("data."), len(name), hint)
        return
    hint = f"write data.{head}" if head in facts.spec.data else "write data.NAME"
    yield facts.places.problem("unknown-data", f"'{trigger.subject}' is not a data entry", node, hint)


def _watchable(facts: Facts, trigger: Trigger, name: str) -> Iterator[Problem]:
    kind = facts.spec.data[name].kind
    if kind != "path":
        what = {"url": "is a URL", "predictions": "is what a server logged", "model": "is a model's card"}[kind]
        hint = "watch it with a `drift` trigger" if kind == "predictions" else "name it by `path:`, or use `cron`"
        node = facts.places.value(*trigger.place, "files")
        yield facts.places.problem("not-watched", f"data.{name} {what}; only files are watched", node, hint)


def _pipeline(facts: Facts, trigger: Trigger) -> Iterator[Problem]:
    node = facts.places.value(*trigger.place, "pipeline")
    path = trigger.subject
    reason = escapes(path)
    if reason:
        yield facts.places.problem("escaping-path", reason, node, "write a path below the project's root")
    elif normpath(path) == normpath(facts.spec.path):
        text = "a pipeline that starts itself never stops"
        yield facts.places.problem("self-reference", text, node, "name another pipeline")
    elif not (file := Path(facts.root, path)).is_file():
        hint = "paths are relative to the project's root"
        nearest = did_you_mean(file.name, yaml_files(file.parent))
        hint = nearest if nearest.startswith("did") else hint
        yield facts.places.problem("missing-file", f"there is no file {path}", node, hint)


def _cron(facts: Facts, trigger: Trigger) -> Iterator[Problem]:
    from datetime import datetime  # lazy: 2 ms that only a schedule needs

    from cronsim import CronSim, CronSimError  # lazy: 3 ms that only a schedule needs

    text = trigger.subject
    node = facts.places.value(*trigger.place, "cron")
    try:
        next(CronSim(text, datetime(2024, 1, 1)))
    except StopIteration:
        yield facts.places.problem("bad-cron", f"'{text}' names no day that exists", node)
    except (CronSimError, ValueError, OverflowError) as error:
        message = str(error).removeprefix("Bad ")
        fields = text.split()
        if message in _FIELDS and len(fields) == len(_FIELDS):
            number = _FIELDS.index(message)
            start = _offset(text, number)
            shown = f"'{fields[number]}' is not a {message.replace('-', ' ')}"
            hint = f"{_RANGES[number]}, *, lists with ',' and steps with '/'"
            yield facts.places.problem_inside("bad-cron", shown, node, start, len(fields[number]), hint)
        else:
            hint = "five fields: minute hour day-of-month month day-of-week, such as 0 3 * * *"
            yield facts.places.problem("bad-cron", f"'{text}' is not a schedule", node, hint)


_RANGES = ("0 to 59", "0 to 23", "1 to 31", "1 to 12 or JAN to DEC", "0 to 7 or SUN to SAT")


def _offset(text: str, number: int) -> int:
    """Where the field with this number begins."""
    at = 0
    for field in text.split()[: number + 1]:
        start = text.index(field, at)
        at = start + len(field)
    return start


def _zone(facts: Facts, trigger: Trigger, zone: str) -> Iterator[Problem]:
    from zoneinfo import ZoneInfo, available_timezones  # lazy: 5 ms that only a time zone needs

    try:
        ZoneInfo(zone)
    except (ValueError, OSError, KeyError):  # its own not-found error is a KeyError
        known = available_timezones()
        if known:  # without any, this machine has no time zones to check against
            node = facts.places.value(*trigger.place, "timezone")
            hint = did_you_mean(zone, known) or "a name such as Europe/Berlin or UTC"
            yield facts.places.problem("unknown-timezone", f"no time zone is called '{zone}'", node, hint)
