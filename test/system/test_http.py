"""Does the front speak HTTP/1.1 as RFC 9110 and 9112 have it, and refuse what could be read twice?"""
import json
import os
import re
import socket
from pathlib import Path

import pytest

from onebox import shared
from wire import Connection, until

server = shared("seen:app", schemes=("http", "https"))


def seen(response):
    assert response.status == 200, response
    return json.loads(response.body)


# --- connections -------------------------------------------------------------

def test_a_connection_carries_many_requests(server):
    with server.connect() as connection:
        for number in range(20):
            assert seen(connection.get(f"/{number}"))["PATH_INFO"] == f"/{number}"


def test_connection_close_is_answered_and_obeyed(server):
    with server.connect() as connection:
        answer = connection.get("/", "Connection: close")
        assert answer.status == 200 and answer["Connection"].lower() == "close"
        assert connection.is_closed()


def test_pipelined_requests_are_answered_in_their_order(server):
    with server.connect() as connection:
        connection.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: test\r\n\r\n" % number
                                 for number in range(50)))
        assert [seen(connection.response())["PATH_INFO"] for _ in range(50)] \
            == [f"/{number}" for number in range(50)]


def test_pipelined_bodies_end_where_they_end(server):
    with server.connect() as connection:
        connection.send(b"POST /a HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello"
                        b"POST /b HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
                        b"5\r\nhello\r\n0\r\n\r\nGET /c HTTP/1.1\r\nHost: test\r\n\r\n")
        found = [seen(connection.response()) for _ in range(3)]
        assert [(one["PATH_INFO"], one["body"]) for one in found] \
            == [("/a", "hello"), ("/b", "hello"), ("/c", "")]


def test_a_request_may_come_byte_by_byte(server):
    request = (b"POST /slow?q=1 HTTP/1.1\r\nHost: test\r\nX-A: b\r\n"
               b"Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: t\r\n\r\n")
    with server.connect() as connection:
        for at in range(len(request)):
            connection.send(request[at:at + 1])
        found = seen(connection.response())
        assert (found["PATH_INFO"], found["HTTP_X_A"], found["body"]) == ("/slow", "b", "abc")


def test_a_client_may_close_its_side_after_the_request(server):
    with server.connect() as connection:
        connection.request("GET", "/half", "Connection: close").finish()
        assert seen(connection.response())["PATH_INFO"] == "/half"
        assert connection.is_closed()


def test_a_client_that_closes_its_side_at_once_gets_every_pipelined_answer(server):
    with server.connect() as connection:
        connection.request("GET", "/1").request("GET", "/2").finish()
        assert [seen(connection.response())["PATH_INFO"] for _ in range(2)] == ["/1", "/2"]
        assert connection.is_closed()


def test_empty_lines_before_a_request_are_let_pass(server):
    with server.connect() as connection:
        assert seen(connection.send(b"\r\n\r\n").get("/"))["PATH_INFO"] == "/"


@pytest.mark.parametrize("fields, kept", [((), False), (("Connection: keep-alive",), True),
                                          (("Connection: close",), False)])
def test_http_1_0_keeps_the_connection_only_when_asked(server, fields, kept):
    with server.connect() as connection:
        for _ in range(2 if kept else 1):
            connection.send("".join(f"{line}\r\n" for line in ("GET / HTTP/1.0", *fields, ""))
                            .encode())
            answer = connection.response()
            assert seen(answer)["SERVER_PROTOCOL"] == "HTTP/1.0"
            if kept:
                assert answer["Connection"].lower() == "keep-alive"
        if not kept:
            assert connection.is_closed()


def test_http_1_0_is_told_that_it_is_kept_after_our_own_answers_too(server):
    with server.connect() as connection:
        for _ in range(2):
            connection.request("OPTIONS", "*", "Connection: keep-alive", version="1.0")
            assert connection.response()["Connection"] == "keep-alive"


# --- requests ----------------------------------------------------------------

