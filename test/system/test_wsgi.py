"""Does Onebox keep PEP 3333, to the letter, with apps that keep it and apps that do not?"""
import ast
import json
import socket
from pathlib import Path

import pytest

from onebox import APPS, shared
from wire import Closed, until

# The thread sanitizer knows nothing of greenlets' stacks.
BOTH = (pytest.param("threads", marks=pytest.mark.threads), "gevent")
server = shared("answers:app", workers=1, threads=4, worker_classes=BOTH)
seen_server = shared("seen:app", worker_classes=BOTH)


def remembered(server, what):
    return server.get(f"/remembered/{what}").body.decode().split()


def is_whole(answer, body):
    assert (answer.status, answer.body) == (200, body), answer


# --- bodies ------------------------------------------------------------------

@pytest.mark.parametrize("name", ["list", "tuple", "generator", "iterator", "map", "by_index",
                                  "with_length", "iterable", "closing", "file"])
def test_an_iterable_of_any_kind_is_a_body(server, name):
    is_whole(server.get(f"/iterable/{name}"), b"one two three")


@pytest.mark.parametrize("name", ["list", "bytes", "none"])
def test_an_empty_body_is_one(server, name):
    with server.connect() as connection:
        is_whole(connection.get(f"/empty/{name}"), b"")
        is_whole(connection.get("/iterable/list"), b"one two three")


def test_one_part_needs_no_chunks(server):
    assert server.get("/iterable/tuple")["Content-Length"] == "13"


def test_http_1_0_gets_no_chunks(server):
    with server.connect() as connection:
        answer = connection.request("GET", "/iterable/generator", version="1.0").response()
        is_whole(answer, b"one two three")
        assert answer["Transfer-Encoding"] is None


def test_start_response_may_come_with_the_first_part(server):
    is_whole(server.get("/late_head"), b"late")


def test_write_comes_before_the_iterable(server):
    is_whole(server.get("/write"), b"one two three")


def test_what_is_written_is_sent_before_the_app_goes_on(server):
    with server.connect() as connection:
        connection.request("GET", "/write_waits").head()
        chunks = connection.chunks()
        assert next(chunks) == b"first"
        server.get("/set/written")
        assert b"".join(chunks) == b"second"


def test_an_event_is_sent_before_the_next_is_made(server):
    with server.connect() as connection:
        fields = dict(connection.request("GET", "/stream/news", "Accept-Encoding: gzip").head()[3])
        assert "Content-Encoding" not in fields
        chunks = connection.chunks()
        for number in range(3):
            assert next(chunks) == b"data: %d\n\n" % number
            server.get("/set/news")
        assert list(chunks) == []


@pytest.mark.threads
def test_a_slow_reader_does_not_hold_a_thread(serve):
    """One thread, and a response of 30 MB that nobody reads: the next request is answered."""
    running = serve("answers:app", workers=1, threads=1)
    with running.connect() as slow:
        slow.request("GET", "/large/30000000").head()
        is_whole(running.get("/iterable/list"), b"one two three")
        assert slow.exactly(30_000_000) == b"x" * 30_000_000


@pytest.mark.parametrize("status", ["204", "304"])
def test_a_status_without_a_body_has_none(server, status):
    with server.connect() as connection:
        connection.request("GET", f"/no_body/{status}")
        _, code, _, fields = connection.head()
        assert code == int(status)
        assert not {"transfer-encoding", "content-length"} & {name.lower() for name, _ in fields} \
            or status == "304"
        is_whole(connection.get("/iterable/list"), b"one two three")


def test_head_runs_the_app_and_sends_no_body(server):
    with server.connect() as connection:
        assert connection.request("HEAD", "/iterable/tuple").response("HEAD")["Content-Length"] == "13"
        assert connection.request("HEAD", "/iterable/generator").response("HEAD").status == 200
        is_whole(connection.get("/iterable/list"), b"one two three")


def test_reasons_and_odd_statuses_are_passed_on(server):
    for line in ("299 Odd But Legal", "404 Not Here", "599 Last"):
        answer = server.get("/status/" + line.replace(" ", "_"))
        assert f"{answer.status} {answer.reason}" == line


def test_a_redirect_keeps_its_location(server):
    assert server.get("/status/302_Found").status == 302


# --- close() -----------------------------------------------------------------

def closes(server, name):
    return remembered(server, "closed").count(name)


