"""Does OneboxCache do what Flask-Caching's own backends do, row for row?"""
import datetime
import hashlib
import itertools
import math
import pickle
import tempfile
import time
import unittest
import uuid
import warnings

import flask
import flask_caching
from flask_caching.backends.filesystemcache import FileSystemCache
from flask_caching.backends.simplecache import SimpleCache

from onebox.flask_caching import OneboxCache
from processes import in_processes

OURS = "onebox.flask_caching.OneboxCache"


class Point:
    def __init__(self, x):
        self.x = x

    def __eq__(self, other):
        return self.x == other.x


def fresh(**options):
    return OneboxCache(prefix=uuid.uuid4().hex, **options)


# What is done to an empty cache, one call after the other; what each returns is compared.
TABLE = {
    "nothing is there": lambda c: (c.get("a"), c.has("a"), c.get_many("a", "b"), c.get_dict("a")),
    "what is set is there": lambda c: (c.set("a", "x"), c.get("a"), c.has("a")),
    "a later value replaces it": lambda c: (c.set("a", 1), c.set("a", [2]), c.get("a")),
    "add, where nothing is": lambda c: (c.add("a", 1), c.get("a")),
    "add, where something is": lambda c: (c.set("a", 1), c.add("a", 2), c.get("a")),
    "add, after a delete": lambda c: (c.set("a", 1), c.delete("a"), c.add("a", 2), c.get("a")),
    "delete": lambda c: (c.set("a", 1), c.delete("a"), c.get("a"), c.has("a")),
    "None is a value": lambda c: (c.set("a", None), c.get("a"), c.has("a"), c.add("a", 1),
                                  c.get("a")),
    "falsy values": lambda c: ([c.set(str(v), v) for v in (0, "", b"", False, (), [], {})],
                               [c.get(str(v)) for v in (0, "", b"", False, (), [], {})]),
    "types come back as they were": lambda c: [
        (c.set("a", v), c.get("a"), type(c.get("a"))) for v in (
            1, -1, 2 ** 63 - 1, -2 ** 63, 2 ** 63, 10 ** 40, 1.5, True, "é\0ü", b"\0\xff",
            (1, (2,)), {1: "one", (2, 3): None}, {1, 2}, Point(3), datetime.date(2026, 1, 1),
            "\ud800")],
    "nan": lambda c: (c.set("a", math.nan), math.isnan(c.get("a"))),
    "set_many": lambda c: (c.set_many({"a": 1, "b": None}), c.get_many("b", "a", "c")),
    "get_many keeps the order": lambda c: (c.set_many({k: k for k in "abc"}), c.get_many(*"cab")),
    "get_dict": lambda c: (c.set_many({"a": 1}), c.get_dict("a", "b")),
    "get_many of nothing": lambda c: (c.get_many(), c.get_dict(), c.set_many({}), c.delete_many()),
    "delete_many": lambda c: (c.set_many({k: k for k in "abc"}), c.delete_many("a", "b"),
                              c.get_many(*"abc")),
    "clear": lambda c: (c.set_many({"a": 1, "b": 2}), c.clear(), c.get_many("a", "b"), c.has("a")),
    "clear, where nothing is": lambda c: c.clear(),
    "after clear it is as new": lambda c: (c.set("a", 1), c.clear(), c.add("a", 2), c.get("a")),
    "inc and dec, from nothing": lambda c: (c.inc("a"), c.inc("a", 5), c.dec("a", 2), c.get("a"),
                                            c.dec("b"), c.dec("b", 4), c.get("b")),
    "inc of what is set": lambda c: (c.set("a", 40), c.inc("a", 2), c.get("a")),
    "inc of None": lambda c: (c.set("a", None), c.inc("a"), c.get("a")),
    "inc of a float": lambda c: (c.set("a", 1.5), c.inc("a"), c.dec("a", 0.25), c.get("a")),
    "inc of a bool": lambda c: (c.set("a", True), c.inc("a"), c.get("a")),
    "inc by a float": lambda c: (c.inc("a", 0.5), c.get("a")),
    "inc beyond 64 bits": lambda c: (c.set("a", 2 ** 63 - 1), c.inc("a"), c.inc("a"), c.get("a")),
    "inc of a large int": lambda c: (c.set("a", 10 ** 30), c.inc("a", 10 ** 30), c.get("a")),
    "inc of a str": lambda c: (c.set("a", "x"), c.inc("a")),
    "timeout 0 is for ever": lambda c: (c.set("a", 1, 0), c.set("b", 2, timeout=0), c.has("a"),
                                        c.get_many("a", "b")),
    "timeout None is the default": lambda c: (c.set("a", 1, timeout=None), c.get("a")),
    "a negative timeout is over": lambda c: (c.set("a", 1, timeout=-1), c.get("a"), c.has("a")),
    "a negative timeout ends what was": lambda c: (c.set("a", 1), c.set("a", 2, timeout=-5),
                                                   c.get("a"), c.has("a")),
    "add with timeouts": lambda c: (c.add("a", 1, 0), c.add("b", 1, timeout=50), c.get_many(*"ab")),
    "set_many with a timeout": lambda c: (c.set_many({"a": 1}, timeout=-1), c.get("a"),
                                          c.set_many({"a": 1}, timeout=50), c.get("a")),
    "keys are compared whole": lambda c: (
        [c.set(k, k) for k in ("", " ", "a", "A", "a ", "ä", "\0", "1")],
        [c.get(k) for k in ("", " ", "a", "A", "a ", "ä", "\0", "1")]),
    "long keys": lambda c: ([c.set("k" * n, n) for n in (799, 800, 801, 5000, 100_000)],
                            [c.get("k" * n) for n in (799, 800, 801, 802, 5000, 100_000)],
                            c.delete("k" * 5000), c.has("k" * 5000)),
    "a value is a copy": lambda c: (value := [1], c.set("a", value), value.append(2), c.get("a"),
                                    c.get("a").append(3), c.get("a")),
    "a large value": lambda c: (c.set("a", "x" * 100_000), len(c.get("a"))),
}


