"""Django's cache upon the one that all processes of the box share.

    CACHES = {"default": {"BACKEND": "onebox.django_cache.OneboxCache"}}

TIMEOUT, KEY_PREFIX, VERSION and KEY_FUNCTION are Django's own. LOCATION is a name: caches of
another one are others, and stay where this one is cleared. OPTIONS: "codec" is "pickle" (as
Django's own backends do it) or "json", which refuses what JSON cannot say; with "keep": True
nothing is evicted before its time: a cache for sessions. MAX_ENTRIES has no meaning here: what
bounds the cache is its memory.
"""
from __future__ import annotations

import math
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache

from onebox.cache import Cache
from onebox.faces import add_number, short

_NAME = "django"
_nothing = object()


class OneboxCache(BaseCache):
    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        options = params.get("OPTIONS", {})
        codec = options.get("codec", "pickle")
        name = f"{_NAME}/{location}" if location else _NAME
        # Of the codec too: what another one has written could not be read.
        self._cache = Cache(name if codec == "pickle" else f"{name}+{codec}", codec=codec,
                            where=options.get("where", "both"))
        self._keep = {"keep": True} if options.get("keep") else {}

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        return self._cache.get(self._key(key, version), default)

    def set(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT,
            version: int | None = None) -> None:
        full = self._key(key, version)
        if not self._cache.set(full, value, ttl=self._ttl(timeout), **self._keep):
            self._cache.delete(full)  # better nothing than what was there before

    def add(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT,
            version: int | None = None) -> bool:
        return self._cache.add(self._key(key, version), value, ttl=self._ttl(timeout), **self._keep)

    def touch(self, key: str, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        return self._cache.touch(self._key(key, version), self._ttl(timeout))

    def delete(self, key: str, version: int | None = None) -> bool:
        return self._cache.delete(self._key(key, version))

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> Any:
        total = add_number(self._cache, self._key(key, version), delta, **self._keep)
        if total is None:
            raise ValueError(f"Key {key!r} not found")
        return total

    def has_key(self, key: str, version: int | None = None) -> bool:
        return self._cache.get(self._key(key, version), _nothing) is not _nothing

    def get_or_set(self, key: str, default: Any, timeout: Any = DEFAULT_TIMEOUT,
                   version: int | None = None) -> Any:
        """As Django's; but one on the box calls `default`, and others wait for what it returns."""
        ttl = self._ttl(timeout)
        if not callable(default) or self._keep or ttl == 0:
            return super().get_or_set(key, default, timeout=timeout, version=version)
        lasts = math.inf if ttl is None else ttl
        return self._cache.get_or_set(self._key(key, version), default, lasts, none_ttl=lasts,
                                      jitter=0)

    def clear(self) -> None:
        self._cache.clear(kept=bool(self._keep))

    def _key(self, key: str, version: int | None) -> Any:
        full = self.make_key(key, version=version)
        self.validate_key(full)
        return short(full)

    def _ttl(self, timeout: Any) -> float | None:
        """Seconds, 0 where it is not to be kept; None where it never expires."""
        if timeout is DEFAULT_TIMEOUT:
            timeout = self.default_timeout
        return None if timeout is None else max(timeout, 0)
