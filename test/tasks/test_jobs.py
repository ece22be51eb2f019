"""Are jobs what they were written as, and does the broker learn of all of them?"""
import contextlib
import io
import os
import subprocess
import sys
import threading
import unittest
from datetime import datetime, timedelta
from unittest import mock

from fake_broker import FakeBroker
from onebox import broker, declaration, job, jobs, task, tasks
from onebox.jobs import JobRefused, register, registry, unregister


def work(country=0):
    return country


def other():
    pass


class Case(unittest.TestCase):
    def setUp(self):
        self.enterContext(mock.patch.dict(registry, clear=True))
        self.enterContext(mock.patch.dict(tasks.registry, clear=True))
        self.said = io.StringIO()
        self.enterContext(contextlib.redirect_stderr(self.said))
        self.addCleanup(setattr, declaration, "_generation", None)


class Written(Case):
    def test_a_function_stays_what_it_is(self):
        self.assertIs(job(every="5 minutes")(work), work)
        self.assertEqual(registry["work"].declared(), {
            "name": "work", "every": "5 minutes", "tz": "", "jitter": 0.0, "timeout": 0, "overlap": "skip",
            "catch_up": "one", "retries": 0, "kind": "call", "what": "test_jobs:work"})

    def test_all_that_can_be_said(self):
        job(cron="0 4 * * *", tz="Europe/Berlin", jitter=5, timeout=60, overlap="replace", catch_up="none", retries=2,
            name="nightly", args=(3,))(work)
        self.assertEqual(registry["nightly"].declared(), {
            "name": "nightly", "cron": "0 4 * * *", "tz": "Europe/Berlin", "jitter": 5, "timeout": 60,
            "overlap": "replace", "catch_up": "none", "retries": 2, "kind": "call",
            "what": 'test_jobs:work {"args":[3],"kwargs":{}}'})

    def test_triggers(self):
        for given, declared in (({"every": 300}, ("every", "300 s")),
                                ({"every": timedelta(hours=1)}, ("every", "3600 s")),
                                ({"at": "mon-fri 21:00"}, ("at", "mon-fri 21:00")),
                                ({"at": datetime(2026, 12, 31, 23, 59)}, ("at", "2026-12-31 23:59:00"))):
            with self.subTest(given):
                job(**given, name=repr(given))(work)
                self.assertEqual(registry[repr(given)].trigger, declared)

    def test_several_on_one_function_and_on_a_task(self):
        made = task(work)
        job(every="1 hour", name="hourly")(job(every="1 day", name="daily")(made))
        self.assertEqual({one.function for one in registry.values()}, {work})
        self.assertEqual(set(registry), {"hourly", "daily"})

    def test_what_is_no_job(self):
        for wrong, sentence in (({}, "one of every=, cron= and at="), ({"every": 1, "at": "x"}, "one of"),
                                ({"every": 0.5}, "whole seconds"), ({"every": 0}, "whole seconds"),
                                ({"every": 1, "overlap": "wait"}, "overlap is one of skip, queue, replace, parallel"),
                                ({"every": 1, "catch_up": True}, "catch_up is one of one, all, none"),
                                ({"every": 1, "args": (1, 2)}, "too many positional arguments"),
                                ({"every": 1, "args": ({1},)}, "is a set")):
            with self.subTest(wrong), self.assertRaisesRegex((TypeError, ValueError), sentence):
                job(**wrong)(work)
        self.assertEqual(registry, {})

    def test_a_name_is_of_one_function(self):
        job(every=1)(work)
        with self.assertRaisesRegex(ValueError, r"two jobs are named 'work': test_jobs:work at .*test_jobs.py:\d+ and "
                                                r"test_jobs:other at .*test_jobs.py:\d+; give one"):
            job(every=1, name="work")(other)
        with self.assertRaisesRegex(ValueError, "work is a job twice"):
            job(every=2)(work)