def test_close_is_called_once_after_a_whole_body(server):
    before = closes(server, "iterable")
    server.get("/iterable/closing")
    until(lambda: closes(server, "iterable") == before + 1, "close() is called")


def test_close_is_called_once_after_head(server):
    before = closes(server, "iterable")
    server.ask("HEAD", "/iterable/closing")
    until(lambda: closes(server, "iterable") == before + 1, "close() is called")


def test_close_is_called_once_when_the_body_raises(server):
    with pytest.raises(Closed):
        server.get("/raises_in_body")
    until(lambda: closes(server, "raises_in_body") == 1, "close() is called")


def test_an_error_in_close_is_logged_and_the_response_is_whole(server):
    is_whole(server.get("/raises_in_close"), b"whole")
    until(lambda: closes(server, "raises_in_close") == 1, "close() is called")


def test_close_is_called_when_the_client_has_left(server):
    connection = server.connect()
    connection.request("GET", "/endless/left").head()
    connection.close()
    until(lambda: closes(server, "left") == 1, "close() is called")


def test_close_is_called_when_the_client_has_reset_during_a_stream(server):
    connection = server.connect()
    connection.request("GET", "/stream/reset").head()
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()
    server.get("/set/reset")
    until(lambda: server.get("/set/reset") and closes(server, "reset") == 1, "close() is called")


# --- errors ------------------------------------------------------------------

@pytest.mark.parametrize("name", ["ValueError", "SystemExit", "KeyboardInterrupt", "MemoryError",
                                  "GeneratorExit", "StopIteration", "RecursionError"])
def test_whatever_an_app_raises_is_a_500_and_its_traceback_is_in_the_log_only(server, name):
    answer = server.get(f"/raises/{name}")
    assert answer.status == 500
    assert b"secret" not in answer.body and b"Traceback" not in answer.body
    server.wait_for_line(rf"{name}: a secret of the app")
    server.wait_for_line(rf"{answer['X-Request-ID']}")
    is_whole(server.get("/iterable/list"), b"one two three")


@pytest.mark.parametrize("path", ["/raises_after_start", "/twice", "/never", "/not_bytes",
                                  "/not_iterable"])
def test_a_mistake_before_the_first_byte_is_a_500(server, path):
    answer = server.get(path)
    assert answer.status == 500 and b"secret" not in answer.body


def test_an_error_after_the_head_breaks_the_connection(server):
    """The client must not take half a body for a whole one."""
    with server.connect() as connection:
        connection.request("GET", "/raises_in_body").head()
        with pytest.raises(Closed):
            b"".join(connection.chunks())


def test_exc_info_replaces_a_head_that_is_not_sent(server):
    answer = server.get("/replaced")
    assert (answer.status, answer.body) == (503, b"replaced")
    assert answer["X-Second"] == "yes" and answer["X-First"] is None


def test_exc_info_is_raised_again_when_the_head_is_sent(server):
    with pytest.raises(Closed):
        server.get("/too_late")
    assert "again:" in remembered(server, "errors")


@pytest.mark.parametrize("name", [
    "value_crlf", "value_lf", "value_nul", "value_wide", "value_bytes", "name_space", "name_colon",
    "name_crlf", "name_empty", "status_crlf", "status_short", "status_words", "status_number",
    "pairs_wrong", "length_negative", "length_words", "length_twice"])
def test_a_head_that_is_not_one_is_refused(server, name):
    with server.connect() as connection:
        answer = connection.get(f"/head/{name}")
        assert answer.status == 500
        assert answer["X-Injected"] is None
        is_whole(connection.get("/iterable/list"), b"one two three")


def test_an_app_does_not_speak_for_the_connection(server):
    with server.connect() as connection:
        answer = connection.get("/hop_by_hop")
        assert answer["Keep-Alive"] is None
        assert answer.status == 500 or answer.body == b"body"
        if answer.status == 200:
            assert answer["Connection"] is None
            is_whole(connection.get("/iterable/list"), b"one two three")


def test_a_body_longer_than_its_length_is_cut_and_reported(server):
    with server.connect() as connection:
        answer = connection.get("/too_long")
        assert (answer.status, answer.body) == (200, b"one") or answer.status == 500
    server.wait_for_line(r"(?i)content-length.*(3|13)")
    is_whole(server.get("/iterable/list"), b"one two three")


