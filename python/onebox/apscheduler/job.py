"""A job as APScheduler shows it."""
from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onebox.apscheduler.scheduler import BackgroundScheduler

undefined: Any = type("undefined", (), {"__repr__": lambda self: "undefined"})()


class Job:
    """`id` is its name in Onebox: it is the same in each worker, and after a restart."""

    def __init__(self, scheduler: BackgroundScheduler, id: str | None, func: Callable[..., Any],
                 trigger: Any, args: Sequence[Any], kwargs: Mapping[str, Any], name: str | None,
                 misfire_grace_time: float | None, coalesce: bool, max_instances: int,
                 executor: str, paused: bool) -> None:
        self._scheduler = scheduler
        self.id, self.func, self.trigger = id or "", func, trigger
        self.args, self.kwargs = tuple(args), dict(kwargs)
        self.name = name or name_of(func)
        self.misfire_grace_time, self.coalesce = misfire_grace_time, coalesce
        self.max_instances, self.executor = max_instances, executor
        self.paused = paused  # as it was added
        self.pending = True  # the box does not know it
        self.place = _caller()

    def __repr__(self) -> str:
        return f"<Job (id={self.id} name={self.name})>"

    def __str__(self) -> str:
        return f"{self.name} (trigger: {self.trigger})"

    @property
    def func_ref(self) -> str:
        """As "module:qualname"."""
        return f"{module_of(self.func)}:{name_of(self.func)}"

    @property
    def next_run_time(self) -> datetime | None:
        """As the box says; None where it is paused, or not known there yet."""
        found = self._scheduler.known().get(self.id)
        if not found or found.get("paused") or found.get("next") is None:
            return None
        return datetime.fromtimestamp(found["next"], timezone.utc).astimezone()

    def modify(self, **changes: Any) -> Job:
        self._scheduler.modify_job(self.id, **changes)
        return self

    def reschedule(self, trigger: Any, **trigger_args: Any) -> Job:
        self._scheduler.reschedule_job(self.id, trigger=trigger, **trigger_args)
        return self

    def pause(self) -> Job:
        self._scheduler.pause_job(self.id)
        return self

    def resume(self) -> Job:
        self._scheduler.resume_job(self.id)
        return self

    def remove(self) -> None:
        self._scheduler.remove_job(self.id)


def _caller() -> str:
    """file:line of who called into this package."""
    frame = inspect.currentframe()
    while frame and frame.f_globals.get("__package__") == __package__:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else ""


def name_of(func: Any) -> str:
    """Of partials and objects that can be called, too."""
    while hasattr(func, "func") and not hasattr(func, "__qualname__"):
        func = func.func
    return str(getattr(func, "__qualname__", type(func).__qualname__))


def module_of(func: Any) -> str:
    while hasattr(func, "func") and not hasattr(func, "__qualname__"):
        func = func.func
    return str(func.__module__)


def resolve(reference: str) -> Callable[..., Any]:
    """What "module:qualname" names. Raises ValueError and LookupError."""
    module, _, path = reference.partition(":")
    if not path:
        raise ValueError(f"Invalid reference {reference!r}: write module:function")
    try:
        found: Any = import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise LookupError(f"Error resolving reference {reference}: {error}") from None
    if not callable(found):
        raise TypeError(f"{reference} cannot be called: it is {found!r}")
    called: Callable[..., Any] = found
    return called