class Declared(Case):
    def setUp(self):
        super().setUp()
        self.broker = self.enterContext(FakeBroker())
        self.addCleanup(broker.close)

    def test_what_the_app_has(self):
        job(every="1 hour")(work)
        task(rate="10/s", name="mail")(other)
        declaration.begin(7)
        declared, = self.broker.ops("declare")
        self.assertEqual((declared["generation"], [one["name"] for one in declared["jobs"]], declared["queues"],
                          declared["tasks"]), (7, ["work"], {"mail": {"rate": "10/s"}}, ["mail"]))
        self.assertEqual(self.said.getvalue(), "")

    def test_an_app_that_has_none_starts_no_broker(self):
        declaration.begin(7)
        for thread in threading.enumerate():
            self.assertNotEqual(thread.name, "onebox-declare")
        self.assertEqual(self.broker.asked, [])

    def test_one_that_has_none_any_more_says_so_and_waits_for_nobody(self):
        open(os.path.join(self.broker.folder.name, "jobs.db"), "w").close()
        self.broker.stop()
        with mock.patch.object(declaration, "PAUSE_SECONDS", 0.01):
            declaration.begin(7)
            self.broker.start()
            self.assertTrue(self.broker.until(lambda: self.broker.ops("declare")))
        declared, = self.broker.ops("declare")
        self.assertEqual((declared["jobs"], declared["tasks"]), ([], []))
        self.assertEqual(self.said.getvalue(), "")

    def test_where_there_is_no_broker_nothing_of_jobs_is_loaded(self):
        code = ("import sys; from onebox import declaration; declaration.begin(1); "
                "print([name for name in sys.modules if name in ('onebox.jobs', 'onebox.tasks', 'onebox.broker')])")
        environment = {name: value for name, value in os.environ.items() if name != "ONEBOX_BROKER"}
        said = subprocess.run([sys.executable, "-c", code], env=environment, text=True, capture_output=True, check=True)
        self.assertEqual(said.stdout, "[]\n")

    def test_a_trigger_that_is_none_is_told_with_its_place(self):
        job(every="now and then")(work)
        self.broker.errors_of_jobs = [{"job": "work", "error": "'now and then' is no interval"}]
        declaration.begin(7)
        self.assertRegex(self.said.getvalue(), r"^onebox: .*test_jobs.py:\d+: the job work is not run: 'now and then' is "
                                               "no interval\n$")

    def test_a_broker_that_is_not_there_yet_is_asked_again(self):
        job(every="1 hour")(work)
        self.broker.stop()
        with mock.patch.multiple(declaration, START_SECONDS=0.1, PAUSE_SECONDS=0.01):
            declaration.begin(7)
            self.assertIn("the app's jobs and tasks are not declared yet: declare: the broker cannot be reached",
                          self.said.getvalue())
            self.broker.start()
            self.assertTrue(self.broker.until(lambda: self.broker.ops("declare")))
            for thread in threading.enumerate():
                if thread.name == "onebox-declare":
                    thread.join(20)

    def test_at_run_time(self):
        self.assertEqual(register(work, every="1 hour").name, "work")
        self.assertEqual(self.broker.asked, [])  # the import: the worker declares all at once
        declaration.begin(7)
        register(other, at="21:00")
        self.assertEqual([one["name"] for one in self.broker.ops("declare")[-1]["jobs"]], ["work", "other"])
        unregister("work")
        self.assertEqual([one["name"] for one in self.broker.ops("declare")[-1]["jobs"]], ["other"])
        unregister("other")
        self.assertEqual(self.broker.ops("declare")[-1]["jobs"], [])
        with self.assertRaises(KeyError):
            unregister("other")

    def test_one_that_is_refused_at_run_time_is_none(self):
        declaration.begin(7)
        self.broker.errors_of_jobs = [{"job": "work", "error": "'soon' is no interval"}]
        with self.assertRaisesRegex(JobRefused, r"test_jobs.py:\d+: the job work is not run: 'soon' is no interval"):
            register(work, every="soon")
        self.assertEqual(jobs.registry, {})
        self.assertEqual(register(other, every="1 hour").name, "other")  # that another is refused is not its fault


if __name__ == "__main__":
    unittest.main()
