"""Is each limit an option that holds, with an answer for who meets it, and a counter of its own?"""
import re

import pytest

from clients import reload
from onebox import ROOT
from wire import Closed, until

CUT = "cut"  # the connection ends without an answer, or in the middle of one

# What this table has not: a front has no descriptors in test_faults.py, what cannot be served in time at
# the present pace is in test_overload.py, and a flood of clients in test_client_limits.py.
ELSEWHERE = {"descriptors", "handshake_timeout", "hopeless", "limit_keys_max"}


def met(server):
    """How often each limit was met that was met at all."""
    return {name.split('"')[1]: count for name, count in server.metrics().items()
            if name.startswith("onebox_limits_total")}


def end_of(connection):
    """The status of the answer, or CUT where none comes whole."""
    try:
        return connection.response().status
    except (Closed, ConnectionResetError):
        return CUT


# --- how each is met: what the client gets who does it -------------------------

def asks(method, path, *fields, body=b""):
    return lambda server: server.ask(method, path, *fields, body=body).status


def sends_no_more_than(data):
    def meet(server):
        with server.connect() as connection:
            return end_of(connection.send(data))
    return meet


def is_idle_after_an_answer(server):
    with server.connect() as connection:
        assert connection.get("/").status == 200
        return end_of(connection)


def connects_beside_another(server):
    with server.connect() as first, server.connect() as second:
        assert first.get("/").status == 200
        found = second.get("/").status
        assert second.is_closed()
        return found


def sends_byte_by_byte(server):
    """Never so slowly that it would be the pause that ends it."""
    with server.connect() as connection:
        connection.request("POST", "/", "Content-Length: 1000000")
        while not met(server):
            connection.send(b"x")
        return end_of(connection)


def sends_a_body_beside_half_a_one(server):
    with server.connect() as other:
        other.request("POST", "/", "Content-Length: 1000000").send(b"x" * 999_999)
        until(lambda: server.metric("onebox_buffer_bytes") == 999_999, "it has taken its room")
        return server.ask("POST", "/", body=b"x" * 100_000).status


def takes_nothing(server):
    with server.connect() as connection:
        connection.request("GET", "/endless/untaken")
        until(lambda: met(server), "patience ends")
        return end_of(connection)


def takes_little(server):
    """Never so little that it would be the pause that ends it."""
    with server.connect() as connection:
        connection.request("GET", "/endless/slow")
        while not met(server):
            connection.socket.recv(1 << 16)
        return end_of(connection)


def finds_no_folder_for_files(server):
    (server.hold / "spool").rmdir()
    return server.ask("POST", "/", body=b"x" * 10_000).status


def asks_beside(waiting):
    """While one request runs, and so many wait."""
    def meet(server):
        held = [server.connect().request("GET", "/hold/it")]
        until(lambda: server.metric("onebox_worker_threads_busy") == 1, "one runs")
        for count in range(1, waiting + 1):
            held.append(server.connect().request("GET", "/hold/it"))
            until(lambda: server.metric("onebox_queue_length") == count, f"{count} wait")
        found = server.get("/hold/it").status
        (server.hold / "it.go").touch()
        assert [end_of(connection) for connection in held] == [200] * len(held)
        return found
    return meet


def asks_twice(server):
    assert server.get("/").status == 200
    return server.get("/").status


def is_held_when_the_front_is_replaced(server):
    with server.connect() as connection:
        connection.request("GET", "/hold/it")
        until(lambda: server.metric("onebox_worker_threads_busy") == 1, "it runs")
        (server.folder / "onebox.toml").write_text('front.server_name = "the next"\n')
        assert reload(server).returncode == 0
        found = end_of(connection)
        (server.hold / "it.go").touch()
        return found


