"""django.tasks (Django 6.0 and later) upon the box's durable queue.

    TASKS = {"default": {"BACKEND": "onebox.django_tasks.OneboxBackend", "QUEUES": ["default", "mail"]}}

OPTIONS are retries, timeout and keep (seconds) of tasks that do not say them: `@task(retries=3,
timeout=30)`. Priorities from -100 to 100 become the queue's 0 to 9. What is enqueued is on the disk
when enqueue() returns, whatever becomes of a transaction: transaction.on_commit(), as Django's
documentation has it, or onebox.outbox.
"""
from __future__ import annotations

import inspect
import json
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import wraps
from typing import Any

from django.conf import settings
from django.tasks.backends.base import BaseTaskBackend
from django.tasks.base import Task, TaskContext, TaskError, TaskResult, TaskResultStatus
from django.tasks.exceptions import InvalidTaskBackend, TaskResultDoesNotExist
from django.tasks.signals import task_enqueued, task_finished, task_started
from django.utils.json import normalize_json
from django.utils.module_loading import import_string

from onebox import tasks
from onebox.engines import Status, engine
from onebox.tasks import payload
from onebox.tasks.definition import Task as OneboxTask
from onebox.tasks.definition import admitted, name_of

_NOTE = "onebox: "  # before what a failed attempt says of itself, in the last line of its traceback
_NOTE_CHARACTERS_MAX = 10_000
_WORKER = "onebox"  # one for each attempt: which process it was, the log says
_STATUSES = {"held": TaskResultStatus.READY, "waiting": TaskResultStatus.READY,
             "running": TaskResultStatus.RUNNING, "done": TaskResultStatus.SUCCESSFUL}
_ENDS = {"expired": "onebox.tasks.TaskExpired", "cancelled": "onebox.tasks.TaskCancelled"}
_SIGNATURE = inspect.Signature([inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY)
                                for name in ("args", "kwargs", "given")])


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedTask(Task):
    """As Django's, with what the queue can do beside it. None: as the backend's OPTIONS say."""

    retries: int | None = None  # attempts after the first
    timeout: float | None = None  # seconds that an attempt may take
    keep: float | None = None  # seconds for which its result can be asked for

    def __post_init__(self) -> None:
        Task.__post_init__(self)
        _registered(self)


class OneboxBackend(BaseTaskBackend):
    task_class = QueuedTask
    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True

    def __init__(self, alias: str, params: dict[str, Any]) -> None:
        super().__init__(alias, params)
        if "ENQUEUE_ON_COMMIT" in params or "ENQUEUE_ON_COMMIT" in self.options:
            raise InvalidTaskBackend("Onebox has no ENQUEUE_ON_COMMIT, since a task that is not enqueued has no "
                                     "id: use transaction.on_commit(partial(task.enqueue, ...))")
        if unknown := set(self.options) - {"retries", "timeout", "keep"}:
            raise InvalidTaskBackend(f"OPTIONS of onebox.django_tasks are retries, timeout and keep, not "
                                     f"{', '.join(sorted(unknown))}")

    def enqueue(self, task: Task, args: Any, kwargs: Any) -> TaskResult:
        """Raises TypeError where the arguments are no JSON, and onebox.tasks.TaskError."""
        self.validate_task(task)
        given = {"backend": self.alias, "priority": task.priority, "queue_name": task.queue_name}
        result = _result(task, {"args": list(args), "kwargs": dict(kwargs), **given},
                         {"enqueued": time.time()})
        message = _registered(task).message(
            (result.args, result.kwargs, given), queue=task.queue_name,
            priority=queue_priority(task.priority),
            eta=task.run_after, **{name: self._option(task, name) for name in ("retries", "timeout", "keep")})
        admission, = engine().enqueue([message])
        object.__setattr__(result, "id", str(admitted(admission, task.module_path)))
        task_enqueued.send(type(self), task_result=result)
        return result

    def get_result(self, result_id: str) -> TaskResult:
        """Arguments and priority are known to who has enqueued it, and to all once it has ended; until
        then they are empty here, and the task's own."""
        found = engine().status([int(result_id)])[0] if str(result_id).isdecimal() else None
        task = _task_of(found["name"]) if found else None
        if found is None or task is None:
            raise TaskResultDoesNotExist(result_id)
        error = _note_of(found.get("traceback") or "")
        value = payload.load_result(found.get("result")) if found["state"] == "done" else {}
        said = {"backend": self.alias, "priority": task.priority, "args": [], "kwargs": {},
                **error, **value, "queue_name": found["queue"]}
        result = _result(task.using(priority=said["priority"], queue_name=said["queue_name"]), said, found)
        object.__setattr__(result, "id", str(result_id))
        object.__setattr__(result, "_return_value", value.get("value"))
        result.errors.extend(_errors(found, error))
        return result

    def _option(self, task: Task, name: str) -> Any:
        own = getattr(task, name, None)
        return self.options.get(name) if own is None else own


