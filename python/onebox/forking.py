"""What the import of an app leaves behind that two processes must not share."""
from __future__ import annotations

import gc
import os
import sys
import threading
from pathlib import Path
from socket import SOCK_STREAM, socket  # before they are patched for gevent: theirs makes a hub


def close_pools() -> None:
    """Closes the idle connections of pools that open new ones by themselves."""
    engines = _instances("sqlalchemy.engine.base", "Engine")
    redis_pools = _instances("redis.connection", "ConnectionPool")
    for engine in engines:
        engine.dispose()
    for pool in redis_pools:
        pool.disconnect()
    if broker := sys.modules.get("onebox.broker"):
        broker.close()


def what_must_not_be_forked(*known: int) -> list[str]:
    """One sentence each: threads, which a fork does not copy, and connections, which it doubles."""
    return [*_threads(), *_connections(known), *_databases()]


def resident_bytes() -> int:
    """Memory that this process has in RAM."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _instances(module: str, name: str) -> list:
    """Of a class of a module that the app has imported; none where it has not."""
    kind = getattr(sys.modules.get(module), name, None)
    if kind is None:
        return []
    return [found for found in gc.get_objects() if isinstance(found, kind)]


def _threads() -> list[str]:
    own = threading.main_thread()
    named = [f"thread {thread.name!r} runs" for thread in threading.enumerate() if thread is not own]
    others = len(os.listdir("/proc/self/task")) - 1 - len(named)
    if others > 0:
        named.append(f"{others} threads run that are not Python's")
    return named


def _connections(known: tuple[int, ...]) -> list[str]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        number = int(name)
        try:
            if number in known or not os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                continue
            with socket(fileno=os.dup(number)) as connection:
                peer = _peer_of(connection)
        except OSError:
            continue  # closed meanwhile: it was the one that lists the folder
        if peer:
            found.append(f"a connection to {peer} is open")
    return found


def _peer_of(connection: socket) -> str:
    """Empty where nobody is at its other end, or where each message stands by itself."""
    if connection.type != SOCK_STREAM:
        return ""
    try:
        peer = connection.getpeername()
    except OSError:
        return ""
    return "%s:%s" % peer[:2] if isinstance(peer, tuple) else repr(peer or "a unix socket")


def _databases() -> list[str]:
    """SQLite forbids that a connection is carried through a fork."""
    count = len(_instances("sqlite3", "Connection"))
    return [f"{count} SQLite connections are open"] if count else []
