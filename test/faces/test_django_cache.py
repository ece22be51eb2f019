"""Does Django find in OneboxCache what it finds in its own LocMemCache, sessions included?"""
import asyncio
import datetime
import tempfile
import time
import unittest
import uuid
import warnings

import django
from django.conf import settings

DATABASE = tempfile.NamedTemporaryFile(suffix=".sqlite")
OURS = "onebox.django_cache.OneboxCache"
THEIRS = "django.core.cache.backends.locmem.LocMemCache"
settings.configure(
    SECRET_KEY="of a test", DEFAULT_AUTO_FIELD="django.db.models.AutoField", USE_TZ=True,
    INSTALLED_APPS=["django.contrib.sessions"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DATABASE.name}},
    SESSION_CACHE_ALIAS="sessions",
    CACHES={
        "default": {"BACKEND": OURS},
        "other": {"BACKEND": OURS, "LOCATION": "other", "KEY_PREFIX": "p", "VERSION": 3,
                  "TIMEOUT": 7},
        "for ever": {"BACKEND": OURS, "TIMEOUT": None, "LOCATION": "for ever"},
        "json": {"BACKEND": OURS, "OPTIONS": {"codec": "json"}},
        "sessions": {"BACKEND": OURS, "LOCATION": "sessions", "OPTIONS": {"keep": True}},
    })
django.setup()

from django.core.cache import caches  # noqa: E402: Django wants its settings first
from django.core.cache.backends.base import CacheKeyWarning  # noqa: E402
from django.core.cache.backends.locmem import LocMemCache  # noqa: E402

from onebox.django_cache import OneboxCache  # noqa: E402
from processes import in_processes  # noqa: E402


class Point:
    def __init__(self, x):
        self.x = x

    def __eq__(self, other):
        return self.x == other.x


def fresh(**params):
    return OneboxCache(uuid.uuid4().hex, params)


def raising():
    raise KeyError("the loader's own")


