"""Do the same tasks run on a real Celery, with a real Redis?"""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path
from unittest import mock

FOLDER = Path(tempfile.mkdtemp(prefix="onebox-celery-"))
HOLD = FOLDER / "hold"
SOCKET = FOLDER / "redis.sock"
os.environ.update(ONEBOX_TASKS_ENGINE="celery", ONEBOX_CELERY_BROKER=f"redis+socket://{SOCKET}",
                  ONEBOX_CELERY_BACKEND=f"unix://{SOCKET}?db=1", ONEBOX_TARGET="celery_project:app",
                  HOLD=str(HOLD))

import celery_project as app

from onebox import celery_engine, engines
from onebox.tasks import (
    Refused, Result, TaskCancelled, TaskExpired, TaskFailed, TaskUnknown, chain, group)

SECONDS = 60


def until(condition, what):
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {SECONDS} s: {what}"
        time.sleep(0.01)


class Program:
    """A process whose output is read, and is shown where a test waits for what it does not say."""

    def __init__(self, *command):
        self.lines = []
        self.process = subprocess.Popen(
            [*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            stdin=subprocess.DEVNULL)
        self.reader = threading.Thread(target=lambda: self.lines.extend(self.process.stdout), daemon=True)
        self.reader.start()

    def wait_for_line(self, pattern):
        def there():
            assert self.process.poll() is None or not self.reader.is_alive(), "".join(self.lines)
            return any(re.search(pattern, line) for line in list(self.lines))
        try:
            until(there, pattern)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{''.join(self.lines)}") from None

    def end(self, sign=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(sign)
        self.process.wait(SECONDS)
        self.reader.join(SECONDS)
        self.process.stdout.close()


def start_worker(*arguments):
    worker = Program(sys.executable, "-W", "ignore", "-m", "celery", "-A", "onebox.celery_engine:app", "worker",
                     "--concurrency", "2", "--without-gossip", "--without-mingle", "--loglevel", "INFO", *arguments)
    worker.wait_for_line(r" ready\.$")
    return worker


def setUpModule():
    HOLD.mkdir()
    unittest.addModuleCleanup(shutil.rmtree, FOLDER)
    redis = Program("redis-server", "--port", "0", "--unixsocket", SOCKET, "--save", "", "--dir", FOLDER)
    unittest.addModuleCleanup(redis.end)
    redis.wait_for_line("ready to accept connections")


def go(name):
    (HOLD / name).write_text("")


class WithWorker(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.worker = start_worker()

    @classmethod
    def tearDownClass(cls):
        cls.worker.end()

    def test_a_result_comes_back(self):
        result = app.add.delay(1, 2)
        self.assertEqual(result.get(SECONDS), 3)
        self.assertEqual((result.status, result.successful(), Result(result.id).get(0)), ("done", True, 3))
        self.worker.wait_for_line(r"Task celery_project:add\[onebox-%d\] received" % result.id)

    def test_a_task_has_flask_s_context(self):
        self.assertEqual(app.greet.delay().get(SECONDS), "hello")

    def test_failures_are_retried_as_the_task_says(self):
        self.assertEqual(app.unsteady.delay("two", 2).get(SECONDS), 3)
        with self.assertRaisesRegex(TaskFailed, "ValueError: attempt 3 of three"):
            app.unsteady.delay("three", 9).get(SECONDS)
        self.assertEqual(len((HOLD / "three").read_text()), 3)
        self.assertEqual(app.again.delay().get(SECONDS), 3)
        failed = app.wrong.delay()
        self.assertRaises(TaskFailed, failed.get, SECONDS)
        self.assertEqual((failed.info()["attempts"], failed.status), (1, "dead"))
        self.assertIn("KeyError: 'gone'", failed.traceback)

    def test_a_timeout_is_what_it_is_in_a_box(self):
        with self.assertRaisesRegex(TaskFailed, "DeadlineExceeded"):
            app.late.delay().get(SECONDS)
        self.assertTrue((HOLD / "late").exists())
        self.assertEqual(app.add.delay(1, 1).get(SECONDS), 2, "and the worker lives")

    def test_later(self):
        before = time.time()
        result = app.add.apply_async((1, 2), countdown=1)
        self.assertEqual(result.status, "waiting")
        self.assertEqual(result.get(SECONDS), 3)
        self.assertGreaterEqual(result.info()["begun"], before + 1)

    def test_what_has_expired_is_not_run(self):
        result = app.ordered.apply_async(("expired",), expires=0.0)
        self.assertRaises(TaskExpired, result.get, SECONDS)
        self.assertFalse((HOLD / "order").exists() and "expired" in (HOLD / "order").read_text())

    def test_groups_and_chains(self):
        self.assertEqual(group(app.add.s(i, i) for i in range(5)).delay().get(SECONDS), [0, 2, 4, 6, 8])
        self.assertEqual(group([app.add.s(1, 1), app.add.s(2, 2)], callback=app.total.s()).delay().get(SECONDS), 6)
        self.assertEqual(chain(app.add.s(1, 2), app.add.s(3), app.add.s(4)).delay().get(SECONDS), 10)
        self.assertEqual(chain(app.add.s(1, 2), group(app.add.s(10), app.add.s(20)), app.total.s())
                         .delay().get(SECONDS), 36)
        chains = group(chain(app.add.s(i, 1), app.add.s(1)) for i in range(3))
        self.assertEqual(chains.delay().get(SECONDS), [2, 3, 4])
        self.assertEqual(chain(group(app.add.s(i, i) for i in range(6)), app.total.s(), app.add.s(5), app.add.s(1))
                         .delay().get(SECONDS), 36)
        self.assertEqual(group(app.add.s(1, 1), chain(app.add.s(1, 2), group(app.add.s(1), app.add.s(2))))
                         .delay().get(SECONDS), [2, [4, 5]])

    def test_a_failed_member_fails_the_group(self):
        result = group([app.add.s(1, 1), app.wrong.s()], callback=app.total.s()).delay()
        with self.assertRaisesRegex(TaskFailed, "KeyError"):
            result.get(SECONDS)

    def test_progress(self):
        result = app.tells.delay()
        until(lambda: (HOLD / "told").exists(), "the task has told")
        self.assertEqual((result.progress, result.status), (0.25, "running"))
        go("tells-go")
        self.assertIsNone(result.get(SECONDS))

    def test_what_runs_is_cancelled(self):
        result = app.holds.delay("cancelled")
        until(lambda: (HOLD / "cancelled-begun").exists(), "the task has begun")
        self.assertEqual(result.cancel(), "running")
        self.assertRaises(TaskCancelled, result.get, SECONDS)
        self.assertEqual(result.cancel(), "ended")
        self.assertEqual(app.add.delay(2, 2).get(SECONDS), 4, "and the worker lives")

    def test_what_waits_is_cancelled(self):
        result = app.ordered.apply_async(("cancelled",), countdown=1)
        self.assertEqual(result.cancel(), "done")
        self.assertRaises(TaskCancelled, result.get, SECONDS)
        self.worker.wait_for_line(r"Task celery_project:ordered\[onebox-%d\] succeeded" % result.id)
        self.assertFalse((HOLD / "order").exists() and "cancelled" in (HOLD / "order").read_text())

    def test_a_task_whose_process_is_killed_runs_again(self):
        patched = app.dies.delay()
        until(lambda: (HOLD / "died").exists(), "it has begun")
        # What it had is somebody else's when its lease is over: here at once.
        self.assertEqual(engines.engine().records._client.delete(f"onebox:lease:{patched.id}"), 1)
        self.assertEqual(patched.get(SECONDS), 1)
        self.assertEqual(len((HOLD / "died").read_text()), 2)

    def test_a_message_that_comes_twice_does_nothing(self):
        result = app.unsteady.delay("twice", 0)
        self.assertEqual(result.get(SECONDS), 1)
        engine = engines.engine()
        engine.app.send_task("celery_project:unsteady", args=(result.id,), task_id="again", queue="slow")
        self.worker.wait_for_line(r"Task celery_project:unsteady\[again\] succeeded")
        self.assertEqual((HOLD / "twice").read_text(), "x")

    def test_a_task_starts_another(self):
        id, queue, name = app.starts.delay("n").get(SECONDS)
        self.assertEqual((Result(id).get(SECONDS), queue, name), (3, "default", "n"))

    def test_a_result_goes_when_its_time_has_passed(self):
        result = app.add.apply_async((1, 2), keep=1)
        until(lambda: result.status == "unknown", "it is forgotten")
        self.assertRaises(TaskUnknown, result.get, 1)

    def test_a_fork_has_a_connection_of_its_own(self):
        app.add.delay(0, 0).get(SECONDS)
        pid = os.fork()
        if pid == 0:
            os._exit(0 if app.add.delay(1, 2).get(SECONDS) == 3 else 1)
        self.assertEqual(app.add.delay(3, 4).get(SECONDS), 7)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)


class WithoutWorker(unittest.TestCase):
    def test_keys_are_refused(self):
        for call in (lambda: app.only_one.delay("a"), lambda: app.add.apply_async((1, 2), dedupe="k")):
            with self.assertRaisesRegex(Refused, "Celery has no (unique|dedupe) keys"):
                call()

    def test_what_waits_for_nobody(self):
        result = app.add.apply_async((1, 2), queue="nobody")
        self.assertRaises(TimeoutError, result.get, 0.05)
        self.assertEqual(result.status, "waiting")
        self.assertEqual(Result(10**9).status, "unknown")
        self.assertEqual(Result(10**9).cancel(), "unknown")

    def test_what_follows_two_of_a_group_is_there_once(self):
        records = engines.engine().records
        new = {"name": "celery_project:add", "payload": "{}"}
        id, ids = records.add_group([new, new], new)
        for number in ids:
            begun = records.begin(number)
            self.assertEqual(begun.outcome, "begun")
            records.done(begun.task, "null", [{**new, "member": True, "dedupe": "the same"}])
        self.assertEqual([member["state"] for member in records.members(id)], ["done", "done", "waiting"])
        self.assertEqual(records.find([id])[0]["state"], "held", "it waits for the third")

    def test_priorities(self):
        for name, priority in (("a", 0), ("b", 9), ("c", 4), ("d", 9)):
            app.ordered.apply_async((name,), priority=priority, queue="by-priority")
        worker = start_worker("-Q", "by-priority", "--concurrency", "1")
        until(lambda: (HOLD / "order").exists() and len((HOLD / "order").read_text()) >= 4, "all have run")
        worker.end()
        self.assertEqual((HOLD / "order").read_text()[-4:], "bdca")

    def test_a_redis_that_is_not_there(self):
        gone = f"redis+socket://{FOLDER}/nobody.sock"
        code = ("import celery_project as app\nfrom onebox.tasks import BrokerLost\n"
                "try:\n    app.add.delay(1, 2)\nexcept BrokerLost as error:\n    print(error)")
        result = subprocess.run([sys.executable, "-W", "ignore", "-c", code], text=True, timeout=SECONDS,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                                env={**os.environ, "ONEBOX_CELERY_BROKER": gone,
                                     "ONEBOX_CELERY_BACKEND": f"unix://{FOLDER}/nobody.sock"})
        self.assertIn("enqueue: Celery's broker or its backend cannot be asked", result.stdout)

    def test_settings(self):
        for backend, broker, found in (("", "redis://h/1", "redis://h/1"), ("unix://s", "amqp://h", "unix://s"),
                                       ("", "", "redis://127.0.0.1:6379/0"), ("rpc://", "amqp://h", None),
                                       ("", "amqp://h", None)):
            with mock.patch.dict(os.environ, ONEBOX_CELERY_BROKER=broker, ONEBOX_CELERY_BACKEND=backend):
                if found:
                    self.assertEqual(celery_engine.backend_url(), found)
                else:
                    self.assertRaisesRegex(celery_engine.Unusable, "kept in Redis", celery_engine.CeleryEngine)


if __name__ == "__main__":
    unittest.main()
