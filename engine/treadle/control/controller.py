"""The controller of one pipeline: measure, decide, act, once per tick; all that it knows is in the store.

tick
├── _landed      runs that ended
├── _rollouts    the log → evidence → machine.advance → ledger, traffic, aliases     (control.rollouts)
├── _monitors, _files, _pipelines     what happened → the inbox
└── desk.look    triggers → ledger, book → the run to begin                          (control.desk)
"""

import os
from collections.abc import Callable

from treadle.control import desk, rollouts
from treadle.control.evidence import RolloutLog
from treadle.control.facts import Facts
from treadle.control.runs import Runs
from treadle.domain.loop import KeptRollout
from treadle.domain.model import CHAMPION
from treadle.domain.trigger import Happened
from treadle.errors import InputError
from treadle.monitor import signals
from treadle.store import Store
from treadle.store.predictions import Overtaken, Tail, model_folder

SLOW = 2.0  # seconds between looks at files and other pipelines
RECENT = 7200.0  # how far back a log is read to find its newest record


class Controller:
    """Acts for one pipeline; `say` gets a line for people when something happens."""

    def __init__(self, store: Store, root: str, facts: Facts, runs: Runs, say: Callable[[str], None]) -> None:
        self.facts = facts
        self._store = store
        self._root = root
        self._runs = runs
        self._say = say
        self._logs: dict[str, tuple[str, Tail, RolloutLog]] = {}
        self._told: dict[str, str] = {}
        self._looking = ""  # the run of the monitors that goes on
        self._champions: dict[str, int] = {}  # those that served when it began: it compares with their references
        self._looked_at = self._slow_at = 0.0

    def tick(self, now: float) -> bool:
        """Look once; False when no first model can be made. `now` in seconds since the epoch.

        Raises StoreError when the database or the disk is away: nothing is half done then, the next tick goes on.
        """
        self._landed(now)
        self._rollouts(now)
        self._monitors(now)
        if not 0 <= now - self._slow_at < SLOW:
            self._slow_at = now
            self._files(now)
            self._pipelines(now)
        seen = self._store.desks.get(self.facts.pipeline).watched
        order = desk.look(self._store, self.facts, desk.reasons(self._store, self.facts, seen), now)
        missing = next((name for name in self.facts.models if CHAMPION not in self._store.models.aliases(name)), "")
        if order is None and missing:
            order = desk.first(self._store, self.facts, missing, now)
        self._begin(order)
        known = self._store.desks.get(self.facts.pipeline)
        return not (missing and known.book.flight is None and known.tries >= desk.TRIES)

    def close(self) -> None:
        """Let go of the logs."""
        for name in list(self._logs):
            self._forget(name)

    def _begin(self, order: desk.Order | None) -> None:
        if order is not None:
            self._say(f"run {order.run_id} begins: {order.reason}")
            self._runs.start(order.run_id, order.steps)

    def _landed(self, now: float) -> None:
        run_id = desk.flying(self._store, self.facts.pipeline)
        ended = self._runs.ended(run_id) if run_id else None
        if ended is not None:
            self._say(f"run {run_id}: {ended.status}{f', {ended.words}' if ended.words else ''}")
            self._begin(desk.land(self._store, self.facts, ended, now))

    # rollouts

    def _rollouts(self, now: float) -> None:
        watched = self._store.desks.get(self.facts.pipeline).watched
        broken = signals.broken(watched.metrics)
        for name in self.facts.models:
            kept = self._store.rollouts.active(name)
            if kept is None:
                self._forget(name)
                if rollouts.waiting(self._store, name) is None:
                    continue
                kept = rollouts.begin(self._store, name, self._newest(name, now), now)
                if kept is None:
                    continue
                begun = kept.rollout
                self._say(f"rollout {begun.rollout_id} begins: version {begun.challenger} against {begun.champion}")
            log = self._log(kept)
            moved = rollouts.turn(self._store, kept, log.evidence(kept.rollout, broken=broken), now)
            self._tell(moved)

    def _log(self, kept: KeptRollout) -> RolloutLog:
        rollout = kept.rollout
        held = self._logs.get(rollout.model)
        if held is None or held[0] != rollout.rollout_id:
            self._forget(rollout.model)
            folder = model_folder(self._store.folder, rollout.model)
            held = (rollout.rollout_id, Tail(folder, kept.floor), RolloutLog(kept))
            self._logs[rollout.model] = held
        try:
            held[2].add(held[1].read())
        except Overtaken:
            self._forget(rollout.model)  # read anew at the next tick; the order of units is the same
        return held[2]

    def _forget(self, name: str) -> None:
        held = self._logs.pop(name, None)
        if held is not None:
            held[1].close()

    def _newest(self, name: str, now: float) -> float:
        """The time of the newest record of a log; long ago when nothing was recorded lately."""
        tail = Tail(model_folder(self._store.folder, name), now - RECENT)
        added = tail.read()
        tail.close()
        times = [one.at for one in added.predictions] + [one.received for one in added.outcomes]
        return max(times, default=now - RECENT)

    def _tell(self, kept: KeptRollout) -> None:
        state = kept.rollout.state
        text = f"{state.phase}{f' {state.index + 1}' if state.phase in ('step', 'ramp') else ''}: {state.reason}"
        if self._told.get(kept.rollout.rollout_id) != text:
            self._told = {kept.rollout.rollout_id: text}
            self._say(f"rollout {kept.rollout.rollout_id} {text}")

    # what happened

    def _monitors(self, now: float) -> None:
        """Run the monitor steps when there is new traffic to look at, and keep what they found."""
        name = self.facts.pipeline
        if self._looking:
            if self._runs.ended(self._looking) is not None:
                run, self._looking = self._store.history.get(self._looking), ""
                if self._champions != self._serving():
                    desk.keep(self._store, name, looked="")  # of a model that serves no more: look again
                    self._looked_at = 0.0
                    return
                seen = desk.watched(self.facts, run, now)
                found = desk.observe(self.facts, seen, self._reference())
                desk.keep(self._store, name, *found, watched=seen)
            return
        if not self.facts.monitors or 0 <= now - self._looked_at < self.facts.every:
            return
        mark, known = self._mark(), self._store.desks.get(name)
        if mark and mark != known.looked and known.book.flight is None:
            self._looked_at = now
            self._looking, self._champions = desk.new_run_id(now), self._serving()
            desk.keep(self._store, name, looked=mark)
            self._runs.start(self._looking, self.facts.monitors)

    def _serving(self) -> dict[str, int]:
        """The champions of the pipeline's models."""
        aliases = {name: self._store.models.aliases(name) for name in self.facts.models}
        return {name: found[CHAMPION] for name, found in aliases.items() if CHAMPION in found}

    def _reference(self) -> dict[str, float]:
        """The metrics with which the champions were accepted."""
        found: dict[str, float] = {}
        for name in self.facts.models:
            version = self._store.models.alias(name, CHAMPION)
            for metric, value in (version.metrics if version is not None else {}).items():
                found[f"reference.{metric}"] = value
        return found

    def _mark(self) -> str:
        """What the logs that the pipeline reads are like: another mark when something was recorded."""
        parts = []
        for name in self.facts.reads:
            folder = model_folder(self._store.folder, name)
            try:
                with os.scandir(folder) as entries:
                    found = [
                        (one.name, one.stat().st_size) for one in entries if one.name.endswith((".log", ".parquet"))
                    ]
            except FileNotFoundError:
                continue
            parts += [f"{file}:{size}" for file, size in sorted(found) if size]
        return " ".join(parts)

    def _files(self, now: float) -> None:
        if not self.facts.watched:
            return
        known = self._store.desks.get(self.facts.pipeline).files
        found = dict(known)
        for name, source in self.facts.watched.items():
            try:
                found[name] = self._store.files.data(self._root, source).digest
            except InputError:  # nothing there now: a file that is being replaced, or one that is still to come
                found.setdefault(name, "")
        if found == known:
            return
        events = [
            Happened(rule.name, now, found[entry], {"data": entry, "before": known[entry]})
            for rule in self.facts.rules.values()
            if rule.kind == "files"
            and (entry := rule.subject.removeprefix("data.")) in known
            and found.get(entry) != known[entry]
        ]
        desk.keep(self._store, self.facts.pipeline, *events, files=found)

    def _pipelines(self, now: float) -> None:
        rules = [rule for rule in self.facts.rules.values() if rule.kind == "pipeline"]
        if not rules:
            return
        known = self._store.desks.get(self.facts.pipeline).pipelines
        found = dict(known)
        for summary in reversed(self._store.history.summaries(50)):
            if summary.run.status == "ok":
                found[os.path.normpath(summary.run.path)] = summary.run.run_id
        wanted = {os.path.normpath(rule.subject) for rule in rules}
        found = {path: found.get(path, "") for path in sorted(wanted)}
        if found == known:
            return
        events = [
            Happened(rule.name, now, found[path], {"pipeline": rule.subject, "run": found[path]})
            for rule in rules
            if (path := os.path.normpath(rule.subject)) in known and found[path] != known[path]
        ]
        desk.keep(self._store, self.facts.pipeline, *events, pipelines=found)


def unavailable(error: Exception) -> str:
    """What to tell people when the store cannot be used just now."""
    return f"{error}; nothing is decided until it is back"
