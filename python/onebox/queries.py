"""The database stops when the request does: what a request has left, as a limit of its statements."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onebox

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

# Seconds after the request's deadline at which its database gives up: never before the app has been
# told that its time is over, and before its worker counts as stuck, which is after a second.
EARLIEST, USUAL, LATEST = 0.1, 0.4, 0.7
NAMES = {True: ("max_statement_time", 1), False: ("max_execution_time", 1000)}  # is it MariaDB?
KEY = "onebox.limit_queries"  # in a connection's info: its own limit, and the one that is set; seconds


def limit_queries(engine: Engine) -> None:
    """From now on the database gives up a statement when the request that sent it has no time left.

    MariaDB: `max_statement_time`, for every statement. MySQL: `max_execution_time`, which holds for
    SELECT alone. Other databases: nothing. The limit is the session's: a new connection is asked once
    for its own, and told a new one where that would end a statement less than 0.1 s or more than 0.7 s
    after the deadline. So requests that follow each other with the same timeout cost nothing more.
    A limit that the operator has set and that is lower stays; so it does outside of requests.
    """
    if engine.dialect.name not in ("mysql", "mariadb"):
        return
    from sqlalchemy import event

    event.listen(engine, "before_cursor_execute", _before)


def _before(connection: Connection, *_: Any) -> None:
    name, unit = NAMES[bool(getattr(connection.dialect, "is_mariadb", False))]
    left = onebox.deadline()
    if left is None and KEY not in connection.info:
        return
    if KEY not in connection.info:
        own = float(_ask(connection, f"SELECT @@SESSION.{name}") or 0) / unit
        connection.info[KEY] = (own, own)
    own, now = connection.info[KEY]
    left = None if left is None else max(left, 0.0)
    wanted = own if left is None else min(own or left + USUAL, left + USUAL)
    if now == wanted or left is not None and left + EARLIEST <= now <= left + LATEST:
        return
    _ask(connection, f"SET SESSION {name} = {_written(wanted, unit)}")
    connection.info[KEY] = (own, wanted)


def _written(seconds: float, unit: int) -> str:
    return f"{seconds:.3f}" if unit == 1 else str(round(seconds * unit))


def _ask(connection: Connection, statement: str) -> Any:
    """By a cursor of its own: the one that waits may be of another kind."""
    cursor = connection.connection.cursor()
    try:
        cursor.execute(statement)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None
    finally:
        cursor.close()
