"""What keeps tasks and runs them: the box's broker, Celery, or nobody, where a test runs them at once.

ONEBOX_TASKS_ENGINE says which: onebox (unless told), celery or eager.
"""
from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Sequence
from typing import Literal, Protocol, TypedDict, cast

State = Literal["held", "waiting", "running", "done", "expired", "cancelled", "dead"]
ENDED = frozenset({"done", "expired", "cancelled", "dead"})
Cancelling = Literal["done", "running", "ended", "unknown"]


class _Named(TypedDict):
    name: str
    payload: str


class New(_Named, total=False):
    """A task that is to be enqueued. Times are unix seconds, lengths of time seconds."""

    queue: str
    priority: int  # 0 to 9; 9 is first
    eta: float  # not begun before
    countdown: float  # the same, from now
    expires: float  # not begun from then on
    expires_in: float
    retries: int
    timeout: float
    keep: float  # how long its end can be asked for
    unique: str  # one with it at a time waits or runs
    dedupe: str  # one with it waits, runs or is done
    parent: int


class Next(New, total=False):
    """What is enqueued when another is done, in the same transaction."""

    member: bool  # of the group of the one that is done


Admission = TypedDict("Admission", {  # what has become of a New: an id, or an error
    "id": int,
    "as": Literal["new", "unique", "deduped"],
    "error": str,
    "retry": bool,  # whether the same may be let in later
}, total=False)


class Status(TypedDict, total=False):
    """What can be asked of a task until its `keep` has passed after its end."""

    id: int
    state: State
    queue: str
    name: str
    priority: int
    attempts: int
    deaths: int  # of workers that had it
    members_left: int  # of a callback
    group: int  # the callback whose member it is
    parent: int
    enqueued: float
    eta: float
    begun: float | None
    ended: float | None
    progress: float | None
    cancel_asked: bool
    result: str  # where it is done
    traceback: str  # of its last failure


class Engine(Protocol):
    """Each call may raise a TaskError; one that takes several does so for none or for all of them."""

    def enqueue(self, tasks: Sequence[New]) -> list[Admission]:
        """One for each, in their order."""

    def group(self, members: Sequence[New], callback: New) -> tuple[int, list[int]]:
        """All or none: the ids of the callback, which is held until each member is done, and of the
        members."""

    def status(self, ids: Sequence[int]) -> list[Status | None]:
        """None where there is no such task, or not any more."""

    def wait(self, id: int, seconds: float) -> Status | None:
        """Its status when it has ended, or after so many seconds."""

    def members(self, id: int) -> list[Status]:
        """Of a group's callback, in the order of their ids."""

    def cancel(self, ids: Sequence[int]) -> list[Cancelling]:
        """running: it is being interrupted."""

    def progress(self, id: int, token: int, progress: float) -> None:
        """Of a task that runs in this process; waits for nobody."""


class TaskError(Exception):
    """Of whatever has to do with tasks."""


class NoBroker(TaskError):
    """There is no box around this process."""


class BrokerLost(TaskError):
    """The broker could not be asked, or has not answered: `unknown` says whether what was asked for may
    have been done all the same."""

    def __init__(self, text: str, *, unknown: bool = False) -> None:
        super().__init__(text)
        self.unknown = unknown


class Refused(TaskError):
    """The broker has said no: `retry` says whether it may say yes later, as where a queue is full."""

    def __init__(self, text: str, *, retry: bool = False) -> None:
        super().__init__(text)
        self.retry = retry


_PLACES = {"onebox": ("onebox.broker", "BrokerEngine"), "celery": ("onebox.celery_engine", "CeleryEngine"),
           "eager": ("onebox.tasks.eager", "EagerEngine")}
_made: dict[str, Engine] = {}
_making = threading.Lock()


def engine() -> Engine:
    """The one that ONEBOX_TASKS_ENGINE names; the same one at each call."""
    name = os.environ.get("ONEBOX_TASKS_ENGINE", "onebox")
    with _making:
        if name not in _made:
            if name not in _PLACES:
                raise ValueError(f"ONEBOX_TASKS_ENGINE is one of {', '.join(_PLACES)}, not {name!r}")
            module, attribute = _PLACES[name]
            _made[name] = cast(Engine, getattr(importlib.import_module(module), attribute)())
        return _made[name]
