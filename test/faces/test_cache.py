"""Are counters and locks of onebox.cache exact for all processes of the box, whoever dies?"""
import os
import signal
import tempfile
import time
import unittest
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path

from onebox.cache import Cache, LockLost
from processes import in_processes


def in_a_fork(work):
    """The pid of a process that has begun the work, and has said so."""
    ready_read, ready_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            work(lambda: os.write(ready_write, b"."))
        finally:
            os._exit(0)
    os.close(ready_write)
    assert os.read(ready_read, 1) == b"."
    os.close(ready_read)
    return pid


def end(pid):
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


class Shared(unittest.TestCase):
    def setUp(self):
        self.cache = Cache(uuid.uuid4().hex)

    def test_no_increment_is_lost_and_none_is_given_twice(self):
        def work(number):
            return [self.cache.increment(("count", "of", 1), 1, initial=0) for _ in range(5000)]

        sums = sum(in_processes(4, work), [])
        self.assertEqual(sorted(sums), list(range(1, 20_001)))
        self.assertEqual(self.cache.get(("count", "of", 1)), 20_000)

    def test_what_is_kept_goes_with_no_purge_of_others(self):
        """Marks of tags and namespaces collide: with so many, some would have met each of these."""
        for number in range(1000):
            self.cache.set(number, number, keep=True)
        for number in range(20_000):
            self.cache.purge(f"user {number}")
            Cache(f"another {number}").clear()
        self.assertEqual(len(self.cache.get_many(range(1000))), 1000)
        self.cache.clear()
        self.assertEqual(len(self.cache.get_many(range(1000))), 1000)
        Cache("another").clear(kept=True)
        self.assertEqual(len(self.cache.get_many(range(1000))), 1000)
        self.cache.clear(kept=True)
        self.assertEqual(self.cache.get_many(range(1000)), {})
        with self.assertRaisesRegex(ValueError, "what is kept has no tags"):
            self.cache.set(1, 1, keep=True, tags=["user 1"])

    def test_mistakes_are_told_with_what_was_expected(self):
        with self.assertRaisesRegex(ValueError, "one of json, pickle, raw, not 'yaml'"):
            Cache("reports", codec="yaml")
        with self.assertRaisesRegex(ValueError, "presence is 0, 1 or 2, not 9"):
            self.cache.set(1, 1, presence=9)
        with self.assertRaisesRegex(ValueError, "ttl is a number of seconds, not -1"):
            self.cache.set(1, 1, ttl=-1)

    def test_an_end_by_the_clock(self):
        now = time.time()
        zone = timezone(timedelta(hours=5))
        for expires in (now + 100, int(now) + 100, datetime.fromtimestamp(now + 100, zone)):
            left = {}
            self.cache.set("set", 1, expires=expires)
            self.cache.set_many({"many": 1}, expires=expires)
            self.cache.add(("add", str(expires)), 1, expires=expires, keep=True)
            self.cache.increment(("count", str(expires)), 1, initial=0, expires=expires)
            self.cache.set("touched", 1)
            self.assertTrue(self.cache.touch("touched", expires=expires))
            self.cache.delete("loaded")
            self.cache.get_or_set("loaded", lambda: 1, expires=expires, jitter=0.9)
            for key in ("set", "many", ("add", str(expires)), ("count", str(expires)), "touched",
                        "loaded"):
                left[key] = self.cache.lookup(key)[1]
            self.assertTrue(all(98 < seconds <= 100 for seconds in left.values()), left)

    def test_an_end_that_has_passed_leaves_nothing(self):
        for expires in (0, time.time() - 1, datetime(2020, 1, 1, tzinfo=timezone.utc), -1e300):
            self.cache.set("a", 1)
            self.cache.set("a", 2, expires=expires)
            self.assertIsNone(self.cache.get("a"))
            self.cache.set("a", 1)
            self.cache.touch("a", expires=expires)
            self.assertIsNone(self.cache.get("a"))
            self.assertEqual(self.cache.get_or_set("a", lambda: 3, expires=expires), 3)
            self.assertIsNone(self.cache.get("a"))

    def test_an_end_that_is_none_is_told(self):
        for store in (lambda **how: self.cache.set("a", 1, **how), lambda **how: self.cache.touch("a", **how),
                      lambda **how: self.cache.get_or_set("a", lambda: self.fail("loaded"), **how)):
            with self.assertRaisesRegex(ValueError, "a time zone, which datetime.datetime"):
                store(expires=datetime(2030, 1, 1))
            with self.assertRaisesRegex(TypeError, "either a ttl, or expires"):
                store(ttl=5, expires=time.time() + 5)
            with self.assertRaises(TypeError):
                store(expires="tomorrow")
        with self.assertRaisesRegex(TypeError, "touch.. takes a ttl, or expires"):
            self.cache.touch("a")
        with self.assertRaisesRegex(ValueError, "a time, not nan"):
            self.cache.set("a", 1, expires=float("nan"))

    def test_what_is_compared_is_of_the_same_kind_too(self):
        self.cache.set("a", b"bytes")
        self.assertFalse(self.cache.set("a", 1, equals="bytes"))
        self.assertFalse(self.cache.delete("a", equals="bytes"))
        self.assertTrue(self.cache.delete("a", equals=b"bytes"))
        self.cache.set("a", "[1]")
        self.assertFalse(self.cache.touch("a", 5, equals=[1]))
        self.assertTrue(self.cache.set("a", 2, equals="[1]"))

    def test_a_lock_is_one_s_at_a_time(self):
        """It guards a file that is read, and then written: without it, counts are lost."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "count")
            path.write_text("0")

            def work(number):
                for _ in range(200):
                    with self.cache.lock("file"):
                        count = int(path.read_text())
                        time.sleep(0)  # a place where another may run
                        path.write_text(str(count + 1))

            in_processes(4, work)
            self.assertEqual(path.read_text(), "800")

    def test_who_does_not_get_the_lock_in_time_is_told(self):
        with self.cache.lock("a"):
            self.assertIs(self.cache.lock("a").acquire(wait=0), False)
            with self.assertRaises(TimeoutError):
                with self.cache.lock("a", wait=0.01):
                    self.fail("two have it")
            with self.cache.lock("another", wait=0):
                pass
        self.assertIs(self.cache.lock("a").acquire(wait=0), True)

    def test_the_lock_of_a_dead_process_is_free_when_its_lease_ends(self):
        def work(tell):
            assert self.cache.lock("a", lease=1).acquire(wait=0)
            tell()
            time.sleep(60)

        began = time.monotonic()
        end(in_a_fork(work))
        with self.cache.lock("a", wait=30):
            self.assertGreaterEqual(time.monotonic() - began, 0.9)

    def test_a_lock_that_was_lost_is_told(self):
        with self.assertRaises(LockLost):
            with self.cache.lock("a", lease=0.05):
                time.sleep(0.1)
                self.assertTrue(self.cache.lock("a", lease=60).acquire(wait=1))
        self.assertIs(self.cache.lock("a").acquire(wait=0), False, "the other still has it")

    def test_the_value_of_a_dead_loader_is_loaded_by_another(self):
        def work(tell):
            def load():
                tell()
                time.sleep(60)
            self.cache.get_or_set("a", load, 60, lease=1)

        end(in_a_fork(work))
        self.assertEqual(self.cache.get_or_set("a", lambda: "loaded", 60, lease=1), "loaded")
