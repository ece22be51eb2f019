"""Does Onebox's backend keep what django.tasks promises?"""
import asyncio
import datetime as dt
import os
import time
import unittest
from unittest import mock

os.environ["ONEBOX_TASKS_ENGINE"] = "eager"  # each task runs when it is enqueued

import django
from django.conf import settings

QUEUES = ["default", "mail"]
BACKEND = "onebox.django_tasks.OneboxBackend"
settings.configure(USE_TZ=True, TASKS={
    "default": {"BACKEND": BACKEND, "QUEUES": QUEUES},
    "brief": {"BACKEND": BACKEND, "QUEUES": QUEUES, "OPTIONS": {"keep": 5, "timeout": 9, "retries": 1}},
    "immediate": {"BACKEND": "django.tasks.backends.immediate.ImmediateBackend", "QUEUES": QUEUES},
})
django.setup()

import django_tasks_app as app
from django.tasks import TaskResultStatus, default_task_backend, task, task_backends
from django.tasks.exceptions import (
    InvalidTask, InvalidTaskBackend, TaskResultDoesNotExist, TaskResultMismatch)
from django.tasks.signals import task_enqueued, task_finished, task_started

from onebox import django_tasks, engines, tasks
from onebox.django_tasks import OneboxBackend, queue_priority

UTC = dt.timezone.utc


class Kept:
    """An engine that runs nothing: what it has been given, and what it is to say."""

    def __init__(self):
        self.given = []
        self.says = {}

    def enqueue(self, new):
        self.given += new
        return [{"id": 40 + len(self.given), "as": "new"} for _ in new]

    def status(self, ids):
        return [self.says.get(id) for id in ids]


class Case(unittest.TestCase):
    def setUp(self):
        app.calls.clear()

    def keep(self):
        kept = Kept()
        patch = mock.patch.object(django_tasks, "engine", lambda: kept)
        patch.start()
        self.addCleanup(patch.stop)
        return kept


class Enqueued(Case):
    def test_a_task_runs_as_with_django_s_own_backend(self):
        for made, args, kwargs in ((app.add, (1,), {}), (app.add, (1,), {"b": 5}), (app.send, ("a@b",), {}),
                                   (app.asynchronous, ("word",), {})):
            theirs = made.using(backend="immediate").enqueue(*args, **kwargs)
            ours = made.get_result(made.enqueue(*args, **kwargs).id)
            for name in ("status", "return_value", "args", "kwargs", "errors", "is_finished", "attempts"):
                self.assertEqual(getattr(ours, name), getattr(theirs, name), (made, name))
            self.assertEqual((ours.task.priority, ours.task.queue_name, ours.task.func),
                             (theirs.task.priority, theirs.task.queue_name, theirs.task.func))

    def test_what_the_queue_is_told(self):
        kept = self.keep()
        before = time.time()
        result = app.send.enqueue("a@b")
        self.assertEqual((result.id, result.status, result.args, result.kwargs, result.backend),
                         ("41", TaskResultStatus.READY, ["a@b"], {}, "default"))
        self.assertTrue(before <= result.enqueued_at.timestamp() <= time.time())
        later = dt.datetime(2037, 1, 2, tzinfo=UTC)
        app.send.using(run_after=later, priority=-100, queue_name="default", backend="brief").enqueue("c@d")
        app.add.using(backend="brief").enqueue(1)
        first, second, third = ({key: task.get(key) for key in (
            "name", "queue", "priority", "eta", "retries", "timeout", "keep")} for task in kept.given)
        name = "django_tasks_app:send"
        self.assertEqual(first, {"name": name, "queue": "mail", "priority": 7, "eta": None, "retries": 2,
                                 "timeout": 5, "keep": 86400})
        self.assertEqual(second, {"name": name, "queue": "default", "priority": 0, "eta": later.timestamp(),
                                  "retries": 2, "timeout": 5, "keep": 5})
        self.assertEqual((third["retries"], third["timeout"], third["priority"]), (1, 9, 4))

    def test_priorities(self):
        found = [queue_priority(priority) for priority in range(-100, 101)]
        self.assertEqual((found[0], found[100], found[200]), (0, 4, 9))
        self.assertEqual(found, sorted(found))
        self.assertEqual(set(found), set(range(10)))

    def test_async_variants(self):
        async def use():
            result = await app.add.aenqueue(2, b=3)
            found = await app.add.aget_result(result.id)
            await result.arefresh()
            return found.return_value, result.return_value

        self.assertEqual(asyncio.run(use()), (5, 5))

    def test_signals(self):
        heard = []

        def hear(sender, task_result, signal, **_):
            heard.append((signal, sender, task_result.status, task_result.id))

        for signal in (task_enqueued, task_started, task_finished):
            signal.connect(hear)
            self.addCleanup(signal.disconnect, hear)
        result = app.add.enqueue(1)
        statuses = {signal: (status, sender) for signal, sender, status, _ in heard}
        self.assertEqual(statuses, {task_enqueued: (TaskResultStatus.READY, OneboxBackend),
                                    task_started: (TaskResultStatus.RUNNING, OneboxBackend),
                                    task_finished: (TaskResultStatus.SUCCESSFUL, OneboxBackend)})
        self.assertEqual({id for *_, id in heard}, {result.id})

    def test_a_context(self):
        result = app.contextual.enqueue("w")
        self.assertEqual(app.contextual.get_result(result.id).return_value, ["w", 1, result.id, ["w"]])

    def test_what_is_no_json_is_refused(self):
        self.assertRaises(TypeError, app.add.enqueue, object())
        result = app.no_json.enqueue()
        result.refresh()
        self.assertEqual(result.errors[0].exception_class, TypeError)

    def test_what_django_refuses(self):
        with self.assertRaises(InvalidTask):
            app.add.using(queue_name="none of these")
        with self.assertRaises(InvalidTask):
            app.add.using(priority=101)
        with self.assertRaises(InvalidTask):
            app.add.using(run_after=dt.datetime(2037, 1, 1))
        with self.assertRaises(InvalidTask):
            task(lambda: 1)

    def test_settings_that_mean_nothing_are_refused(self):
        for params, why in (({"ENQUEUE_ON_COMMIT": True}, "on_commit"),
                            ({"OPTIONS": {"ENQUEUE_ON_COMMIT": True}}, "on_commit"),
                            ({"OPTIONS": {"retry": 3}}, "not retry")):
            with self.assertRaisesRegex(InvalidTaskBackend, why):
                OneboxBackend("default", params)

    def test_what_it_supports(self):
        backend = default_task_backend
        self.assertTrue(backend.supports_defer and backend.supports_async_task
                        and backend.supports_get_result and backend.supports_priority)
        self.assertEqual(task_backends["brief"].check(), [])


