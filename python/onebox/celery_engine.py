"""The app's tasks on Celery, for more machines than one box: ONEBOX_TASKS_ENGINE=celery.

    ONEBOX_CELERY_BROKER=redis://HOST/0     where Celery's messages go; else redis://127.0.0.1:6379/0
    ONEBOX_CELERY_BACKEND=redis://HOST/1    where states and results are; else the same
    ONEBOX_TARGET=module:app                what a worker imports

    celery -A onebox.celery_engine:app worker

Tasks keep their names there, as Celery's own. What a rate says holds for each worker of Celery's. Keys
(unique, dedupe) are refused.
"""
from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

import kombu.pools
from celery import Celery
from kombu.exceptions import OperationalError
from redis import Redis
from redis.exceptions import RedisError

from onebox.celery_records import Records
from onebox.engines import ENDED, Admission, BrokerLost, Cancelling, New, Status
from onebox.tasks.result import GATE

BROKER, BACKEND, TARGET = "ONEBOX_CELERY_BROKER", "ONEBOX_CELERY_BACKEND", "ONEBOX_TARGET"
BROKER_USUAL = "redis://127.0.0.1:6379/0"
ANSWER_SECONDS = 10.0  # that Redis may take
LOOK_SECONDS = (0.01, 0.5)  # between two looks at a task that is waited for: at first, at last
_PRIORITY_MAX = 9


class Unusable(RuntimeError):
    """What is set for Celery cannot be."""


def broker_url() -> str:
    return os.environ.get(BROKER) or BROKER_USUAL


def backend_url() -> str:
    found = os.environ.get(BACKEND) or broker_url()
    if not found.startswith(("redis://", "rediss://", "unix://")):
        raise Unusable(f"states and results of tasks are kept in Redis: set {BACKEND} to a redis:// URL, not "
                       f"{found.partition(':')[0]}")
    return found


def make_app() -> Celery:
    made = Celery("onebox", broker=broker_url(), set_as_current=False)
    made.conf.update(
        task_ignore_result=True, task_acks_late=True, task_reject_on_worker_lost=True,
        task_default_queue="default", worker_prefetch_multiplier=1, task_serializer="json",
        accept_content=["json"],
        broker_transport_options={"priority_steps": list(range(_PRIORITY_MAX + 1)),
                                  "queue_order_strategy": "priority"})
    return made


def records() -> Records:
    return Records(Redis.from_url(backend_url(), decode_responses=True, socket_timeout=ANSWER_SECONDS))


class CeleryEngine:
    """Raises Unusable where it is not set up."""

    def __init__(self) -> None:
        self._app = make_app()
        self._pid = os.getpid()
        self.records = records()

    @property
    def app(self) -> Celery:
        """Of this process: connections are not shared with one that was forked."""
        if self._pid != os.getpid():
            kombu.pools.reset()
            self._app, self._pid = make_app(), os.getpid()
        return self._app

    def enqueue(self, tasks: Sequence[New]) -> list[Admission]:
        refused: list[Admission | None] = [_refusal(task) for task in tasks]
        fine = [task for task, why in zip(tasks, refused) if why is None]
        with _told("enqueue"):
            ids = iter(self._enqueue(lambda: self.records.add(fine) if fine else []))
        return [why or {"id": next(ids), "as": "new"} for why in refused]

    def group(self, members: Sequence[New], callback: New) -> tuple[int, list[int]]:
        made: list[int] = []

        def add() -> list[int]:
            made[:] = [self.records.add_group(members, callback)[0]]
            return [made[0] + 1 + place for place in range(len(members))]

        with _told("group"):
            ids = self._enqueue(add)
        return made[0], ids

    def status(self, ids: Sequence[int]) -> list[Status | None]:
        with _told("status"):
            return self.records.find(ids)

    def wait(self, id: int, seconds: float) -> Status | None:
        until = time.monotonic() + seconds
        pause, most = LOOK_SECONDS
        while True:
            found = self.status([id])[0]
            left = until - time.monotonic()
            if found is None or found["state"] in ENDED or left <= 0:
                return found
            time.sleep(min(pause, left))
            pause = min(2 * pause, most)

    def members(self, id: int) -> list[Status]:
        with _told("members"):
            return self.records.members(id)

    def cancel(self, ids: Sequence[int]) -> list[Cancelling]:
        with _told("cancel"):
            outcomes = [self.records.cancel(id) for id in ids]
            for id, outcome in zip(ids, outcomes):
                if outcome == "running":  # the worker's process hears of it as of a time limit
                    self.app.control.revoke(message_id(id), terminate=True, signal="SIGUSR1")
        return outcomes

    def progress(self, id: int, token: int, progress: float) -> None:
        with _told("progress"):
            self.records.progress(id, progress)

    def send(self, task: dict[str, Any]) -> None:
        """A message to whichever worker of Celery's; `task` is as its record has it."""
        priority = task["priority"]
        options: dict[str, Any] = {}
        if task.get("timeout"):
            options["soft_time_limit"] = task["timeout"]
        if task["eta"] > time.time():
            options["eta"] = datetime.fromtimestamp(task["eta"], timezone.utc)
        self.app.send_task(
            celery_name(task["name"]), args=(task["id"],), task_id=message_id(task["id"]), queue=task["queue"],
            # For Redis 0 comes first, for all others what is highest.
            priority=_PRIORITY_MAX - priority if broker_url().startswith("redis") else priority, **options)

    def _enqueue(self, add: Callable[[], list[int]]) -> list[int]:
        ids = add()
        sent = 0
        try:
            for task in self.records.tasks(ids):
                self.send(task)
                sent += 1
        except BaseException:
            if not sent:  # nobody knows of them
                self.records.forget(ids)
            raise
        return ids


def celery_name(name: str) -> str:
    """Of a task, as Celery knows it: a gate's own says which it is, and has no end of them."""
    return GATE.strip() if name.startswith(GATE) else name


def message_id(id: int) -> str:
    return f"onebox-{id}"


def _refusal(task: New) -> Admission | None:
    for key in ("unique", "dedupe"):
        if task.get(key):
            return {"error": f"Celery has no {key} keys: leave it out, or run this task on the box's own queue",
                    "retry": False}
    return None


@contextmanager
def _told(op: str) -> Iterator[None]:
    """Errors of Redis and of Celery as those of an engine."""
    try:
        yield
    except (RedisError, OperationalError, OSError) as error:
        raise BrokerLost(f"{op}: Celery's broker or its backend cannot be asked: {error}",
                         unknown=op in ("enqueue", "group")) from error


def __getattr__(name: str) -> Any:
    """`app`, for Celery's command line: with it the user's app is imported."""
    if name == "app":
        from onebox import celery_worker
        return celery_worker.app()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
