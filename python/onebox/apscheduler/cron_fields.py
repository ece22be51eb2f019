"""The fields of APScheduler's cron trigger, read into the numbers that they mean and written as Onebox
does: in cron(5), where 0 is Sunday and not Monday, or as an interval or times of the day."""
from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

NAMES = ("year", "month", "day", "week", "day_of_week", "hour", "minute", "second")
_RANGES = {"month": (1, 12), "day": (1, 31), "day_of_week": (0, 6), "hour": (0, 23), "minute": (0, 59),
           "second": (0, 59)}
_LEAST = {"month": "1", "day": "1", "hour": "0", "minute": "0", "second": "0"}
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WORDS = {"day_of_week": (_WEEKDAYS, 0), "month": (_MONTHS, 1)}
_STARRED = re.compile(r"\*(?:/(\d+))?")
_NUMBERS = re.compile(r"(\d+)(?:-(\d+))?(?:/(\d+))?")
_NAMED = re.compile(r"([a-z]+)(?:-([a-z]+))?", re.IGNORECASE)


def with_defaults(given: Mapping[str, str]) -> dict[str, str]:
    """All fields: those before the last that is given are "*", those after it have their least value."""
    last = max((NAMES.index(name) for name in given), default=len(NAMES))
    return {name: given.get(name, "*" if place < last else _LEAST.get(name, "*"))
            for place, name in enumerate(NAMES)}


class _Field(NamedTuple):
    name: str
    text: str
    values: frozenset[int]

    @property
    def is_all(self) -> bool:
        least, most = _RANGES[self.name]
        return len(self.values) == most - least + 1

    @property
    def written(self) -> str:
        """For cron(5). A star stays one: what begins with it runs through changes of the clock."""
        if self.is_all:
            return "*"
        if self.name != "day_of_week":
            return self.text if _STARRED.fullmatch(self.text) else _joined(self.values)
        return _joined(frozenset((value + 1) % 7 for value in self.values))


class Meant(NamedTuple):
    month: _Field
    day: _Field
    day_of_week: _Field
    hour: _Field
    minute: _Field
    second: _Field

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> Meant:
        """Raises ValueError, for what APScheduler refuses and for what Onebox cannot say."""
        for name in ("year", "week"):
            if fields[name].strip() not in ("*", "*/1"):
                raise ValueError(f"Onebox has no field {name}: let the function return when the {name} "
                                 f"is not meant, or use a date")
        return cls(*(_Field(name, fields[name].strip(), _read(name, fields[name]))
                     for name in cls._fields))

    def written(self, times_max: int) -> tuple[str, str]:
        """("cron" | "every" | "at", its text). Raises ValueError."""
        if self.second.values == {0}:
            return "cron", self._as_cron()
        apart = _apart(self.second.values)
        if apart and all(field.is_all for field in self[:-1]):
            return "every", f"{apart} seconds"
        return "at", self._as_times(times_max)

    def _as_cron(self) -> str:
        day, weekday = self.day.written, self.day_of_week.written
        if weekday != "*" and not day.startswith("*"):
            raise ValueError("a day and a day_of_week that both have to be right cannot be said in "
                             "cron: keep one, and let the function return where the other is wrong")
        return " ".join((self.minute.written, self.hour.written, day, self.month.written, weekday))

    def _as_times(self, times_max: int) -> str:
        if not self.day.is_all or not self.month.is_all:
            raise ValueError("seconds cannot be said together with a day or a month: take second=0")
        times = [f"{hour:02}:{minute:02}:{second:02}" for hour in sorted(self.hour.values)
                 for minute in sorted(self.minute.values) for second in sorted(self.second.values)]
        if len(times) > times_max:
            raise ValueError(f"it is due {len(times)} times a day at seconds other than 0, and Onebox "
                             f"takes {times_max} of these: take second=0, or an interval")
        days = "" if self.day_of_week.is_all else ",".join(
            _WEEKDAYS[value] for value in sorted(self.day_of_week.values)) + " "
        return days + ", ".join(times)


def _joined(values: frozenset[int]) -> str:
    return ",".join(map(str, sorted(values)))


def _apart(seconds: frozenset[int]) -> int | None:
    """Of seconds that are the multiples of a number which divides the minute."""
    apart = 60 // len(seconds)
    return apart if seconds == frozenset(range(0, 60, apart)) else None


def _read(name: str, text: str) -> frozenset[int]:
    values: set[int] = set()
    for part in re.split(" *, *", text.strip()):
        values |= _values(name, part)
    return frozenset(values)


def _values(name: str, text: str) -> set[int]:
    least, most = _RANGES[name]
    first, last, step = least, most, 1
    if found := _STARRED.fullmatch(text):
        step = int(found[1] or 1)
    elif found := _NUMBERS.fullmatch(text):
        first = int(found[1])
        last = int(found[2]) if found[2] else most if found[3] else first
        step = int(found[3] or 1)
    elif name in _WORDS and (found := _NAMED.fullmatch(text)):
        first = _named(name, found[1])
        last = _named(name, found[2] or found[1])
    elif name == "day" and re.match(r"last|(?:\d(?:st|nd|rd|th)|last) ", text, re.IGNORECASE):
        raise ValueError(f"day={text!r} cannot be said in cron: take day=\"*\", and let the function "
                         f"return on other days")
    else:
        raise ValueError(f"Unrecognized expression {text!r} for field {name!r}")
    if not least <= first <= last <= most or step < 1:
        raise ValueError(f"{name}={text!r} is not within {least} to {most}")
    return set(range(first, last + 1, step))


def _named(name: str, word: str) -> int:
    words, least = _WORDS[name]
    if word.lower() not in words:
        raise ValueError(f"{name}: {word!r} is none of {', '.join(words)}")
    return words.index(word.lower()) + least
