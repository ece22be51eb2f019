"""Where sessions are kept, of whichever framework: a text, for a time, by an id that is secret.

They lie in the cache's memory, are never evicted, and are lost with the box. What a framework's
side needs of it is the methods of Sessions: another place for them has the same.
"""
from __future__ import annotations

import hashlib
import secrets
import time
from typing import Any, NamedTuple

from onebox.cache import Cache, CacheError
from onebox.faces import short

_REVOKED_SECONDS = 366 * 86400.0  # at least: longer than any session of before lives


class Found(NamedTuple):
    text: str
    user: str | None
    mark: str | None


class Sessions:
    """Each session may be a user's. It has then a mark, which was the user's when it was made; one
    call gives the user another, and all of his sessions of before are no more."""

    def __init__(self, name: str = "") -> None:
        self._cache = Cache(f"sessions/{name}" if name else "sessions")

    def find(self, id: str) -> Found | None:
        key = _key(id)
        record = self._surely(key)
        if record is None:
            return None
        user, mark, text = record
        if user is not None:
            now = self._surely(_user(user))
            if now is not None and now[0] != mark:
                self._cache.delete(key)
                return None
        return Found(text, user, mark)

    def mark(self, user: str, since: float) -> str | None:
        """What a session that becomes the user's now is marked with. None where his sessions have
        been revoked since then (time.monotonic()): who has shown a password before may not stay."""
        now = self._surely(_user(user))
        if now is None:
            return ""
        return None if now[1] >= since else now[0]

    def create(self, text: str, *, ttl: float, user: str | None = None,
               mark: str | None = None) -> str:
        """Its id."""
        while True:
            id = secrets.token_urlsafe(32)
            if self._cache.add(_key(id), [user, mark, text], ttl=ttl, keep=True):
                return id

    def save(self, id: str, text: str, *, ttl: float, user: str | None = None,
             mark: str | None = None) -> bool:
        """Whether it is still there: what has been revoked meanwhile is not made anew."""
        return self._cache.replace(_key(id), [user, mark, text], ttl=ttl, keep=True)

    def touch(self, id: str, ttl: float) -> bool:
        """Whether it is there; it lasts so long from now."""
        return self._cache.touch(_key(id), ttl)

    def revoke(self, id: str) -> bool:
        """Whether it was there."""
        return self._cache.delete(_key(id))

    def revoke_user(self, user: str, lifetime: float) -> None:
        """All of a user's, however many: in constant time. `lifetime`: how long one may last."""
        self._cache.set(_user(user), [secrets.token_urlsafe(12), time.monotonic()],
                        ttl=max(lifetime, _REVOKED_SECONDS), keep=True)

    def _surely(self, key: Any) -> Any:
        """What get() returns, which is also None where another process has the lock and does not go
        on: then a CacheError, for nobody is to be logged out by that, and nobody let in."""
        value = self._cache.get(key)
        if value is None:
            try:
                if self._cache.increment(key, 0) is None:
                    return None
            except TypeError:
                value = self._cache.get(key)  # it is there, and no number
            if value is None:
                raise CacheError("a session cannot be read: another process has the lock")
        return value


def _key(id: str) -> tuple[str, bytes]:
    """Who may list the cache's keys may not be who he finds there."""
    return "session", hashlib.sha256(id.encode("utf-8", "surrogatepass")).digest()


def _user(user: str) -> tuple[str, Any]:
    return "user", short(user)
