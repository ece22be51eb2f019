"""Sessions of Django in the box's memory and on its disk, which can be ended from here.

    SESSION_ENGINE = "onebox.django_sessions"

All is as with Django's own engines, its settings (SESSION_COOKIE_*, SESSION_SERIALIZER,
SESSION_SAVE_EVERY_REQUEST) too. They survive the end of the box, and no query is made for them. Who logs in
(django.contrib.auth) ties his session to himself by that, and

    from onebox.django_sessions import revoke, revoke_user

    revoke(request.session.session_key)   # this session is no more, wherever it is used
    revoke_user(user.pk)                  # and none of this user's, in constant time
"""
from __future__ import annotations

import functools
import time
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase, UpdateError

from onebox.sessions import Found, Sessions

_USER = "_auth_user_id"  # where django.contrib.auth has it


class SessionStore(SessionBase):
    _session_key: str | None

    def __init__(self, session_key: str | None = None) -> None:
        super().__init__(session_key)
        self._found: Found | None = None
        self._began = time.monotonic()

    def load(self) -> dict[str, Any]:
        self._found = _sessions().find(self.session_key) if self.session_key else None
        if self._found is None:
            self._session_key = None  # an id that we have not made is never taken
            return {}
        data: dict[str, Any] = self.decode(self._found.text)
        return data

    def exists(self, session_key: str) -> bool:
        return bool(session_key) and _sessions().find(session_key) is not None

    def create(self) -> None:
        """Empty, with an id of its own."""
        self._session_cache: dict[str, Any] = {}
        self._create({})
        self.modified = True

    def save(self, must_create: bool = False) -> None:
        data = self._get_session(no_load=must_create)
        if must_create or self.session_key is None:
            self._create(data)
            return
        there = _sessions().save(self.session_key, self.encode(data), user=_user_of(data),
                                 mark=self._mark(data), ttl=max(self.get_expiry_age(), 0))
        if not there:
            raise UpdateError

    def delete(self, session_key: str | None = None) -> None:
        key = self.session_key if session_key is None else session_key
        if key:
            _sessions().revoke(key)

    @classmethod
    def clear_expired(cls) -> None:
        """They go by themselves."""

    def _create(self, data: dict[str, Any]) -> None:
        self._found = None
        self._session_key = _sessions().create(self.encode(data), user=_user_of(data),
                                               mark=self._mark(data), ttl=max(self.get_expiry_age(), 0))
        if self._session_key is None:
            raise UpdateError

    def _mark(self, data: dict[str, Any]) -> str | None:
        """Raises UpdateError where the user's sessions have been revoked since this request began: his
        password may be the old one."""
        user = _user_of(data)
        if user is None:
            return None
        if self._found is not None and self._found.user == user:
            return self._found.mark
        mark = _sessions().mark(user, self._began)
        if mark is None:
            self.delete()
            raise UpdateError
        return mark


def revoke(session_key: str) -> bool:
    """Whether there was such a session; there is none any more."""
    return _sessions().revoke(session_key)


def revoke_user(user: Any) -> None:
    """Ends all sessions of a user, by his primary key. Also of who is about to log in: a request that has
    begun before makes no session of this user's."""
    _sessions().revoke_user(str(user), float(settings.SESSION_COOKIE_AGE))


@functools.cache
def _sessions() -> Sessions:
    return Sessions("django")


def _user_of(data: dict[str, Any]) -> str | None:
    user = data.get(_USER)
    return None if user is None else str(user)
