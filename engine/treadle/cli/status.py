"""What serves, which share it has, what is being tried, what drifted, and what happens next.

treadle status
treadle status --watch
"""

import argparse
import sys
import time
from textwrap import wrap

from msgspec import json

from treadle.api import status as api
from treadle.api.status import ModelState, MonitorState, Need, PipelineState, Status

WIDTH = 80
SILENT = 20.0  # seconds without a sign of life; they come every two


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", nargs="?", default=".", metavar="PATH", help="a file or folder of the project")
    parser.add_argument("--watch", action="store_true", help="show it again every second until interrupted")
    parser.add_argument("--json", action="store_true", help="write the facts as JSON")


def run(args: argparse.Namespace) -> int:
    while True:
        found = api.status(args.path)
        text = json.format(json.encode(found)).decode() if args.json else shown(found)
        if args.watch and sys.stdout.isatty():
            sys.stdout.write("\033[H\033[2J")
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
        if not args.watch:
            return 0
        time.sleep(1.0)


def shown(found: Status) -> str:
    """The state of the loop as text of at most 80 columns."""
    lines = [line for one in found.pipelines for line in _pipeline(one, found.at)]
    lines += [line for one in found.models for line in _model(one, found.at)]
    lines += [f"! {text}" for text in found.alerts]
    if not lines:
        lines = ["nothing is up here, and no model is registered: treadle up PIPELINE"]
    return "\n".join(_cut(line) for line in lines)


def _cut(line: str) -> str:
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"


def _pipeline(one: PipelineState, now: float) -> list[str]:
    state = {True: f"up (process {one.beat.pid})", False: "not up", None: "up elsewhere"}[one.up]
    lines = [f"{one.pipeline}: {state}, last sign {_ago(now - one.beat.at)}"]
    if one.beat.server:
        ready = "ready" if one.server.get("ready") else "not ready" if one.server else "does not answer"
        counts = f", {one.server.get('requests_total', 0):,.0f} requests" if one.server else ""
        dropped = one.server.get("log_dropped_total", 0)
        counts += f", {dropped:,.0f} not logged" if dropped else ""
        lines.append(f"  server    {one.beat.server} {ready}{counts}")
    if one.beat.hooks:
        lines.append(f"  webhooks  {one.beat.hooks}/triggers/NAME")
    if one.run:
        lines.append(f"  run       {one.run} goes on")
    elif one.last_run:
        words = f": {one.last_run['words']}" if one.last_run.get("words") else ""
        lines.append(f"  last run  {one.last_run['run']} {one.last_run['status']}{words}")
    for monitor in one.monitors:
        lines += _monitor(monitor, now - one.looked_at)
    for trigger in one.triggers:
        fired = f"fired {_ago(now - trigger.fired)}" if trigger.fired is not None else "never fired"
        lines.append(f"  trigger   {trigger.name}: {fired}{f'; {trigger.said}' if trigger.said else ''}")
    lines += [f"  next      {text}" for text in one.next[:4]]
    if one.up and now - one.beat.at > SILENT:
        lines.append("  ! it could write nothing since then; its own output says why")
    if one.beat.trouble:
        lines += [f"  {'!' if at == 0 else ' '} {part}" for at, part in enumerate(wrap(one.beat.trouble, WIDTH - 4))]
    return lines


def _monitor(one: MonitorState, ago: float) -> list[str]:
    if one.failed:
        return [f"  {one.step}: no verdict: {one.failed}"]
    alarm = one.metrics.get("alarm", one.metrics.get("blocked", 0.0))
    verdict = "ALARM" if alarm else "quiet"
    lines = [f"  {one.step}: {verdict} {_ago(ago)}{f', {one.reason}' if one.reason else ''}"]
    if one.top:
        lines.append("    PSI " + "  ".join(f"{name} {value:.3f}" for name, value in one.top))
    return lines


def _model(one: ModelState, now: float) -> list[str]:
    shares = ", ".join(f"version {version} {share:.0%}" for version, share in one.shares.items()) or "nothing"
    lines = [f"{one.name}: {shares} serves; {one.versions} version{'s' * (one.versions != 1)} in all"]
    tried = one.rollout is not None and one.rollout.challenger == one.challenger
    if one.challenger not in (None, one.champion) and not tried:
        lines.append(f"  challenger {one.challenger} waits")
    if one.rollout is not None:
        state = one.rollout.state
        place = f" {state.index + 1}" if state.phase in ("step", "ramp") else ""
        when = _ago(now - state.since)
        lines.append(f"  rollout   version {one.rollout.challenger} against {one.rollout.champion}: "
                     f"{state.phase}{place} ({when})" + (", paused" if state.paused else ""))  # fmt: skip
        lines.append(f"            {state.reason}")
        if state.asked:
            lines.append(f"            treadle rollout approve {one.name}")
        if one.active and any(state.assigned):
            lines.append(f"  assigned  {state.assigned[0]:,} champion, {state.assigned[1]:,} challenger")
    if one.need is not None:
        lines += _need(one.need)
    lines += [f"  barred    version {version}: {why}" for version, why in one.quarantined.items()]
    return lines


def _need(one: Need) -> list[str]:
    champion, challenger = one.units
    lines = [f"  {one.metric}: {champion:,} and {challenger:,} units judged, {one.least_units:,} at least"]
    if one.effect is not None:
        span = f" [{one.interval[0]:+.4f}, {one.interval[1]:+.4f}]" if one.interval else ""
        lines[-1] += f"; effect {one.effect:+.4f}{span}"
    found = ", ".join(f"{name.replace('_', '-')} {value:.2f}" for name, value in one.log_e.items())
    if found:
        lines.append(f"            log E {found}; {one.needed:.2f} decides")
    if one.more_units is not None:
        lines.append(f"            about {one.more_units:,} units more, at this effect")
    if any(one.unlabelled):
        lines.append(f"            no outcome from {one.unlabelled[0]:,} and {one.unlabelled[1]:,} units")
    lines += [f"  ! {text}" for text in one.warnings]
    return lines


def _ago(seconds: float) -> str:
    if seconds < 0:
        return "just now"
    if seconds < 120:
        return f"{seconds:.0f} s ago"
    return f"{seconds / 60:.0f} min ago" if seconds < 7200 else f"{seconds / 3600:.0f} h ago"
