"""One look at everything that `treadle up` holds together, whatever the store does meanwhile."""

import time

from msgspec import Struct

from treadle.api.collector import paused
from treadle.api.hooks import Hooks
from treadle.api.server import Server
from treadle.api.tracking import AliasMirror
from treadle.control.controller import Controller, unavailable
from treadle.domain.loop import Beat
from treadle.domain.model import CHAMPION
from treadle.errors import InputError, StoreError
from treadle.store import Store
from treadle.store.process import this_process

BEAT = 2.0  # seconds between signs of life


class Parts(Struct, frozen=True):
    """What is held together."""

    store: Store
    controller: Controller
    server: Server
    hooks: Hooks
    aliases: AliasMirror


class Supervisor:
    """One look at everything, whatever the store does."""

    def __init__(self, parts: Parts, said: list[str]) -> None:
        self.away = ""
        self._store, self._controller = parts.store, parts.controller
        self._server, self._hooks, self._aliases = parts.server, parts.hooks, parts.aliases
        self._said = said
        self._beaten = self._since = 0.0
        self._trouble = ""

    def turn(self, serve: bool, now: float) -> bool:
        """False when it makes no sense to go on; `now` in seconds since the epoch."""
        going = True
        try:
            with paused():  # a log is read into many objects, and hardly one outlives the tick
                going = self._controller.tick(now)
            self._aliases.look()
            if serve and self._served():
                self._server.keep()
            if time.monotonic() - self._beaten > BEAT:
                self._beaten = time.monotonic()
                self._beat(now)
        except (StoreError, InputError) as error:
            if not self.away:
                self._since = now
            if str(error) != self.away:
                self._server.say(unavailable(error))
            self.away = str(error)
            if self._server.begun:
                self._server.keep()
        else:
            if self.away:
                self._trouble = f"nothing was decided from {_clock(self._since)} to {_clock(now)}: {self.away}"
                self._beaten = 0.0
                self._server.say("the store is back")
            self.away = ""
        return going

    def _served(self) -> bool:
        models = self._controller.facts.models
        return bool(models) and (
            self._server.begun or all(CHAMPION in self._store.models.aliases(name) for name in models)
        )

    def _beat(self, now: float) -> None:
        me = this_process()
        beat = Beat(
            host=me.host,
            boot=me.boot,
            pid=me.pid,
            began=me.began,
            at=now,
            server=self._server.url,
            server_pid=self._server.pid,
            hooks=self._hooks.url,
            said=tuple(self._said),
            trouble=self._trouble,
        )
        self._store.desks.beat(self._controller.facts.pipeline, beat)


def _clock(moment: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(moment))
