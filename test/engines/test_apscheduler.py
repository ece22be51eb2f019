"""Does onebox.apscheduler take what APScheduler takes, and tell the box what it means?"""
import datetime as dt
import os
import subprocess
import sys
import time
import unittest
from functools import partial
from unittest import mock

os.environ["ONEBOX_BROKER"] = "/nonexistent/broker"  # in a box; nobody is asked but where a test says so

import apscheduler.jobstores.base
import apscheduler.schedulers
from apscheduler.triggers.cron import CronTrigger as RealCron

import onebox.apscheduler as ours
from onebox import declaration, jobs
from onebox.apscheduler import once

UTC = dt.timezone.utc
ran = []


def work(*args, **kwargs):
    ran.append((args, kwargs))
    return len(ran)


def fail():
    raise RuntimeError("broken")


class FakeEngine:
    """Keeps what is enqueued."""

    def __init__(self):
        self.tasks = {}
        self.cancelled = []

    def enqueue(self, new):
        return [self._enqueue(task) for task in new]

    def _enqueue(self, task):
        for id, there in self.tasks.items():
            if there["unique"] == task["unique"]:
                return {"id": id, "as": "unique"}
        id = len(self.tasks) + len(self.cancelled) + 1
        self.tasks[id] = task
        return {"id": id, "as": "new"}

    def cancel(self, ids):
        for id in ids:
            self.cancelled.append(self.tasks.pop(id))
        return ["done"] * len(ids)


class Case(unittest.TestCase):
    def setUp(self):
        jobs.registry.clear()
        ran.clear()
        self.scheduler = ours.BackgroundScheduler(timezone="Europe/Berlin")
        self.asked = []
        self.known = []
        self.engine = FakeEngine()
        for patch in (mock.patch("onebox.broker.call", self.ask),
                      mock.patch.object(once, "engine", lambda: self.engine)):
            patch.start()
            self.addCleanup(patch.stop)
        self.addCleanup(setattr, declaration, "_generation", None)

    def ask(self, op, fields=None, **_):
        self.asked.append((op, fields))
        return {"jobs": self.known} if op == "jobs" else {}

    def begin(self):
        """The app is loaded: from here on it is requests that call."""
        declaration._generation = 1
        self.asked.clear()


