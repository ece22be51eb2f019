"""Is APScheduler itself kept from running each job in each worker, and run once where that is wanted?

Each test is a process of its own, as a worker is: what is imported there is changed for good."""
import os
import subprocess
import sys
import textwrap
import unittest

BEGIN = """
import threading, sys
from onebox import apscheduler_hook
apscheduler_hook.install(tells=True)
assert "apscheduler" not in sys.modules, "an app without it does not load it"
"""
APP = """
from apscheduler.schedulers.background import BackgroundScheduler
ran = threading.Event()
scheduler = BackgroundScheduler()
scheduler.add_job(ran.set, "interval", seconds=0.01)
scheduler.start()
"""
REQUEST = """
import onebox
onebox.deadline = lambda: 5.0
"""


def run(code, mode=None):
    environment = {**os.environ, "ONEBOX_APSCHEDULER": mode or ""}
    if mode is None:
        del environment["ONEBOX_APSCHEDULER"]
    return subprocess.run([sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)], text=True,
                          env=environment, capture_output=True, timeout=60, check=False)


class Hook(unittest.TestCase):
    def check_quiet(self, result, lines):
        self.assertEqual((result.returncode, result.stderr.count("\n")), (0, lines), result.stderr)

    def test_it_is_not_started_and_that_is_said_once(self):
        result = run(BEGIN + APP + "other = BackgroundScheduler(); other.start(); other.shutdown()\n"
                     "scheduler.pause(); scheduler.resume(); scheduler.shutdown(); scheduler.start()\n"
                     "assert not scheduler.running and threading.active_count() == 1")
        self.check_quiet(result, 1)
        self.assertIn("onebox: APScheduler is not started in web workers (each would run every job): import "
                      "onebox.apscheduler in its place, or set [jobs] apscheduler = \"task-worker\"",
                      result.stderr)

    def test_whoever_subclasses_it_gets_the_same(self):
        for made in ("apscheduler.schedulers.blocking.BlockingScheduler",
                     "apscheduler.schedulers.asyncio.AsyncIOScheduler", "Mine"):
            result = run(BEGIN + f"""
import apscheduler.schedulers.asyncio, apscheduler.schedulers.blocking
from apscheduler.schedulers.background import BackgroundScheduler
class Mine(BackgroundScheduler):
    def start(self, paused=False):
        super().start(paused)
        raise SystemExit("started")
{made}().start()
assert threading.active_count() == 1
""")
            self.check_quiet(result, 1)

    def test_what_is_imported_already_is_changed_too(self):
        self.check_quiet(run("""
import threading
from apscheduler.schedulers.background import BackgroundScheduler
class Mine(BackgroundScheduler):
    def start(self, paused=False):
        raise SystemExit("started")
from onebox import apscheduler_hook
apscheduler_hook.install(tells=True)
Mine().start()
""" + APP + "assert not scheduler.running and threading.active_count() == 1"), 1)

    def test_a_task_worker_starts_what_was_not_started(self):
        result = run(BEGIN + APP + """
assert not ran.is_set()
apscheduler_hook.follow(mine=True)
assert ran.wait(30) and scheduler.running
later = BackgroundScheduler()
later.start()
assert later.running
scheduler.shutdown()
later.shutdown()
""", "task-worker")
        self.check_quiet(result, 1)
        self.assertIn("one task worker of the box starts it", result.stderr)

    def test_it_begins_paused_where_it_was_to(self):
        self.check_quiet(run(BEGIN + APP + """
scheduler.pause()
apscheduler_hook.follow(mine=True)
from apscheduler.schedulers.base import STATE_PAUSED
assert scheduler.state == STATE_PAUSED
scheduler.shutdown()
""", "task-worker"), 1)

    def test_one_that_blocks_is_started_nowhere(self):
        self.check_quiet(run(BEGIN + """
from apscheduler.schedulers.blocking import BlockingScheduler
BlockingScheduler().start()
apscheduler_hook.follow(mine=True)
""", "task-worker"), 1)

    def test_only_where_it_is_wanted_a_task_worker_asks_for_it(self):
        for mode, asks in (("refuse", False), ("task-worker", True), ("allow", False)):
            result = run(BEGIN + """
from onebox.tasks import reporter
asked = []
reporter.claim = lambda name, hears: asked.append(hears)
""" + APP + f"""
from onebox import declaration
assert bool(declaration.contents()["tasks"]) is {asks}, "a task worker has to be there"
apscheduler_hook.serve()
assert bool(asked) is {asks}
for hears in asked:
    hears(True)
    assert ran.wait(30)
if scheduler.running:
    scheduler.shutdown()
""", mode)
            self.check_quiet(result, mode != "allow")

    def test_another_may_take_it_over(self):
        self.check_quiet(run(BEGIN + APP + """
apscheduler_hook.follow(mine=True)
apscheduler_hook.follow(mine=False)
assert not scheduler.running
scheduler.shutdown()
scheduler.start()
apscheduler_hook.follow(mine=True)
assert scheduler.running
scheduler.shutdown()
""", "task-worker"), 1)

    def test_a_request_that_adds_a_job_is_told(self):
        result = run(BEGIN + APP + REQUEST + "scheduler.add_job(print)")
        self.assertIn("so this job would never run", result.stderr)
        self.assertEqual(result.returncode, 1)

    def test_it_may_be_allowed(self):
        self.check_quiet(run(BEGIN + APP + "assert ran.wait(30) and scheduler.running\nscheduler.shutdown()",
                             "allow"), 0)

    def test_a_forked_worker_can_start_it(self):
        self.check_quiet(run(BEGIN + APP + """
import os
pid = os.fork()
if pid == 0:
    apscheduler_hook.follow(mine=True)
    os._exit(0 if ran.wait(30) else 1)
assert os.waitpid(pid, 0)[1] == 0
assert not ran.is_set()
""", "task-worker"), 1)


if __name__ == "__main__":
    unittest.main()