def queue_priority(priority: int) -> int:
    """-100 to 100 in ten parts of the same width; 0 is the queue's usual 4."""
    return (priority + 100) * 10 // 201


def _registered(task: Task) -> OneboxTask[..., Any]:
    """What the queue knows it as: "module:qualname", like any task of the app."""
    name = name_of(task.func)
    if name not in tasks.registry:
        @wraps(task.func)
        def run(args: list[Any], kwargs: dict[str, Any], given: dict[str, Any]) -> Any:
            return _run(task, args, kwargs, given)

        run.__signature__ = _SIGNATURE  # type: ignore[attr-defined]
        tasks.task(name=name, queue=task.queue_name)(run)
    return tasks.registry[name]


def _run(task: Task, args: list[Any], kwargs: dict[str, Any], given: dict[str, Any]) -> Any:
    """An attempt, in a task worker."""
    attempt = tasks.current()
    now = time.time()
    said = {"args": args, "kwargs": kwargs, **given}
    result = _result(task.using(priority=given["priority"], queue_name=given["queue_name"]), said, {
        "state": "running", "enqueued": attempt.enqueued if attempt else now, "begun": now,
        "attempts": attempt.attempt if attempt else 1})
    object.__setattr__(result, "id", str(attempt.id if attempt else 0))
    task_started.send(OneboxBackend, task_result=result)
    before = (TaskContext(task_result=result),) if task.takes_context else ()
    try:
        value = normalize_json(task.call(*before, *args, **kwargs))
    except BaseException as error:
        kind = f"{type(error).__module__}.{type(error).__qualname__}"
        note = json.dumps({"class": kind, **said}, separators=(",", ":"))
        if len(note) <= _NOTE_CHARACTERS_MAX:
            error.add_note(_NOTE + note)
        if not (attempt and attempt.tries_left):
            _end(result, TaskResultStatus.FAILED)
        raise
    object.__setattr__(result, "_return_value", value)
    _end(result, TaskResultStatus.SUCCESSFUL)
    return {"value": value, **said}


def _end(result: TaskResult, status: TaskResultStatus) -> None:
    object.__setattr__(result, "finished_at", _time(time.time()))
    object.__setattr__(result, "status", status)
    task_finished.send(OneboxBackend, task_result=result)


def _result(task: Task, said: dict[str, Any], found: Status | dict[str, Any]) -> TaskResult:
    begun = _time(found.get("begun"))
    return TaskResult(
        task=task, id="", status=_STATUSES.get(found.get("state", "waiting"), TaskResultStatus.FAILED),
        enqueued_at=_time(found.get("enqueued")), started_at=begun, last_attempted_at=begun,
        finished_at=_time(found.get("ended")), args=said["args"], kwargs=said["kwargs"],
        backend=said["backend"], errors=[], worker_ids=[_WORKER] * int(found.get("attempts") or 0))


def _time(seconds: Any) -> datetime | None:
    """As settings.USE_TZ has it."""
    if not seconds:
        return None
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return moment if settings.USE_TZ else moment.astimezone().replace(tzinfo=None)


def _task_of(name: str) -> Task | None:
    try:
        found = import_string(name.replace(":", "."))
    except ImportError:
        return None
    return found if isinstance(found, Task) else None


def _note_of(traceback: str) -> dict[str, Any]:
    """What a failed attempt has said of itself."""
    last = traceback.rstrip().rpartition("\n")[2]
    if not last.startswith(_NOTE):
        return {}
    found: dict[str, Any] = json.loads(last.removeprefix(_NOTE))
    return found


def _errors(found: Status, note: dict[str, Any]) -> list[TaskError]:
    """Of the last attempt that has failed, or of an end without one."""
    text = found.get("traceback") or ""
    kind = _ENDS.get(found["state"])
    if kind is None and not text:
        return []
    return [TaskError(exception_class_path=kind or note.get("class", "onebox.tasks.TaskFailed"),
                      traceback=text)]
