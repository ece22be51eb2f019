"""Runs each task at once, in the caller: for tests, with ONEBOX_TASKS_ENGINE=eager."""
from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from onebox.engines import ENDED, Admission, Cancelling, New, Status
from onebox.tasks import running
from onebox.tasks.present import Running

KEPT_MAX = 10_000  # ends that can be asked for


class EagerEngine:
    """Nothing waits: an ETA has come, and a failed attempt is followed by the next."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # never held while a task runs
        self._last = 0
        self._tasks: dict[int, Status] = {}
        self._by_dedupe: dict[str | None, int] = {}

    def enqueue(self, tasks: Sequence[New]) -> list[Admission]:
        return [self._enqueue(task) for task in tasks]

    def group(self, members: Sequence[New], callback: New) -> tuple[int, list[int]]:
        id = self._new(callback, "held")
        ids = [self._new(member, "waiting", id) for member in members]
        for member, number in zip(members, ids):
            self._run(number, member)
        states = {member["state"] for member in self.members(id)}
        if states == {"done"}:
            self._run(id, callback)
        elif states - {"done", "dead"}:
            self._tasks[id]["state"] = "cancelled"
        return id, ids

    def status(self, ids: Sequence[int]) -> list[Status | None]:
        return [self._tasks.get(id) for id in ids]

    def wait(self, id: int, seconds: float) -> Status | None:
        return self._tasks.get(id)

    def members(self, id: int) -> list[Status]:
        return [task for task in list(self._tasks.values()) if task["group"] == id]

    def cancel(self, ids: Sequence[int]) -> list[Cancelling]:
        return [self._cancel(id) for id in ids]

    def progress(self, id: int, token: int, progress: float) -> None:
        if task := self._tasks.get(id):
            task["progress"] = progress

    def _enqueue(self, task: New) -> Admission:
        if not self._is_new(task):
            return {"id": self._by_dedupe[task["dedupe"]], "as": "deduped"}
        id = self._new(task, "waiting")
        self._run(id, task)
        return {"id": id, "as": "new"}

    def _is_new(self, task: New) -> bool:
        return task.get("dedupe") not in self._by_dedupe

    def _new(self, task: New, state: str, group: int = 0) -> int:
        now = time.time()
        with self._lock:
            self._last += 1
            self._tasks[self._last] = {
                "id": self._last, "state": state, "queue": task.get("queue", "default"),  # type: ignore
                "name": task["name"], "priority": task.get("priority", 4), "attempts": 0, "deaths": 0,
                "group": group, "parent": task.get("parent", 0), "enqueued": now, "eta": now}
            if key := task.get("dedupe"):
                self._by_dedupe[key] = self._last
            while len(self._tasks) > KEPT_MAX:
                del self._tasks[next(iter(self._tasks))]
            return self._last

    def _run(self, id: int, task: New) -> None:
        """And what follows it in its chain."""
        ahead = [(id, task)]
        while ahead:
            ahead += self._run_one(*ahead.pop(0))

    def _run_one(self, id: int, task: New) -> list[tuple[int, New]]:
        """What follows it."""
        status = self._tasks[id]
        status["state"] = "running"
        while True:
            status["attempts"] += 1
            run = Running(
                id, status["attempts"], task["name"], status["queue"], status["attempts"],
                retries=task.get("retries", 0), enqueued=status["enqueued"], group=status["group"],
                parent=status["parent"], fence=status["attempts"])
            outcome = running.attempt(run, lambda: running.prepare(run, task["payload"]))
            if isinstance(outcome, running.Done):
                break
            status["traceback"] = outcome.traceback
            if outcome.retry_in is None:
                status["state"] = "dead"
                return []
        status["result"] = outcome.result
        status["state"] = "done"
        return [(self._new(after, "waiting", status["group"]), after) for after in outcome.next
                if self._is_new(after)]

    def _cancel(self, id: int) -> Cancelling:
        task = self._tasks.get(id)
        if task is None:
            return "unknown"
        if task["state"] in ENDED:
            return "ended"
        task["state"] = "cancelled"  # the callback of a member that is dead
        return "done"