def test_a_body_shorter_than_its_length_ends_the_connection(server):
    with pytest.raises(Closed):
        server.get("/too_short")
    server.wait_for_line(r"(?i)content-length.*(20|13)")


def test_wsgi_errors_is_the_log(server):
    answer = server.get("/log")
    for line in ("a line for the log", "two lines", "at once", "and parts"):
        assert answer["X-Request-ID"] in server.wait_for_line(line)


# --- the request's body ------------------------------------------------------

BODY = b"first\nsecond line\n\nlast"
READ = {
    "read": [BODY],
    "read_size": [BODY[at:at + 3] for at in range(0, len(BODY), 3)],
    "read_none": [BODY],
    "read_minus": [BODY],
    "read_zero": [b"", BODY],
    "read_more": [BODY, b"", b""],
    "readline": [b"first\n", b"second line\n", b"\n", b"last"],
    "readline_size": [b"firs", b"t\n", b"seco", b"nd l", b"ine\n", b"\n", b"last"],
    "readlines": [b"first\n", b"second line\n", b"\n", b"last"],
    "iteration": [b"first\n", b"second line\n", b"\n", b"last"],
    "mixed": [b"first\n", b"se", b"cond line\n", b"\nlast"],
    "wrapped": ["first\n", "second line\n", "\n", "last"],
    "nothing": [],
}


@pytest.mark.parametrize("how", READ)
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_the_input_is_read_in_every_way(server, how, framing):
    with server.connect() as connection:
        if framing == "length":
            connection.request("POST", f"/body/{how}", body=BODY)
        else:
            connection.request("POST", f"/body/{how}", "Transfer-Encoding: chunked")
            connection.send(b"".join(b"%x\r\n%s\r\n" % (len(BODY[at:at + 7]), BODY[at:at + 7])
                                     for at in range(0, len(BODY), 7)) + b"0\r\n\r\n")
        assert ast.literal_eval(connection.response().body.decode()) == READ[how]
        is_whole(connection.get("/iterable/list"), b"one two three")


def test_the_hint_of_readlines_may_be_followed_or_not(server):
    found = ast.literal_eval(server.ask("POST", "/body/readlines_hint", body=BODY).body.decode())
    assert found in ([b"first\n"], READ["readlines"])


@pytest.mark.parametrize("how", ["read", "readline", "readlines", "iteration"])
def test_a_request_without_a_body_has_an_empty_input(server, how):
    with server.connect() as connection:
        found = connection.get(f"/body/{how}")
        assert b"".join(ast.literal_eval(found.body.decode())) == b""


@pytest.mark.threads
def test_lines_of_a_body_that_lies_in_a_file(serve):
    running = serve("answers:app", toml='[front]\nbody_memory_max = "16K"\n')
    lines = [b"%d\n" % number for number in range(100_000)]
    found = running.ask("POST", "/body/readlines", body=b"".join(lines))
    assert ast.literal_eval(found.body.decode()) == lines
    found = running.ask("POST", "/body/mixed", body=b"".join(lines))
    assert b"".join(ast.literal_eval(found.body.decode())) == b"".join(lines)


# --- the environ -------------------------------------------------------------

def environ(server, path="/", *fields, method="GET", body=b""):
    return json.loads(server.ask(method, path, *fields, body=body).body)


def test_the_environ_says_what_was_asked(seen_server):
    found = environ(seen_server, "/a/b?c=d&e", "X-Some-Name: value", "Content-Type: text/x",
                    method="POST", body=b"body")
    host, port = seen_server.address
    expected = {"REQUEST_METHOD": "POST", "SCRIPT_NAME": "", "PATH_INFO": "/a/b",
                "QUERY_STRING": "c=d&e", "CONTENT_TYPE": "text/x", "CONTENT_LENGTH": "4",
                "SERVER_NAME": host, "SERVER_PORT": str(port), "SERVER_PROTOCOL": "HTTP/1.1",
                "REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "test", "HTTP_X_SOME_NAME": "value",
                "wsgi.url_scheme": "http"}
    assert {name: found.get(name) for name in expected} == expected
    assert int(found["REMOTE_PORT"]) > 0
    assert "HTTP_CONTENT_TYPE" not in found and "HTTP_CONTENT_LENGTH" not in found


def test_a_request_without_a_body_or_query(seen_server):
    found = environ(seen_server)
    assert found["QUERY_STRING"] == ""
    assert found.get("CONTENT_LENGTH", "") in ("", "0") and found.get("CONTENT_TYPE", "") == ""


