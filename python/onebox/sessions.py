"""Where sessions are kept, of whichever framework: a text, for a time, by an id that is secret.

They lie in the cache's memory, are never evicted, and are written to the box's disk too
(session_database.py), from where they come again when the memory is new. What a framework's side needs of
it is the methods of Sessions: another place for them has the same. Where [cache] in_redis says so they lie in
Redis instead, and not on the disk.

Whoever changes a session does it in both places within one transaction of the database, so that both have
what came last; a revocation is on the disk before it is in the memory. docs/internals/sessions.md says why
nothing that was revoked comes back.
"""
from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from onebox import session_database
from onebox.cache import Cache, CacheError
from onebox.faces import short
from onebox.session_database import LONG_PATIENCE, Mark, Row, Rows, SessionDatabase, SetAside, Unavailable

_REVOKED_SECONDS = 366 * 86400.0  # at least: longer than any session of before lives
_FAIR_PART = 0.1  # of its time, that the disk may be behind in when a session ends
_TOLD_SECONDS = 60.0  # from one line of the log to the next that says the same
_GIVEN_UP_SECONDS = 1.0  # after one has waited in vain for the file, others do not wait
_FILES_TRIED = 3
_HOLDS_UNTIL_THE_END = "it is revoked, but only until the box ends: its disk cannot be written"
_DISTRUSTED = ("database", "distrusted")


class Found(NamedTuple):
    text: str
    user: str | None
    mark: str | None
    until: float  # the time that the disk knows of
    file: int  # of the database that it was written to; 0: none


class _Undone(Exception):
    """Leaves a transaction."""


