"""The sessions of a box on its disk: one file of SQLite, that all workers read and write.

It is sessions-N.db, in the folder that ONEBOX_DATA names. The highest N counts: where a file
is damaged, or cannot be told of a revocation, the next is begun, and what the one before says counts no
more. Lower ones are removed before higher ones; so who finds his own file there, and no next one, has the
one that counts. docs/internals/sessions.md has the rest.
"""
from __future__ import annotations

import atexit
import contextlib
import functools
import os
import random
import re
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

T = TypeVar("T")

_VERSION = 1  # PRAGMA user_version: of another one nothing is read
_TABLES = """
CREATE TABLE session (name TEXT, id BLOB, user TEXT, mark TEXT, text TEXT, lasts REAL, expires REAL,
                      PRIMARY KEY (name, id));
CREATE INDEX session_expires ON session (expires);
CREATE TABLE revoked (name TEXT, user TEXT, mark TEXT, since REAL, boot TEXT, expires REAL,
                      PRIMARY KEY (name, user)) WITHOUT ROWID;
CREATE INDEX revoked_expires ON revoked (expires);
"""
PATIENCE = 1.0  # seconds that a caller waits for others who write
LONG_PATIENCE = 2.0  # where it may not be passed over
_PAUSE_MIN, _PAUSE_MAX = 0.001, 0.008
_REST_SECONDS = 5.0  # after a failure nobody tries to write what memory has too
_SWEPT = 8  # of what has expired, at each write: more than one write adds
_PAGE_BYTES = 4096
_FILES_TRIED = 10
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class Unavailable(Exception):
    """It cannot be read or written now; the text says why."""

    def __init__(self, why: str, *, busy: bool = False) -> None:
        super().__init__(why)
        self.busy = busy  # another process holds it


class SetAside(Unavailable):
    """It was damaged, and another file has been begun."""


class Row(NamedTuple):
    """A session. Times are in seconds, `expires` since 1970."""
    user: str | None
    mark: str | None
    text: str
    lasts: float
    expires: float

    def left(self) -> float:
        """Seconds; never more than it was given, wherever the clock has been set to."""
        return min(self.expires - time.time(), self.lasts)


class Mark(NamedTuple):
    """What a user's sessions are marked with, and since when (time.monotonic())."""
    mark: str
    since: float


class _Connection(sqlite3.Connection):
    number = 0
    inode = (0, 0)
    lasting = False


class Rows:
    """What is there, within a transaction. `name`: of the app's sessions."""

    def __init__(self, database: SessionDatabase, connection: _Connection, name: str) -> None:
        self._database, self._connection, self._name = database, connection, name
        self._execute = connection.execute

    @property
    def number(self) -> int:
        return self._connection.number

    def counts(self) -> bool:
        """Also asked when the transaction has ended: whether no other file was begun meanwhile."""
        return self._database.counts(self._connection)

    def session(self, id: bytes) -> Row | None:
        """What has expired is not there."""
        found = self._execute("SELECT user, mark, text, lasts, expires FROM session"
                              " WHERE name = ? AND id = ?", (self._name, id)).fetchone()
        if found is None:
            return None
        row = Row(*found)
        return row if row.left() > 0 else None

    def put_session(self, id: bytes, row: Row) -> None:
        self._sweep("session", "name, id")
        self._execute("INSERT OR REPLACE INTO session VALUES (?, ?, ?, ?, ?, ?, ?)",
                      (self._name, id, row.user, row.mark, row.text, row.lasts,
                       row.expires))

    def remove_session(self, id: bytes) -> None:
        self._execute("DELETE FROM session WHERE name = ? AND id = ?", (self._name, id))

    def mark(self, user: str) -> Mark | None:
        found = self._execute("SELECT mark, since, boot FROM revoked WHERE name = ? AND user = ?",
                              (self._name, user)).fetchone()
        if found is None:
            return None
        mark, since, boot = found
        return Mark(mark, since if boot == _this_boot() else 0.0)  # that clock began anew

    def put_mark(self, user: str, mark: Mark, expires: float) -> None:
        self._sweep("revoked", "name, user")
        self._execute("INSERT OR REPLACE INTO revoked VALUES (?, ?, ?, ?, ?, ?)",
                      (self._name, user, mark.mark, mark.since, _this_boot(), expires))

    def _sweep(self, table: str, key: str) -> None:
        self._execute(f"DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table}"
                      f" WHERE expires < ? ORDER BY expires LIMIT {_SWEPT})", (time.time(),))


