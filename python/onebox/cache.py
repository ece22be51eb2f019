"""One cache for all processes of the box; in a test, a shell or a script, the same for one process.

    prices = cache.get_or_set(("prices", country), load_prices, ttl=60, stale=300)

Keys are str, bytes, int, float, bool, None, or tuples of these; values that differ are keys that
differ: 1, True and "1" are three. Values are bytes, str and int as they are, and whatever else JSON
can say (a tuple comes back as a list; a dict whose keys are not str is refused); with
Cache(codec="pickle") whatever pickle can say. Times are in seconds from now (ttl), or a moment
(expires: a datetime with a zone, or seconds since 1970).
"""
from __future__ import annotations

import json
import os
import pickle
import random
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from onebox import _onebox
from onebox._onebox import CacheError, kept_in_redis

__all__ = ["Cache", "CacheError", "Lock", "LockLost", "add", "clear", "delete", "get", "get_many",
           "get_or_set", "increment", "lock", "purge", "replace", "set", "set_many", "touch"]

_ABSENT, _PRESENT = 1, 2  # what set() asks of what is there
LOAD_SECONDS = 30.0  # that a loader has, before another may load
_POLL_SECONDS = 0.05  # greenlets look again so often, at last: a futex would stop them all


def _plain(value: Any) -> bool:
    """Whether JSON gives a dict's keys back as they were."""
    if isinstance(value, dict):
        return all(isinstance(key, str) for key in value) and all(map(_plain, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(_plain, value))
    return True


def _dump_json(value: Any) -> str:
    if not _plain(value):
        raise TypeError("JSON makes the keys of a dict into str; use str, or Cache(codec='pickle')")
    return _to_json(value)


_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_from_json = json.JSONDecoder().decode


def _dump_pickle(value: Any) -> bytes:
    return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)


def _raw(value: Any) -> Any:
    raise TypeError(f"a cache without a codec holds bytes, str and int of 64 bits, not {type(value).__name__}")


_CODECS: dict[str, tuple[int, Callable[[Any], str | bytes], Callable[[Any], Any]]] = {
    "json": (2, _dump_json, _from_json), "pickle": (3, _dump_pickle, pickle.loads), "raw": (2, _raw, _raw)}


class Cache(_onebox.Cache):
    """What is set here is seen by every process of the box, under this namespace.

    get, set, delete, touch, increment, purge and clear are as their docstrings say; `tags` are names
    by which purge() makes many entries go at once. `memory`: another Cache's, or as many bytes of its
    own, instead of what the box shares. `where`, on a box with [cache] redis: "both", as long as Redis
    answers other boxes see it too; "box", the memory alone; "redis", Redis alone, and what cannot be
    done there is a CacheError. What is set with keep=True is in the box, but with "redis"."""

    def __new__(cls, namespace: str = "app", *, codec: str = "json",
                memory: _onebox.Cache | int | None = None, where: str = "both") -> Cache:
        if codec not in _CODECS:
            raise ValueError(f"a cache's codec is one of {', '.join(_CODECS)}, not {codec!r}")
        number, dumps, loads = _CODECS[codec]
        return super().__new__(cls, memory, namespace=namespace, codec=number, dumps=dumps,
                               loads=loads, where=where)

    def __init__(self, namespace: str = "app", *, codec: str = "json",
                 memory: _onebox.Cache | int | None = None, where: str = "both") -> None:
        self.in_redis = self.shared and where == "redis"
        self._locks: Cache = self
        if self.shared and where == "both" and kept_in_redis("locks"):
            self._locks = Cache(namespace, codec=codec, where="redis")

    @classmethod
    def _of(cls, kind: str, namespace: str) -> Cache:
        """Where [cache] in_redis says that sessions, or limits, are kept: in Redis, or in the box."""
        return cls(namespace, where="redis" if kept_in_redis(kind) else "box")

    def add(self, key: Any, value: Any, **how: Any) -> bool:
        """As set(), where nothing is there."""
        return self.set(key, value, presence=_ABSENT, **how)

    def replace(self, key: Any, value: Any, **how: Any) -> bool:
        """As set(), where something is there."""
        return self.set(key, value, presence=_PRESENT, **how)

    def get_many(self, keys: Iterable[Any]) -> dict[Any, Any]:
        """{key: value} of those that are there."""
        nothing = object()
        found = {key: self.get(key, nothing) for key in keys}
        return {key: value for key, value in found.items() if value is not nothing}

    def set_many(self, values: Mapping[Any, Any], **how: Any) -> list[Any]:
        """The keys of those that were not stored."""
        return [key for key, value in values.items() if not self.set(key, value, **how)]

    def get_or_set(self, key: Any, load: Callable[[], Any], ttl: float | None = None, *,
                   expires: datetime | float | None = None, stale: float = 0, jitter: float = 0.1, tags: Iterable[str] = (),
                   none_ttl: float | None = None, lease: float = LOAD_SECONDS) -> Any:
        """The value of `key`, or what load() returns, kept for `ttl` seconds, or until `expires`.

        One caller on the box loads, the others wait for him; for `stale` seconds after its time they
        get the old value meanwhile. Of the ttl a random part of up to `jitter` is left out, so that
        what was loaded together does not go together. None is not kept, but for `none_ttl` seconds
        where that is given. A loader that dies, or takes longer than `lease`, is replaced by another;
        what changed the key meanwhile (set, delete, purge, clear) is not undone by what it loads."""
        tags = tuple(tags)
        if ttl is not None and expires is not None:
            raise TypeError("it has either a ttl, or expires")
        if expires is not None:
            _seconds_until(expires)  # a mistake is told before load() is called
        while True:
            next_, there, value, token, turn, marks = self.claim(key, lease, tags)
            if next_ == "use":
                return value
            if next_ == "load":
                break
            if next_ == "without":
                return load()
            self._await(key, turn, min(lease, 1.0))
        kept = False
        try:
            loaded = load()
            lasts = ttl if loaded is not None else none_ttl
            if loaded is not None or none_ttl is not None:
                if loaded is not None and expires is not None:
                    lasts = _seconds_until(expires)
                elif lasts is not None:
                    lasts *= 1 - jitter * random.random()
                kept = self.fulfil(key, token, loaded, marks=marks, fresh=lasts,
                                   ttl=None if lasts is None else lasts + stale)
            return loaded
        finally:
            if not kept:
                self.give_up(key, token)

    def lock(self, name: Any, *, lease: float = 30.0, wait: float | None = None) -> Lock:
        """A lock that one on the box has at a time (of all boxes, where [cache] in_redis says so),
        for `lease` seconds at most; who wants it waits up to `wait` seconds (None: as long as it
        takes). `with cache.lock("prices"): ...`"""
        return Lock(self._locks, name, lease, wait)

    def now(self) -> float:
        """Seconds, by the clock that all who see this cache share."""
        return time.time() if self.in_redis else time.monotonic()

    def _await(self, key: Any, turn: int, timeout: float) -> None:
        """Until something happens to the key, or sooner."""
        if self.in_redis:
            time.sleep(min(timeout, _POLL_SECONDS))
            return
        if not _greenlets():
            self.await_turn(key, turn, timeout)
            return
        until, pause = time.monotonic() + timeout, 0.001
        while self.turn(key) == turn and time.monotonic() < until:
            time.sleep(pause)
            pause = min(2 * pause, _POLL_SECONDS)


