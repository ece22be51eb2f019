"""Onebox, as the app sees it. All of it works without a server too: in a test, a shell, a script."""
from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from onebox.cancelled import Cancelled, ClientDisconnected, DeadlineExceeded
from onebox.queries import limit_queries

if TYPE_CHECKING:
    from onebox.jobs import job
    from onebox.responses import PurgeFailed, cached_response, purge
    from onebox.tasks import Retry, chain, current, group, progress, task

__all__ = ["Cancelled", "ClientDisconnected", "DeadlineExceeded", "PurgeFailed", "Retry", "cached_response", "chain", "current", "deadline", "group",
           "job", "limit_queries", "progress", "purge", "task"]


def deadline() -> float | None:
    """Seconds that the request of this thread or greenlet has left, less than 0 where it is late; None
    outside of a request."""
    server = sys.modules.get("onebox._onebox")  # what a worker has loaded, and nobody else
    return server.deadline() if server else None


def __getattr__(name: str) -> Any:
    """Jobs and tasks, for whoever has some: the others need not load them."""
    if name == "job":
        from onebox.jobs import job as found
        return found
    if name in ("PurgeFailed", "cached_response", "purge"):
        from onebox import responses
        return getattr(responses, name)
    if name in __all__:
        from onebox import tasks
        return getattr(tasks, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
