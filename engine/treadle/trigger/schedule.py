"""When a cron expression is due, in its time zone, whatever the clock does."""

from datetime import datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim

DAY = 86400.0
COUNTED = 1000  # missed times that are counted one by one


def after(expression: str, zone: str, moment: float) -> float:
    """The first time after `moment`, in seconds since the epoch."""
    return float(next(CronSim(expression, datetime.fromtimestamp(moment, ZoneInfo(zone)))).timestamp())


def due(expression: str, zone: str, slot: float, next_due: float, now: float) -> tuple[float, float, int]:
    """(slot, next, times): the last time seen to, the next one, and how many have passed; 0 when none is due.

    A schedule is caught up once however many times were missed. A clock that ran ahead and came back leaves no gap,
    and a time that was seen to is not seen to again.
    """
    upcoming = after(expression, zone, now)
    if slot - now > DAY:
        slot = 0.0  # the clock was wrong when that was written
    if not next_due:
        return slot, upcoming, 0
    if now < next_due:
        following = min(next_due, upcoming)
        return slot, following if following > slot else after(expression, zone, slot), 0
    times, last = 1, next_due
    while times < COUNTED and (following := after(expression, zone, last)) <= now:
        times, last = times + 1, following
    return last if times < COUNTED else now, upcoming, times