# What is done to an empty cache, one call after the other; what each returns is compared.
TABLE = {
    "nothing is there": lambda c: (c.get("a"), c.get("a", "default"), c.has_key("a"), "a" in c,
                                   c.get_many(["a"]), c.delete("a"), c.touch("a")),
    "set": lambda c: (c.set("a", 1), c.get("a"), c.has_key("a"), "a" in c, c.get("a", 5)),
    "a later value replaces it": lambda c: (c.set("a", 1), c.set("a", [2]), c.get("a")),
    "add": lambda c: (c.add("a", 1), c.add("a", 2), c.get("a")),
    "delete": lambda c: (c.set("a", 1), c.delete("a"), c.delete("a"), c.get("a")),
    "types": lambda c: [(c.set("a", v), c.get("a"), type(c.get("a"))) for v in (
        1, 2 ** 63, True, 1.5, "é\0", b"\xff", (1, 2), {1: 2}, {3}, Point(1), "\ud800",
        datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc))],
    "None is a value": lambda c: (c.set("a", None), c.get("a", "d"), c.has_key("a"), c.add("a", 1),
                                  c.get_many(["a"]), c.get_or_set("a", 3)),
    "get_many": lambda c: (c.set_many({"a": 1, "b": 2}), c.get_many(["b", "c", "a"]),
                           c.get_many(iter("ab")), c.get_many([])),
    "delete_many": lambda c: (c.set_many({"a": 1, "b": 2, "c": 3}), c.delete_many(["a", "b", "d"]),
                              c.get_many("abc")),
    "clear": lambda c: (c.set("a", 1), c.clear(), c.get("a"), c.add("a", 2), c.get("a")),
    "incr and decr": lambda c: (c.set("a", 41), c.incr("a"), c.incr("a", 10), c.decr("a"),
                                c.decr("a", 10), c.incr("a", -10), c.get("a")),
    "incr of nothing": lambda c: c.incr("a"),
    "decr of nothing": lambda c: c.decr("a"),
    "incr of a float": lambda c: (c.set("a", 1.5), c.incr("a"), c.get("a")),
    "incr beyond 64 bits": lambda c: (c.set("a", 2 ** 63 - 1), c.incr("a"), c.get("a")),
    "incr of None": lambda c: (c.set("a", None), c.incr("a")),
    "incr of a str": lambda c: (c.set("a", "x"), c.incr("a")),
    "timeout 0 is not kept": lambda c: (c.set("a", 1), c.set("a", 2, 0), c.get("a"),
                                        c.has_key("a")),
    "a negative timeout, too": lambda c: (c.set("a", 1), c.set("a", 2, -1), c.get("a")),
    "add with timeout 0": lambda c: (c.add("a", 1, 0), c.get("a"), c.add("a", 2), c.get("a")),
    "timeout None is for ever": lambda c: (c.set("a", 1, timeout=None), c.get("a"),
                                           c.set_many({"b": 2}, None), c.get("b")),
    "touch": lambda c: (c.set("a", 1), c.touch("a", 50), c.touch("a", None), c.touch("a"),
                        c.get("a")),
    "touch with 0 ends it": lambda c: (c.set("a", 1), c.touch("a", 0), c.get("a"), c.touch("a", 1)),
    "versions": lambda c: (c.set("a", 1, version=1), c.set("a", 2, version=2), c.get("a"),
                           c.get("a", version=2), c.get("a", version=3), c.delete("a", version=2),
                           c.has_key("a", version=2), c.get_many(["a"], version=1),
                           c.incr("a", 5, version=1), c.touch("a", version=2)),
    "incr_version": lambda c: (c.set("a", 1), c.incr_version("a"), c.get("a"),
                               c.get("a", version=2), c.decr_version("a", version=2), c.get("a")),
    "incr_version of nothing": lambda c: c.incr_version("a"),
    "get_or_set": lambda c: (c.get_or_set("a", 1), c.get_or_set("a", 2), c.get("a")),
    "get_or_set by a callable": lambda c: (
        c.get_or_set("a", lambda: 1, 50), c.get_or_set("a", raising), c.get("a"),
        c.get_or_set("b", lambda: None, None), c.has_key("b"), c.get_or_set("b", raising)),
    "get_or_set with timeout 0": lambda c: (c.get_or_set("a", lambda: 1, 0), c.get("a")),
    "get_or_set of a version": lambda c: (c.get_or_set("a", lambda: 1, version=2), c.get("a"),
                                          c.get("a", version=2)),
    "get_or_set that raises": lambda c: c.get_or_set("a", raising),
    "get_or_set without a default": lambda c: c.get_or_set("a"),
    "a long key": lambda c: ([c.set("k" * n, n) for n in (780, 800, 5000)],
                             [c.get("k" * n) for n in (780, 799, 800, 5000)], c.delete("k" * 5000)),
    "a value is a copy": lambda c: (v := [1], c.set("a", v), v.append(2), c.get("a")),
    "what does not pickle": lambda c: c.set("a", lambda: None),
}


def outcome(call, cache):
    try:
        return call(cache)
    except Exception as error:
        return type(error)


