"""Functions that the box calls at their times.

    @job(every="5 minutes")
    def record_prices(): ...

    @job(cron="0 4 * * *", tz="Europe/Berlin", overlap="skip")
    def close_elections(): ...

The app declares them; when they are due, the broker says, and a task worker runs them: once for the box.
"""
from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar

from onebox.tasks import payload
from onebox.tasks.definition import Task, name_of, refuse_coroutines

__all__ = ["Job", "JobRefused", "job", "register", "registry", "unregister"]

Overlap = Literal["skip", "queue", "replace", "parallel"]
CatchUp = Literal["one", "all", "none"]
F = TypeVar("F", bound=Callable[..., Any])

registry: dict[str, Job] = {}


class JobRefused(ValueError):
    """A trigger that the broker does not understand, and why."""


@dataclass(frozen=True)
class Job:
    """As it is declared."""

    name: str
    function: Callable[..., Any]
    trigger: tuple[Literal["every", "cron", "at"], str]
    tz: str = ""  # of the time zone database; empty: the machine's
    jitter: float = 0.0  # seconds, at random, that it may begin later
    timeout: float | None = None  # seconds that a run may take
    overlap: Overlap = "skip"  # where the run before has not ended
    catch_up: CatchUp = "one"  # of what was missed while the box was down
    retries: int = 0
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    place: str = ""  # file:line that declares it

    @property
    def what(self) -> str:
        """`module:qualname`, and after a space what it is called with, where that is anything."""
        if not self.args and not self.kwargs:
            return name_of(self.function)
        call = payload.pack(self.args, self.kwargs, "json", f"the job {self.name}")
        return f"{name_of(self.function)} {payload.dump(call)}"

    def declared(self) -> dict[str, Any]:
        """As the broker takes it."""
        kind, text = self.trigger
        found = {"name": self.name, kind: text, "tz": self.tz, "jitter": self.jitter,
                 "timeout": self.timeout or 0, "overlap": self.overlap, "catch_up": self.catch_up,
                 "retries": self.retries, "kind": "call", "what": self.what}
        return found


def job(*, every: str | float | timedelta | None = None, cron: str | None = None,
        at: str | datetime | None = None, **how: Any) -> Callable[[F], F]:
    """Has a function called at its times; it stays as it is. More of them on one function need names.

    every: "5 minutes", seconds, or a timedelta: kept to the clock (5 minutes: at :00, :05, ...).
    cron: five fields, as in a crontab, or "@daily". at: "21:00", "mon-fri 9:00, 17:30", or a date and time.
    `how`: name (else the function's), tz, jitter, timeout, overlap, catch_up, retries, args, kwargs, as in Job.
    """
    place = _caller()

    def decorate(function: F) -> F:
        _add(function, place, every=every, cron=cron, at=at, **how)
        return function
    return decorate


def register(function: Callable[..., Any], *, every: str | float | timedelta | None = None,
             cron: str | None = None, at: str | datetime | None = None, **how: Any) -> Job:
    """As @job. In a worker that has begun, the broker knows it when this returns; raises JobRefused where its
    trigger is none, and TaskError where there is no broker."""
    made = _add(function, _caller(), every=every, cron=cron, at=at, **how)
    try:
        _declare_again(made.name)
    except JobRefused:
        registry.pop(made.name, None)
        raise
    return made


def unregister(name: str) -> Job:
    """The job that is no more; raises KeyError."""
    gone = registry.pop(name)
    _declare_again(removed=name)
    return gone


def _declare_again(new: str | None = None, *, removed: str | None = None) -> None:
    from onebox import declaration
    declaration.repeat(new, removed=removed)


def _add(function: Callable[..., Any], place: str, *, every: Any, cron: Any, at: Any,
         name: str | None = None, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None,
         **how: Any) -> Job:
    if isinstance(function, Task):
        function = function.function
    refuse_coroutines(function)
    made = Job(name or function.__name__, function, _trigger(every, cron, at), args=tuple(args),
               kwargs=dict(kwargs or {}), place=place, **how)
    _check(made)
    there = registry.get(made.name)
    if there and name_of(there.function) != name_of(function):
        raise ValueError(f"two jobs are named {made.name!r}: {name_of(there.function)} at {there.place} and "
                         f"{name_of(function)} at {place}; give one of them another name=")
    if there and there.place != place and there.trigger != made.trigger and not name:
        raise ValueError(f"{made.name} is a job twice, at {there.place} and {place}: give each a name=")
    registry[made.name] = made
    return made


def _check(made: Job) -> None:
    """Raises ValueError, or TypeError where it is called with what it does not take."""
    for what, value, choice in (("overlap", made.overlap, ("skip", "queue", "replace", "parallel")),
                                ("catch_up", made.catch_up, ("one", "all", "none"))):
        if value not in choice:
            raise ValueError(f"the job {made.name}: {what} is one of {', '.join(choice)}, not {value!r}")
    try:
        inspect.signature(made.function).bind(*made.args, **made.kwargs)
    except TypeError as error:
        raise TypeError(f"the job {made.name} is called with {made.args} {made.kwargs}: {error}") from None
    json.dumps(made.what)


def _trigger(every: Any, cron: Any, at: Any) -> tuple[Literal["every", "cron", "at"], str]:
    if sum(given is not None for given in (every, cron, at)) != 1:
        raise TypeError("a job has one of every=, cron= and at=")
    if every is not None:
        seconds = every.total_seconds() if isinstance(every, timedelta) else every
        if isinstance(seconds, str):
            return "every", seconds
        if seconds != int(seconds) or seconds < 1:
            raise ValueError(f"every is whole seconds, one at least, not {seconds}")
        return "every", f"{int(seconds)} s"
    if cron is not None:
        return "cron", cron
    return "at", at.strftime("%Y-%m-%d %H:%M:%S") if isinstance(at, datetime) else at


def _caller() -> str:
    """file:line of who called into this module."""
    frame = inspect.currentframe()
    while frame and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else ""
