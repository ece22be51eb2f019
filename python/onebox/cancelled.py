"""What is raised in a request that nobody waits for any more."""
from __future__ import annotations


class Cancelled(BaseException):
    """No Exception, so that `except Exception` does not swallow it. Let it pass; `finally` runs."""

    text = "nobody waits for this request any more"

    def __init__(self, *arguments: object) -> None:
        super().__init__(*(arguments or (self.text,)))


class DeadlineExceeded(Cancelled):
    """The request took longer than it may: its client has had a 504."""

    text = "the request's deadline has passed"


class ClientDisconnected(Cancelled):
    """The request's client has left, and the request may be ended for that."""

    text = "the request's client has left"