@pytest.mark.threads
def test_wsgi_itself_is_as_pep_3333_says(serve):
    running = serve("wsgi_environ:app", workers=2, threads=3)
    found = json.loads(running.get("/").body)
    assert found == {"wsgi.version": [1, 0], "wsgi.multithread": True, "wsgi.multiprocess": True,
                     "wsgi.run_once": False, "type": "dict", "strings": True,
                     "wsgi.input": True, "wsgi.errors": True, "wsgi.file_wrapper": True}
    found = json.loads(serve("wsgi_environ:app", workers=1, threads=1).get("/").body)
    assert not found["wsgi.multithread"] and not found["wsgi.multiprocess"]


@pytest.mark.parametrize("target, path", [
    ("/plain", "/plain"), ("/%41%62", "/Ab"), ("/a%20b", "/a b"), ("/a+b", "/a+b"),
    ("/%C3%A9", "/\u00c3\u00a9"), ("/%FF", "/\u00ff"), ("/a%2Fb", "/a/b"), ("/a//b", "/a//b"),
    ("/a%3Fb", "/a?b"), ("/%25", "/%")])
def test_a_path_reaches_the_app_as_latin_1(seen_server, target, path):
    assert environ(seen_server, target)["PATH_INFO"] == path


def test_a_query_reaches_the_app_as_it_is(seen_server):
    assert environ(seen_server, "/?a=%FF+b&c=%zz")["QUERY_STRING"] == "a=%FF+b&c=%zz"


def test_raw_bytes_in_a_value_reach_the_app_as_latin_1(seen_server):
    assert environ(seen_server, "/", "X-A: caf\u00e9")["HTTP_X_A"] == "caf\u00e9"


def test_raw_bytes_in_a_path(seen_server):
    """Not legal, but sent by browsers of old: served as they are, or refused; never guessed."""
    with seen_server.connect() as connection:
        answer = connection.get("/\u00ff")
        assert answer.status == 400 or json.loads(answer.body)["PATH_INFO"] == "/\u00ff"


@pytest.mark.threads
def test_env_of_the_command_line_and_of_the_file_is_the_apps(serve):
    running = serve("seen:app", toml='[app]\nenv = { SEEN_A = "file", SEEN_B = "file" }\n',
                    arguments=["--env", "SEEN_B=line", "--env", "SEEN_C=a=b"])
    assert environ(running)["os_environ"] == {"SEEN_A": "file", "SEEN_B": "line", "SEEN_C": "a=b"}


# --- files -------------------------------------------------------------------

@pytest.mark.parametrize("name", ["real", "memory", "plain", "with_length", "closing", "named", "unpacked"])
def test_a_wrapped_file_is_sent_whole(server, name):
    is_whole(server.get(f"/file/{name}"), Path(APPS / "answers.py").read_bytes())


def test_a_file_ends_at_its_content_length_and_that_is_no_mistake(server):
    before = len(server.lines)
    is_whole(server.get("/file/shorter"), Path(APPS / "answers.py").read_bytes()[:10])
    is_whole(server.get("/log"), b"logged")
    server.wait_for_line("at once")
    assert not any("Content-Length" in line for line in server.lines[before:])


def test_a_205_has_no_body_and_says_so(server):
    with server.connect() as connection:
        answer = connection.get("/status/205_Reset_Content")
        assert (answer.status, answer["Content-Length"], answer.body) == (205, "0", b"")
        is_whole(connection.get("/iterable/list"), b"one two three")


def test_a_wrapped_file_begins_where_it_stands(server):
    is_whole(server.get("/file/rest"), Path(APPS / "answers.py").read_bytes()[100:])


def test_a_wrapped_file_is_closed_once(server):
    before = closes(server, "file")
    server.get("/file/closing")
    until(lambda: closes(server, "file") == before + 1, "close() is called")


# --- targets -----------------------------------------------------------------

@pytest.mark.threads
@pytest.mark.parametrize("target, body", [
    ("targets:app", "app"), ("targets", "app"), ("targets:holder.app", "inner"),
    ("targets:create_app()", "none () False {}"),
    ("targets:create_app('x', 1, debug=True, level=[1, {'a': None}])",
     "x (1,) True {'level': [1, {'a': None}]}")])
def test_a_target_may_be_an_attribute_or_a_factory(serve, target, body):
    assert serve(target).get("/").body.decode() == body
