"""What an app is asked in its own process before anybody else may ask it: whether it is well, and what
makes it warm."""
from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import unquote
from wsgiref.util import setup_testing_defaults


def is_well(app: Callable[..., Any], path: str) -> bool:
    """Whether a GET of `path` has an answer of 2xx or 3xx; what it has instead is told."""
    return _is_fine(_ask(app, path, "health"), path)


def warm_up(app: Callable[..., Any], paths: Sequence[str]) -> None:
    """GETs each path, so that what the first request of its kind makes is there: compiled templates and
    statements, caches, imports. One that fails is told, and keeps nobody from serving."""
    if not paths:
        return
    began = time.monotonic()
    fine = [_is_fine(_ask(app, path, "warm-up"), path) for path in paths]
    print(f"onebox: warmed up by {sum(fine)} of {len(paths)} requests in "
          f"{time.monotonic() - began:.1f} s", flush=True)


def _is_fine(status: str, path: str) -> bool:
    if status[:1] in ("2", "3"):
        return True
    print(f"onebox: {path} is answered by {status}" if status else f"onebox: {path} has no answer",
          file=sys.stderr, flush=True)
    return False


def _ask(app: Callable[..., Any], path: str, why: str) -> str:
    """The status of the answer, read to its end; empty where the app raises, after the traceback."""
    path, _, query = path.partition("?")
    environ: dict[str, Any] = {"PATH_INFO": unquote(path, "latin-1"), "QUERY_STRING": query,
                               "HTTP_USER_AGENT": f"onebox ({why})", "wsgi.multithread": True}
    setup_testing_defaults(environ)
    environ["wsgi.errors"] = sys.stderr
    statuses = [""]

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
        return ""
    return statuses[-1]
