"""Does the validator of PEP 3333 find nothing to say about us while it sits between us and the apps
of these tests, and does it change no answer?"""
import contextlib
import gzip
import json

import pytest

from onebox import Onebox
from test_wsgi import BODY

LARGE = b"x" * 300_000
PLAIN, GZIP = (), ("Accept-Encoding: gzip",)


def row(method, path, *fields, body=b""):
    return method, path, fields, body


# What breaks PEP 3333 on purpose is not here: wrong heads and bodies, no start_response or two, a
# field that speaks for the connection, a read() without a size. What waits for its client is below.
ASKED = {
    "seen": [
        row("GET", "/a%20b?c=d", "X-A: b", "Cookie: a=1", "Cookie: b=2"), row("HEAD", "/"),
        row("DELETE", "/"), row("POST", "/", "Content-Type: text/plain", body=BODY),
        row("PUT", "/", body=LARGE), row("GET", "http://shop.test:81/path?q=1"),
        row("GET", "/", "X-Forwarded-Proto: https", "X-Empty:")],
    "compressed": [
        row("GET", path, *fields) for fields in (PLAIN, GZIP)
        for path in ("/text", "/tagged", "/varied", "/parts", "/small", "/picture", "/encoded",
                     "/no_transform", "/partial", "/events")],
    "answers": [
        *(row("GET", f"/iterable/{kind}")
          for kind in ("list", "tuple", "generator", "iterator", "map", "by_index", "with_length",
                       "iterable", "closing", "file")),
        *(row("HEAD", f"/iterable/{kind}") for kind in ("tuple", "generator", "closing")),
        *(row("GET", f"/empty/{kind}") for kind in ("list", "bytes", "none")),
        *(row("GET", path) for path in ("/late_head", "/write", "/large/3000000", "/log",
                                        "/status/299_Odd", "/status/404_Not_Here", "/replaced")),
        *(row("GET", "/compressible/50000", *fields) for fields in (PLAIN, GZIP)),
        *(row("GET", f"/raises/{name}") for name in ("ValueError", "SystemExit", "StopIteration")),
        row("GET", "/raises_after_start"), row("GET", "/raises_in_close"),
        *(row("GET", f"/file/{kind}")
          for kind in ("real", "rest", "memory", "plain", "with_length", "closing")),
        *(row("POST", f"/body/{how}", body=body) for body in (BODY, LARGE)
          for how in ("read_size", "read_none", "read_minus", "readline", "readline_size",
                      "readlines", "readlines_hint", "iteration", "wrapped", "nothing")),
        row("GET", "/remembered/closed"), row("GET", "/remembered/errors")],
}


def what_matters(answer, app):
    """All but what differs from request to request, and whether the length was known: the validator
    hides that of a list."""
    fields = [(name, value) for name, value in answer.fields if name not in
              ("Date", "X-Request-ID", "Content-Length", "Transfer-Encoding")]
    body = answer.body
    if answer["Content-Encoding"] == "gzip":
        body = gzip.decompress(body)
    if app == "seen" and body:
        changing = ("pid", "HTTP_X_REQUEST_ID", "REMOTE_PORT", "SERVER_PORT")
        body = {name: value for name, value in json.loads(body).items() if name not in changing}
    return answer.status, answer.reason, fields, body


@pytest.fixture(params=["threads", "gevent"])
def served(request, tmp_path_factory):
    """served(TARGET): the app in one worker, whose log may hold no complaint."""
    with contextlib.ExitStack() as servers:
        def start(target):
            server = Onebox(tmp_path_factory.mktemp("onebox"), target, workers=1,
                            worker_class=request.param)
            servers.callback(nothing_is_complained_of, server)  # when it has ended
            return servers.enter_context(server)
        yield start


def nothing_is_complained_of(server):
    words = ("AssertionError", "WSGIWarning", "without being closed")
    complaints = [line for line in server.lines if any(word in line for word in words)]
    assert not complaints, server.output()


@pytest.mark.parametrize("app", ASKED)
def test_the_validator_changes_no_answer_and_has_no_complaint(served, app):
    plain, validated = served(f"{app}:app"), served(f"{app}:validated")
    for method, path, fields, body in ASKED[app]:
        expected, found = (what_matters(server.ask(method, path, *fields, body=body), app)
                           for server in (plain, validated))
        assert found == expected, (method, path, *fields)


def test_the_validator_lets_what_is_sent_bit_by_bit_pass(served):
    server = served("answers:validated")
    for path, event, parts in (("/stream/news", "news", [b"data: %d\n\n" % n for n in range(3)]),
                               ("/write_waits", "written", [b"first", b"second"])):
        with server.connect() as connection:
            connection.request("GET", path).head()
            chunks = connection.chunks()
            for part in parts:
                assert next(chunks) == part
                server.get(f"/set/{event}")
            assert list(chunks) == []
    with server.connect() as connection:
        connection.request("GET", "/endless/left").head()
    assert server.get("/iterable/list").body == b"one two three"
