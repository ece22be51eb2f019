"""What a task finds around it: Flask's app context, and Django's connections in order."""
from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

DEPTH_MAX = 16  # of middleware around an app
_INNER = ("app", "wsgi_app", "application", "_app", "_application", "__self__", "__wrapped__")


def around(app: Any) -> Callable[[], AbstractContextManager[Any]]:
    """What makes the context of one attempt; `app` is what the worker serves."""
    flask_app = find_flask(app)
    return lambda: _context(flask_app)


def find_flask(app: Any) -> Any:
    """onebox.tasks.flask_app where that was set; else `app`, or what it has in itself as middleware does
    (in `app`, `wsgi_app`, ...); None where it is none of Flask's."""
    from onebox import tasks
    if tasks.flask_app is not None:
        return tasks.flask_app
    seen = 0
    while app is not None and seen < DEPTH_MAX:
        if _is_flask(app):
            return app
        app = next((inner for name in _INNER if (inner := getattr(app, name, None)) is not None), None)
        seen += 1
    return None


def _is_flask(app: Any) -> bool:
    flask = sys.modules.get("flask")
    return flask is not None and isinstance(app, flask.Flask)


@contextmanager
def _context(flask_app: Any) -> Iterator[None]:
    _close_old_connections()
    try:
        with flask_app.app_context() if flask_app is not None else nullcontext():
            yield
    finally:
        _close_old_connections()


def _close_old_connections() -> None:
    """As Django does before and after a request; its list of queries is emptied with DEBUG."""
    if db := sys.modules.get("django.db"):
        if sys.modules["django.conf"].settings.configured:
            db.reset_queries()
            db.close_old_connections()
