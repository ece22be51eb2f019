"""APScheduler's API upon the box's own jobs: each runs once for all workers, survives restarts, and needs
no thread in the app.

    from onebox.apscheduler import BackgroundScheduler

Outside of a box it is APScheduler's own BackgroundScheduler, where that is installed.
"""
from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from onebox.apscheduler import scheduler as _ours
from onebox.apscheduler import triggers as _triggers
from onebox.apscheduler.events import (
    EVENT_ALL, EVENT_ALL_JOBS_REMOVED, EVENT_JOB_ADDED, EVENT_JOB_ERROR, EVENT_JOB_EXECUTED,
    EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, EVENT_JOB_MODIFIED, EVENT_JOB_REMOVED, EVENT_JOB_SUBMITTED,
    EVENT_SCHEDULER_PAUSED, EVENT_SCHEDULER_RESUMED, EVENT_SCHEDULER_SHUTDOWN, EVENT_SCHEDULER_START,
    EVENT_SCHEDULER_STARTED, STATE_PAUSED, STATE_RUNNING, STATE_STOPPED, ConflictingIdError,
    JobEvent, JobExecutionEvent, JobLookupError, SchedulerAlreadyRunningError, SchedulerEvent,
    SchedulerNotRunningError)
from onebox.apscheduler.job import Job

__all__ = [
    "EVENT_ALL", "EVENT_ALL_JOBS_REMOVED", "EVENT_JOB_ADDED", "EVENT_JOB_ERROR", "EVENT_JOB_EXECUTED",
    "EVENT_JOB_MAX_INSTANCES", "EVENT_JOB_MISSED", "EVENT_JOB_MODIFIED", "EVENT_JOB_REMOVED",
    "EVENT_JOB_SUBMITTED", "EVENT_SCHEDULER_PAUSED", "EVENT_SCHEDULER_RESUMED", "EVENT_SCHEDULER_SHUTDOWN",
    "EVENT_SCHEDULER_START", "EVENT_SCHEDULER_STARTED", "STATE_PAUSED", "STATE_RUNNING", "STATE_STOPPED",
    "BackgroundScheduler", "BlockingScheduler", "ConflictingIdError", "CronTrigger", "DateTrigger",
    "IntervalTrigger", "Job", "JobEvent", "JobExecutionEvent", "JobLookupError",
    "SchedulerAlreadyRunningError", "SchedulerEvent", "SchedulerNotRunningError"]


class NoScheduler(RuntimeError):
    """There is no box here that would run jobs, and no APScheduler either."""


def _start_nothing(self: Any, paused: bool = False) -> None:
    raise NoScheduler("nobody would run these jobs: this process was not started by `onebox run`, and "
                      "APScheduler, which would run them here, is not installed")


def _choose(ours: type[Any], module: str) -> type[Any]:
    if os.environ.get("ONEBOX_BROKER"):
        return ours
    try:
        theirs: type[Any] = getattr(importlib.import_module(f"apscheduler.{module}"), ours.__name__)
    except ImportError:
        return type(ours.__name__, (ours,), {"start": _start_nothing} if hasattr(ours, "start") else {})
    return theirs


if TYPE_CHECKING:
    BackgroundScheduler = _ours.BackgroundScheduler
    BlockingScheduler = _ours.BlockingScheduler
    CronTrigger = _triggers.CronTrigger
    DateTrigger = _triggers.DateTrigger
    IntervalTrigger = _triggers.IntervalTrigger
else:
    BackgroundScheduler = _choose(_ours.BackgroundScheduler, "schedulers.background")
    BlockingScheduler = _choose(_ours.BlockingScheduler, "schedulers.blocking")
    CronTrigger = _choose(_triggers.CronTrigger, "triggers.cron")
    DateTrigger = _choose(_triggers.DateTrigger, "triggers.date")
    IntervalTrigger = _choose(_triggers.IntervalTrigger, "triggers.interval")
