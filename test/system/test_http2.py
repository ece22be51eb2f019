"""Does the front speak HTTP/2 with clients that are not ours, and outlive those who break its rules?"""
import json
import os
import signal
import subprocess

import pytest

from clients import reload
from http2_client import (CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, HEADERS,
                          PING, PREFACE, PRIORITY, RST_STREAM, SETTINGS, WINDOW_UPDATE, Http2, frame,
                          get_block, get_frame, goaway_after, literal)
from onebox import shared
from test_http import AMBIGUOUS
from wire import until

STATIC = '[static]\n"/files/" = "{}"\n'

server = shared("seen:app")
answers = shared("answers:app", worker_classes=(None,), threads=8)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    (folder / "small.txt").write_bytes(b"s" * 1024)
    (folder / "large.bin").write_bytes(os.urandom(10_000_000))
    return folder


def seen(answer):
    assert answer.status == 200, answer.fields
    return json.loads(answer.body)


def limit(running, name):
    return running.metrics().get(f'onebox_limits_total{{limit="{name}"}}', 0)


def curl(url, *arguments):
    return subprocess.run(["curl", "-sS", "--http2-prior-knowledge", "--max-time", "30", *arguments,
                           url], capture_output=True, check=True).stdout


# --- requests and answers ------------------------------------------------------

def test_curl_speaks_it_with_prior_knowledge(server):
    out = curl(server.url + "/a?b=c", "-w", "\n%{http_version}").decode().split("\n")
    found = json.loads(out[0])
    assert out[1] == "2"
    assert (found["SERVER_PROTOCOL"], found["PATH_INFO"], found["QUERY_STRING"]) \
        == ("HTTP/2.0", "/a", "b=c")
    until(lambda: '"GET /a?b=c HTTP/2.0" 200' in server.access_log.read_text(), "the line is written")


def test_fields_are_changed_by_the_operators_rules(serve):
    running = serve("answers:app", toml='[front.headers]\nremove = ["Server"]\nset = { X-Site = "game" }\n')
    for path in ("/iterable/list", "/raises/ValueError"):
        head = curl(running.url + path, "-D", "-", "-o", os.devnull).decode().lower()
        assert head.startswith("http/2 ") and "x-site: game" in head and "server:" not in head, path


def test_http_1_asking_to_upgrade_is_answered_in_http_1(server):
    with server.connect() as connection:
        answer = connection.get("/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
                                "HTTP2-Settings: AAMAAABkAAQAAP__")
        assert (answer.version, answer.status) == ("HTTP/1.1", 200)


def test_the_preface_may_come_byte_by_byte(server):
    with server.connect() as connection:
        for byte in PREFACE + frame(SETTINGS, 0, 0) + get_frame(1):
            connection.send(bytes([byte]))
        assert connection.exactly(9)[3] == SETTINGS


def test_whoever_does_not_want_it_is_told_505_as_ever(serve):
    running = serve("seen:app", toml="[front]\nhttp2 = false\n")
    with running.connect() as connection:
        assert connection.send(PREFACE).response().status == 505


def test_a_hundred_requests_at_once(server):
    with Http2(server.address) as client:
        streams = [client.ask(f"/{number}", ("x-number", str(number))) for number in range(100)]
        found = [seen(client.answer(stream)) for stream in streams]
        assert [(one["PATH_INFO"], one["HTTP_X_NUMBER"]) for one in found] \
            == [(f"/{number}", str(number)) for number in range(100)]


def test_one_that_waits_holds_up_no_other(answers):
    with Http2(answers.address) as client:
        events = client.ask("/stream/first")
        client.until(lambda: client.answers[events].body == b"data: 0\n\n")
        for number in (1, 2):
            assert client.get("/set/first").status == 200
            client.until(lambda: f"data: {number}\n\n".encode() in client.answers[events].body)
        assert not client.answers[events].ended
        assert client.get("/set/first").status == 200
        assert client.answer(events).body == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"