LIMITS = {  # app, options, how it is met, what the client gets
    "request_line_bytes_max": ("busy", "front.request_line_max = 200",
                               asks("GET", "/" + "x" * 200), 414),
    "head_bytes_max": ("busy", "front.head_bytes_max = 1000\nfront.request_line_max = 200",
                       asks("GET", "/", "X-A: " + "x" * 1000), 431),
    "fields_max": ("busy", "front.fields_max = 20",
                   asks("GET", "/", *(f"X-{number}: x" for number in range(20))), 431),
    "body_bytes_max": ("busy", "front.body_bytes_max = 10", asks("POST", "/", body=b"x" * 11), 413),
    "requests_per_connection_max": ("busy", "front.requests_per_connection_max = 1",
                                    is_idle_after_an_answer, CUT),
    "connections_max": ("busy", "front.connections_max = 1", connects_beside_another, 503),
    "connections_per_address_max": ("busy", "front.connections_per_address_max = 1",
                                    connects_beside_another, 503),
    "idle_timeout": ("busy", 'front.idle_timeout = "100ms"', is_idle_after_an_answer, CUT),
    "head_timeout": ("busy", 'front.head_timeout = "100ms"',
                     sends_no_more_than(b"GET / HTTP/1.1\r\nHost:"), 408),
    "body_timeout": ("busy", 'front.body_timeout = "100ms"', sends_no_more_than(
        b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nhalf"), 408),
    "body_rate_min": ("busy", 'front.body_timeout = "1s"\nfront.body_rate_min = "1 MiB"',
                      sends_byte_by_byte, 408),
    "write_timeout": ("answers", 'front.write_timeout = "100ms"', takes_nothing, CUT),
    "write_rate_min": ("answers", 'front.write_timeout = "1s"\nfront.write_rate_min = "1 GiB"',
                       takes_little, CUT),
    "buffer_bytes_max": ("busy",
                         'front.buffer_bytes_max = "1 MiB"\nfront.body_memory_max = "1 MiB"',
                         sends_a_body_beside_half_a_one, 503),
    "spool": ("busy", 'front.spool_folder = "{hold}/spool"\nfront.body_memory_max = "1 KiB"',
              finds_no_folder_for_files, 503),
    "queue_max": ("busy", "app.queue_max = 1", asks_beside(waiting=1), 503),
    "queue_timeout": ("busy", 'app.queue_timeout = "100ms"', asks_beside(waiting=0), 503),
    "request_timeout": ("busy", 'app.timeout = "100ms"', asks("GET", "/hold/it"), 504),
    "route_queue_max": ("busy", '[[route]]\npath = "/hold/*"\nqueue_max = 1',
                        asks_beside(waiting=1), 503),
    "address_share": ("busy", 'app.queue_max = 2\napp.address_share = "50%"',
                      asks_beside(waiting=1), 503),
    "rate": ("busy", 'front.limits = [{{ name = "a", rate = "1/h" }}]', asks_twice, 429),
    "at_once": ("busy", 'front.limits = [{{ name = "a", at_once = 1 }}]', asks_beside(waiting=0), 429),
    "denied": ("busy", 'front.deny = ["127.0.0.1"]', sends_no_more_than(b"GET / HTTP/1.1\r\n"), CUT),
    "proxy_header": ("busy", 'front.proxy_protocol = ["127.0.0.1"]',
                     sends_no_more_than(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"), CUT),
    "drain_timeout": ("busy", 'front.drain_timeout = "100ms"',
                      is_held_when_the_front_is_replaced, CUT),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_who_meets_a_limit_is_told_and_counted(serve, hold, limit):
    app, options, meet, answer = LIMITS[limit]
    (hold / "spool").mkdir()
    server = serve(f"{app}:app", workers=1, threads=1, toml=options.format(hold=hold) + "\n",
                   environment={"HOLD": str(hold)})
    server.hold = hold
    assert meet(server) == answer
    assert until(lambda: met(server), "it is counted") == {limit: 1}


def test_no_limit_is_left_out():
    text = (ROOT / "src/telemetry/metric_table.h").read_text()
    names = re.search(r"kLimitNames = \{(.*?)\};", text, re.DOTALL)[1]
    of_http2 = {name for name in re.findall(r'"(\w+)"', names) if name.startswith("http2_")}
    assert {*re.findall(r'"(\w+)"', names)} - of_http2 == LIMITS.keys() | ELSEWHERE
    met_there = (ROOT / "test/system/test_http2.py").read_text()
    assert not {name for name in of_http2 if f'"{name}"' not in met_there}