def test_chunked_bodies_are_whole_when_the_app_sees_them(server):
    with server.connect() as connection:
        connection.request("POST", "/", "Transfer-Encoding: chunked", "Trailer: X-T")
        connection.send(b"4;name=value;q=\"a b\"\r\nWiki\r\n5\r\npedia\r\nA\r\n0123456789\r\n"
                        b"000\r\nX-T: trailer\r\n\r\n")
        found = seen(connection.response())
        assert found["body"] == "Wikipedia0123456789"
        assert "HTTP_X_T" not in found and "HTTP_TRANSFER_ENCODING" not in found
        assert found["CONTENT_LENGTH"] == "19"


def test_large_bodies_arrive_whole(server):
    for size in (1, 65535, 65536, 65537, 5_000_000):
        found = seen(server.ask("POST", "/", body=b"x" * size))
        assert found["body_bytes"] == size


def test_expect_100_continue_is_answered_before_the_body(server):
    with server.connect() as connection:
        connection.request("POST", "/", "Expect: 100-continue", "Content-Length: 5")
        assert connection.head()[1:3] == (100, "Continue")
        assert seen(connection.send(b"hello").response())["body"] == "hello"


def test_a_client_of_1_0_gets_no_100_continue(server):
    with server.connect() as connection:
        connection.send(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello")
        assert connection.head()[1] == 200


def test_an_unknown_expectation_is_417(server):
    with server.connect() as connection:
        answer = connection.request("POST", "/", "Expect: miracles", body=b"x").response()
        assert answer.status == 417


def test_head_is_get_without_the_body(server):
    with server.connect() as connection:
        whole = connection.get("/same", "X-Request-ID: same")
        head = connection.request("HEAD", "/same").response("HEAD")
        assert (head.status, head["Content-Type"]) == (200, whole["Content-Type"])
        assert abs(int(head["Content-Length"]) - len(whole.body)) < 100
        assert seen(connection.get("/after"))["PATH_INFO"] == "/after"


def test_options_of_the_whole_server(server):
    with server.connect() as connection:
        assert connection.request("OPTIONS", "*").response().status in (200, 204)
        assert seen(connection.get("/after"))["PATH_INFO"] == "/after"


def test_absolute_form_names_the_host(server):
    with server.connect() as connection:
        found = seen(connection.get("http://shop.test:81/path?q=1", "Host: other.test"))
        assert (found["HTTP_HOST"], found["PATH_INFO"], found["QUERY_STRING"]) \
            == ("shop.test:81", "/path", "q=1")
        assert seen(connection.get("http://shop.test"))["PATH_INFO"] in ("/", "")


@pytest.mark.parametrize("target", ["test:443", "shop.test"])
def test_connect_is_refused(server, target):
    with server.connect() as connection:
        assert connection.request("CONNECT", target).response().status in (400, 405, 501)


def test_fields_that_come_twice_are_joined(server):
    found = seen(server.get("/", "X-A: one", "X-A: two", "Cookie: a=1", "Cookie: b=2"))
    assert (found["HTTP_X_A"], found["HTTP_COOKIE"]) == ("one, two", "a=1; b=2") \
        or (found["HTTP_X_A"], found["HTTP_COOKIE"]) == ("one,two", "a=1; b=2")


def test_space_around_a_value_is_not_part_of_it(server):
    found = seen(server.get("/", "X-A: \t b  c \t", "X-Empty:", "X-Tight:d"))
    assert [found[f"HTTP_X_{name}"] for name in ("A", "EMPTY", "TIGHT")] == ["b  c", "", "d"]


def test_a_name_with_an_underscore_does_not_pass_for_one_with_a_dash(server):
    found = seen(server.get("/", "X_Forwarded_For: 1.2.3.4", "X_Real: forged", "X-Real: true"))
    assert found.get("HTTP_X_REAL") == "true"
    assert "1.2.3.4" not in json.dumps(found)


def test_unknown_methods_reach_the_app(server):
    assert seen(server.ask("PROPFIND", "/"))["REQUEST_METHOD"] == "PROPFIND"


def test_a_later_minor_version_is_served_as_1_1(server):
    with server.connect() as connection:
        answer = connection.request("GET", "/", version="1.9").response()
        assert (answer.version, answer.status) == ("HTTP/1.1", 200)


# --- what could be read two ways ----------------------------------------------

HOST = "Host: test\r\n"
AMBIGUOUS = {
    "two lengths": f"POST / HTTP/1.1\r\n{HOST}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    "one length twice": f"POST / HTTP/1.1\r\n{HOST}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "a list of lengths": f"POST / HTTP/1.1\r\n{HOST}Content-Length: 3, 3\r\n\r\nabc",
    "length with plus": f"POST / HTTP/1.1\r\n{HOST}Content-Length: +3\r\n\r\nabc",
    "length with minus": f"POST / HTTP/1.1\r\n{HOST}Content-Length: -3\r\n\r\nabc",
    "length in hex": f"POST / HTTP/1.1\r\n{HOST}Content-Length: 0x3\r\n\r\nabc",
    "length of 2^64": f"POST / HTTP/1.1\r\n{HOST}Content-Length: 18446744073709551616\r\n\r\nabc",
    "empty length": f"POST / HTTP/1.1\r\n{HOST}Content-Length:\r\n\r\n",
    "length with chunked": f"POST / HTTP/1.1\r\n{HOST}Content-Length: 3\r\n"
                           "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked not last": f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunked twice": f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "identity": f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: identity\r\n\r\n",
    "almost chunked": f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked in quotes": f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
    "chunked in 1.0": f"POST / HTTP/1.0\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "space before colon": f"GET / HTTP/1.1\r\n{HOST}Content-Length : 3\r\n\r\nabc",
    "folded field": f"GET / HTTP/1.1\r\n{HOST}X-A: a\r\n b\r\n\r\n",
    "field that begins with a space": f"GET / HTTP/1.1\r\n X-A: a\r\n{HOST}\r\n",
    "bare LF after the request line": f"GET / HTTP/1.1\n{HOST}\r\n",
    "bare LF after a field": f"GET / HTTP/1.1\r\n{HOST}X-A: a\nX-B: b\r\n\r\n",
    "bare CR in a value": f"GET / HTTP/1.1\r\n{HOST}X-A: a\rb\r\n\r\n",
    "NUL in a value": f"GET / HTTP/1.1\r\n{HOST}X-A: a\0b\r\n\r\n",
    "control in a value": f"GET / HTTP/1.1\r\n{HOST}X-A: a\x01b\r\n\r\n",
    "delete in a value": f"GET / HTTP/1.1\r\n{HOST}X-A: a\x7fb\r\n\r\n",
    "no colon": f"GET / HTTP/1.1\r\n{HOST}X-A\r\n\r\n",
    "empty name": f"GET / HTTP/1.1\r\n{HOST}: a\r\n\r\n",
    "name with a space": f"GET / HTTP/1.1\r\n{HOST}X A: a\r\n\r\n",
    "name with a slash": f"GET / HTTP/1.1\r\n{HOST}X/A: a\r\n\r\n",
    "two hosts": f"GET / HTTP/1.1\r\n{HOST}{HOST}\r\n",
    "no host": "GET / HTTP/1.1\r\nX-A: a\r\n\r\n",
    "host with a path": "GET / HTTP/1.1\r\nHost: test/path\r\n\r\n",
    "host with a space": "GET / HTTP/1.1\r\nHost: te st\r\n\r\n",
    "host with a user": "GET / HTTP/1.1\r\nHost: user@test\r\n\r\n",
    "target without a slash": f"GET path HTTP/1.1\r\n{HOST}\r\n",
    "target with a space": f"GET /a b HTTP/1.1\r\n{HOST}\r\n",
    "target with a control": f"GET /a\x01 HTTP/1.1\r\n{HOST}\r\n",
    "target with a fragment": f"GET /a#b HTTP/1.1\r\n{HOST}\r\n",
    "star without OPTIONS": f"GET * HTTP/1.1\r\n{HOST}\r\n",
    "two spaces": f"GET  / HTTP/1.1\r\n{HOST}\r\n",
    "tab": f"GET\t/ HTTP/1.1\r\n{HOST}\r\n",
    "no version": f"GET /\r\n{HOST}\r\n",
    "small letters in the version": f"GET / http/1.1\r\n{HOST}\r\n",
    "version of one number": f"GET / HTTP/1\r\n{HOST}\r\n",
    "version of two digits": f"GET / HTTP/1.10\r\n{HOST}\r\n",
    "method with a colon": f"GE:T / HTTP/1.1\r\n{HOST}\r\n",
    "TLS to a plain port": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
}
CHUNKED = f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n"
AMBIGUOUS |= {f"chunk: {why}": CHUNKED + body for why, body in {
    "size with 0x": "0x3\r\nabc\r\n0\r\n\r\n",
    "size with plus": "+3\r\nabc\r\n0\r\n\r\n",
    "size with minus": "-3\r\nabc\r\n0\r\n\r\n",
    "size with a space before": " 3\r\nabc\r\n0\r\n\r\n",
    "no size": "\r\nabc\r\n0\r\n\r\n",
    "size of 2^64": "10000000000000000\r\nabc\r\n0\r\n\r\n",
    "not hex": "g\r\nabc\r\n0\r\n\r\n",
    "bare LF after the size": "3\nabc\r\n0\r\n\r\n",
    "bare CR in the extension": "3;a\rb\r\nabc\r\n0\r\n\r\n",
    "bare LF in the extension": "3;a\nb\r\nabc\r\n0\r\n\r\n",
    "NUL in the extension": "3;a=\0\r\nabc\r\n0\r\n\r\n",
    "data too long": "3\r\nabcd\r\n0\r\n\r\n",
    "bare LF after the data": "3\r\nabc\n0\r\n\r\n",
    "bare LF in the trailers": "3\r\nabc\r\n0\r\nX-T: t\n\r\n",
    "folded trailer": "3\r\nabc\r\n0\r\nX-T: t\r\n u\r\n\r\n",
    "trailer without a colon": "3\r\nabc\r\n0\r\nX-T\r\n\r\n",
}.items()}


@pytest.mark.parametrize("why", AMBIGUOUS)
def test_what_could_be_read_two_ways_is_refused(server, why):
    """One 400, then the end of the connection: the request behind it must not be seen."""
    with server.connect() as connection:
        connection.send(AMBIGUOUS[why].encode("latin-1"))
        answer = connection.response()
        assert 400 <= answer.status < 600 and answer.status != 404, answer
        assert answer.status in (400, 413, 501), answer
        assert connection.is_closed()


def test_a_request_hidden_behind_a_bad_one_is_not_answered(server):
    with server.connect() as connection:
        connection.send(AMBIGUOUS["length with chunked"].encode()
                        + b"GET /hidden HTTP/1.1\r\nHost: test\r\n\r\n")
        assert connection.response().status == 400
        assert connection.is_closed()


def test_transfer_codings_other_than_chunked_are_not_implemented(server):
    with server.connect() as connection:
        connection.request("POST", "/", "Transfer-Encoding: gzip, chunked").send(b"0\r\n\r\n")
        assert connection.response().status in (400, 501)


@pytest.mark.parametrize("version", ["2.0", "3.0", "0.9"])
def test_other_major_versions_are_505(server, version):
    with server.connect() as connection:
        assert connection.request("GET", "/", version=version).response().status == 505
        assert connection.is_closed()


# --- limits ------------------------------------------------------------------

LIMITS = """
[front]
request_line_max = 200
head_bytes_max = 1000
fields_max = 20
body_bytes_max = 1000
requests_per_connection_max = 3
connections_per_address_max = 8
head_timeout = "1s"
body_timeout = "1s"
idle_timeout = "1s"
"""
limited = shared("seen:app", toml=LIMITS)


def test_each_limit_is_met_and_kept(limited):
    """At the limit a request is served, above it it gets the answer that says which it was."""
    line = len("GET / HTTP/1.1")
    cases = [
        ("the request line", 414, lambda over: ("/" + "x" * (200 - line - 2 + over * 10), ())),
        ("the number of fields", 431,
         lambda over: ("/", [f"X-{number}: x" for number in range(19 + over * 2)])),
        ("the head", 431, lambda over: ("/", ["X-A: " + "x" * (900 + over * 200)])),
    ]
    for what, status, make in cases:
        path, fields = make(False)
        assert limited.get(path, *fields).status == 200, what
        path, fields = make(True)
        with limited.connect() as connection:
            assert connection.get(path, *fields).status == status, what
            assert connection.is_closed()


def test_a_body_above_the_limit_is_413(limited):
    assert limited.ask("POST", "/", body=b"x" * 1000).status == 200
    with limited.connect() as connection:
        answer = connection.request("POST", "/", "Content-Length: 1001").response()
        assert answer.status == 413
    with limited.connect() as connection:
        connection.request("POST", "/", "Transfer-Encoding: chunked")
        connection.send(b"1f4\r\n" + b"x" * 500 + b"\r\n1f5\r\n" + b"x" * 501 + b"\r\n0\r\n\r\n")
        assert connection.response().status == 413


def test_a_body_above_the_limit_is_refused_before_it_is_asked_for(limited):
    with limited.connect() as connection:
        connection.request("POST", "/", "Expect: 100-continue", "Content-Length: 1001")
        assert connection.head()[1] == 413


def test_the_last_request_of_a_connection_says_so(limited):
    with limited.connect() as connection:
        kept = [connection.get("/")["Connection"] for _ in range(3)]
        assert kept[:2] == [None, None] and kept[2].lower() == "close"
        assert connection.is_closed()


@pytest.mark.parametrize("begun", [b"GET / HTTP/1.1\r\n", b"G",
                                   b"GET / HTTP/1.1\r\nHost: test\r\nX-Slow: "])
def test_half_a_head_is_408(limited, begun):
    with limited.connect() as connection:
        assert connection.send(begun).response().status == 408
        assert connection.is_closed()


@pytest.mark.parametrize("framing, begun", [("Content-Length: 10", b"x"),
                                            ("Transfer-Encoding: chunked", b"5\r\nabc")])
def test_half_a_body_is_408(limited, framing, begun):
    with limited.connect() as connection:
        assert connection.request("POST", "/", framing).send(begun).response().status == 408
        assert connection.is_closed()


def test_an_idle_connection_is_closed_without_a_word(limited):
    with limited.connect() as connection:
        assert connection.get("/").status == 200
        assert connection.is_closed()


def test_connections_of_one_address_are_limited(limited):
    until(lambda: limited.status()["connections"] == 0, "the connections of other tests end")
    connections = [limited.connect() for _ in range(8)]
    try:
        assert all(connection.get("/").status == 200 for connection in connections)
        with limited.connect() as one_more:
            assert one_more.get("/").status == 503
            assert one_more.is_closed()
    finally:
        for connection in connections:
            connection.close()
    until(lambda: limited.get("/").status == 200, "there is room again")


# --- responses ---------------------------------------------------------------

def test_every_response_has_a_date_and_an_id(server):
    answer = server.get("/")
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", answer["Date"])
    assert answer["X-Request-ID"] and seen(answer)["HTTP_X_REQUEST_ID"] == answer["X-Request-ID"]


def test_an_id_from_outside_is_not_believed(server):
    assert server.get("/", "X-Request-ID: mine")["X-Request-ID"] != "mine"


def test_every_id_is_another(server):
    with server.connect() as connection:
        assert len({connection.get("/")["X-Request-ID"] for _ in range(20)}) == 20


# --- listeners and proxies -----------------------------------------------------

def test_any_number_of_listeners_of_every_kind(serve, tmp_path):
    path = tmp_path / "web.sock"
    running = serve("seen:app", listen=["127.0.0.1:0", "[::1]:0", f"unix:{path}"])
    assert seen(running.get("/"))["SERVER_NAME"]
    port = int(re.search(r"\[::1\]:(\d+)", running.output())[1])
    with Connection(("::1", port)) as connection:
        assert seen(connection.get("/"))["REMOTE_ADDR"] == "::1"
    with Connection(path) as connection:
        assert seen(connection.get("/"))["PATH_INFO"] == "/"
    running.stop()
    assert not path.exists()


def test_forwarded_fields_are_believed_only_from_trusted_addresses(server, serve):
    fields = ("X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https",
              "X-Forwarded-Host: shop.test", "X-Request-ID: from-the-proxy")
    found = seen(server.get("/", *fields))
    assert (found["REMOTE_ADDR"], found["wsgi.url_scheme"]) \
        == ("127.0.0.1", server.url.split(":")[0])

    trusting = serve("seen:app", toml='[front]\ntrusted_proxies = ["127.0.0.0/8"]\n')
    answer = trusting.get("/", *fields)
    found = seen(answer)
    assert (found["REMOTE_ADDR"], found["wsgi.url_scheme"]) == ("203.0.113.9", "https")
    assert answer["X-Request-ID"] == found["HTTP_X_REQUEST_ID"] == "from-the-proxy"
    forged = seen(trusting.get("/", "X-Forwarded-For: 198.51.100.1, 203.0.113.9"))
    assert forged["REMOTE_ADDR"] == "203.0.113.9", "only the last address comes from the proxy"


def connections_by_reactor(server):
    """How many connections each reactor of the front watches, by the kernel's word."""
    port = f":{server.address[1]:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    ours = {f"socket:[{row[9]}]" for row in rows if row[1].endswith(port) and row[3] == "01"}
    front = Path(f"/proc/{server.pids('front')[0]}")
    counts = []
    for descriptor in (front / "fd").iterdir():
        if os.readlink(descriptor) == "anon_inode:[eventpoll]":
            watches = (front / "fdinfo" / descriptor.name).read_text()
            counts.append(sum(os.readlink(front / "fd" / watched) in ours
                              for watched in re.findall(r"^tfd: +(\d+)", watches, re.MULTILINE)))
    return counts


@pytest.mark.threads
@pytest.mark.parametrize("reactors", [1, 2, 4])
def test_any_number_of_reactors_share_the_connections_evenly(serve, reactors):
    running = serve("seen:app", toml=f"[front]\nreactors = {reactors}\n", workers=2)
    connections = [running.connect() for _ in range(16)]
    for number in range(3):
        for connection in connections:
            connection.request("GET", f"/{number}")
        for connection in connections:
            assert seen(connection.response())["PATH_INFO"] == f"/{number}"
    assert connections_by_reactor(running) == [16 // reactors] * reactors
    for connection in connections:
        connection.close()


def test_a_client_that_resets_harms_nobody(server):
    for _ in range(50):
        connection = server.connect()
        connection.request("POST", "/", "Content-Length: 100").send(b"x")
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()
    assert server.get("/").status == 200


def test_a_unix_socket_is_open_to_whoever_may_enter_its_folder(serve, tmp_path):
    """Whatever the umask of who starts it: a proxy runs as somebody else."""
    path = tmp_path / "app.sock"
    before = os.umask(0o077)
    try:
        serve("seen:app", listen=("127.0.0.1:0", f"unix:{path}"))
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o666