class LockLost(RuntimeError):
    """The lease had passed before the lock was let go: another may have had it meanwhile."""


class Lock:
    """A lock with a lease; of one owner at a time, and no thread's own."""

    def __init__(self, cache: Cache, name: Any, lease: float, wait: float | None) -> None:
        self._cache, self._key, self._lease, self._wait = cache, ("onebox lock", name), lease, wait
        self._token: str | None = None

    def acquire(self, wait: float | None = None) -> bool:
        """Whether it is ours, after up to `wait` seconds (None: as the lock was made)."""
        wait = self._wait if wait is None else wait
        until = None if wait is None else time.monotonic() + wait
        token = f"{os.getpid()} {random.SystemRandom().getrandbits(128):032x}"
        while True:
            turn = self._cache.turn(self._key)
            if self._cache.add(self._key, token, ttl=self._lease, keep=True):
                self._token = token
                return True
            left = 1.0 if until is None else until - time.monotonic()
            if left <= 0:
                return False
            found = self._cache.lookup(self._key)
            ends = found[1] if found and found[1] is not None else 0
            self._cache._await(self._key, turn, min(left, max(ends, 0.001), 1.0))

    def extend(self, lease: float | None = None) -> bool:
        """Whether it is still ours; it is then for `lease` seconds from now."""
        return self._token is not None and self._cache.touch(
            self._key, self._lease if lease is None else lease, equals=self._token)

    def release(self) -> bool:
        """Whether it was still ours."""
        token, self._token = self._token, None
        return token is not None and self._cache.delete(self._key, equals=token)

    def __enter__(self) -> Lock:
        if not self.acquire():
            raise TimeoutError(f"the lock {self._key[1]!r} was not free within {self._wait} s")
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if not self.release() and kind is None:
            raise LockLost(f"the lock {self._key[1]!r} was held longer than its lease of {self._lease} s")


def _seconds_until(expires: datetime | float) -> float:
    if isinstance(expires, datetime):
        if expires.utcoffset() is None:
            raise ValueError(f"expires needs a time zone, which {expires!r} has not")
        expires = expires.timestamp()
    return max(expires - time.time(), 0.0)


def _greenlets() -> bool:
    """Whether sleeping lets other greenlets run, where they share this thread."""
    return getattr(time.sleep, "__module__", "").startswith("gevent")


_default = Cache()

get = _default.get
get_many = _default.get_many
get_or_set = _default.get_or_set
set = _default.set
set_many = _default.set_many
add = _default.add
replace = _default.replace
delete = _default.delete
touch = _default.touch
increment = _default.increment
purge = _default.purge
clear = _default.clear
lock = _default.lock
