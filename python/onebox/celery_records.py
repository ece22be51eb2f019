"""What Celery does not keep of a task, in Redis: its state, its result, its group, and who has it.

A task is a hash, which knows its states as the box's own queue does; a message of Celery's only names it.
So a message that comes twice, as Redis' do after their visibility timeout, does nothing the second time.
Each change is one transaction.
"""
from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from onebox.engines import ENDED, Cancelling, New, Next, Status
from onebox.tasks.canvas import KEEP_LEAST

LEASE_SECONDS = 60  # after which a worker that says nothing does not have its task any more
DEDUPE_SECONDS = 7 * 86400  # of what follows: its key is of one group
DEATHS_MAX = 3  # of workers that had a task
_PREFIX = "onebox:"
_NUMBERS = ("id", "priority", "attempts", "deaths", "group", "parent", "retries")
_TIMES = ("enqueued", "eta", "expires", "begun", "ended", "progress", "timeout", "keep")


class Begun(NamedTuple):
    """Of an attempt that a worker wants to begin."""

    outcome: str  # "begun"; "busy": another has it; "over": nobody is to run it, only what follows is to be sent
    task: dict[str, Any]


class Records:
    """`client`: of redis-py, which decodes what it reads. Raises its errors."""

    def __init__(self, client: Any) -> None:
        self._client = client

    # --- for who enqueues

    def add(self, tasks: Sequence[New]) -> list[int]:
        first = self._take_ids(len(tasks))
        with self._client.pipeline() as pipe:
            for id, task in enumerate(tasks, first):
                self._write(pipe, id, task, "waiting")
            pipe.execute()
        return list(range(first, first + len(tasks)))

    def add_group(self, members: Sequence[New], callback: New) -> tuple[int, list[int]]:
        id = self._take_ids(1 + len(members))
        ids = [id + 1 + place for place in range(len(members))]
        with self._client.pipeline() as pipe:
            self._write(pipe, id, callback, "held")
            for number, member in zip(ids, members):
                self._write(pipe, number, member, "waiting", id)
            pipe.rpush(_members(id), *ids)
            pipe.sadd(_pending(id), *ids)
            pipe.execute()
        return id, ids

    def forget(self, ids: Sequence[int]) -> None:
        self._client.delete(*map(_key, ids), *map(_members, ids), *map(_pending, ids))

    def find(self, ids: Sequence[int]) -> list[Status | None]:
        with self._client.pipeline(transaction=False) as pipe:
            for id in ids:
                pipe.hgetall(_key(id))
            found = pipe.execute()
        return [cast(Status, self._shown(_read(task))) if task else None for task in found]

    def members(self, id: int) -> list[Status]:
        ids = [int(number) for number in self._client.lrange(_members(id), 0, -1)]
        return [task for task in self.find(ids) if task]

    def cancel(self, id: int) -> Cancelling:
        def change(pipe: Any) -> Cancelling:
            task = _read(pipe.hgetall(_key(id)))
            pipe.multi()
            if not task:
                return "unknown"
            if task["state"] in ENDED:
                return "ended"
            if task["state"] == "running":
                pipe.hset(_key(id), "cancel_asked", 1)
                return "running"
            self._end(pipe, task, "cancelled")
            return "done"

        return cast(Cancelling, self._client.transaction(change, _key(id), value_from_callable=True))

    # --- for who runs it

    def begin(self, id: int) -> Begun:
        def change(pipe: Any) -> Begun:
            task = _read(pipe.hgetall(_key(id)))
            has_lease = pipe.exists(_lease(id))
            pipe.multi()
            if not task or task["state"] in ENDED:
                return Begun("over", task)
            if task.get("expires") and task["expires"] <= time.time() and task["state"] == "waiting":
                self._end(pipe, task, "expired")
                return Begun("over", task)
            if task["state"] == "running":
                if has_lease:
                    return Begun("busy", task)
                task["deaths"] += 1
            if task["deaths"] >= DEATHS_MAX:
                self._end(pipe, task, "dead", deaths=task["deaths"],
                          traceback=f"{task['deaths']} workers have died while they had it")
                return Begun("over", task)
            task["attempts"] += 1
            pipe.hset(_key(id), mapping={"state": "running", "attempts": task["attempts"],
                                         "deaths": task["deaths"], "begun": time.time()})
            pipe.set(_lease(id), task["attempts"], ex=LEASE_SECONDS)
            return Begun("begun", task)

        return cast(Begun, self._client.transaction(change, _key(id), _lease(id), value_from_callable=True))

    def renew(self, ids: Sequence[int]) -> None:
        with self._client.pipeline(transaction=False) as pipe:
            for id in ids:
                pipe.expire(_lease(id), LEASE_SECONDS)
            pipe.execute()

    def progress(self, id: int, progress: float) -> None:
        if self._client.exists(_key(id)):
            self._client.hset(_key(id), "progress", progress)

    def is_cancelled(self, id: int) -> bool:
        return bool(self._client.hget(_key(id), "cancel_asked"))

    def done(self, task: dict[str, Any], result: str, following: Sequence[Next]) -> None:
        """Ends the attempt that begin() gave; what follows is there then, and its ids are in follow()."""
        first = self._take_ids(len(following)) if following else 0

        def change(pipe: Any) -> None:
            if not self._is_ours(pipe, task):
                pipe.multi()
                return
            group = task["group"]
            pending = set(pipe.smembers(_pending(group))) if group else set()
            fresh = {id: new for id, new in enumerate(following, first)
                     if "dedupe" not in new or not pipe.exists(_dedupe(new["dedupe"]))}
            pipe.multi()
            ids = list(fresh)
            in_group = [id for id, new in fresh.items() if new.get("member") and group]
            for id, new in fresh.items():
                self._write(pipe, id, new, "waiting", group if id in in_group else 0)
                if "dedupe" in new:
                    pipe.set(_dedupe(new["dedupe"]), id, ex=DEDUPE_SECONDS)
            if in_group:
                pipe.rpush(_members(group), *in_group)
                pipe.sadd(_pending(group), *in_group)
            if group:
                pipe.srem(_pending(group), task["id"])
            if group and not in_group and pending == {str(task["id"])}:
                pipe.hset(_key(group), "state", "waiting")
                ids.append(group)
            self._end(pipe, task, "done", result=result, follow=json.dumps(ids))

        group = task["group"]
        keys = [_dedupe(new["dedupe"]) for new in following if "dedupe" in new]
        self._client.transaction(change, _key(task["id"]), _pending(group), _key(group), *keys)

    def failed(self, task: dict[str, Any], traceback: str, retry_in: float | None) -> None:
        """Ends the attempt; without `retry_in` the task too."""
        def change(pipe: Any) -> None:
            if not self._is_ours(pipe, task):
                pipe.multi()
                return
            cancelled = pipe.hget(_key(task["id"]), "cancel_asked")
            pipe.multi()
            if cancelled:
                self._end(pipe, task, "cancelled", traceback="cancelled")
            elif retry_in is None:
                self._end(pipe, task, "dead", traceback=traceback)
            else:
                pipe.hset(_key(task["id"]), mapping={"state": "waiting", "traceback": traceback,
                                                     "eta": time.time() + retry_in})
                pipe.delete(_lease(task["id"]))

        self._client.transaction(change, _key(task["id"]))

    def follow(self, id: int) -> list[dict[str, Any]]:
        """What is to be sent when that task has ended: as often as it is asked, until somebody has begun it."""
        ids = json.loads(self._client.hget(_key(id), "follow") or "[]")
        return [task for task in self.tasks(ids) if task and task["state"] == "waiting"]

    def tasks(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        return [_read(self._client.hgetall(_key(id))) for id in ids]

    # --- inside of a transaction

    def _take_ids(self, count: int) -> int:
        """The first of so many."""
        return int(self._client.incrby(_PREFIX + "last", count)) - count + 1

    def _write(self, pipe: Any, id: int, new: New, state: str, group: int = 0) -> None:
        now = time.time()
        task = {"id": id, "state": state, "name": new["name"], "payload": new["payload"],
                "queue": new.get("queue", "default"), "priority": new.get("priority", 4), "attempts": 0,
                "deaths": 0, "group": group, "parent": new.get("parent", 0), "enqueued": now,
                "eta": new.get("eta", now + new.get("countdown", 0)), "retries": new.get("retries", 0),
                "keep": new.get("keep", 0), "timeout": new.get("timeout", 0)}
        if "expires" in new or "expires_in" in new:
            task["expires"] = new.get("expires", now + new.get("expires_in", 0))
        pipe.hset(_key(id), mapping=task)

    def _is_ours(self, pipe: Any, task: dict[str, Any]) -> bool:
        """Whether that attempt is still the last one."""
        state, attempts = pipe.hmget(_key(task["id"]), "state", "attempts")
        return bool(state == "running" and int(attempts) == task["attempts"])

    def _end(self, pipe: Any, task: dict[str, Any], state: str, **fields: Any) -> None:
        key, keep = _key(task["id"]), max(1, int(task["keep"]))
        pipe.hset(key, mapping={"state": state, "ended": time.time(), **fields})
        pipe.hdel(key, "payload")
        pipe.delete(_lease(task["id"]))
        for own in (key, _members(task["id"]), _pending(task["id"])):
            pipe.expire(own, keep)
        if task["group"] and state in ("cancelled", "expired"):
            pipe.hset(_key(task["group"]), mapping={"state": "cancelled", "ended": time.time()})
            for own in (_key(task["group"]), _members(task["group"]), _pending(task["group"])):
                pipe.expire(own, int(KEEP_LEAST))

    @staticmethod
    def _shown(task: dict[str, Any]) -> dict[str, Any]:
        if task["state"] == "waiting" and task.get("expires") and task["expires"] <= time.time():
            task["state"] = "expired"
        task["cancel_asked"] = bool(task.get("cancel_asked"))
        return {key: value for key, value in task.items()
                if key not in ("payload", "keep", "timeout", "retries", "follow")}


def _read(task: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = dict(task)
    for name in _NUMBERS:
        if name in found:
            found[name] = int(found[name])
    for name in _TIMES:
        if name in found:
            found[name] = float(found[name])
    return found


def _key(id: int) -> str:
    return f"{_PREFIX}task:{id}"


def _lease(id: int) -> str:
    return f"{_PREFIX}lease:{id}"


def _members(id: int) -> str:
    return f"{_PREFIX}members:{id}"


def _pending(id: int) -> str:
    return f"{_PREFIX}pending:{id}"


def _dedupe(key: str) -> str:
    return f"{_PREFIX}dedupe:{key}"
