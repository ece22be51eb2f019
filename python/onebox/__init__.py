"""Onebox, as the app sees it. All of it works without a server too: in a test, a shell, a script."""
from __future__ import annotations

import sys

from onebox.cancelled import Cancelled, ClientDisconnected, DeadlineExceeded
from onebox.queries import limit_queries

__all__ = ["Cancelled", "ClientDisconnected", "DeadlineExceeded", "deadline", "limit_queries"]


def deadline() -> float | None:
    """Seconds that the request of this thread or greenlet has left, less than 0 where it is late; None
    outside of a request."""
    server = sys.modules.get("onebox._onebox")  # what a worker has loaded, and nobody else
    return server.deadline() if server else None
