"""A worker of Celery's that runs the app's tasks, on whichever machine: celery -A onebox.celery_engine:app
worker."""
from __future__ import annotations

import functools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, cast

from celery import Celery
from celery import Task as CeleryTask
from celery.utils.log import get_task_logger
from kombu import Queue
from redis.exceptions import RedisError

os.environ.setdefault("ONEBOX_TASKS_ENGINE", "celery")  # what a task enqueues goes there too

from onebox import engines, target, tasks
from onebox.cancelled import DeadlineExceeded
from onebox.celery_engine import TARGET, CeleryEngine, Unusable, celery_name
from onebox.celery_records import LEASE_SECONDS
from onebox.tasks import app_context, canvas, running
from onebox.tasks.result import GATE

BUSY_SECONDS = LEASE_SECONDS / 4  # before another look at a task that somebody else has
RENEW_SECONDS = LEASE_SECONDS / 4

Around = Callable[[], AbstractContextManager[Any]]


_log = get_task_logger(__name__)


class AttemptFailed(Exception):
    """For Celery: why, the log says before."""


@functools.cache
def app() -> Celery:
    """With a task of Celery's for each of the app's. Raises Unusable, and target.LoadError."""
    where = os.environ.get(TARGET)
    if not where:
        raise Unusable(f"set {TARGET} to what `onebox run` is given, as to project:app")
    around = app_context.around(target.load(where))
    engine = cast(CeleryEngine, engines.engine())
    made = engine.app
    made.set_current()
    rates: dict[str, str | None] = {canvas.GATHERED: None, canvas.LIST: None, celery_name(GATE): None,
                                    **{task.name: task.options.rate for task in tasks.registry.values()}}
    for name, rate in rates.items():
        made.task(_body(engine, around), name=name, bind=True, max_retries=None, rate_limit=rate)
    queues = {"default", *(task.options.queue for task in tasks.registry.values())}
    made.conf.task_queues = [Queue(name) for name in sorted(queues)]
    return made


def _body(engine: CeleryEngine, around: Around) -> Callable[[CeleryTask, int], None]:
    def run(self: CeleryTask, id: int) -> None:
        _hear_deadlines()
        begun = engine.records.begin(id)
        if begun.outcome == "busy":
            raise self.retry(countdown=BUSY_SECONDS)
        if begun.outcome == "begun":
            _attempt(self, engine, begun.task, around)
        for task in engine.records.follow(id):
            engine.send(task)

    return run


def _attempt(message: CeleryTask, engine: CeleryEngine, task: dict[str, Any], around: Around) -> None:
    """Raises what tells Celery how it has ended."""
    run = tasks.Running(task["id"], task["attempts"], task["name"], task["queue"], task["attempts"],
                        task["deaths"], task["retries"], task["enqueued"], task["group"], task["parent"],
                        task["attempts"])
    with _Leases.of(engine).held(run.id):
        outcome = running.attempt(run, lambda: running.prepare(run, task["payload"]), around)
    if isinstance(outcome, running.Done):
        engine.records.done(task, outcome.result, outcome.next)
        return
    engine.records.failed(task, outcome.traceback, outcome.retry_in)
    if engine.records.is_cancelled(run.id):
        return
    again = "for good" if outcome.retry_in is None else f"and is tried again in {outcome.retry_in:.1f} s"
    _log.error("failed in attempt %d, %s:\n%s", run.attempt, again, outcome.traceback.rstrip())
    if outcome.retry_in is not None:
        raise message.retry(countdown=outcome.retry_in)
    raise AttemptFailed(run.name, run.attempt)


def _hear_deadlines() -> None:
    """A time limit and a cancel are a signal in a process of Celery's: in the task they are what they are in a
    box. With threads in place of processes Celery has neither."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGUSR1, _interrupt)


def _interrupt(*_: Any) -> None:
    if tasks.current() is not None:  # else it comes too late, and would end the process
        raise DeadlineExceeded()


class _Leases:
    """Renews those of the tasks that run in this process, by one thread."""

    _made: _Leases | None = None

    @classmethod
    def of(cls, engine: CeleryEngine) -> _Leases:
        if cls._made is None or cls._made.pid != os.getpid():
            cls._made = cls(engine)
        return cls._made

    def __init__(self, engine: CeleryEngine) -> None:
        self.pid = os.getpid()
        self._engine = engine
        self._ids: set[int] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._renew, name="onebox-leases", daemon=True).start()

    @contextmanager
    def held(self, id: int) -> Iterator[None]:
        with self._lock:
            self._ids.add(id)
        try:
            yield
        finally:
            with self._lock:
                self._ids.discard(id)

    def _renew(self) -> None:
        while True:
            time.sleep(RENEW_SECONDS)
            with self._lock:
                ids = list(self._ids)
            if ids:
                try:
                    self._engine.records.renew(ids)
                except RedisError as error:  # it may be back before they have ended
                    print(f"onebox: leases are not renewed: {error}", flush=True)
