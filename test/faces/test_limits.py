"""Does onebox:// count for Flask-Limiter as its own storages do, and for all processes at once?"""
import time
import unittest
import uuid
from unittest import mock

import flask
import flask_limiter
import limits
from limits.storage import MemoryStorage, storage_from_string
from limits.strategies import (FixedWindowRateLimiter, FixedWindowElasticExpiryRateLimiter,
                               MovingWindowRateLimiter)

import onebox.limits
from processes import in_processes

try:
    from limits.strategies import SlidingWindowCounterRateLimiter
except ImportError:
    SlidingWindowCounterRateLimiter = None


def fresh():
    return storage_from_string(f"onebox://{uuid.uuid4().hex}")


def each_storage(test):
    def run(self):
        for storage in (MemoryStorage(), fresh()):
            with self.subTest(type(storage).__name__):
                test(self, storage)
    return run


class Contract(unittest.TestCase):
    def test_the_scheme_is_known(self):
        self.assertIsInstance(storage_from_string("onebox://"), onebox.limits.OneboxStorage)

    @each_storage
    def test_a_fixed_window(self, storage):
        self.assertEqual(storage.get("a"), 0)
        self.assertAlmostEqual(storage.get_expiry("a"), time.time(), delta=1.5)
        self.assertEqual([storage.incr("a", 2), storage.incr("a", 2),
                          storage.incr("a", 2, amount=3), storage.incr("b", 60)], [1, 2, 5, 1])
        self.assertAlmostEqual(storage.get_expiry("a"), time.time() + 2, delta=1.5)
        self.assertAlmostEqual(storage.get_expiry("b"), time.time() + 60, delta=1.5)
        self.assertEqual((storage.get("a"), storage.get("b")), (5, 1))
        time.sleep(2.1)
        self.assertEqual((storage.get("a"), storage.get("b"), storage.incr("a", 2)), (0, 1, 1))

    def test_an_elastic_one_lasts_from_the_last_hit(self):
        storages = [MemoryStorage(), fresh()]
        for storage in storages:
            storage.incr("fixed", 60)
            storage.incr("elastic", 60, elastic_expiry=True)
        before = [(each.get_expiry("fixed"), each.get_expiry("elastic")) for each in storages]
        time.sleep(2.1)
        for storage, (fixed, elastic) in zip(storages, before):
            self.assertEqual(storage.incr("fixed", 60), 2)
            self.assertEqual(storage.incr("elastic", 60, elastic_expiry=True), 2)
            self.assertAlmostEqual(storage.get_expiry("fixed"), fixed, delta=1)
            self.assertGreaterEqual(storage.get_expiry("elastic"), elastic + 2)

    def test_a_moving_window(self):
        storages = [MemoryStorage(), fresh()]
        took = [[each.acquire_entry("a", 3, 4) for _ in range(2)] for each in storages]
        time.sleep(2)
        for storage, first in zip(storages, took):
            first += [storage.acquire_entry("a", 3, 4) for _ in range(2)]
            self.assertEqual(first, [True, True, True, False])
        began, count = storages[1].get_moving_window("a", 3, 4)
        self.assertEqual(count, 3)
        self.assertAlmostEqual(began, time.time() - 2, delta=1.5)
        time.sleep(2.1)  # the first two have gone
        for storage in storages:
            self.assertEqual(storage.get_moving_window("a", 3, 4)[1], 1)
            self.assertEqual([storage.acquire_entry("a", 3, 4) for _ in range(3)],
                             [True, True, False])

    @each_storage
    def test_a_moving_window_by_amounts(self, storage):
        self.assertEqual([storage.acquire_entry("a", 10, 60, amount) for amount in (4, 7, 6, 1)],
                         [True, False, True, False])
        self.assertEqual(storage.get_moving_window("a", 10, 60)[1], 10)
        self.assertEqual(storage.get_moving_window("none", 10, 60)[1], 0)

    def test_more_than_the_limit_at_once_is_never_allowed(self):
        self.assertFalse(fresh().acquire_entry("a", 10, 60, 11))

    @each_storage
    def test_clear_and_reset(self, storage):
        for key in "ab":
            storage.incr(key, 60)
            storage.acquire_entry(key, 1, 60)
        storage.clear("a")
        self.assertEqual((storage.get("a"), storage.get("b")), (0, 1))
        self.assertEqual((storage.acquire_entry("a", 1, 60), storage.acquire_entry("b", 1, 60)),
                         (True, False))
        storage.reset()
        self.assertEqual((storage.get("b"), storage.acquire_entry("b", 1, 60)), (0, True))
        self.assertIs(storage.check(), True)

    @each_storage
    def test_long_keys(self, storage):
        storage.incr("k" * 5000, 60)
        storage.incr("k" * 5001, 60)
        self.assertTrue(storage.acquire_entry("k" * 5000, 1, 60))
        self.assertEqual((storage.incr("k" * 5000, 60), storage.acquire_entry("k" * 5000, 1, 60)),
                         (2, False))

    def test_names_are_apart(self):
        one, other = fresh(), fresh()
        one.incr("a", 60)
        self.assertEqual((one.get("a"), other.get("a")), (1, 0))
        other.reset()
        self.assertEqual(one.get("a"), 1)

    def test_each_strategy(self):
        for strategy in (FixedWindowRateLimiter, FixedWindowElasticExpiryRateLimiter,
                         MovingWindowRateLimiter, SlidingWindowCounterRateLimiter):
            if strategy is None:
                continue
            with self.subTest(strategy.__name__):
                item = limits.parse("5/hour")
                said = []
                for storage in (MemoryStorage(), fresh()):
                    limiter = strategy(storage)
                    each = []
                    for _ in range(7):
                        each += [limiter.test(item, "user", "1"), limiter.hit(item, "user", "1"),
                                 limiter.get_window_stats(item, "user", "1")[1]]
                    each.append(limiter.hit(item, "user", "2", cost=5))
                    each.append(limiter.hit(item, "user", "2"))
                    reset = limiter.get_window_stats(item, "user", "2")[0]
                    each.append(0 < reset - time.time() < 7201)
                    limiter.clear(item, "user", "1")
                    each.append(limiter.hit(item, "user", "1"))
                    said.append(each)
                self.assertEqual(said[1], said[0])

    if SlidingWindowCounterRateLimiter:  # limits 4 has sliding windows
        def test_a_sliding_window_counts_the_one_before_by_its_part(self):
            storage = fresh()
            now = mock.Mock(wraps=time)
            with mock.patch.object(onebox.limits, "time", now):
                now.time.return_value = 10_990.0  # windows of 1000 s: 10 s before the end of one
                self.assertEqual([storage.acquire_sliding_window_entry("a", 10, 1000)
                                  for _ in range(11)], [True] * 10 + [False])
                self.assertEqual(storage.get_sliding_window("a", 1000), (0, 0.0, 10, 1010.0))
                now.time.return_value = 11_250.0  # a quarter of the next has gone: 7.5 still count
                self.assertEqual(storage.get_sliding_window("a", 1000), (10, 750.0, 0, 1750.0))
                self.assertEqual([storage.acquire_sliding_window_entry("a", 10, 1000)
                                  for _ in range(4)], [True] * 3 + [False])
                storage.clear_sliding_window("a", 1000)
                self.assertTrue(storage.acquire_sliding_window_entry("a", 10, 1000, 10))

    if SlidingWindowCounterRateLimiter:  # limits 4 has sliding windows
        def test_a_hit_that_another_was_quicker_than_is_taken_back(self):
            storage = fresh()
            self.assertTrue(storage.acquire_sliding_window_entry("a", 3, 36000, 3))
            with mock.patch.object(storage, "_sliding", return_value=(0, 0.0, 2, 36000.0)):
                self.assertFalse(storage.acquire_sliding_window_entry("a", 3, 36000))
            self.assertEqual(storage.get_sliding_window("a", 36000)[2], 3)


