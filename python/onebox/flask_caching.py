"""Flask-Caching upon the cache that all processes of the box share.

    CACHE_TYPE = "onebox.flask_caching.OneboxCache"

CACHE_DEFAULT_TIMEOUT, CACHE_KEY_PREFIX and CACHE_IGNORE_ERRORS are as for that library's own
backends. Values are pickled, as theirs are; CACHE_ONEBOX_CODEC = "json" (or CACHE_OPTIONS =
{"codec": "json"}) keeps what JSON can say and refuses all else, responses of views too.
CACHE_THRESHOLD has no meaning here: what bounds the cache is its memory.
"""
from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from flask_caching.backends.base import BaseCache

from onebox.cache import Cache, CacheError
from onebox.faces import add_number, seconds, short

_NAME = "flask_caching"
_USUAL_PREFIX = "flask_cache_"  # what Flask-Caching sets where the app does not
_nothing = object()


class OneboxCache(BaseCache):
    """`prefix`: entries of another one are others, and stay where this one's are cleared; a
    callable is asked at each call, and then clear() clears those of all that it has ever said."""

    def __init__(self, default_timeout: float | timedelta = 300, *,
                 prefix: str | Callable[[], str] | None = None, codec: str = "pickle",
                 ignore_errors: bool = False, ignore_delete_many_errors: bool = False) -> None:
        super().__init__(default_timeout=default_timeout)
        self.ignore_errors = ignore_errors  # Flask-Caching 2.0 to 2.3
        self.ignore_delete_many_errors = ignore_delete_many_errors  # from 2.4 on
        self._prefix = prefix if callable(prefix) else None
        name = _NAME if callable(prefix) or prefix in (None, _USUAL_PREFIX) else f"{_NAME}/{prefix}"
        # Of the codec too: what another one has written could not be read.
        self._cache = Cache(name if codec == "pickle" else f"{name}+{codec}", codec=codec)

    @classmethod
    def factory(cls, app: Any, config: dict[str, Any], args: list[Any],
                kwargs: dict[str, Any]) -> OneboxCache:
        kwargs.setdefault("prefix", config.get("CACHE_KEY_PREFIX"))
        kwargs.setdefault("codec", config.get("CACHE_ONEBOX_CODEC", "pickle"))
        kwargs.setdefault("ignore_errors", config.get("CACHE_IGNORE_ERRORS", False))
        return cls(*args, **kwargs)

    def get(self, key: str) -> Any:
        return self._cache.get(self._key(key))

    def has(self, key: str) -> bool:
        return self._cache.get(self._key(key), _nothing) is not _nothing

    def set(self, key: str, value: Any, timeout: float | timedelta | None = None) -> bool:
        return self._store(self._cache.set, key, value, timeout)

    def add(self, key: str, value: Any, timeout: float | timedelta | None = None) -> bool:
        return self._store(self._cache.add, key, value, timeout)

    def delete(self, key: str) -> bool:
        try:
            return self._cache.delete(self._key(key))
        except CacheError:
            return False

    def clear(self) -> bool:
        self._cache.clear()
        return True

    def inc(self, key: str, delta: int = 1) -> int | None:
        """The sum. A new key has the default timeout; one that is there keeps its time."""
        try:
            return add_number(self._cache, self._key(key), delta, initial=0, ttl=self._ttl(None),
                              plus=lambda value, delta: (value or 0) + delta)
        except CacheError:
            return None

    def dec(self, key: str, delta: int = 1) -> int | None:
        return self.inc(key, -delta)

    def _store(self, store: Callable[..., bool], key: str, value: Any,
               timeout: float | timedelta | None) -> bool:
        ttl = self._ttl(timeout)
        # Less than 0 seconds from now: it is stored, and is not there any more.
        return store(self._key(key), value, ttl=None if ttl is None else max(ttl, 0))

    def _ttl(self, timeout: float | timedelta | None) -> float | None:
        """Seconds; None where it never expires."""
        return seconds(self.default_timeout if timeout is None else timeout) or None

    def _key(self, key: str) -> Any:
        return short(key) if self._prefix is None else (self._prefix(), short(key))