@pytest.mark.parametrize("announced", [True, False])
def test_large_bodies_arrive_whole(server, announced):
    body = os.urandom(3_000_000)
    fields = [("content-length", str(len(body)))] if announced else []
    with Http2(server.address) as client:
        streams = [client.ask("/", *fields, method="POST", body=body) for _ in range(2)]
        assert [seen(client.answer(stream))["body_bytes"] for stream in streams] == [len(body)] * 2


def test_files_of_any_size_arrive_whole(serve, files):
    running = serve("seen:app", toml=STATIC.format(files))
    large = (files / "large.bin").read_bytes()
    with Http2(running.address) as client:
        streams = [client.ask(f"/files/{name}") for name in ("large.bin", "small.txt", "large.bin")]
        bodies = [client.answer(stream).body for stream in streams]
        assert bodies == [large, b"s" * 1024, large]
        part = client.get("/files/large.bin", ("range", "bytes=5000000-5000009"))
        assert (part.status, part.body) == (206, large[5000000:5000010])
        head = client.get("/files/large.bin", method="HEAD")
        assert (head.body, head["content-length"]) == (b"", str(len(large)))
        etag = client.get("/files/small.txt")["etag"]
        assert client.get("/files/small.txt", ("if-none-match", etag)).status == 304
        assert client.get("/files/none").status == 404
    assert curl(running.url + "/files/large.bin") == large


def test_the_apps_own_files_and_streams_arrive_whole(answers):
    whole = answers.get("/file/real").body
    with Http2(answers.address) as client:
        for name in ("real", "named", "memory", "with_length", "plain"):
            assert client.get(f"/file/{name}").body == whole, name
        for name in ("list", "generator", "closing"):
            assert client.get(f"/iterable/{name}").body == b"one two three"
        compressed = client.get("/compressible/100000", ("accept-encoding", "gzip"))
        assert compressed["content-encoding"] == "gzip"


def test_an_answer_that_breaks_off_is_reset_and_no_other(answers):
    with Http2(answers.address) as client:
        for path in ("/raises_in_body", "/too_short"):
            broken = client.get(path)
            assert (broken.ended, broken.reset) == (False, 2), path
        assert client.get("/raises/ValueError").status == 500
        assert client.get("/iterable/list").body == b"one two three"


def test_an_app_says_hints_before_its_answer(answers):
    """To those who take them: HTTP/1.1 is not asked for them here."""
    refused = b"head, " + b" ".join(4 * [b"ValueError"] + 2 * [b"TypeError"] + 2 * [b"RuntimeError"])
    with Http2(answers.address) as client:
        answer = client.get("/hinted")
        assert answer.interim == [[(":status", "103"), ("link", "</a.css>; rel=preload")]] \
            + 15 * [[(":status", "103"), ("x-more", "yes")]]
        assert answer.status == 200 and answer["x-more"] is None and answer.body == refused
    with answers.connect() as connection:
        answer = connection.get("/hinted")
        assert (answer.status, answer.body) == (200, refused)


def test_an_app_cannot_speak_for_the_connection(answers):
    with Http2(answers.address) as client:
        answer = client.get("/hop_by_hop")
        assert {"connection", "transfer-encoding", "keep-alive"}.isdisjoint(dict(answer.fields))


def test_interim_answers_and_trailers(server):
    with Http2(server.address) as client:
        stream = client.ask("/", ("expect", "100-continue"), method="POST", ends=False)
        client.until(lambda: client.answers[stream].interim)
        assert dict(client.answers[stream].interim[0])[":status"] == "100"
        client.h2.send_data(stream, b"hello")
        client.h2.send_headers(stream, [("x-checksum", "1")], end_stream=True)
        client.flush()
        found = seen(client.answer(stream))
        assert found["body"] == "hello" and "HTTP_X_CHECKSUM" not in found


def test_cookies_that_come_one_by_one_are_one(server):
    with Http2(server.address) as client:
        found = seen(client.get("/", ("cookie", "a=1"), ("cookie", "b=2"), ("x-a", "c")))
        assert (found["HTTP_COOKIE"], found["HTTP_X_A"]) == ("a=1; b=2", "c")
        assert found["HTTP_HOST"] == "test"


