"""APScheduler's triggers, and how Onebox writes the same: what it cannot say is refused, never made
into something near.

The real ones, of apscheduler.triggers, are taken too."""
from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone, tzinfo
from typing import Any, NamedTuple

from onebox.apscheduler import cron_fields

TIMES_OF_DAY_MAX = 100  # that Onebox takes in one at=
_DAY = 86_400
_PLACE = re.compile(r"\w+(/[\w+-]+)*")


class Schedule(NamedTuple):
    """What onebox.jobs is told: `kind` is "every", "cron" or "at"; `zone` "" is this machine's."""

    kind: str
    text: str
    zone: str
    jitter: float


class CronTrigger:
    """APScheduler's: fields that are not given are "*" before the first that is, and their least value
    after the last."""

    def __init__(self, year: int | str | None = None, month: int | str | None = None,
                 day: int | str | None = None, week: int | str | None = None,
                 day_of_week: int | str | None = None, hour: int | str | None = None,
                 minute: int | str | None = None, second: int | str | None = None,
                 start_date: date | str | None = None, end_date: date | str | None = None,
                 timezone: tzinfo | str | None = None, jitter: float | None = None) -> None:
        given = (year, month, day, week, day_of_week, hour, minute, second)
        self.given = {name: str(value) for name, value in zip(cron_fields.NAMES, given)
                      if value is not None}
        self.timezone, self.jitter = timezone, jitter
        self.start_date = instant(start_date, timezone)
        self.end_date = instant(end_date, timezone)

    @classmethod
    def from_crontab(cls, expr: str, timezone: tzinfo | str | None = None) -> CronTrigger:
        """Weekdays are APScheduler's here too: 0 is Monday."""
        values = expr.split()
        if len(values) != 5:
            raise ValueError(f"Wrong number of fields; got {len(values)}, expected 5")
        minute, hour, day, month, day_of_week = values
        return cls(minute=minute, hour=hour, day=day, month=month, day_of_week=day_of_week,
                   timezone=timezone)

    @property
    def expressions(self) -> dict[str, str]:
        return cron_fields.with_defaults(self.given)

    def __str__(self) -> str:
        return "cron[%s]" % ", ".join(f"{name}='{text}'" for name, text in self.given.items())


class IntervalTrigger:
    def __init__(self, weeks: float = 0, days: float = 0, hours: float = 0, minutes: float = 0,
                 seconds: float = 0, start_date: date | str | None = None,
                 end_date: date | str | None = None, timezone: tzinfo | str | None = None,
                 jitter: float | None = None) -> None:
        length = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
        self.interval = length or timedelta(seconds=1)
        self.timezone, self.jitter = timezone, jitter
        self.start_date = instant(start_date, timezone)
        self.end_date = instant(end_date, timezone)

    def __str__(self) -> str:
        return f"interval[{self.interval}]"


class DateTrigger:
    """Without a date: at once."""

    def __init__(self, run_date: date | str | None = None,
                 timezone: tzinfo | str | None = None) -> None:
        self.timezone = timezone
        self.run_date = instant(run_date, timezone) or datetime.now().astimezone()

    def __str__(self) -> str:
        return f"date[{self.run_date:%Y-%m-%d %H:%M:%S %Z}]"


_KINDS: dict[str, type[Any]] = {"cron": CronTrigger, "interval": IntervalTrigger, "date": DateTrigger}


def make(trigger: Any, arguments: dict[str, Any], zone: tzinfo | str | None) -> Any:
    """The trigger that add_job() is told; `zone` where it says none itself. Raises LookupError, TypeError
    and ValueError as APScheduler does."""
    if trigger is None:
        trigger = "date"
    if not isinstance(trigger, str):
        if not is_date(trigger):
            schedule_of(trigger, zone)  # what cannot be said is refused here
        return trigger
    if trigger not in _KINDS:
        raise LookupError(f"No trigger by the name {trigger!r} was found")
    made = _KINDS[trigger](**{"timezone": zone, **arguments})
    if not is_date(made):
        schedule_of(made, zone)
    return made


def is_date(trigger: Any) -> bool:
    return hasattr(trigger, "run_date")


