"""What becomes of a task, for whoever has enqueued it, or knows its id."""
from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from onebox.engines import ENDED, Cancelling, Status, TaskError, engine
from onebox.tasks import payload

R = TypeVar("R")

GATE = "onebox:gate "  # how the names of those begin that have no result of their own (canvas.py)

WAIT_SECONDS_MAX = 60.0  # of one question
HELD_SECONDS = (0.5, 5.0)  # of one where the members are looked at after it: at first, at last


class TaskFailed(TaskError):
    """It is a dead letter. The text is the traceback of its last attempt; `id` is the task's."""

    def __init__(self, id: int, traceback: str) -> None:
        super().__init__(f"task {id} has failed:\n{traceback}")
        self.id, self.traceback = id, traceback


class TaskExpired(TaskError):
    """Nobody had begun it when its time had passed."""


class TaskCancelled(TaskError):
    """It was cancelled, or a member of its group has ended in another way than done."""


class TaskUnknown(TaskError):
    """There is no such task, or its `keep` has passed."""


class Result(Generic[R]):
    """Of a task that was enqueued: `Result(id)` is that of any."""

    def __init__(self, id: int, name: str = "") -> None:
        self.id = id
        self.name = name

    def __repr__(self) -> str:
        return f"<onebox result {self.id}{f' of {self.name}' if self.name else ''}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Result) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def info(self) -> Status | None:
        """All that is known of it; None where it is unknown, or not known any more."""
        return engine().status([self.id])[0]

    @property
    def status(self) -> str:
        """held, waiting, running, done, expired, cancelled, dead; or unknown."""
        found = self.info()
        return found["state"] if found else "unknown"

    @property
    def progress(self) -> float | None:
        """0 to 1, as it has said last by onebox.progress()."""
        found = self.info()
        return found.get("progress") if found else None

    @property
    def traceback(self) -> str | None:
        """Of its last failure."""
        found = self.info()
        return found.get("traceback") if found else None

    def ready(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self.status in ENDED

    def successful(self) -> bool:
        return self.status == "done"

    def cancel(self) -> Cancelling:
        """done; running: it is being interrupted; ended, unknown: nothing was changed."""
        return engine().cancel([self.id])[0]

    def get(self, timeout: float | None = None, *, propagate: bool = True) -> R:
        """What it has returned, after up to `timeout` seconds (None: as long as it takes). Raises
        TaskFailed, TaskExpired, TaskCancelled, TaskUnknown or TimeoutError; without `propagate` the error is
        returned, all but a TimeoutError."""
        try:
            return self._value(wait_for_end(self.id, timeout))
        except TaskError as error:
            if propagate:
                raise
            return error  # type: ignore[return-value]

    def _value(self, ended: Status) -> R:
        return payload.load_result(ended.get("result"))  # type: ignore[no-any-return]


class _Joined(Result[R]):
    """Of what has others before it."""

    def __init__(self, id: int, name: str = "", *, members: Sequence[int] = ()) -> None:
        super().__init__(id, name)
        self._first = list(members)

    def members(self) -> list[Status]:
        """All that runs before it, as far as it was enqueued."""
        return engine().members(self.id)

    def cancel(self) -> Cancelling:
        """Of all; what it says is the last one's."""
        ids = [member["id"] for member in self.members() if member["state"] not in ENDED]
        return engine().cancel([self.id, *ids])[0]


class ChainResult(_Joined[R]):
    """Of the last step."""


class GroupResult(_Joined[list[Any]]):
    """Of all members: get() gives the list of what they have returned, in their order."""

    def results(self) -> list[Result[Any]]:
        """One for each that it began with."""
        return [Result(id) for id in self._first]

    def _value(self, ended: Status) -> list[Any]:
        return results_of(self.members())


def wait_for_end(id: int, timeout: float | None) -> Status:
    """The status of a task that is done. Raises what Result.get() does."""
    until = None if timeout is None else time.monotonic() + timeout
    step = HELD_SECONDS[0]
    held = True  # as far as we know
    while True:
        left = WAIT_SECONDS_MAX if until is None else max(0.0, until - time.monotonic())
        found = engine().wait(id, min(left, step if held else WAIT_SECONDS_MAX))
        if found is None:
            raise TaskUnknown(f"task {id} is not known, or not any more")
        if found["state"] in ENDED:
            return _done(found)
        held = found["state"] == "held"
        if held:
            _look_for_dead(id)
            step = min(2 * step, HELD_SECONDS[1])
        if until is not None and time.monotonic() >= until:
            raise TimeoutError(f"task {id} is {found['state']} after {timeout} s")


def _done(ended: Status) -> Status:
    errors: dict[str, Callable[[], TaskError]] = {
        "dead": lambda: TaskFailed(ended["id"], ended.get("traceback") or ""),
        "expired": lambda: TaskExpired(f"task {ended['id']} has expired"),
        "cancelled": lambda: _cancelled(ended),
    }
    if ended["state"] in errors:
        raise errors[ended["state"]]()
    return ended


def _cancelled(ended: Status) -> TaskError:
    return TaskCancelled(f"task {ended['id']} was cancelled")


def _look_for_dead(id: int) -> None:
    """A callback stays held for a member that is dead, since that may be retried."""
    for member in engine().members(id):
        if member["state"] == "dead":
            _done(member)


def results_of(members: list[Status]) -> list[Any]:
    """What the last ones of a group have returned: of a member that others follow, what those have."""
    followers: dict[int, list[Status]] = {}
    ids = {member["id"] for member in members}
    for member in members:
        parent = member.get("parent") or 0
        followers.setdefault(parent if parent in ids else 0, []).append(member)
    found: list[Any] = []
    ahead = followers.get(0, [])[::-1]
    while ahead:
        member = ahead.pop()
        if after := followers.get(member["id"]):
            ahead.extend(reversed(after))
        elif not member["name"].startswith(GATE):
            found.append(payload.load_result(member.get("result")))
    return found