def test_a_client_that_gives_up_frees_the_worker(answers):
    before = answers.metric("onebox_requests_abandoned_total")
    with Http2(answers.address) as client:
        stream = client.ask("/stream/given_up")
        client.until(lambda: client.answers[stream].body)
        client.reset(stream)
        waiting = client.ask("/write_waits")
        client.until(lambda: client.answers[waiting].body == b"first")
        assert client.get("/set/written").status == 200
        assert client.answer(waiting).body == b"firstsecond"
    with Http2(answers.address) as client:
        client.ask("/stream/never")
    with answers.connect() as connection:
        assert connection.get("/set/given_up").status == 200
        assert connection.get("/set/never").status == 200
    until(lambda: answers.metric("onebox_worker_threads_busy") == 0, "every thread is free again")
    assert answers.metric("onebox_requests_abandoned_total") >= before


@pytest.mark.once
def test_h2load_loses_nothing(server):
    out = subprocess.run(["h2load", "-n", "2000", "-c", "4", "-m", "50", server.url + "/"],
                         capture_output=True, text=True, check=True, timeout=120).stdout
    assert "2000 succeeded, 0 failed, 0 errored" in out, out


# --- the same checks as in HTTP/1 ------------------------------------------------

# The one table of what is refused is test_http.AMBIGUOUS: there over HTTP/1.1 and over it with TLS, here over
# HTTP/2 with prior knowledge and over TLS.
both = shared("seen:app", schemes=("http", "https"))


def said_in_http2(why, text):
    """The fields of a broken request of HTTP/1; where HTTP/2 has no words for what is broken, why not."""
    first, *lines = text.split("\r\n\r\n")[0].split("\r\n")
    method, _, rest = first.partition(" ")
    path, _, version = rest.rpartition(" ")
    if why.startswith("chunk: "):
        return "bodies have frames instead of chunks"
    if version != "HTTP/1.1":
        return "there is no request line, nor a version in it"
    if any(line[:1] in (" ", "\t") for line in lines):
        return "fields are no lines that could be folded"
    if not all(line.partition(":")[1] for line in lines):
        return "fields are no lines with a colon"
    return [(":method", method), (":path", path),
            *[(name.lower(), value.strip(" \t")) for name, _, value in (line.partition(":") for line in lines)]]


SAID = {why: said_in_http2(why, text) for why, text in AMBIGUOUS.items()}
IN_HTTP2 = {why: fields for why, fields in SAID.items() if isinstance(fields, list)}


def test_what_cannot_be_said_in_http_2_is_of_chunks_and_lines_alone():
    assert len(IN_HTTP2) > 35
    assert {reason for reason in SAID.values() if isinstance(reason, str)} == {
        "bodies have frames instead of chunks", "there is no request line, nor a version in it",
        "fields are no lines that could be folded", "fields are no lines with a colon"}


@pytest.mark.parametrize("why", IN_HTTP2)
def test_what_http_1_refuses_is_refused(both, why):
    with Http2(both.address, tls=both.tls) as client:
        answer = client.answer(client.ask(pseudo=[(":scheme", client.scheme), *IN_HTTP2[why]]))
        assert answer.status in (400, 413, 501), answer.fields
        assert seen(client.get("/after"))["PATH_INFO"] == "/after"


GET = [(":method", "GET"), (":scheme", "http"), (":authority", "test"), (":path", "/")]