def outcome(call, cache):
    try:
        return call(cache)
    except Exception as error:
        return type(error)


class Contract(unittest.TestCase):
    def test_every_row_is_as_with_the_backends_of_flask_caching(self):
        for why, call in TABLE.items():
            with self.subTest(why), tempfile.TemporaryDirectory() as folder:
                ours = outcome(call, fresh())
                self.assertEqual(ours, outcome(call, SimpleCache()), "as SimpleCache")
                self.assertEqual(ours, outcome(call, FileSystemCache(folder)), "as on disk")

    def test_what_is_not_there_is_not_deleted(self):
        """cachelib's FileSystemCache says True; its contract: "existed and has been deleted"."""
        self.assertIs(fresh().delete("a"), SimpleCache().delete("a"))
        self.assertIs(fresh().delete("a"), False)

    def test_what_does_not_pickle_is_refused(self):
        """As the contract says; cachelib from 0.10 on logs it, and says that it is stored."""
        cache = fresh()
        self.assertRaises((pickle.PicklingError, AttributeError), cache.set, "a", lambda: None)
        self.assertFalse(cache.has("a"))

    def test_delete_many_ends_or_goes_on_at_a_failure_as_theirs(self):
        for ignore in (False, True):
            theirs = SimpleCache()
            ours = fresh(ignore_errors=ignore)
            theirs.ignore_errors = ignore
            for cache in (ours, theirs):
                cache.set_many({"a": 1, "c": 3})
            self.assertEqual(ours.delete_many("a", "b", "c"), theirs.delete_many("a", "b", "c"))
            self.assertEqual(ours.get_many("a", "c"), theirs.get_many("a", "c"))

    def test_times(self):
        """Theirs round to seconds; ours does not, so it is asked well within and well after."""
        caches = [fresh(default_timeout=2), SimpleCache(default_timeout=2)]
        for cache in caches:
            cache.set("default", 1)
            cache.set("longer", 1, 60)
            cache.set("for ever", 1, 0)
            cache.set_many({"many": 1}, timeout=2)
            cache.add("added", 1, 2)
        names = ("default", "longer", "for ever", "many", "added")
        for cache in caches:
            self.assertEqual(cache.get_many(*names), [1, 1, 1, 1, 1])
        time.sleep(2.1)
        for cache in caches:
            self.assertEqual(cache.get_many(*names), [None, 1, 1, None, None])
            self.assertEqual([cache.has(name) for name in names], [False, True, True, False, False])
        self.assertIs(caches[0].add("added", 2), True)  # SimpleCache of cachelib 0.9: never again

    def test_a_default_timeout_of_0_is_for_ever(self):
        cache = fresh(default_timeout=0)
        cache.set("a", 1)
        self.assertIsNone(cache._cache.lookup("a")[1])
        cache.set("b", 1, timeout=datetime.timedelta(minutes=1))
        self.assertAlmostEqual(cache._cache.lookup("b")[1], 60, delta=1)

    def test_inc_keeps_the_time_that_is_left(self):
        """As Redis' and memcached's backends; theirs of one process begin anew at each."""
        cache = fresh(default_timeout=300)
        cache.set("a", 1, timeout=50)
        cache.inc("a")
        self.assertLessEqual(cache._cache.lookup("a")[1], 50)
        cache.set("b", 1.5, timeout=50)
        cache.inc("b")
        self.assertLessEqual(cache._cache.lookup("b")[1], 50)
        cache.inc("c")
        self.assertAlmostEqual(cache._cache.lookup("c")[1], 300, delta=5)

    def test_prefixes_are_apart(self):
        one, other = fresh(), fresh()
        one.set("a", 1)
        other.set("a", 2)
        one.clear()
        self.assertEqual((one.get("a"), other.get("a")), (None, 2))

    def test_a_prefix_that_is_asked_for(self):
        tenant = ["one"]
        cache = OneboxCache(prefix=lambda: tenant[0])
        cache.clear()
        cache.set("a", 1)
        tenant[0] = "two"
        self.assertIsNone(cache.get("a"))
        cache.set("a", 2)
        tenant[0] = "one"
        self.assertEqual(cache.get("a"), 1)

    def test_json_refuses_what_it_cannot_say(self):
        cache = fresh(codec="json")
        cache.set("a", {"x": [1, 2.5, None, "é"]})
        self.assertEqual(cache.get("a"), {"x": [1, 2.5, None, "é"]})
        for value in (Point(1), {1: 2}, {1, 2}):
            self.assertRaises(TypeError, cache.set, "b", value)
        self.assertFalse(cache.has("b"))

    def test_another_codec_has_other_entries(self):
        prefix = uuid.uuid4().hex
        OneboxCache(prefix=prefix).set("a", [1])
        self.assertIsNone(OneboxCache(prefix=prefix, codec="json").get("a"))

    def test_a_value_that_is_too_large_is_told(self):
        cache = fresh()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self.assertIs(cache.set("a", "x" * (cache._cache.value_bytes_max + 1)), False)
        self.assertIn("is not stored", str(caught[0].message))
        self.assertIsNone(cache.get("a"))


