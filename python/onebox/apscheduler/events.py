"""APScheduler's events and errors. Where it is installed the errors are its own, so that whoever catches
those catches ours."""
from __future__ import annotations

import importlib
from datetime import datetime
from typing import Any

EVENT_SCHEDULER_STARTED = EVENT_SCHEDULER_START = 2 ** 0
EVENT_SCHEDULER_SHUTDOWN = 2 ** 1
EVENT_SCHEDULER_PAUSED = 2 ** 2
EVENT_SCHEDULER_RESUMED = 2 ** 3
EVENT_ALL_JOBS_REMOVED = 2 ** 8
EVENT_JOB_ADDED = 2 ** 9
EVENT_JOB_REMOVED = 2 ** 10
EVENT_JOB_MODIFIED = 2 ** 11
EVENT_JOB_EXECUTED = 2 ** 12
EVENT_JOB_ERROR = 2 ** 13
EVENT_JOB_MISSED = 2 ** 14
EVENT_JOB_SUBMITTED = 2 ** 15
EVENT_JOB_MAX_INSTANCES = 2 ** 16
EVENT_ALL = 2 ** 17 - 1

STATE_STOPPED = 0
STATE_RUNNING = 1
STATE_PAUSED = 2


class SchedulerEvent:
    def __init__(self, code: int, alias: str | None = None) -> None:
        self.code, self.alias = code, alias

    def __repr__(self) -> str:
        return f"<{type(self).__name__} (code={self.code})>"


class JobEvent(SchedulerEvent):
    def __init__(self, code: int, job_id: str) -> None:
        super().__init__(code)
        self.job_id, self.jobstore = job_id, "default"


class JobExecutionEvent(JobEvent):
    """Of a run in this process. `scheduled_run_time` is when it was due."""

    def __init__(self, code: int, job_id: str, scheduled_run_time: datetime, retval: Any = None,
                 exception: BaseException | None = None, traceback: str | None = None) -> None:
        super().__init__(code, job_id)
        self.scheduled_run_time = scheduled_run_time
        self.retval, self.exception, self.traceback = retval, exception, traceback


class _JobLookupError(KeyError):
    def __init__(self, job_id: str) -> None:
        super().__init__(f"No job by the id of {job_id} was found")


class _ConflictingIdError(KeyError):
    def __init__(self, job_id: str) -> None:
        super().__init__(f"Job identifier ({job_id}) conflicts with an existing job")


class _SchedulerAlreadyRunningError(Exception):
    def __str__(self) -> str:
        return "Scheduler is already running"


class _SchedulerNotRunningError(Exception):
    def __str__(self) -> str:
        return "Scheduler is not running"


def _theirs(module: str, ours: type[Any]) -> type[Any]:
    try:
        found: type[Any] = getattr(importlib.import_module(f"apscheduler.{module}"), ours.__name__[1:])
    except ImportError:
        return ours
    return found


JobLookupError = _theirs("jobstores.base", _JobLookupError)
ConflictingIdError = _theirs("jobstores.base", _ConflictingIdError)
SchedulerAlreadyRunningError = _theirs("schedulers", _SchedulerAlreadyRunningError)
SchedulerNotRunningError = _theirs("schedulers", _SchedulerNotRunningError)
