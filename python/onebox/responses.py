"""Answers that the front keeps for others: what a view says of its own, and how they are purged.

    @app.get("/prices/<country>")
    @onebox.cached_response(ttl=60, stale=300, tags=["prices", "prices:{country}"])
    def prices(country): ...

    onebox.purge(tag="prices:de")
"""
from __future__ import annotations

import functools
import http.client
import inspect
import os
import socket
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

View = TypeVar("View", bound=Callable[..., Any])

PATIENCE_SECONDS = 10.0  # that a purge may take; a front that ended is there again before
PAUSE_SECONDS = 0.05
TAGS_MAX, TAG_CHARACTERS_MAX = 16, 128


class PurgeFailed(RuntimeError):
    """The front could not be told: answers of before may still be given."""


def cached_response(ttl: int, *, stale: int = 0, tags: Iterable[str] = (),
                    vary: Iterable[str] = ()) -> Callable[[View], View]:
    """Lets the front keep what a Flask or Django view, or a WSGI app, answers with a status below 400.

    `ttl`: seconds that it is fresh; `stale`: seconds after that in which it may be given while a new one
    is made; `tags`: names to purge it by, in which {name} stands for the view's argument of that name;
    `vary`: header fields of the request that make a difference. No route needs to be set up for it. A request
    with cookies is neither answered from what is kept nor keeps anything, unless its route says which do
    not matter; nor is an answer kept that sets one.
    """
    templates, varied = [tags] if isinstance(tags, str) else list(tags), list(vary)
    if ttl < 1 or stale < 0:
        raise ValueError(f"a ttl of {ttl} s and {stale} s more: expected 1 s at least, and no less than 0")
    if len(templates) > TAGS_MAX:
        raise ValueError(f"{len(templates)} tags: expected {TAGS_MAX} at most")

    def decorate(view: View) -> View:
        signature = inspect.signature(view)

        @functools.wraps(view)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            if len(args) == 2 and isinstance(args[0], dict) and "wsgi.version" in args[0]:
                return view(args[0], _start(args[1], ttl, stale, [tag_of(one, {}) for one in templates], varied))
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            values = {**bound.arguments, **kwargs}
            named = [tag_of(one, values) for one in templates]
            answer = _response(view(*args, **kwargs))
            if answer.status_code < 400:
                for name, value in _fields(answer.headers.get("Cache-Control"), answer.headers.get("Vary"),
                                           ttl, stale, named, varied):
                    answer.headers[name] = value
            return answer

        return wrapped  # type: ignore[return-value]

    return decorate


def purge(*, url: str | None = None, prefix: str | None = None, tag: str | None = None) -> int:
    """Forgets the kept answers of a URL ("/prices?all=1", or with scheme and host), of all URLs that begin with
    a prefix, or that have a tag; how many there were. When it returns, no reactor gives one of them any
    more, and none is kept that was asked for before. 0 where no front is there; raises PurgeFailed where
    one does not answer."""
    named = [(kind, value) for kind, value in (("url", url), ("prefix", prefix), ("tag", tag)) if value is not None]
    if len(named) != 1:
        raise TypeError("purge() takes one of url, prefix and tag")
    kind, value = named[0]
    if not value or any(not "\x20" < character < "\x7f" for character in value):
        raise ValueError(f"{value!r}: expected visible characters of ASCII; a URL is percent-encoded")
    path = os.environ.get("ONEBOX_PURGE")
    if not path:
        return 0
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return _ask(path, kind, value, max(0.1, until - time.monotonic()))
        except FileNotFoundError:
            return 0  # no front keeps answers
        except (OSError, http.client.HTTPException, ValueError) as error:
            if time.monotonic() >= until:
                raise PurgeFailed(f"the front did not say that it purged {kind} {value}: {error}") from error
            time.sleep(PAUSE_SECONDS)


def tag_of(template: str, values: dict[str, Any]) -> str:
    """The tag for a call with these arguments."""
    tag = template.format_map(values)
    if not tag or len(tag) > TAG_CHARACTERS_MAX or any(not "\x20" < one < "\x7f" or one == "," for one in tag):
        raise ValueError(f"the tag {tag!r}: expected 1 to {TAG_CHARACTERS_MAX} visible characters of ASCII, "
                         "without a comma")
    return tag


def _fields(control: str | None, vary: str | None, ttl: int, stale: int, tags: list[str],
            varied: list[str]) -> list[tuple[str, str]]:
    said = [part.strip() for part in (control or "").split(",") if part.strip()]
    names = {part.partition("=")[0].lower() for part in said}
    if names & {"private", "no-store", "no-cache"}:
        return []  # the view knows better
    # Browsers ask each time: a purge does not reach them.
    if "max-age" not in names:
        said.append("max-age=0")
    said.append(f"s-maxage={ttl}")
    if stale:
        said.append(f"stale-while-revalidate={stale}")
    fields = [("Cache-Control", ", ".join(said)), ("Onebox-Cache", "yes")]
    if tags:
        fields.append(("Onebox-Cache-Tags", ", ".join(tags)))
    if varied:
        fields.append(("Vary", ", ".join(filter(None, [vary, *varied]))))
    return fields


def _response(answer: Any) -> Any:
    """What a view of Flask has returned may be a text or a tuple."""
    if hasattr(answer, "headers") and hasattr(answer, "status_code"):
        return answer
    flask = sys.modules.get("flask")
    if flask is not None and flask.has_request_context():
        return flask.make_response(answer)
    raise TypeError("cached_response is for views of Flask and Django and for WSGI apps, not for what returns "
                    f"{type(answer).__name__}")


def _start(start_response: Callable[..., Any], ttl: int, stale: int, tags: list[str],
           varied: list[str]) -> Callable[..., Any]:
    def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        if int(status[:3]) < 400:
            def value_of(wanted: str) -> str | None:
                return ", ".join(value for name, value in headers if name.lower() == wanted) or None
            more = _fields(value_of("cache-control"), value_of("vary"), ttl, stale, tags, varied)
            ours = {name.lower() for name, _ in more}
            headers = [field for field in headers if field[0].lower() not in ours] + more
        return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)
    return start


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, seconds: float) -> None:
        super().__init__("onebox", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _ask(path: str, kind: str, value: str, seconds: float) -> int:
    connection = _Connection(path, seconds)
    try:
        if kind == "url":
            connection.request("PURGE", value)
        else:
            connection.request("PURGE", "/", headers={f"Purge-{kind.capitalize()}": value})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise ValueError(f"{answer.status} {answer.reason}")
        return int(body.partition(b":")[2].partition(b"}")[0])
    finally:
        connection.close()