def schedule_of(trigger: Any, zone: tzinfo | str | None) -> Schedule:
    """Raises ValueError with what to write instead."""
    name = zone_name(getattr(trigger, "timezone", None) or zone)
    jitter = float(getattr(trigger, "jitter", None) or 0)
    if getattr(trigger, "end_date", None):
        raise ValueError(f"{trigger}: Onebox has no end_date: let the function return when it is over, "
                         f"or take it out of the app")
    if hasattr(trigger, "interval"):
        return Schedule(*_interval(trigger, name), name, jitter)
    if isinstance(trigger, CronTrigger):
        fields = trigger.expressions
    elif hasattr(trigger, "fields"):
        fields = {field.name: str(field) for field in trigger.fields}
    else:
        raise ValueError(f"{trigger!r} cannot be said in Onebox: add one job for each of the triggers "
                         f"that it is made of")
    start = getattr(trigger, "start_date", None)
    if start and start > _now(start):
        raise ValueError(f"{trigger}: Onebox has no start_date that is yet to come: let the function "
                         f"return before it")
    return Schedule(*_cron(trigger, fields), name, jitter)


def _interval(trigger: Any, zone: str) -> tuple[str, str]:
    length: timedelta = trigger.interval
    seconds = length // timedelta(seconds=1)
    if length.microseconds or not seconds:
        raise ValueError(f"{trigger}: Onebox counts whole seconds")
    start = trigger.start_date
    # A real one without a start has that of its making, with the microseconds of that moment.
    if start is None or (start.microsecond and not isinstance(trigger, IntervalTrigger)):
        return "every", f"{seconds} seconds"
    if start > _now(start) or start.microsecond:
        raise ValueError(f"{trigger}: Onebox keeps an interval to the clock, and begins with the next "
                         f"time that it is due: leave start_date out, or give one that has passed, in "
                         f"whole seconds")
    first = start.hour * 3600 + start.minute * 60 + start.second
    if seconds == 7 * _DAY:
        return "at", f"{start:%a} {_clock(first)}".lower()
    if _DAY % seconds:
        raise ValueError(f"{trigger}: what does not divide a day cannot begin at {start}: leave "
                         f"start_date out, or take a cron trigger")
    if first % seconds == 0:
        return "every", f"{seconds} seconds"
    if _DAY // seconds > TIMES_OF_DAY_MAX:
        raise ValueError(f"{trigger} from {start} on is due {_DAY // seconds} times a day, each beside a "
                         f"multiple of the interval: Onebox takes {TIMES_OF_DAY_MAX} of these. Leave "
                         f"start_date out, or take a cron trigger")
    return "at", ", ".join(_clock(time) for time in range(first % seconds, _DAY, seconds))


def _cron(trigger: Any, fields: dict[str, str]) -> tuple[str, str]:
    try:
        meant = cron_fields.Meant.of(fields)
        return meant.written(TIMES_OF_DAY_MAX)
    except ValueError as error:
        raise ValueError(f"{trigger}: {error}") from None


def _clock(second: int) -> str:
    return f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"


def _now(other: datetime) -> datetime:
    return datetime.now(timezone.utc) if other.tzinfo else datetime.now()


def zone_name(zone: tzinfo | str | None) -> str:
    """Of the time zone database. Raises ValueError."""
    if zone is None or isinstance(zone, str):
        return zone or ""
    name = str(zone)  # of zoneinfo, pytz and what tzlocal makes of it
    if name == "local":
        return ""
    if _PLACE.fullmatch(name):
        return name
    raise ValueError(f"{zone!r} is no place of the time zone database: write its name, like "
                     f"\"Europe/Berlin\"")


def instant(given: date | str | None, zone: tzinfo | str | None) -> datetime | None:
    """As APScheduler reads it: a text, a date or a datetime, in `zone` where it says none itself."""
    if given is None:
        return None
    if isinstance(given, str):
        given = datetime.fromisoformat(given)
    if not isinstance(given, datetime):
        given = datetime(given.year, given.month, given.day)
    if given.tzinfo is not None:
        return given
    if zone is None:
        return given.astimezone()
    if isinstance(zone, str):
        from zoneinfo import ZoneInfo
        zone = ZoneInfo(zone)
    localize = getattr(zone, "localize", None)  # pytz
    return localize(given) if localize else given.replace(tzinfo=zone)