class Declared(Case):
    def test_what_is_added_is_declared_at_start(self):
        self.scheduler.add_job(work, "interval", minutes=5, id="five")
        self.scheduler.add_job(work, "cron", hour=3, jitter=10, timezone="UTC", id="night", coalesce=False)
        self.assertEqual(jobs.registry, {})
        self.scheduler.start()
        self.scheduler.add_job(work, RealCron(day_of_week="mon", timezone="Asia/Tokyo"), id="mondays",
                               max_instances=3)
        found = {name: job.declared() for name, job in jobs.registry.items()}
        self.assertEqual([(name, job.get("every"), job.get("cron"), job["tz"], job["jitter"], job["overlap"],
                           job["catch_up"]) for name, job in found.items()],
                         [("five", "300 seconds", None, "Europe/Berlin", 0, "skip", "one"),
                          ("night", None, "0 3 * * *", "UTC", 10, "skip", "all"),
                          ("mondays", None, "0 0 * * 1", "Asia/Tokyo", 0, "parallel", "one")])
        self.assertEqual({job["what"] for job in found.values()}, {"test_apscheduler:work"})
        self.assertIn("test_apscheduler.py:", jobs.registry["five"].place)
        self.assertEqual(self.asked, [], "nobody is asked while the app is imported")

    def test_a_run_calls_it_as_it_was_added(self):
        strange = object()  # no JSON: it stays in the process that has imported the app
        self.scheduler.add_job(work, "interval", args=[1, strange], kwargs={"b": 2}, hours=1, id="a")
        self.scheduler.add_job(partial(work, 5), "interval", hours=1, id="b")
        self.scheduler.add_job("test_apscheduler:work", "interval", hours=1, id="c")
        self.scheduler.start()
        self.assertEqual([jobs.registry[name].function() for name in "abc"], [1, 2, 3])
        self.assertEqual(ran, [((1, strange), {"b": 2}), ((5,), {}), ((), {})])

    def test_the_decorator(self):
        @self.scheduler.scheduled_job("cron", id="d", minute="*/15")
        def quarter():
            return 7

        self.scheduler.start()
        self.assertEqual(quarter(), 7)
        self.assertEqual(jobs.registry["d"].trigger, ("cron", "*/15 * * * *"))

    def test_ids_are_the_same_in_each_process(self):
        for _ in range(2):
            self.scheduler.add_job(work, "interval", hours=1)
        self.scheduler.add_job(lambda: 1, "interval", hours=1)
        self.scheduler.start()
        self.assertEqual(list(jobs.registry)[:2], ["test_apscheduler:work", "test_apscheduler:work 2"])
        self.assertIn("<lambda>", list(jobs.registry)[2])

    def test_an_id_twice(self):
        self.scheduler.add_job(work, "interval", hours=1, id="a")
        with self.assertRaises(apscheduler.jobstores.base.ConflictingIdError):
            self.scheduler.add_job(work, "interval", hours=1, id="a")
        self.scheduler.add_job(fail, "interval", hours=2, id="a", replace_existing=True)
        self.scheduler.start()
        self.assertEqual(jobs.registry["a"].trigger, ("every", "7200 seconds"))
        self.scheduler.add_job(work, "interval", hours=3, id="a", replace_existing=True)
        self.assertEqual(jobs.registry["a"].trigger, ("every", "10800 seconds"))

    def test_two_schedulers(self):
        other = ours.BackgroundScheduler()
        self.scheduler.add_job(work, "interval", hours=1, id="a")
        other.add_job(fail, "interval", hours=1, id="a")
        self.scheduler.start()
        with self.assertRaisesRegex(ValueError, "two jobs are named 'a'"):
            other.start()
        again = ours.BackgroundScheduler()  # of a factory that is called twice
        again.add_job(work, "interval", hours=1, id="a")
        again.start()

    def test_dates(self):
        later = dt.datetime(2037, 1, 2, 3, 4, 5)
        self.scheduler.add_job(work, "date", run_date=later, id="later")
        self.scheduler.add_job(work, "date", run_date="2001-01-01", id="past")
        self.scheduler.start()
        self.assertEqual(jobs.registry["later"].trigger, ("at", "2037-01-02 02:04:05"))
        self.assertEqual(jobs.registry["later"].tz, "UTC")
        self.assertNotIn("past", jobs.registry)

    def test_what_would_not_be_the_same_is_refused(self):
        for keywords, why in (({}, "no trigger"), ({"trigger": "date"}, "no trigger"),
                              ({"trigger": "cron", "day": "last"}, "cannot be said"),
                              ({"trigger": "interval", "hours": 1, "next_run_time": dt.datetime.now()},
                               "next_run_time can only be None")):
            with self.assertRaisesRegex(ValueError, why):
                self.scheduler.add_job(work, **keywords)
        self.assertEqual(self.scheduler.get_jobs(), [])

    def test_changes_while_the_app_is_imported(self):
        self.scheduler.add_job(work, "interval", hours=1, id="a")
        self.scheduler.start()
        self.scheduler.reschedule_job("a", trigger="cron", hour=5)
        self.assertEqual(jobs.registry["a"].trigger, ("cron", "0 5 * * *"))
        self.scheduler.modify_job("a", args=[9], name="nine")
        jobs.registry["a"].function()
        self.assertEqual((ran, self.scheduler.get_job("a").name), ([((9,), {})], "nine"))
        self.scheduler.pause_job("a")
        self.assertNotIn("a", jobs.registry)
        self.scheduler.resume_job("a")
        self.assertIn("a", jobs.registry)
        self.scheduler.get_job("a").remove()
        self.assertEqual((jobs.registry, self.scheduler.get_jobs()), ({}, []))
        with self.assertRaises(apscheduler.jobstores.base.JobLookupError):
            self.scheduler.remove_job("a")

    def test_what_begins_paused(self):
        self.scheduler.add_job(work, "interval", hours=1, id="a", next_run_time=None)
        self.scheduler.add_job(work, "interval", hours=1, id="b")
        self.scheduler.start(paused=True)
        self.assertEqual(jobs.registry, {})
        self.scheduler.resume()
        self.assertEqual(list(jobs.registry), ["b"])

    def test_states_and_errors(self):
        self.assertFalse(self.scheduler.running)
        self.assertRaises(apscheduler.schedulers.SchedulerNotRunningError, self.scheduler.shutdown)
        self.scheduler.start()
        self.assertEqual(self.scheduler.state, ours.STATE_RUNNING)
        self.assertRaises(apscheduler.schedulers.SchedulerAlreadyRunningError, self.scheduler.start)
        self.scheduler.shutdown(wait=False)
        self.assertFalse(self.scheduler.running)

    def test_configuration(self):
        scheduler = ours.BackgroundScheduler({
            "apscheduler.job_defaults.coalesce": "false", "apscheduler.job_defaults.max_instances": "2",
            "apscheduler.timezone": "UTC", "apscheduler.executors.default": {"type": "threadpool"}})
        job = scheduler.add_job(work, "interval", hours=1)
        self.assertEqual((job.coalesce, job.max_instances, scheduler.timezone), (False, "2", "UTC"))
        scheduler.start()
        declared = jobs.registry["test_apscheduler:work"].declared()
        self.assertEqual((declared["overlap"], declared["catch_up"]), ("parallel", "all"))


