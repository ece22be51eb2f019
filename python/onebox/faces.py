"""What the faces of the cache share: those of Flask-Caching, Django and limits."""
from __future__ import annotations

import hashlib
import operator
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from onebox.cache import Cache, CacheError

KEY_CHARACTERS_MAX = 800  # a key of the cache has 4096 bytes, a character up to four
_TRIES = 1000  # each one that fails is another's that has not


def short(key: str) -> str | tuple[str, str]:
    """A key that is longer than the cache takes goes by its digest, which is no other key."""
    if len(key) <= KEY_CHARACTERS_MAX:
        return key
    return "long", hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def seconds(timeout: float | timedelta) -> float:
    return timeout.total_seconds() if isinstance(timeout, timedelta) else timeout


def add_number(cache: Cache, key: Any, delta: Any, *, initial: int | None = None,
               ttl: float | None = None, keep: bool = False,
               plus: Callable[[Any, Any], Any] = operator.add) -> Any:
    """The sum, which is there now; None where nothing was there and no `initial` is given.

    What is there keeps the time that it has. `plus` is asked where it is no int of 64 bits. Nothing
    is ever lost, but where two make a number out of a None at the same time."""
    try:
        return cache.increment(key, delta, initial=initial, ttl=ttl, keep=keep)
    except (TypeError, OverflowError):
        pass  # a float, a large int, a bool: what the cache itself does not count
    for _ in range(_TRIES):
        found = cache.lookup(key)
        if found is None:
            if initial is None:
                return None
            if cache.add(key, initial + delta, ttl=ttl, keep=keep):
                return initial + delta
            continue
        value, left, _fresh = found
        total = plus(value, delta)
        if cache.set(key, total, ttl=left, keep=keep, equals=value):
            return total
    raise CacheError(f"{key!r} was changed by others whenever {delta!r} was to be added to it")