class Contract(unittest.TestCase):
    def test_every_row_is_as_with_django_s_own(self):
        for why, call in TABLE.items():
            for params in ({}, {"KEY_PREFIX": "p", "TIMEOUT": None}, {"OPTIONS": {"keep": True}}):
                with self.subTest(why, params=params), warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    theirs = LocMemCache(uuid.uuid4().hex, params)
                    self.assertEqual(outcome(call, fresh(**params)), outcome(call, theirs))

    def test_times(self):
        for cache in (fresh(TIMEOUT=1), LocMemCache(uuid.uuid4().hex, {"TIMEOUT": 1})):
            for key, how in (("default", ()), ("longer", (60,)), ("for_ever", (None,))):
                cache.set(key, 1, *how)
            cache.set("touched", 1)
            cache.touch("touched", 60)
            cache.set("counted", 1)
            cache.incr("counted")
            names = ["default", "longer", "for_ever", "touched", "counted"]
            self.assertEqual(list(cache.get_many(names)), names)
            time.sleep(1.1)
            self.assertEqual(list(cache.get_many(names)), ["longer", "for_ever", "touched"])

    def test_keys_are_checked_as_django_asks(self):
        cache = fresh()
        for key in ("with space", "k" * 251, "new\nline"):
            for call in (cache.get, cache.delete, cache.has_key, cache.touch,
                         lambda key: cache.set(key, 1), lambda key: cache.add(key, 1),
                         lambda key: cache.get_or_set(key, lambda: 1),
                         lambda key: cache.incr(key)):
                with self.assertWarns(CacheKeyWarning):
                    call(key)

    def test_names_and_settings(self):
        caches["default"].set("a", 1)
        self.assertIsNone(caches["other"].get("a"))
        caches["other"].set("a", 2)
        self.assertEqual(caches["other"].make_key("a"), "p:3:a")
        self.assertEqual(caches["other"].get("a", version=3), 2)
        self.assertIsNone(caches["other"].get("a", version=1))
        self.assertAlmostEqual(caches["other"]._cache.lookup("p:3:a")[1], 7, delta=1)
        caches["for ever"].set("a", 3)
        self.assertIsNone(caches["for ever"]._cache.lookup(":1:a")[1])
        caches["other"].clear()
        self.assertEqual((caches["default"].get("a"), caches["other"].get("a"),
                          caches["for ever"].get("a")), (1, None, 3))
        self.assertRaises(TypeError, caches["json"].set, "a", {1, 2})
        caches["json"].set("a", {"x": [1]})
        self.assertEqual(caches["json"].get("a"), {"x": [1]})

    def test_what_is_kept_is_not_evicted(self):
        kept, usual = fresh(OPTIONS={"keep": True}), fresh()
        kept.set("a", "kept")
        before = usual._cache.figures()["names"]
        for i in range(1500):
            usual.set(f"{i}", b"x" * 100_000)
        self.assertEqual(kept.get("a"), "kept")
        evicted = sum(row["evictions"] for row in usual._cache.figures()["names"].values())
        self.assertGreater(evicted, sum(row["evictions"] for row in before.values()))

    if hasattr(OneboxCache, "aget"):  # Django 4 has async methods
        def test_async_methods(self):
            async def use(cache):
                await cache.aset("a", 1)
                await cache.aset_many({"b": 2, "c": 3})
                return [await cache.aget("a"), await cache.aincr("a"), await cache.aadd("a", 9),
                        await cache.aget_many(["a", "b", "z"]), await cache.aget_or_set("d", lambda: 4),
                        await cache.atouch("d", 50), await cache.ahas_key("d"),
                        await cache.adelete("d"), await cache.aincr_version("b"),
                        await cache.aclear(), await cache.aget("a")]

            theirs = LocMemCache(uuid.uuid4().hex, {})
            self.assertEqual(asyncio.run(use(fresh())), asyncio.run(use(theirs)))


class Sessions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        from django.core.management import call_command
        call_command("migrate", verbosity=0)

    def test_sessions_live_in_it(self):
        from django.contrib.sessions.backends import cache, cached_db
        for engine in (cache, cached_db):
            with self.subTest(engine.__name__):
                session = engine.SessionStore()
                session["user"] = {"id": 7, "names": ["Ada"]}
                session.save()
                key = session.session_key
                self.assertTrue(engine.SessionStore().exists(key))
                again = engine.SessionStore(key)
                self.assertEqual(again["user"], {"id": 7, "names": ["Ada"]})
                again["more"] = 1
                again.save()
                self.assertEqual(engine.SessionStore(key)["more"], 1)
                again.cycle_key()
                self.assertNotEqual(again.session_key, key)
                self.assertEqual(engine.SessionStore(again.session_key)["more"], 1)
                self.assertNotIn("more", engine.SessionStore(key))
                again.flush()
                self.assertFalse(engine.SessionStore().exists(again.session_key or "x"))

    def test_cached_db_finds_what_the_cache_has_lost(self):
        from django.contrib.sessions.backends import cached_db
        session = cached_db.SessionStore()
        session["a"] = 1
        session.save()
        caches["sessions"].clear()
        self.assertEqual(cached_db.SessionStore(session.session_key)["a"], 1)
        self.assertTrue(caches["sessions"].has_key(session.cache_key))


class Processes(unittest.TestCase):
    def test_nothing_is_lost_between_processes(self):
        cache = fresh(TIMEOUT=None)
        cache.set("a", 0)
        cache.set("float", 0.5)

        def work(number):
            for i in range(2000):
                cache.incr("a")
                if i % 10 == 0:
                    cache.decr("float", 2)

        in_processes(4, work)
        self.assertEqual((cache.get("a"), cache.get("float")), (8000, 0.5 - 1600))

    def test_one_process_of_all_loads(self):
        cache = fresh()

        def load():
            cache.incr("loads")
            time.sleep(0.2)
            return [1, 2]

        cache.set("loads", 0)
        self.assertEqual(in_processes(4, lambda number: cache.get_or_set("a", load)), [[1, 2]] * 4)
        self.assertEqual(cache.get("loads"), 1)