class SessionDatabase:
    """Any thread may call, and any greenlet: others run only while one waits. A process that was forked while
    another thread was calling has none.

    `bytes_max`: of the file; a sixteenth more for revocations."""

    def __init__(self, folder: str, bytes_max: int) -> None:
        self._folder, self._pages_max = folder, bytes_max // _PAGE_BYTES
        self._idle: list[_Connection] = []
        self._in_use: set[object] = set()
        self._forked = False
        self._rests_until, self._rests_for = 0.0, 0
        self._number = 0
        self.was_open = False  # whether it ever could be
        atexit.register(self.close)  # the last one's close brings all to the disk
        os.register_at_fork(before=self.close, after_in_child=self._after_fork)

    def read(self, name: str, ask: Callable[[Rows], T]) -> T:
        """What `ask` gives, which may be called several times. Raises Unavailable."""
        connection, answer = self._first(PATIENCE, False, lambda it: ask(Rows(self, it, name)))
        self._give_back(connection)
        return answer

    @contextlib.contextmanager
    def writing(self, name: str, *, patience: float = PATIENCE,
                lasting: bool = False) -> Iterator[Rows]:
        """A transaction, one at a time for the box; undone where it is left by an exception. `lasting`:
        at its end it is on the disk, and not on its way there. Raises Unavailable: it is undone too."""
        connection, _ = self._first(patience, lasting, lambda it: it.execute("BEGIN IMMEDIATE"))
        try:
            yield Rows(self, connection, name)
            connection.execute("COMMIT")
        except BaseException as error:
            _close(connection)  # which undoes it
            self._in_use.discard(connection)
            if isinstance(error, sqlite3.Error):
                failure = self._failure(error, connection)
                self._rest(failure)
                raise failure from error
            raise
        self._give_back(connection)

    @property
    def rests(self) -> bool:
        """Whether the file that counts has failed a moment ago."""
        return time.monotonic() < self._rests_until and self._rests_for == self.number

    @property
    def number(self) -> int:
        """Of the file that counts; 0 where there is none."""
        if not os.path.lexists(self._path(self._number)) or \
                os.path.lexists(self._path(self._number + 1)):
            self._number = max(self._numbers(), default=0)
        return self._number

    def begin_anew(self) -> str:
        """Nothing that the file says counts any more, and it is removed. The path of the next. Raises
        Unavailable where that cannot be made."""
        return self._begin_after(max(self._numbers(), default=0), keep=False)

    # --- connections

    def _first(self, patience: float, lasting: bool,
               do: Callable[[_Connection], T]) -> tuple[_Connection, T]:
        """A connection that is in use then, and what `do` gives with it; again and again while another holds
        the file. SQLite's own way of waiting lets some wait for ever, and would stop all greenlets."""
        until, pause = time.monotonic() + patience, _PAUSE_MIN
        while True:
            try:
                return self._try(lasting, do)
            except Unavailable as why:
                if not why.busy or time.monotonic() >= until:
                    self._rest(why)
                    raise
            time.sleep(pause * random.random())
            pause = min(2 * pause, _PAUSE_MAX)

    def _rest(self, why: Unavailable) -> None:
        if not isinstance(why, SetAside):
            self._rests_for, self._rests_until = self.number, time.monotonic() + _REST_SECONDS

    def _try(self, lasting: bool, do: Callable[[_Connection], T]) -> tuple[_Connection, T]:
        if self._forked:
            raise Unavailable("this process was forked while another thread used it")
        ours, connection = object(), None
        self._in_use.add(ours)
        try:
            connection = self._take(lasting)
            answer = do(connection)
        except (sqlite3.Error, OSError) as error:
            failure = self._failure(error, connection)
            if connection is not None:
                self._idle.append(connection) if failure.busy else _close(connection)
            raise failure from error
        else:
            self._in_use.add(connection)
            return connection, answer
        finally:
            self._in_use.discard(ours)

    def _give_back(self, connection: _Connection) -> None:
        self._idle.append(connection)
        self._in_use.discard(connection)

    def _take(self, lasting: bool) -> _Connection:
        for _ in range(_FILES_TRIED):
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self._connect()
            if self.counts(connection):
                if connection.lasting != lasting:
                    self._set_lasting(connection, lasting)
                return connection
            _close(connection)
        raise OSError("its files come and go")

    def counts(self, connection: _Connection) -> bool:
        try:
            found = os.stat(self._path(connection.number))
        except OSError:
            return False
        return ((found.st_dev, found.st_ino) == connection.inode
                and not os.path.lexists(self._path(connection.number + 1)))

    def _connect(self) -> _Connection:
        os.makedirs(self._folder, 0o700, exist_ok=True)
        number = max(self._numbers(), default=1)
        path = self._path(number)
        _make(path)
        connection = _Connection(path, timeout=0, isolation_level=None, check_same_thread=False)
        connection.number = number
        try:
            found = os.stat(path)
            connection.inode = found.st_dev, found.st_ino
            self._prepare(connection)
        except BaseException as error:
            _close(connection)
            if isinstance(error, sqlite3.Error):
                raise self._failure(error, connection) from error
            raise
        self.was_open = True
        return connection

    def _prepare(self, connection: _Connection) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA cache_size = -256")  # KiB, for each thread
        connection.execute("PRAGMA journal_size_limit = 4194304")
        self._set_lasting(connection, False)
        [version] = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            connection.execute("BEGIN IMMEDIATE")
            [version] = connection.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for statement in _TABLES.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {_VERSION}")
            connection.execute("COMMIT")
        elif version != _VERSION:
            raise _OfAnotherVersion(f"it is of another version of Onebox ({version})")

    def _set_lasting(self, connection: _Connection, lasting: bool) -> None:
        pages = self._pages_max + (self._pages_max // 16 if lasting else 0)
        connection.execute(f"PRAGMA synchronous = {'FULL' if lasting else 'NORMAL'}")
        connection.execute(f"PRAGMA max_page_count = {pages}")
        connection.lasting = lasting

    def _failure(self, error: Exception, connection: _Connection | None) -> Unavailable:
        code = _code(error)
        damaged = code in _DAMAGED or str(error).startswith("no such ")  # table
        if connection is not None and (damaged or isinstance(error, _OfAnotherVersion)):
            before = self._path(connection.number)
            path = self._begin_after(connection.number, keep=True)
            return SetAside(f"{before}: {error}; it is set aside, and {path} begun")
        path = self._path(connection.number if connection else max(self._numbers(), default=1))
        return Unavailable(f"{path}: {error}",
                           busy=code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED))

    # --- files

    def _path(self, number: int) -> str:
        return os.path.join(self._folder, f"sessions-{number}.db")

    def _numbers(self) -> list[int]:
        """In their order."""
        try:
            names = os.listdir(self._folder)
        except OSError:
            return []
        found = (re.fullmatch(r"sessions-(\d{1,9})\.db", name) for name in names)
        return sorted(int(match[1]) for match in found if match)

    def _begin_after(self, number: int, keep: bool) -> str:
        path = self._path(number + 1)
        try:
            _make(path)
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise Unavailable(f"{path}: {error.strerror}") from error
        for older in self._numbers():
            if older < number or (older == number and not keep):
                for end in ("", "-wal", "-shm"):
                    with contextlib.suppress(OSError):
                        os.unlink(self._path(older) + end)
        return path

    # --- forks: a connection is of the process that has made it, and may not even be closed by another

    def close(self) -> None:
        """What is not in use; the next call opens it again."""
        with contextlib.suppress(IndexError):
            while True:
                _close(self._idle.pop())

    def _after_fork(self) -> None:
        self._forked = self._forked or bool(self._idle or self._in_use)


class _OfAnotherVersion(sqlite3.DatabaseError):
    pass


@functools.cache
def of_box(folder: str, bytes_max: int) -> SessionDatabase:
    """The one of this process, in the data folder of its box."""
    return SessionDatabase(folder, bytes_max)


def _make(path: str) -> None:
    """Empty, where none is. Not by open(): to close a file of SQLite lets go the locks that this process
    has on it."""
    with contextlib.suppress(FileExistsError):
        os.mknod(path, 0o600 | stat.S_IFREG)


def _close(connection: _Connection) -> None:
    with contextlib.suppress(sqlite3.Error):
        connection.close()


def _code(error: Exception) -> int:
    """Of SQLite's errors, without what it adds to some."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


@functools.cache
def _this_boot() -> str:
    """Another one each time that the machine starts: time.monotonic() begins anew then."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""

