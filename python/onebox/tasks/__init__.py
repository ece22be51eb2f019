"""Work that a request does not wait for.

    @task(queue="mail", retries=3)
    def send(address, text): ...

    send.delay("a@example.org", "hello")

Where it runs, ONEBOX_TASKS_ENGINE says (onebox.engines): in the box's task workers, unless told.
"""
from __future__ import annotations

from typing import Any

from onebox.engines import BrokerLost, NoBroker, Refused, TaskError
from onebox.tasks.canvas import Signature, chain, group
from onebox.tasks.definition import Task, registry, task
from onebox.tasks.present import Running, current, progress
from onebox.tasks.result import (GroupResult, Result, TaskCancelled, TaskExpired, TaskFailed,
                                 TaskUnknown)
from onebox.tasks.running import Retry

__all__ = ["BrokerLost", "GroupResult", "NoBroker", "Refused", "Result", "Retry", "Running", "Signature",
           "Task", "TaskCancelled", "TaskError", "TaskExpired", "TaskFailed", "TaskUnknown", "chain",
           "current", "group", "progress", "registry", "task"]

flask_app: Any = None  # whose context tasks run in, where it is not found in what the worker serves