@pytest.mark.parametrize("pseudo, status", [
    (GET[:3], 400), (GET[1:], 400), ([GET[0], *GET[2:]], 400), ([*GET, (":path", "/")], 400),
    ([*GET, ("x", "y"), (":status", "200")], 400), ([*GET, ("host", "other")], 400),
    ([*GET, ("connection", "close")], 400), ([*GET, ("upgrade", "h2c")], 400),
    ([*GET, ("te", "gzip")], 400), ([*GET, ("Upper", "x")], 400), ([*GET, ("content-length", "1")], 400),
    ([(":method", "CONNECT"), (":authority", "test:1")], 501),
    ([(":method", "CONNECT"), (":protocol", "websocket"), *GET[1:]], 501),
    ([*GET, ("x", "y" * 40_000)], 431), ([*GET[:3], (":path", "/" + "x" * 9000)], 414),
    ([*GET, *[("x", "y")] * 101], 431),
])
def test_a_head_that_is_not_right_is_answered_and_not_passed_on(both, pseudo, status):
    with Http2(both.address, tls=both.tls) as client:
        pseudo = [(name, client.scheme if name == ":scheme" else value) for name, value in pseudo]
        assert client.answer(client.ask(pseudo=pseudo)).status == status
        assert seen(client.get("/after"))["PATH_INFO"] == "/after"


@pytest.mark.parametrize("length, body", [("3", b"abcd"), ("3", b"ab"), ("0", b"a")])
def test_a_body_of_another_length_never_reaches_the_app(both, length, body):
    with Http2(both.address, tls=both.tls) as client:
        stream = client.ask("/", ("content-length", length), method="POST", body=body)
        assert client.answer(stream).status == 400


# --- limits ------------------------------------------------------------------------

LIMITS = """
[front]
body_bytes_max = 1000
requests_per_connection_max = 5
http2_streams_max = 10
head_timeout = "1s"
body_timeout = "1s"
idle_timeout = "2s"
write_timeout = "1s"
"""
limited = shared("answers:app", toml=LIMITS, threads=12)


def test_a_body_above_the_limit_is_413(limited):
    with Http2(limited.address) as client:
        assert client.get("/body/read", ("content-length", "1001"), method="POST", ends=False).status \
            == 413
        assert client.answer(client.ask("/body/read", method="POST", body=b"x" * 1001)).status == 413
        assert client.answer(client.ask("/body/read", method="POST", body=b"x" * 1000)).status == 200


def test_half_a_body_is_408(limited):
    with Http2(limited.address) as client:
        stream = client.ask("/body/read", method="POST", body=b"x", ends=False)
        assert client.answer(stream).status == 408


def test_half_a_head_ends_the_connection(limited):
    before = limit(limited, "head_timeout")
    with limited.connect() as connection:
        connection.send(PREFACE + frame(SETTINGS, 0, 0) + frame(HEADERS, END_STREAM, 1, get_block()))
        connection.rest()
    assert limit(limited, "head_timeout") == before + 1


def test_an_idle_connection_is_told_and_closed(limited):
    before = limit(limited, "idle_timeout")
    with Http2(limited.address) as client:
        assert client.get("/iterable/list").status == 200
        assert (0, 1) in client.until_closed()
    assert limit(limited, "idle_timeout") == before + 1


def test_the_last_request_of_a_connection_says_so(limited):
    with Http2(limited.address) as client:
        for _ in range(5):
            assert client.get("/iterable/list").status == 200
        assert client.until_closed()[-1] == (0, 9)


def test_more_streams_than_agreed_are_refused_and_may_be_asked_again(limited):
    before = limit(limited, "http2_streams_max")
    with limited.connect() as connection:
        opened = b"".join(frame(HEADERS, END_HEADERS, 2 * number + 1, get_block(b"/body/read", b"POST"))
                          for number in range(12))
        connection.send(PREFACE + frame(SETTINGS, 0, 0) + opened)
        refused = 0
        while refused < 2:
            head = connection.exactly(9)
            payload = connection.exactly(int.from_bytes(head[:3], "big"))
            refused += head[3] == RST_STREAM and payload == b"\0\0\0\7"
    assert limit(limited, "http2_streams_max") == before + 2


def test_who_takes_nothing_of_an_answer_loses_that_answer_alone(limited):
    before = limit(limited, "write_timeout")
    with Http2(limited.address, window=100, widens=False) as client:
        stuck = client.ask("/large/100000")
        other = client.ask("/iterable/list")
        assert client.answer(other).body == b"one two three"
        assert client.answer(stuck).reset == 8
        assert len(client.answers[stuck].body) == 100
    assert limit(limited, "write_timeout") == before + 1


# --- attacks -------------------------------------------------------------------------

