"""Whether an app answers, asked in its own process before anybody else may ask it."""
from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from typing import Any
from wsgiref.util import setup_testing_defaults


def is_well(app: Callable[..., Any], path: str) -> bool:
    """Whether a GET of `path` has an answer of 2xx or 3xx; what it has instead is told."""
    path, _, query = path.partition("?")
    environ: dict[str, Any] = {"PATH_INFO": path, "QUERY_STRING": query,
                               "HTTP_USER_AGENT": "onebox (health)", "wsgi.multithread": True}
    setup_testing_defaults(environ)
    environ["wsgi.errors"] = sys.stderr
    statuses: list[str] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        statuses.append(status)
        return lambda data: None

    try:
        body = app(environ, start_response)
        try:
            for _ in body:
                pass
        finally:
            getattr(body, "close", lambda: None)()
    except BaseException:  # as for any request: whatever the app raises
        traceback.print_exc()
        statuses.clear()
    status = statuses[-1] if statuses else "no answer"
    if status[:1] in ("2", "3"):
        return True
    print(f"onebox: {path} is answered by {status}", file=sys.stderr, flush=True)
    return False
