"""What the app has, told to the broker: its jobs, its tasks, and the rates of their queues."""
from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any

from onebox import apscheduler_hook
from onebox.engines import TaskError

APSCHEDULER = "onebox:apscheduler"  # told as a task, so that there is a task worker that starts it
JOBS_FILE = "jobs.db"  # beside the broker's socket
START_SECONDS = 2.0  # that a worker's start may wait for it
PAUSE_SECONDS = 1.0  # before the next try, at first
PAUSE_SECONDS_MAX = 30.0

_generation: int | None = None  # of this worker, once it has begun


def contents() -> dict[str, Any]:
    """Nothing of an app that has not imported these modules."""
    definition, jobs = (sys.modules.get(f"onebox.{name}") for name in ("tasks.definition", "jobs"))
    tasks = sorted(definition.registry) if definition else []
    if apscheduler_hook.waits_for_task_worker():
        tasks.append(APSCHEDULER)
    return {"jobs": [job.declared() for job in list(jobs.registry.values())] if jobs else [],
            "queues": definition.queues() if definition else {}, "tasks": tasks}


def declare(generation: int, seconds: float, removed: str | None = None) -> list[tuple[str, str]]:
    """The jobs that were refused, each with the sentence that says why; "" for what is no job. What other
    workers of this generation have told stays, but for the job `removed`. Raises TaskError."""
    from onebox import broker
    told = {"generation": generation, "removed": [removed] if removed else [], **contents()}
    answer = broker.call("declare", told, seconds=seconds)
    return [(error["job"], error["error"]) if "job" in error
            else ("", f"the queue {error.get('queue')} is not held to its rule: {error['error']}")
            for error in answer.get("errors", ())]


def begin(generation: int) -> None:
    """In a worker, after the app was loaded. Waits two seconds at most; then a thread goes on trying. An app
    without any waits for nothing, and has no broker started; but where there were jobs once, it says that there
    are none now."""
    global _generation
    _generation = generation
    path = os.environ.get("ONEBOX_BROKER")
    if not path:
        return
    found = contents()
    if not found["jobs"] and not found["tasks"]:
        if os.path.exists(os.path.join(os.path.dirname(path), JOBS_FILE)):
            _begin_to_try(generation, 0)
        return
    try:
        tell(declare(generation, START_SECONDS))
    except TaskError as error:
        print(f"onebox: the app's jobs and tasks are not declared yet: {error}", file=sys.stderr, flush=True)
        _begin_to_try(generation, PAUSE_SECONDS)


def has_begun() -> bool:
    """Whether this process is a worker that has loaded the app."""
    return _generation is not None


def repeat(new: str | None = None, *, removed: str | None = None) -> None:
    """Where this worker has begun: what has changed since. Raises jobs.JobRefused, where that is the job `new`,
    or TaskError."""
    if _generation is None or not os.environ.get("ONEBOX_BROKER"):
        return
    from onebox.broker import ANSWER_SECONDS
    from onebox.jobs import JobRefused
    for job, error in declare(_generation, ANSWER_SECONDS, removed):
        if job == new:  # the others were told before
            raise JobRefused(sentence(job, error))


def tell(errors: list[tuple[str, str]]) -> None:
    for error in errors:
        print(f"onebox: {sentence(*error)}", file=sys.stderr, flush=True)


def sentence(job: str, error: str) -> str:
    if not job:
        return error
    from onebox.jobs import registry
    place = registry[job].place if job in registry else ""
    return f"{place}: the job {job} is not run: {error}" if place else f"the job {job} is not run: {error}"


def _begin_to_try(generation: int, pause: float) -> None:
    threading.Thread(target=_keep_trying, args=(generation, pause), name="onebox-declare", daemon=True).start()


def _keep_trying(generation: int, pause: float) -> None:
    while True:
        time.sleep(pause)
        try:
            return tell(declare(generation, START_SECONDS))
        except TaskError:
            pause = min(2 * (pause or PAUSE_SECONDS), PAUSE_SECONDS_MAX)