ATTACKS = {
    "http2_resets": (b"", lambda number: get_frame(2 * number + 1)
                     + frame(RST_STREAM, 0, 2 * number + 1, b"\0\0\0\x08")),
    "http2_settings": (b"", lambda number: frame(SETTINGS, 0, 0)),
    "http2_pings": (b"", lambda number: frame(PING, 0, 0, b"12345678")),
    "http2_empty_frames": (frame(HEADERS, END_HEADERS, 1, get_block(b"/", b"POST")),
                           lambda number: frame(DATA, 0, 1)),
    "http2_continuations": (frame(HEADERS, 0, 1, get_block()),
                            lambda number: frame(CONTINUATION, 0, 1, literal(b"x", b"y"))),
    "http2_priorities": (b"", lambda number: frame(PRIORITY, 0, 2 * number + 1, b"\0\0\0\0\x10")),
    "http2_window_updates": (b"", lambda number: frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1")),
    "http2_errors": (b"", lambda number: frame(HEADERS, END_STREAM | END_HEADERS, 2 * number + 1,
                                               literal(b"X", b"y"))),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_flood_is_ended_and_counted(server, name):
    first, again = ATTACKS[name]
    before = limit(server, name)
    assert goaway_after(server.address, first, again) in (ENHANCE_YOUR_CALM, None)
    assert limit(server, name) == before + 1
    assert server.get("/").status == 200


def test_a_bomb_of_small_fields_is_refused(server):
    bomb = b"\x40" + literal(b"x-bomb", b"b" * 120)[1:]
    block = get_block() + bomb + b"\xbe" * 15_000
    refused = 'onebox_refusals_total{reason="head_too_large"}'
    before = server.metrics().get(refused, 0)
    with server.connect() as connection:
        connection.send(PREFACE + frame(SETTINGS, 0, 0)
                        + frame(HEADERS, END_STREAM | END_HEADERS, 1, block))
        until(lambda: server.metrics().get(refused, 0) == before + 1,
              "it is refused")


BREACHES = {
    "a window too large": frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"),
    "data of no stream": frame(DATA, 0, 0, b"x"),
    "data after the end": get_frame(1) + frame(DATA, 0, 1, b"x"),
    "an even stream": get_frame(2),
    "a frame too large": frame(DATA, 0, 1, b"x" * 20_000),
    "fields that are none": frame(HEADERS, END_STREAM | END_HEADERS, 1, b"\xff" * 8),
}


@pytest.mark.parametrize("why", BREACHES)
def test_a_breach_ends_the_connection_and_is_counted(server, why):
    before = server.metric("onebox_http2_breaches_total")
    with server.connect() as connection:
        connection.send(PREFACE + frame(SETTINGS, 0, 0) + BREACHES[why])
        try:
            connection.rest()
        except ConnectionResetError:
            pass
    assert server.metric("onebox_http2_breaches_total") == before + 1


# --- drains --------------------------------------------------------------------------

@pytest.mark.parametrize("how", ["reload", "stop"])
def test_streams_that_run_are_finished(serve, hold, how):
    running = serve("faults:app", environment={"HOLD": str(hold)}, threads=4,
                    toml='[front]\nidle_timeout = "60s"\n')
    with Http2(running.address) as client:
        streams = [client.ask("/hold/a"), client.ask("/hold_in_body/b")]
        until(lambda: list(hold.glob("a.*.begun")) and list(hold.glob("b.*.begun")), "both run")
        if how == "reload":
            (running.folder / "onebox.toml").write_text('[front]\nidle_timeout = "61s"\n')
            assert reload(running).returncode == 0  # with another front
        else:
            running.process.send_signal(signal.SIGTERM)
        client.until(lambda: len(client.goaways) == 2)
        for name in ("a.go", "b.go"):
            (hold / name).touch()
        assert [client.answer(stream).status for stream in streams] == [200, 200]
        client.until_closed()
        assert client.goaways == [(0, 2 ** 31 - 1), (0, streams[-1])]
    if how == "stop":
        running.stop()
