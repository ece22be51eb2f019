"""Rate limits that all processes of the box count together: a storage for Flask-Limiter.

    import onebox.limits  # it registers the scheme

    limiter = Limiter(get_remote_address, app=app, storage_uri="onebox://")

All strategies of `limits` work, and are exact: what is allowed is allowed to the box, not to each
process. The counts are kept until their window has passed, whatever else needs room. A moving
window keeps 8 bytes for each hit that it allows, and writes all of them at each: above some
thousands, take a fixed one.
"""
from __future__ import annotations

import math
import time
from array import array
from typing import Any

from limits.storage import MovingWindowSupport, Storage

from onebox.cache import Cache, CacheError
from onebox.faces import add_number, short

try:
    from limits.storage.base import SlidingWindowCounterSupport
except ImportError:  # limits before 4.0
    class SlidingWindowCounterSupport:  # type: ignore[no-redef]
        pass

_TRIES = 1000  # each one that fails is a hit of another's


class OneboxStorage(Storage, MovingWindowSupport, SlidingWindowCounterSupport):
    """onebox://NAME: limits of another NAME are others."""

    STORAGE_SCHEME = ["onebox"]

    def __init__(self, uri: str | None = None, **options: Any) -> None:
        super().__init__(uri, **options)
        name = (uri or "").partition("://")[2].strip("/")
        self._cache = Cache._of("limits", f"limits/{name}" if name else "limits")

    @property
    def base_exceptions(self) -> type[Exception]:
        return CacheError

    # --- fixed windows

    def incr(self, key: str, expiry: float, elastic_expiry: bool = False, amount: int = 1) -> int:
        total = add_number(self._cache, short(key), amount, initial=0, ttl=expiry, keep=True)
        if elastic_expiry:
            self._cache.touch(short(key), expiry)
        return total

    def get(self, key: str) -> int:
        return self._cache.get(short(key), 0)

    def get_expiry(self, key: str) -> int:
        found = self._cache.lookup(short(key))
        return int(time.time() + (found[1] or 0 if found else 0))

    def clear(self, key: str) -> None:
        self._cache.delete(short(key))
        self._cache.delete(_window(key))

    # --- moving windows: when each hit was, the oldest first, by the clock that all processes share

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        window = _window(key)
        for _ in range(_TRIES):
            now = self._cache.now()
            old = self._cache.get(window)
            hits = _since(now - expiry, old)
            if len(hits) + amount > limit:
                return False
            hits.extend([now] * amount)
            condition = {"presence": 1} if old is None else {"equals": old}
            if self._cache.set(window, hits.tobytes(), ttl=expiry + 1, keep=True, **condition):
                return True
        return False  # others have been quicker a thousand times: that is above any limit

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[int, int]:
        now = self._cache.now()
        hits = _since(now - expiry, self._cache.get(_window(key)))
        return int(time.time() - (now - hits[0] if hits else 0)), len(hits)

    # --- sliding windows: two fixed ones, the earlier by the part of it that still counts

    def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int,
                                     amount: int = 1) -> bool:
        now = time.time()
        before, left, count, _ = self._sliding(key, expiry, now)
        weight = before * left / expiry
        if math.floor(weight + count) + amount > limit:
            return False
        current = _slice(key, expiry, now)
        count = self._cache.increment(current, amount, initial=0, ttl=2 * expiry, keep=True)
        if math.floor(weight + count) <= limit:
            return True
        self._cache.increment(current, -amount)
        return False

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        return self._sliding(key, expiry, time.time())

    def clear_sliding_window(self, key: str, expiry: int) -> None:
        now = time.time()
        self._cache.delete(_slice(key, expiry, now))
        self._cache.delete(_slice(key, expiry, now - expiry))

    def _sliding(self, key: str, expiry: int, now: float) -> tuple[int, float, int, float]:
        """Counts and seconds left, of the window before this one and of this one."""
        left = expiry - now % expiry
        before = self._cache.get(_slice(key, expiry, now - expiry), 0)
        return before, left if before else 0.0, \
            self._cache.get(_slice(key, expiry, now), 0), left + expiry

    # --- all of them

    def check(self) -> bool:
        try:
            return self._cache.set(("check",), 1, ttl=1)
        except CacheError:
            return False

    def reset(self) -> int | None:
        self._cache.clear(kept=True)
        return None


def _window(key: str) -> tuple[str, Any]:
    return "moving", short(key)


def _slice(key: str, expiry: int, at: float) -> tuple[str, Any, int, int]:
    return "sliding", short(key), expiry, int(at / expiry)


def _since(begin: float, stored: bytes | None) -> array[float]:
    hits = array("d", stored or b"")
    gone = 0
    while gone < len(hits) and hits[gone] < begin:
        gone += 1
    return hits[gone:]
