"""What this thread or greenlet runs: the attempt that a task can ask about itself."""
from __future__ import annotations

import contextvars
import time
from dataclasses import dataclass, field

from onebox.engines import engine

PROGRESS_SECONDS = 0.25  # between two that are told


@dataclass
class Running:
    """An attempt. `fence` grows with each lease of the task: who writes somewhere with a lower one than was
    seen there comes too late."""

    id: int
    token: int
    name: str
    queue: str = "default"
    attempt: int = 1  # from 1
    deaths: int = 0  # of workers that had it
    retries: int = 0
    enqueued: float = 0.0
    group: int = 0
    parent: int = 0
    fence: int = 0
    firing: float | None = None  # of a job: the time at which it was due, unix
    _told: float = field(default=0.0, repr=False)

    @property
    def key(self) -> tuple[int, int]:
        return self.id, self.token

    @property
    def tries_left(self) -> bool:
        """Whether a failure of this attempt leads to another."""
        return self.attempt - self.deaths <= self.retries

    def dedupe_key(self, step: str = "") -> str:
        """A text that is the same in each attempt at this task and in no other task: for whoever takes an
        idempotency key, and for dedupe= of what this task enqueues."""
        key = f"onebox-{self.id}-{self.enqueued:.3f}"
        return f"{key}-{step}" if step else key


present: contextvars.ContextVar[Running | None] = contextvars.ContextVar("onebox task", default=None)


def current() -> Running | None:
    """What this thread or greenlet runs; None outside of a task."""
    return present.get()


def progress(done: float) -> None:
    """Says how much of the task is done, 0 to 1, for Result.progress; at most four times a second are told.
    Outside of a task nothing."""
    running = present.get()
    if running is None:
        return
    if not 0 <= done <= 1:
        raise ValueError(f"progress is 0 to 1, not {done}")
    now = time.monotonic()
    if done == 1 or now - running._told >= PROGRESS_SECONDS:
        running._told = now
        engine().progress(running.id, running.token, float(done))