class Runs(Case):
    def test_listeners_hear_of_runs_in_this_process(self):
        heard = []
        self.scheduler.add_listener(heard.append, ours.EVENT_JOB_EXECUTED | ours.EVENT_JOB_ERROR)
        self.scheduler.add_job(work, "interval", hours=1, id="good")
        self.scheduler.add_job(fail, "interval", hours=1, id="bad")
        self.scheduler.start()
        jobs.registry["good"].function()
        self.assertRaisesRegex(RuntimeError, "broken", jobs.registry["bad"].function)
        self.assertEqual([(event.code, event.job_id, event.retval, str(event.exception)) for event in heard],
                         [(ours.EVENT_JOB_EXECUTED, "good", 1, "None"),
                          (ours.EVENT_JOB_ERROR, "bad", None, "broken")])
        self.assertIn("in fail", heard[1].traceback)
        self.scheduler.remove_listener(heard.append)
        jobs.registry["good"].function()
        self.assertEqual(len(heard), 2)

    def test_what_is_later_than_its_grace_is_missed(self):
        heard = []
        self.scheduler.add_listener(heard.append, ours.EVENT_JOB_MISSED)
        self.scheduler.add_job(work, "interval", hours=1, id="a", misfire_grace_time=30)
        self.scheduler.start()
        for late, runs in ((10, 1), (50, 1)):
            due = int(time.time()) - late
            with mock.patch("onebox.apscheduler.scheduler.current", lambda: mock.Mock(firing=due)):
                jobs.registry["a"].function()
            self.assertEqual(len(ran), runs)
        self.assertEqual([event.scheduled_run_time.timestamp() for event in heard], [due])


