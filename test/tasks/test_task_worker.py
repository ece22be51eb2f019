"""Does a task worker run what it is sent, and does the broker learn how it ended, whatever happens meanwhile?"""
import contextlib
import ctypes
import io
import json
import os
import sys
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from unittest import mock

import flask
from fake_broker import FakeBroker
from onebox import broker, chain, current, group, job, progress, task, tasks
from onebox.cancelled import DeadlineExceeded
from onebox.jobs import registry as jobs
from onebox.task_worker import TaskApp
from onebox.tasks import app_context, reporter

flask_app = flask.Flask("of a test")
begun, go_on = threading.Event(), threading.Event()


@task
def add(first, second=0):
    return first + second


@task
def total(numbers):
    return sum(numbers)


@task(retries=3, backoff=(8, 2, 100))
def fails():
    raise ValueError("not today")


@task
def waits(answer=None):
    begun.set()
    while not go_on.wait(0.01):
        pass
    return answer


@task(retries=1, retry_for=OSError)
def picky():
    waits()


@task
def holds_on():
    """Ends as if nothing had been raised in it."""
    try:
        waits()
    except DeadlineExceeded:
        return "whole"


@task
def tells():
    for step in range(10):
        progress(step / 10)
    progress(1)
    return [current().attempt, current().fence]


@task
def says(size):
    return "x" * size


@task
def named():
    return flask.current_app.name


@task
def leaves():
    sys.exit(1)


@job(every="5 minutes")
def hourly():
    return [current().fence, current().firing]


@job(at="21:00", name="with arguments", args=(1,), kwargs={"second": 2})
@job(at="22:00", name="unsayable")
def adds(first=0, second=0):
    return {first} if not first else first + second


def interrupt(thread):
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(DeadlineExceeded))


class Case(unittest.TestCase):
    def setUp(self):
        begun.clear()
        go_on.clear()
        self.said = io.StringIO()
        self.enterContext(contextlib.redirect_stderr(self.said))
        self.broker = self.enterContext(FakeBroker())
        self.addCleanup(broker.close)
        self.worker = TaskApp(flask_app, 2, 7)
        self.broker.until(lambda: self.broker.workers)
        self.addCleanup(self.finish)

    def finish(self):
        go_on.set()
        self.worker._reporter.finish(20)

    def run_next(self, id=None):
        """What the channel does with the first task that waits."""
        leased = self.broker.lease(id)
        self.assertIsNotNone(leased, "no task waits")
        body = json.dumps(leased).encode()
        statuses = []
        answer = self.worker({"REQUEST_METHOD": "POST", "PATH_INFO": "/task", "wsgi.input": io.BytesIO(body)},
                             lambda status, fields: statuses.append(status))
        self.assertEqual((statuses, answer), (["204 No Content"], []))

    def in_thread(self, id=None):
        """Begins it and waits until it has begun."""
        thread = threading.Thread(target=self.run_next, args=(id,), daemon=True)
        thread.start()
        self.assertTrue(begun.wait(20))
        return thread

    def ended(self, result):
        """Its status, when the broker knows how it has ended."""
        self.assertTrue(self.broker.until(lambda: self.broker.tasks[result.id]["state"] != "running"), "no outcome")
        return self.broker.tasks[result.id]