def app_with(**config):
    app = flask.Flask("test_flask_caching")
    app.config.update(config)
    cache = flask_caching.Cache(app)
    return app, cache


def each_backend(test):
    """The test, once with Flask-Caching's own backend, and once with ours."""
    def run(self):
        for backend in ("SimpleCache", OURS):
            with self.subTest(backend):
                app, cache = app_with(CACHE_TYPE=backend, CACHE_KEY_PREFIX=uuid.uuid4().hex)
                with app.test_request_context("/path"):
                    test(self, app, cache)
    return run


class Decorators(unittest.TestCase):
    @each_backend
    def test_cached_and_its_key(self, app, cache):
        calls = []

        @cache.cached(timeout=50, key_prefix="list")
        def listed():
            calls.append(1)
            return {"made": len(calls)}

        self.assertEqual([listed(), listed()], [{"made": 1}, {"made": 1}])
        cache.delete("list")
        self.assertEqual(listed(), {"made": 2})
        cache.clear()
        self.assertEqual(listed(), {"made": 3})

    @each_backend
    def test_a_view_is_cached_as_a_response(self, app, cache):
        calls = []

        @app.get("/view/<int:number>")
        @cache.cached(timeout=50, query_string=True)
        def view(number):
            calls.append(number)
            return flask.make_response((f"{number}: {len(calls)}", 201, {"X-Made": "here"}))

        client = app.test_client()
        first, again, other = (client.get(path) for path in ("/view/1", "/view/1", "/view/1?a=1"))
        self.assertEqual((first.data, first.status_code, first.headers["X-Made"]),
                         (b"1: 1", 201, "here"))
        self.assertEqual((again.data, again.status_code, again.headers["X-Made"]),
                         (b"1: 1", 201, "here"))
        self.assertEqual(other.data, b"1: 2")

    @each_backend
    def test_none_is_cached_when_asked(self, app, cache):
        for cache_none, expected in ((False, 3), (True, 1)):
            calls = []

            @cache.cached(key_prefix=f"none{cache_none}", cache_none=cache_none)
            def nothing():
                calls.append(1)

            @cache.memoize(cache_none=cache_none)
            def memoized(argument):
                calls.append(1)

            self.assertEqual([nothing() for _ in range(3)], [None] * 3)
            self.assertEqual(len(calls), expected)
            self.assertEqual([memoized(1) for _ in range(3)], [None] * 3)
            self.assertEqual(len(calls), 2 * expected)
            cache.delete_memoized(memoized)

    @each_backend
    def test_memoize_by_arguments(self, app, cache):
        calls = []

        @cache.memoize(timeout=50)
        def prices(country, kind="all"):
            calls.append((country, kind))
            return f"{country} {kind} {len(calls)}"

        self.assertEqual(prices(1), "1 all 1")
        self.assertEqual(prices(2), "2 all 2")
        self.assertEqual(prices(1, kind="all"), "1 all 1")
        self.assertEqual(prices(country=1), "1 all 1")
        cache.delete_memoized(prices, 1)
        self.assertEqual((prices(1), prices(2)), ("1 all 3", "2 all 2"))
        cache.delete_memoized(prices)
        self.assertEqual((prices(1), prices(2)), ("1 all 4", "2 all 5"))
        version = prices.make_cache_key(prices.uncached, 1)
        self.assertEqual(version, prices.make_cache_key(prices.uncached, 1))
        cache.delete_memoized_verhash(prices)
        self.assertNotEqual(version, prices.make_cache_key(prices.uncached, 1))
        self.assertEqual(prices(1), "1 all 6")

    @each_backend
    def test_memoized_methods(self, app, cache):
        class Adder:
            def __init__(self, name):
                self.name, self.calls = name, 0

            def __repr__(self):
                return f"Adder({self.name})"

            @cache.memoize()
            def add(self, b):
                self.calls += 1
                return b, self.calls

        one, two = Adder("one"), Adder("two")
        for adder in (one, two):
            self.assertEqual([adder.add(1), adder.add(1), adder.add(2)], [(1, 1), (1, 1), (2, 2)])
        cache.delete_memoized(one.add)
        self.assertEqual((one.add(1), two.add(1)), ((1, 3), (1, 1)))
        cache.delete_memoized(Adder.add)
        self.assertEqual((one.add(1), two.add(1)), ((1, 4), (1, 3)))

    @each_backend
    def test_unless_forced_update_and_filter(self, app, cache):
        calls, force = [], [False]

        @cache.memoize(unless=lambda f, n: n < 0, forced_update=lambda: force[0],
                       response_filter=lambda value: value != "no", hash_method=hashlib.sha256)
        def f(n):
            calls.append(n)
            return "no" if n == 0 else len(calls)

        self.assertEqual([f(-1), f(-1)], [1, 2])
        self.assertEqual([f(5), f(5)], [3, 3])
        force[0] = True
        self.assertEqual(f(5), 4)
        force[0] = False
        self.assertEqual(f(5), 4)
        self.assertEqual([f(0), f(0)], ["no", "no"])
        self.assertEqual(len(calls), 6)

    @each_backend
    def test_a_template_s_fragment(self, app, cache):
        source = "{% cache 50, 'fragment' %}{{ counter() }}{% endcache %}"
        counter = itertools.count(1)
        for _ in range(2):
            made = flask.render_template_string(source, counter=lambda: next(counter))
            self.assertEqual(made, "1")

    def test_settings(self):
        _, cache = app_with(CACHE_TYPE=OURS, CACHE_DEFAULT_TIMEOUT=7, CACHE_IGNORE_ERRORS=True,
                            CACHE_OPTIONS={"codec": "json"}, CACHE_KEY_PREFIX="settings")
        backend = next(iter(cache.app.extensions["cache"].values()))
        self.assertEqual(backend.default_timeout, 7)
        self.assertIs(backend.ignore_errors, True)
        self.assertRaises(TypeError, backend.set, "a", Point(1))
        app, cache = app_with(CACHE_TYPE=OURS, CACHE_ONEBOX_CODEC="json")
        with app.app_context():
            self.assertRaises(TypeError, cache.set, "a", Point(1))
        app, cache = app_with(CACHE_TYPE=OURS)
        with app.app_context():
            cache.set("a", Point(1))
            self.assertEqual(cache.get("a"), Point(1))
            cache.clear()