class Results(Case):
    def test_failures(self):
        result = app.fails.enqueue(9)
        found = app.fails.get_result(result.id)
        self.assertEqual((found.status, found.attempts, found.args, len(app.calls)),
                         (TaskResultStatus.FAILED, 3, [9], 3))
        self.assertEqual(found.errors[0].exception_class, app.Odd)
        self.assertIn('raise Odd("on attempt', found.errors[0].traceback)
        with self.assertRaisesRegex(ValueError, "Task failed"):
            found.return_value

    def test_what_fails_at_first_has_not_finished(self):
        heard = []

        def hear(sender, task_result, **_):
            heard.append(task_result.status)

        task_finished.connect(hear)
        self.addCleanup(task_finished.disconnect, hear)
        result = app.fails.enqueue(2)
        result.refresh()
        self.assertEqual((result.status, result.return_value, result.attempts),
                         (TaskResultStatus.SUCCESSFUL, 3, 3))
        self.assertEqual(heard, [TaskResultStatus.SUCCESSFUL])

    def test_states(self):
        kept = self.keep()
        status = {"id": 7, "name": "django_tasks_app:add", "queue": "default", "priority": 4, "attempts": 1,
                  "enqueued": 1000.0, "begun": 1001.0, "ended": None}
        for state, expected, error in (
                ("waiting", TaskResultStatus.READY, None), ("held", TaskResultStatus.READY, None),
                ("running", TaskResultStatus.RUNNING, None), ("dead", TaskResultStatus.FAILED, tasks.TaskFailed),
                ("expired", TaskResultStatus.FAILED, tasks.TaskExpired),
                ("cancelled", TaskResultStatus.FAILED, tasks.TaskCancelled)):
            kept.says[7] = {**status, "state": state,
                            "traceback": "its worker has died" if state == "dead" else None}
            found = app.add.get_result("7")
            self.assertEqual((found.status, found.attempts), (expected, 1), state)
            self.assertEqual([one.exception_class for one in found.errors], [error] if error else [])
            self.assertEqual(found.started_at, dt.datetime.fromtimestamp(1001, UTC))

    def test_what_is_not_there(self):
        kept = self.keep()
        kept.says[8] = {"id": 8, "name": "os:getcwd", "state": "waiting", "queue": "default"}
        for id in ("7", "8", "no number", ""):
            self.assertRaises(TaskResultDoesNotExist, default_task_backend.get_result, id)

    def test_another_task_s_result(self):
        self.assertRaises(TaskResultMismatch, app.send.get_result, app.add.enqueue(1).id)

    def test_errors_of_the_queue_reach_who_enqueues(self):
        kept = self.keep()
        kept.enqueue = lambda new: [{"error": "the queue mail is full", "retry": True}]
        with self.assertRaisesRegex(engines.Refused, "the queue mail is full"):
            app.send.enqueue("a@b")


if __name__ == "__main__":
    unittest.main()
