"""The WSGI app of a task worker: POST /task runs one attempt at a task or a job.

Its answer says no more than that the thread is free. How the task has ended goes to the broker by the
reporter, which keeps it until it is confirmed.
"""
from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from typing import Any

from onebox.cancelled import Cancelled
from onebox.tasks import app_context, job_run, reporter, running
from onebox.tasks.present import Running
from onebox.tasks.running import Done, Failed

JOBS_QUEUE = "onebox.jobs"
FINISH_SECONDS = 5.0  # that the broker may take to confirm the last outcomes

Environ = dict[str, Any]


class TaskApp:
    """One for the process, after its fork. `app` is the user's."""

    def __init__(self, app: Any, worker: int, generation: int) -> None:
        self._around = app_context.around(app)
        self._reporter = reporter.begin(worker, generation)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if (environ["REQUEST_METHOD"], environ["PATH_INFO"]) != ("POST", "/task"):
            start_response("404 Not Found", [("Content-Length", "0")])
            return []
        task = json.loads(environ["wsgi.input"].read())
        run = running_of(task)
        outcome: Done | Failed | None = None
        if not self._reporter.begin(run.key, task.get("broker", "")):
            self._reporter.ended(run.key, {"op": "handed_back"})
            start_response("204 No Content", [])
            return []
        try:
            outcome = attempt(run, task["payload"], self._around)
            self._report(run, outcome)
        except Cancelled as error:  # it comes when the task itself has ended, and once at most
            self._report(run, outcome or Failed(running.traceback_of(error), running.late(run)))
        start_response("204 No Content", [])
        return []

    def finish(self) -> None:
        """After the last task."""
        if left := self._reporter.finish(FINISH_SECONDS):
            print(f"onebox: the broker does not know how {left} tasks of this worker have ended; they run "
                  "again", file=sys.stderr, flush=True)

    def _report(self, run: Running, outcome: Done | Failed) -> None:
        self._reporter.ended(run.key, self._told(run, outcome))
        self._reporter.forget(run.key)

    def _told(self, run: Running, outcome: Done | Failed) -> dict[str, Any]:
        """As the broker takes it."""
        if isinstance(outcome, Done):
            told: dict[str, Any] = {"op": "done", "result": outcome.result}
            if outcome.next:
                told["next"] = outcome.next
            return told
        why = self._reporter.why(run.key)
        what = f"{'job' if run.queue == JOBS_QUEUE else 'task'} {run.id} {run.name}"
        if why == "stop":
            _tell(f"{what} is handed back, since this worker ends")
            return {"op": "handed_back"}
        if why == "cancelled":
            _tell(f"{what} was cancelled")
            return {"op": "failed", "traceback": "cancelled", "retry_in": None}
        again = "for good" if outcome.retry_in is None else f"and is tried again in {outcome.retry_in:.1f} s"
        _tell(f"{what} has failed in attempt {run.attempt}, {again}:\n{outcome.traceback.rstrip()}")
        return {"op": "failed", "traceback": outcome.traceback, "retry_in": outcome.retry_in}


def running_of(task: dict[str, Any]) -> Running:
    """Of what the broker sends."""
    return Running(task["id"], task["token"], task["name"], task["queue"], task["attempt"],
                   task.get("deaths", 0), task.get("retries", 0), task.get("enqueued", 0.0),
                   task.get("group", 0), task.get("parent", 0), task["token"])


def attempt(run: Running, text: str, around: Callable[[], AbstractContextManager[Any]]) -> Done | Failed:
    """Raises nothing but what comes from outside when it has ended."""
    if run.queue == JOBS_QUEUE:
        return running.attempt(run, lambda: job_run.prepare(run, text), around)
    return running.attempt(run, lambda: running.prepare(run, text), around)


def _tell(sentence: str) -> None:
    with suppress(Exception):  # a message is not worth an outcome
        print(f"onebox: {sentence}", file=sys.stderr, flush=True)