class Sessions:
    """Each session may be a user's. It has then a mark, which was the user's when it was made; one
    call gives the user another, and all of his sessions of before are no more.

    `database`: nothing but in tests; it is the box's."""

    def __init__(self, name: str = "", *, database: SessionDatabase | None = None) -> None:
        self._cache = Cache._of("sessions", f"sessions/{name}" if name else "sessions")
        self._name = name
        self._database = database or _of_box(self._cache)
        self._given_up_until = 0.0

    def find(self, id: str) -> Found | None:
        key = _key(id)
        record = self._surely(key)
        if record is None:
            record = self._load(key)
            if record is None:
                return None
        user, mark, text, until, file = record
        if self._is_revoked(user, mark):
            self._cache.delete(key)
            return None
        return Found(text, user, mark, until, file)

    def mark(self, user: str, since: float) -> str | None:
        """What a session that becomes the user's now is marked with. None where his sessions have
        been revoked since then (time.monotonic()): who has shown a password before may not stay."""
        now = self._surely(_user(user)) or self._load_mark(user)
        if now is None:
            return ""
        if self._cache.in_redis:
            since = self._cache.now() - (time.monotonic() - since)
        return None if now[1] >= since else now[0]

    def create(self, text: str, *, ttl: float, user: str | None = None,
               mark: str | None = None) -> str | None:
        """Its id; None where the user's sessions have been revoked meanwhile."""
        id = secrets.token_urlsafe(32)
        there = self._write(_key(id), [user, mark, text], ttl, self._cache.add)
        return id if there else None

    def save(self, id: str, text: str, *, ttl: float, user: str | None = None,
             mark: str | None = None) -> bool:
        """Whether it is still there: what has been revoked meanwhile is not made anew."""
        return self._write(_key(id), [user, mark, text], ttl, self._cache.replace)

    def touch(self, id: str, ttl: float, found: Found) -> bool:
        """Whether it is there; it lasts so long from now. `found`: as it was a moment ago. The disk is told
        now and then."""
        key, database = _key(id), self._database
        if (database is None or database.rests or not _is_behind(found.until, ttl)
                and found.file == database.number):
            return self._cache.touch(key, ttl)
        record = self._surely(key)
        if record is None:
            return False

        def replace(key: Any, now: list[Any], **how: Any) -> bool:
            return self._cache.replace(key, now, equals=record, **how)  # what is newer was written too

        return self._write(key, record[:3], ttl, replace) or self._cache.touch(key, ttl)

    def revoke(self, id: str) -> bool:
        """Whether it was there. CacheError where it would be there again when the box has been started
        anew; until then it is not."""
        key = _key(id)
        if self._database is None:
            return self._cache.delete(key)
        with contextlib.suppress(CacheError):  # if it cannot be read, it is removed all the same
            if self._surely(key) is None:
                self._load(key)  # of several who revoke it, the memory says who did
        removed: list[bool] = []

        def remove(rows: Rows) -> None:
            rows.remove_session(key[1])

        def remove_both(rows: Rows) -> None:
            """Whoever saved it since has written it again."""
            remove(rows)
            removed.append(self._cache.delete(key))

        lasts = self._revoke(remove) and self._revoke(remove_both)
        if not lasts:
            self._distrust()  # before it is removed: who loads it looks afterwards
        removed.append(self._cache.delete(key))
        if not lasts:
            raise CacheError(_HOLDS_UNTIL_THE_END)
        return any(removed)

    def revoke_user(self, user: str, lifetime: float) -> None:
        """All of a user's, however many: in constant time. `lifetime`: how long one may last. CacheError
        as from revoke()."""
        ttl = max(lifetime, _REVOKED_SECONDS)
        mark = Mark(secrets.token_urlsafe(12), self._cache.now())
        if self._database is None:
            self._set_mark(user, mark, ttl)
            return

        def put(rows: Rows) -> None:
            rows.put_mark(user, mark, time.time() + ttl)

        def put_last(rows: Rows) -> None:
            """Of two at the same time both places have the same."""
            last = rows.mark(user)
            if last is None:
                put(rows)
            self._set_mark(user, last or mark, ttl)

        def put_into_memory() -> None:
            self._set_mark(user, mark, ttl)

        if not (self._revoke(put, put_into_memory) and self._revoke(put_last, put_into_memory)):
            self._distrust()
            raise CacheError(_HOLDS_UNTIL_THE_END)

    # --- both places

    def _write(self, key: tuple[str, bytes], record: list[Any], ttl: float,
               store: Callable[..., bool]) -> bool:
        """What `store` says, which puts it into the memory, and False where it is revoked. What the disk
        does not take is in the memory alone, and the next touch() tries again."""
        user, mark, text = record
        stored = False
        if self._database is not None and not self._database.rests:
            until = time.time() + ttl
            try:
                with self._database.writing(self._name) as rows:
                    rows.put_session(key[1], Row(user, mark, text, ttl, until))
                    stored = not self._is_revoked(user, mark) and store(
                        key, [*record, until, rows.number], ttl=ttl, keep=True)
                    if not stored:
                        raise _Undone
                return True
            except _Undone:
                return False
            except Unavailable as why:
                self._tell(why)
        if self._is_revoked(user, mark):
            return False
        if stored:
            store = self._cache.replace
        return store(key, [*record, 0.0, 0], ttl=ttl, keep=True)

    def _load(self, key: tuple[str, bytes]) -> list[Any] | None:
        """The record that the disk has, which is then in the memory too. Under the lock of those who write: a
        revocation comes before or after."""
        if self._database is None or self._cache.get(_DISTRUSTED):
            return None
        try:
            if self._database.read(self._name, lambda rows: rows.session(key[1])) is None:
                return None
            patience = LONG_PATIENCE if time.monotonic() > self._given_up_until else 0.0
            with self._database.writing(self._name, patience=patience) as rows:
                row = rows.session(key[1])
                if row is None:
                    return None
                if row.user is not None and self._surely(_user(row.user)) is None:
                    self._take_mark(row.user, rows.mark(row.user))
                if self._is_revoked(row.user, row.mark):
                    rows.remove_session(key[1])
                    return None
                record: list[Any] | None = [row.user, row.mark, row.text, row.expires, rows.number]
                ours = self._cache.add(key, record, ttl=row.left(), keep=True)
            if not ours:
                record = self._surely(key)  # another was faster
                return record
            if rows.counts() and not self._cache.get(_DISTRUSTED):
                return record
            self._cache.delete(key)
        except Unavailable as why:
            self._tell(why)
            if why.busy:
                self._given_up_until = time.monotonic() + _GIVEN_UP_SECONDS
                raise CacheError(f"a session cannot be read: {why}") from why
        return None

    def _load_mark(self, user: str) -> Any:
        """[mark, since], that the disk has and the memory has not; None where it has none."""
        if self._database is None:
            return None
        try:
            mark = self._database.read(self._name, lambda rows: rows.mark(user))
        except Unavailable as why:
            self._tell(why)
            return None
        self._take_mark(user, mark)
        return self._surely(_user(user))

    def _take_mark(self, user: str, mark: Mark | None) -> None:
        if mark is not None:
            self._cache.add(_user(user), list(mark), ttl=_REVOKED_SECONDS, keep=True)

    def _revoke(self, change: Callable[[Rows], None],
                meanwhile: Callable[[], Any] = lambda: None) -> bool:
        """Changes the database, so that it lasts. Where that cannot be done, none of what it says counts any
        more; `meanwhile` is done before that. False where not even that can be done."""
        assert self._database is not None
        for _ in range(_FILES_TRIED):
            try:
                with self._database.writing(self._name, patience=LONG_PATIENCE, lasting=True) as rows:
                    change(rows)
                if rows.counts():
                    return True
            except SetAside as why:
                self._tell(why)
            except Unavailable as why:
                meanwhile()
                try:
                    path = self._database.begin_anew()
                except Unavailable as no_other:
                    self._tell(no_other)
                    return not self._database.was_open  # then nobody could read it
                self._tell(f"{why}, which a revocation could not be written to; it is removed, and "
                           f"{path} begun")
        return True

    def _distrust(self) -> None:
        with contextlib.suppress(CacheError):
            self._cache.set(_DISTRUSTED, True, keep=True)

    # --- the memory

    def _is_revoked(self, user: str | None, mark: str | None) -> bool:
        now = None if user is None else self._surely(_user(user))
        return now is not None and bool(now[0] != mark)

    def _set_mark(self, user: str, mark: Mark, ttl: float) -> None:
        self._cache.set(_user(user), list(mark), ttl=ttl, keep=True)

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

    def _tell(self, why: object) -> None:
        """Once a minute for the box."""
        if self._cache.add(("told", str(why)), 1, ttl=_TOLD_SECONDS):
            print(f"onebox: sessions are in memory alone: {why}", file=sys.stderr, flush=True)


def _of_box(cache: Cache) -> SessionDatabase | None:
    """None without a server, and for its scripts: their memory is not the box's. None too where Redis has
    them, which keeps them itself."""
    folder = os.environ.get("ONEBOX_DATA")
    if not folder or not cache.shared or cache.in_redis:
        return None
    return session_database.of_box(folder, cache.figures()["bytes"])


def _is_behind(until: float, ttl: float) -> bool:
    return abs(time.time() + ttl - until) > ttl * _FAIR_PART


def _key(id: str) -> tuple[str, bytes]:
    """Who may list the cache's keys may not be who he finds there."""
    return "session", hashlib.sha256(id.encode("utf-8", "surrogatepass")).digest()


def _user(user: str) -> tuple[str, Any]:
    return "user", short(user)
