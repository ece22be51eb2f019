"""Onebox, as the app sees it. All of it works without a server too: in a test, a shell, a script."""
from __future__ import annotations

from onebox.cancelled import Cancelled, ClientDisconnected, DeadlineExceeded
from onebox.queries import limit_queries

__all__ = ["Cancelled", "ClientDisconnected", "DeadlineExceeded", "deadline", "limit_queries"]

try:
    from onebox._onebox import deadline
except ImportError:  # no server's Python
    def deadline() -> float | None:
        """Seconds that the request of this thread has left, less than 0 where it is late; None
        outside of a request."""
        return None
