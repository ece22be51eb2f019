"""Tasks that are enqueued with the app's own rows, in the app's own transaction, or not at all.

    with session.begin():
        session.add(purchase)
        onebox.outbox.enqueue(session, {"name": "shop.mail:send", "payload": "[17]"})

The task is a row of the table onebox_outbox, in the app's MySQL or MariaDB. The box takes it from there when
the transaction is committed; after a rollback nobody has ever seen it.
"""
from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import closing
from typing import Any

BYTES_MAX = 8 << 20  # of a task as JSON; what is longer the box would set aside

# For a migration, where onebox itself may not create tables.
CREATE_TABLE = """\
CREATE TABLE onebox_outbox (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  task JSON NOT NULL,
  created DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  error VARCHAR(255) NULL,
  KEY waiting (error, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"""

_INSERT = "INSERT INTO onebox_outbox (task) VALUES ({})"
_MARKS = {"format": "%s", "pyformat": "%s", "qmark": "?", "numeric": ":1"}


def enqueue(connection: Any, task: Mapping[str, Any]) -> None:
    """Writes the task beside what the connection's transaction has written, and commits nothing.

    `connection` is a Session or a Connection of SQLAlchemy, `django.db.connection`, or a connection or
    a cursor of a driver (DB-API 2.0: PyMySQL, mysqlclient, mysql-connector). One that commits each
    statement commits this one at once too. `task` is what onebox.tasks sends to the box: `name` and
    `payload` are texts, all other keys may be missing.
    """
    text = _written(task)
    if _is_sqlalchemy(connection):
        from sqlalchemy import text as statement

        connection.execute(statement(_INSERT.format(":task")), {"task": text})
    elif callable(getattr(connection, "cursor", None)):
        with closing(connection.cursor()) as cursor:
            cursor.execute(_INSERT.format(_mark(connection)), (text,))
    elif callable(getattr(connection, "execute", None)):
        connection.execute(_INSERT.format(_mark(connection)), (text,))
    else:
        raise TypeError(f"{type(connection).__qualname__} is none of: a connection or a cursor of a database, "
                        "a Session or a Connection of SQLAlchemy")


def _written(task: Mapping[str, Any]) -> str:
    for key in ("name", "payload"):
        if not isinstance(task.get(key), str):
            raise TypeError(f"the task's {key} is {task.get(key)!r}, and has to be a text")
    text = json.dumps(dict(task), allow_nan=False, separators=(",", ":"))  # ASCII: no charset matters
    if len(text) > BYTES_MAX:
        raise ValueError(f"the task has {len(text)} bytes as JSON, and {BYTES_MAX} at most are taken")
    return text


def _is_sqlalchemy(connection: Any) -> bool:
    if "sqlalchemy" not in sys.modules:
        return False
    from sqlalchemy.engine import Connection
    from sqlalchemy.orm import Session, scoped_session

    if type(connection).__module__.startswith("sqlalchemy.ext.asyncio"):
        raise TypeError("with asyncio: await session.run_sync(onebox.outbox.enqueue, task)")
    return isinstance(connection, (Connection, Session, scoped_session))


def _mark(connection: Any) -> str:
    """What stands for a value, as the driver's module says; Django's wrappers and most drivers: %s."""
    module = type(connection).__module__
    while module:
        style = getattr(sys.modules.get(module), "paramstyle", None)
        if style in _MARKS:
            return _MARKS[style]
        module = module.rpartition(".")[0]
    return "%s"