class Outcomes(Case):
    def test_it_says_hello(self):
        hello, = self.broker.ops("hello")
        del hello["n"]
        self.assertEqual(hello, {"op": "hello", "worker": 2, "pid": os.getpid(), "generation": 7, "held": []})

    def test_a_result(self):
        result = add.delay(1, 2)
        self.run_next()
        self.assertEqual(result.get(20), 3)
        self.assertEqual(self.said.getvalue(), "")

    def test_a_failure_is_told_and_logged(self):
        result = fails.delay()
        self.run_next()
        self.assertIn("ValueError: not today", self.ended(result)["traceback"])
        failed, = self.broker.ops("failed")
        self.assertTrue(0 <= failed["retry_in"] <= 8)
        self.assertRegex(self.said.getvalue(), r"task 1 test_task_worker:fails has failed in attempt 1, and is tried "
                         r"again in \d\.\d s:\nTraceback(.*\n)+ValueError: not today")
        for attempt in (2, 3, 4):
            self.run_next()
            self.ended(result)
        self.assertEqual(self.broker.tasks[1]["state"], "dead")
        self.assertIn("in attempt 4, for good", self.said.getvalue())

    def test_one_that_wants_to_leave_fails(self):
        result = leaves.delay()
        self.run_next()
        self.assertIn("SystemExit: 1", self.ended(result)["traceback"])

    def test_one_that_the_app_does_not_have(self):
        with mock.patch.dict(tasks.registry):
            del tasks.registry["test_task_worker:add"]
            result = add.delay(1)
            self.run_next()
        self.assertRegex(self.ended(result)["traceback"], "this app has no task 'test_task_worker:add'.*It has .*:fails")
        with mock.patch.dict(tasks.registry):
            tasks.registry["nowhere:f"] = mock.Mock()
            message = {"name": "nowhere:f", "payload": "{}"}
            del tasks.registry["nowhere:f"]
            id = broker.call("enqueue", {"tasks": [message]})["tasks"][0]["id"]
            self.run_next()
        self.assertIn("No module named 'nowhere'", self.ended(tasks.Result(id))["traceback"])

    def test_a_result_that_is_too_large(self):
        result = says.delay(200_000)
        self.run_next()
        self.assertEqual(self.ended(result)["state"], "dead")
        self.assertIn("its result of 200002 bytes is larger than results may be", result.traceback)

    def test_what_follows_is_refused(self):
        result = chain(add.s(1), add.s(2), add.s(3)).delay()
        self.broker.faults["done"] = {"outcome": "next_refused"}
        self.run_next()
        self.broker.until(lambda: self.broker.tasks[2]["state"] == "dead")
        with self.assertRaisesRegex(tasks.TaskFailed, "does not take what follows"):
            result.get(20)

    def test_a_full_disk_is_waited_for(self):
        with mock.patch("onebox.tasks.reporter.AGAIN_SECONDS", 0.05):
            result = add.delay(1, 2)
            self.broker.faults["done"] = "refuse"
            self.run_next()
            self.assertEqual(result.get(20), 3)
        self.assertEqual(len(self.broker.ops("done")), 2)

    def test_a_death_of_a_worker_was_no_failure(self):
        result = fails.apply_async(retries=1)
        self.broker.tasks[result.id].update(attempts=2, deaths=2)
        self.run_next()
        self.assertEqual(self.ended(result)["state"], "waiting")

    def test_progress_is_told(self):
        result = tells.delay()
        self.run_next()
        self.assertEqual(result.get(20), [1, 1])
        self.assertTrue(self.broker.until(lambda: result.id in self.broker.tasks
                                          and self.broker.tasks[result.id].get("progress") == 1))

    def test_other_requests_are_not_its_own(self):
        statuses = []
        self.worker({"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, lambda status, fields: statuses.append(status))
        self.assertEqual(statuses, ["404 Not Found"])


class Chains(Case):
    def run_all(self):
        while self.broker.until(lambda: any(one["state"] == "waiting" for one in self.broker.tasks.values())
                                or not any(one["state"] == "running" for one in self.broker.tasks.values())):
            try:
                self.run_next()
            except AssertionError:
                return

    def test_chains_groups_and_callbacks(self):
        for made, value in ((chain(add.s(1, 2), add.s(3), add.si(10, 5)), 15),
                            (group(add.s(1), chain(add.s(2), add.s(3)), add.s(4)), [1, 5, 4]),
                            (group([add.s(1), add.s(2)], callback=total.s()), 3),
                            (chain(add.s(1), group(add.s(1), add.s(2)), total.s()), 5),
                            (chain(add.s(1), group(add.s(1), add.s(2))), [2, 3]),
                            (chain(group(add.s(1), add.s(2)), total.s(), group(add.s(1), add.s(2)), total.s(), add.s(1)),
                             10)):
            with self.subTest(made):
                result = made.delay()
                self.run_all()
                self.assertEqual(result.get(20), value)

    def test_what_follows_is_told_with_the_end(self):
        chain(add.s(1, 2), add.s(3), add.s(4)).delay()
        self.run_next()
        self.broker.until(lambda: self.broker.ops("done"))
        done, = self.broker.ops("done")
        self.assertEqual([(step["name"], step["member"], step["parent"], json.loads(step["payload"]))
                          for step in done["next"]],
                         [("test_task_worker:add", True, 2, {"args": [3, 3], "kwargs": {}})])


class Interrupted(Case):
    def test_a_deadline_is_a_failure(self):
        result = waits.delay()
        thread = self.in_thread()
        interrupt(thread)
        thread.join(20)
        self.assertIn("DeadlineExceeded", self.ended(result)["traceback"])

    def test_why_is_heard_before_the_end_is_told(self):
        """Though the reporter is late."""
        reads = threading.Event()
        original = reporter._Conversation._read

        def late(conversation):
            if reads.is_set():
                time.sleep(0.1)
            original(conversation)
        with mock.patch.object(reporter._Conversation, "_read", late):
            result = waits.delay()
            thread = self.in_thread()
            reads.set()
            self.broker.interrupt(result.id, "stop")
            interrupt(thread)
            thread.join(20)
            self.assertEqual(self.ended(result)["state"], "waiting")
            self.assertEqual(len(self.broker.ops("handed_back")), 1)

    def test_a_deadline_is_retried_whatever_else_is(self):
        result = picky.delay()
        thread = self.in_thread()
        interrupt(thread)
        thread.join(20)
        self.assertEqual(self.ended(result)["state"], "waiting")

    def test_at_the_end_of_a_drain_it_is_handed_back(self):
        result = waits.delay()
        thread = self.in_thread()
        self.broker.interrupt(result.id, "stop")
        interrupt(thread)
        thread.join(20)
        self.assertEqual((self.ended(result)["state"], self.broker.tasks[1]["attempts"]), ("waiting", 0))

    def test_one_that_is_cancelled_is_not_tried_again(self):
        result = waits.apply_async(retries=3)
        thread = self.in_thread()
        self.assertEqual(result.cancel(), "running")
        interrupt(thread)
        thread.join(20)
        self.assertEqual(self.ended(result)["state"], "cancelled")
        self.assertEqual(self.broker.ops("failed")[0]["traceback"], "cancelled")

    def test_one_that_ends_all_the_same_is_done(self):
        result = holds_on.delay()
        thread = self.in_thread()
        self.broker.interrupt(result.id, "stop")
        interrupt(thread)
        thread.join(20)
        self.assertEqual(self.ended(result)["result"], '"whole"')

    def test_a_deadline_that_comes_too_late_changes_nothing(self):
        result = add.delay(1, 2)
        told = threading.Event()

        def late(reporter, key, outcome):
            told.set() if told.is_set() else raise_late()
            original(reporter, key, outcome)

        def raise_late():
            told.set()
            raise DeadlineExceeded
        original = type(self.worker._reporter).ended
        with mock.patch.object(type(self.worker._reporter), "ended", late):
            self.run_next()
        self.assertEqual(result.get(20), 3)


class BrokerDies(Case):
    def restart(self):
        self.broker.stop()
        self.broker.start()

    def test_while_a_task_runs(self):
        result = waits.delay("kept")
        thread = self.in_thread()
        self.restart()
        self.assertTrue(self.broker.until(lambda: len(self.broker.ops("hello")) == 2))
        self.assertEqual(self.broker.ops("hello")[1]["held"], [[1, 1]])
        go_on.set()
        thread.join(20)
        self.assertEqual(result.get(20), "kept")

    def test_what_it_had_sent_before_is_not_begun_any_more(self):
        result = add.delay(1, 2)
        leased = self.broker.lease()
        self.restart()
        self.assertTrue(self.broker.until(lambda: len(self.broker.ops("hello")) == 2))
        self.assertEqual(self.broker.ops("hello")[1]["held"], [])
        with mock.patch.object(self.broker, "lease", lambda _: leased):
            self.run_next()
        self.assertTrue(self.broker.until(lambda: self.broker.ops("handed_back")))
        self.run_next()
        self.assertEqual(result.get(20), 3)
        self.assertEqual(len(self.broker.ops("done")), 1)

    def test_before_an_outcome_is_confirmed(self):
        for fault, answers in (("drop", 1), ("drop after", 1)):
            with self.subTest(fault):
                result = add.delay(1, 2)
                self.broker.faults["done"] = fault
                self.run_next()
                self.assertEqual(result.get(20), 3)
                until(lambda: not self.worker._reporter._outcomes)
                self.assertIn([result.id, 1], self.broker.ops("hello")[-1]["held"])
                self.assertEqual(result.info()["attempts"], 1)
        self.assertNotIn("comes too late", self.said.getvalue())

    def test_while_it_is_away_nothing_waits_for_it(self):
        results = [add.delay(number) for number in range(20)]
        leases = [self.broker.lease() for _ in results]
        self.broker.stop()
        for leased in leases:
            with mock.patch.object(self.broker, "lease", lambda _, leased=leased: leased):
                self.run_next()
        self.broker.start()
        self.assertEqual([result.get(20) for result in results], list(range(20)))

    def test_while_it_is_away_outcomes_have_a_limit(self):
        results = [says.delay(10), says.delay(10)]
        leases = [self.broker.lease() for _ in results]
        self.broker.stop()
        with mock.patch.object(self.broker, "lease", lambda _: leases.pop(0)), \
                mock.patch.multiple("onebox.tasks.reporter", OUTCOMES_BYTES_MAX=10, SLICE_SECONDS=0.01):
            self.run_next()
            second = threading.Thread(target=self.run_next, daemon=True)
            second.start()
            until(lambda: (2, 1) in self.worker._reporter._running)
            self.assertEqual(len(self.worker._reporter._outcomes), 1)
            self.broker.start()
            second.join(20)
            self.assertEqual([result.get(20) for result in results], ["x" * 10] * 2)

    def test_what_was_given_to_another(self):
        result = waits.delay()
        thread = self.in_thread()
        self.broker.tasks[result.id]["token"] += 1
        self.restart()
        until(lambda: "task 1 runs here, and was given to another meanwhile" in self.said.getvalue())
        go_on.set()
        thread.join(20)
        until(lambda: "how task 1 has ended comes too late" in self.said.getvalue())
        self.assertEqual(self.broker.tasks[result.id]["state"], "running")

    def test_at_the_end_what_is_not_confirmed_is_told(self):
        add.delay(1)
        leased = self.broker.lease()
        self.broker.stop()
        with mock.patch.object(self.broker, "lease", lambda _: leased):
            self.run_next()
        with mock.patch("onebox.task_worker.FINISH_SECONDS", 0.1):
            self.worker.finish()
        self.assertIn("does not know how 1 tasks of this worker have ended", self.said.getvalue())
        self.broker.start()


class Jobs(Case):
    def fire(self, **firing):
        firing = {"job": firing.get("job", "hourly"), "firing": 1764.0, "kind": "call", "fence": 9,
                  "what": "test_task_worker:hourly", **firing}
        id = broker.call("enqueue", {"tasks": [{"queue": "onebox.jobs", "name": firing["job"],
                                                "payload": json.dumps(firing)}]})["tasks"][0]["id"]
        self.run_next(id)
        return self.ended(tasks.Result(id))

    def test_a_function(self):
        self.assertEqual(self.fire()["result"], "[9,1764.0]")
        self.assertEqual(self.fire(job="gone", what="test_task_worker:hourly")["result"], "[9,1764.0]")

    def test_with_arguments(self):
        what = jobs["with arguments"].what
        self.assertEqual(what, 'test_task_worker:adds {"args":[1],"kwargs":{"second":2}}')
        self.assertEqual(self.fire(job="with arguments", what=what)["result"], "3")
        self.assertEqual(self.fire(job="elsewhere", what=what)["result"], "3")

    def test_what_it_returns_need_not_be_json(self):
        self.assertEqual(self.fire(job="unsayable", what="test_task_worker:adds")["state"], "done")

    def test_a_function_that_is_not_there(self):
        self.assertIn("test_task_worker:gone is not there", self.fire(job="x", what="test_task_worker:gone")["traceback"])
        self.assertIn("which this version does not know", self.fire(job="x", kind="odd")["traceback"])

    def test_a_command(self):
        run = self.fire(job="says", kind="command", what="echo one; echo two >&2")
        self.assertEqual(json.loads(run["result"]), "one\ntwo\n")
        self.assertIn("job says: one\njob says: two\n", self.said.getvalue())
        run = self.fire(kind="command", what="echo why; exit 3")
        self.assertRegex(run["traceback"], "'echo why; exit 3' ended with exit status 3; it said last:\nwhy")
        self.assertIn("signal SIGKILL", self.fire(kind="command", what="kill -9 $$")["traceback"])

    def test_a_command_that_says_much(self):
        run = self.fire(kind="command", what="head -c 1000000 /dev/zero | tr '\\0' x")
        self.assertEqual(json.loads(run["result"]), "x" * (16 << 10))

    def test_a_command_ends_with_what_it_has_started(self):
        folder = Path(self.broker.folder.name)
        ignores = "trap '' TERM; " if self.id().endswith("ignores") else ""
        for ignores in ("", "trap '' TERM; "):
            with self.subTest(ignores):
                thread = threading.Thread(target=self.fire, daemon=True, kwargs={
                    "kind": "command", "what": f"{ignores}sleep 1000 & echo $! > {folder}/part; "
                                               f"mv {folder}/part {folder}/child; wait"})
                thread.start()
                until(lambda: (folder / "child").exists())
                pid = int((folder / "child").read_text())
                interrupt(thread)
                thread.join(20)
                self.assertFalse(thread.is_alive())
                until(lambda: not lives(pid))
                (folder / "child").unlink()
        self.assertIn("DeadlineExceeded", self.broker.ops("failed")[-1]["traceback"])

    def test_a_command_that_leaves_something_behind_is_not_waited_for(self):
        began = time.monotonic()
        self.assertEqual(self.fire(kind="command", what="sleep 1000 & echo fine")["result"], '"fine\\n"')
        self.assertLess(time.monotonic() - began, 100)

    def test_a_url(self):
        asked = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append((self.command, self.path))
                self.send_response(500 if self.path == "/broken" else 204)
                self.end_headers()
                if self.path == "/broken":
                    self.wfile.write(b"sorry")
            do_POST = do_GET

            def log_message(self, *_):
                pass
        with HTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            url = f"http://127.0.0.1:{server.server_port}"
            self.assertEqual(self.fire(kind="url", what=f"{url}/fine")["result"], '{"status":204}')
            self.assertEqual(self.fire(kind="url", what=f"POST {url}/fine")["state"], "done")
            self.assertIn("500 Internal Server Error: sorry", self.fire(kind="url", what=f"{url}/broken")["traceback"])
            server.shutdown()
        self.assertEqual(asked, [("GET", "/fine"), ("POST", "/fine"), ("GET", "/broken")])
        self.assertIn("Connection refused", self.fire(kind="url", what=url)["traceback"])


class Around(Case):
    def test_flasks_app_context(self):
        result = named.delay()
        self.run_next()
        self.assertEqual(result.get(20), "of a test")

    def test_the_app_is_found_in_what_wraps_it(self):
        class Wraps:
            def __init__(self, app):
                self.app = app
        for app in (flask_app, Wraps(flask_app), Wraps(Wraps(flask_app.wsgi_app))):
            self.assertIs(app_context.find_flask(app), flask_app)
        self.assertIsNone(app_context.find_flask(lambda environ, start: []))
        self.addCleanup(setattr, tasks, "flask_app", None)
        tasks.flask_app = flask_app
        self.assertIs(app_context.find_flask(lambda environ, start: []), flask_app)

    def test_what_is_torn_down_is_torn_down(self):
        torn = []
        flask_app.teardown_appcontext(torn.append)
        self.addCleanup(flask_app.teardown_appcontext_funcs.clear)
        result = add.delay(1)
        self.run_next()
        result.get(20)
        self.assertEqual(torn, [None])

    def test_djangos_connections(self):
        import django
        from django import db
        from django.conf import settings
        settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}})
        django.setup()
        with mock.patch.object(db, "close_old_connections") as closed:
            add.delay(1)
            self.run_next()
        self.assertEqual(closed.call_count, 2)


def lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


if __name__ == "__main__":
    unittest.main()