class Processes(unittest.TestCase):
    def test_nothing_is_lost_between_processes(self):
        cache = fresh(default_timeout=0)
        cache.set("float", 0.5)

        def work(number):
            for i in range(2000):
                cache.inc("int")
                if i % 10 == 0:
                    cache.inc("float")
                    cache.dec("down", 3)
            cache.set(f"from {number}", number)

        in_processes(4, work)
        self.assertEqual((cache.get("int"), cache.get("float"), cache.get("down")),
                         (8000, 800.5, -2400))
        self.assertEqual(cache.get_many(*(f"from {n}" for n in range(4))), [0, 1, 2, 3])

    def test_one_of_all_adds(self):
        cache = fresh()

        def work(number):
            return [cache.add(str(i), number) for i in range(500)]

        won = in_processes(4, work)
        self.assertEqual([sum(each) for each in zip(*won)], [1] * 500)

    def test_no_value_is_torn(self):
        cache = fresh()

        def work(number):
            for _ in range(300):
                cache.set("a", bytes([number]) * 30_000)
                found = cache.get("a")
                assert found is None or (len(found), len(set(found))) == (30_000, 1), found
            return True

        self.assertEqual(in_processes(4, work), [True] * 4)
        self.assertEqual(len(pickle.dumps(cache.get("a"))) > 30_000, True)