class Requests(Case):
    def setUp(self):
        super().setUp()
        self.scheduler.add_job(work, "interval", hours=1, id="a")
        self.scheduler.start()
        self.begin()

    def test_a_job_with_a_date_is_a_task_that_waits(self):
        due = dt.datetime(2037, 1, 2, 3, 4, 5, tzinfo=UTC)
        job = self.scheduler.add_job(work, "date", run_date=due, args=[7], id="mail-7")
        (task,) = self.engine.tasks.values()
        self.assertEqual((task["name"], task["eta"], task["unique"], "expires" in task),
                         ("onebox.apscheduler.once:run", due.timestamp(), "apscheduler mail-7", False))
        self.assertEqual(once.run("test_apscheduler:work", [7], {}), 1)
        with self.assertRaises(ours.ConflictingIdError):
            self.scheduler.add_job(work, "date", run_date=due, id="mail-7")
        self.scheduler.add_job(work, "date", run_date=due, id="mail-7", args=[8], replace_existing=True)
        (task,) = self.engine.tasks.values()
        self.assertIn("[8]", task["payload"])
        self.scheduler.remove_job(job.id)
        self.assertEqual(self.engine.tasks, {})
        self.assertRaises(ours.JobLookupError, self.scheduler.remove_job, "mail-7")
        self.assertEqual(self.engine.tasks, {}, "and the question itself leaves nothing")

    def test_a_job_without_a_trigger_runs_at_once(self):
        before = time.time()
        first, second = (self.scheduler.add_job(work, misfire_grace_time=60) for _ in range(2))
        self.assertNotEqual(first.id, second.id)
        for task in self.engine.tasks.values():
            self.assertTrue(before <= task["eta"] <= time.time())
            self.assertEqual(task["expires"] - task["eta"], 60)

    def test_what_another_process_could_not_call_is_refused(self):
        self.assertRaises((ValueError, LookupError), self.scheduler.add_job, lambda: 1)
        self.assertRaises(TypeError, self.scheduler.add_job, work, args=[object()])
        self.assertEqual(self.engine.tasks, {})

    def test_what_only_this_worker_would_know_is_refused(self):
        for call in (lambda: self.scheduler.add_job(work, "interval", hours=2, id="b"),
                     lambda: self.scheduler.remove_job("a"),
                     lambda: self.scheduler.reschedule_job("a", trigger="cron", hour=1),
                     ours.BackgroundScheduler().start,
                     self.scheduler.remove_all_jobs):
            with self.assertRaisesRegex((ValueError, RuntimeError), "known to this worker alone"):
                call()

    def test_pausing_is_for_the_whole_box(self):
        self.scheduler.pause_job("a")
        self.scheduler.resume_job("a")
        self.scheduler.pause()
        self.assertEqual(self.scheduler.state, ours.STATE_PAUSED)
        self.scheduler.resume()
        self.assertEqual(self.asked, [("job_pause", {"job": "a"}), ("job_resume", {"job": "a"})] * 2)

    def test_the_next_run_is_the_box_s(self):
        self.known = [{"name": "a", "next": 2_000_000_000.0, "paused": False}]
        self.assertEqual(self.scheduler.get_job("a").next_run_time.timestamp(), 2_000_000_000)


class Elsewhere(unittest.TestCase):
    def run_python(self, code):
        environment = {**os.environ, "ONEBOX_BROKER": ""}
        return subprocess.run([sys.executable, "-W", "ignore", "-c", code], env=environment, text=True,
                              capture_output=True, timeout=60, check=False)

    def test_outside_of_a_box_it_is_apscheduler_s_own(self):
        result = self.run_python("from onebox.apscheduler import BackgroundScheduler, CronTrigger\n"
                                 "print(BackgroundScheduler.__module__, CronTrigger.__module__)")
        self.assertEqual(result.stdout,
                         "apscheduler.schedulers.background apscheduler.triggers.cron\n", result.stderr)

    def test_where_that_is_not_installed_its_start_says_so(self):
        result = self.run_python(
            "import sys; sys.modules['apscheduler'] = None\n"
            "from onebox.apscheduler import BackgroundScheduler\n"
            "scheduler = BackgroundScheduler()\n"
            "scheduler.add_job(print, 'interval', minutes=1)\n"
            "scheduler.start()")
        self.assertIn("nobody would run these jobs: this process was not started by `onebox run`",
                      result.stderr)


if __name__ == "__main__":
    unittest.main()