class Limiter(unittest.TestCase):
    def app(self, strategy):
        app = flask.Flask("test_limits")
        limiter = flask_limiter.Limiter(flask_limiter.util.get_remote_address, app=app,
                                        storage_uri=f"onebox://{uuid.uuid4().hex}",
                                        strategy=strategy, headers_enabled=True)
        app.add_url_rule("/", view_func=limiter.limit("3 per hour")(lambda: "fine"))
        return app

    def test_flask_limiter(self):
        for strategy in ("fixed-window", "moving-window"):
            with self.subTest(strategy):
                client = self.app(strategy).test_client()
                answers = [client.get("/") for _ in range(5)]
                self.assertEqual([answer.status_code for answer in answers], [200] * 3 + [429] * 2)
                self.assertEqual([answer.headers["X-RateLimit-Remaining"] for answer in answers],
                                 ["2", "1", "0", "0", "0"])
                other = client.get("/", environ_base={"REMOTE_ADDR": "10.0.0.9"})
                self.assertEqual(other.status_code, 200)

    def test_processes_share_the_limit(self):
        app = self.app("moving-window")

        def work(number):
            client = app.test_client()
            return [client.get("/").status_code for _ in range(5)]

        answers = sum(in_processes(4, work), [])
        self.assertEqual((answers.count(200), answers.count(429)), (3, 17))


class Processes(unittest.TestCase):
    def test_a_fixed_window_counts_all(self):
        storage = fresh()
        sums = in_processes(4, lambda number: [storage.incr("a", 600) for _ in range(2000)])
        self.assertEqual(storage.get("a"), 8000)
        self.assertEqual(sorted(sum(sums, [])), list(range(1, 8001)), "and no sum is given twice")

    def test_a_moving_window_allows_exactly_its_limit(self):
        storage = fresh()
        took = in_processes(
            4, lambda number: sum(storage.acquire_entry("a", 400, 600) for _ in range(300)))
        self.assertEqual(sum(took), 400)
        self.assertEqual(storage.get_moving_window("a", 400, 600)[1], 400)

    def test_a_moving_window_by_amounts_too(self):
        storage = fresh()
        took = in_processes(
            4, lambda number: sum(storage.acquire_entry("a", 500, 600, 7) for _ in range(100)))
        self.assertEqual(sum(took), 500 // 7)

    if SlidingWindowCounterRateLimiter:  # limits 4 has sliding windows
        def test_a_sliding_window_allows_no_more_than_its_limit(self):
            storage = fresh()
            took = in_processes(4, lambda number: sum(
                storage.acquire_sliding_window_entry("a", 400, 36000) for _ in range(300)))
            self.assertEqual(sum(took), 400)
