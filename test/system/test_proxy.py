"""Does another server's answer reach the client whole, and does a server that fails cost no request?"""
import base64
import contextlib
import json
import threading

import pytest

import certificates
from http2_client import Http2
from onebox import Onebox, onebox
from upstreams import Process, Server, certificate, gunicorn
from wire import Closed, Connection, until

TABLE = """
[[upstream]]
name = "{name}"
servers = [{servers}]
{more}
"""


def upstream(name, *servers, **more):
    """An [[upstream]] of a file; None leaves a key out."""
    lines = "\n".join(f"{key} = {json.dumps(value) if not isinstance(value, dict) else inline(value)}"
                      for key, value in more.items())
    return TABLE.format(name=name, servers=", ".join(f'"{url}"' for url in servers), more=lines)


def inline(table):
    return "{ " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in table.items()) + " }"


def route(path, proxy):
    return f'\n[[route]]\npath = "{path}"\nproxy = "{proxy}"\n'


class Behind:
    """A box without an app before a Server, for the tests of this file."""

    def __init__(self, folder):
        self.stack = contextlib.ExitStack()
        self.server = self.stack.enter_context(Server())
        toml = '[app]\nproxy = ["one"]\n' + upstream(
            "one", self.server.url, head_timeout="1s", read_timeout="1s", max_fails=0, retries=1)
        toml += route("/ruled", "one") + """[route.request_headers]
set = { X-Area = "api" }
add = { Accept = "text/plain" }
remove = ["Cookie", "X-Forwarded-Host"]
"""
        own = certificates.issue(folder)
        self.trust = own.trusting()
        self.box = self.stack.enter_context(Onebox(
            folder, toml=toml, listen=("http://127.0.0.1:0", "https://127.0.0.1:0"),
            arguments=own.arguments, workers=None, threads=None))


@pytest.fixture(scope="module")
def behind(tmp_path_factory):
    made = Behind(tmp_path_factory.mktemp("behind"))
    with made.stack:
        yield made


# --- the way of a request

def test_the_server_sees_the_request_and_who_sent_it(behind):
    answer = behind.box.ask("POST", "/a%20b?x=1&y", "X-Forwarded-For: 6.6.6.6", "X_Forwarded_For: 7.7.7.7",
                            "Connection: X-Hop", "X-Hop: 1", "Cookie: c=d", body=b"the body")
    assert answer.status == 200
    seen = json.loads(answer.body)
    fields = seen["fields"]
    assert (seen["method"], seen["target"], seen["body"]) == ("POST", "/a%20b?x=1&y", "the body")
    assert fields["host"] == "test" and fields["cookie"] == "c=d"
    assert fields["x-forwarded-for"] == fields["x-real-ip"] == "127.0.0.1"
    assert fields["x-forwarded-proto"] == "http" and fields["x-forwarded-host"] == "test"
    assert fields["forwarded"] == "for=127.0.0.1;host=test;proto=http"
    assert fields["via"] == "1.1 onebox" and fields["x-request-id"] == answer["X-Request-ID"]
    assert not {"x-hop", "connection", "x_forwarded_for"} & fields.keys()
    assert answer.all("Set-Cookie") == ["a=1", "b=2"]
    assert answer["X-Secret"] is None and answer["Connection"] is None and answer["Via"] == "1.1 onebox"


def test_the_server_sees_requests_as_the_rules_change_them(behind):
    body = b"it stays"
    answer = behind.box.ask("POST", "/ruled", "Cookie: a=b", "x-area: 1", "Accept: image/png", body=body)
    seen = json.loads(answer.body)
    fields = seen["fields"]
    assert (seen["method"], seen["target"], seen["body"]) == ("POST", "/ruled", "it stays")
    assert fields["x-area"] == "api" and fields["accept"] == "text/plain" and fields["host"] == "test"
    assert not {"cookie", "x-forwarded-host"} & fields.keys()


def test_the_server_is_told_of_https(behind):
    address = behind.box.address_of(behind.box.urls[1])
    with Connection(address, tls=behind.trust) as connection:
        fields = json.loads(connection.get("/").body)["fields"]
    assert fields["x-forwarded-proto"] == "https" and fields["x-forwarded-port"] == str(address[1])
    assert fields["forwarded"] == "for=127.0.0.1;host=test;proto=https"


@pytest.mark.parametrize("path", ["/bytes/0", "/bytes/2048", "/bytes/3000000", "/chunks/300000",
                                  "/until-close/300000"])
def test_an_answer_comes_whole_in_any_form(behind, path):
    with behind.box.connect() as connection:
        for _ in range(2):
            assert connection.get(path).body == b"x" * int(path.rpartition("/")[2])
        head = connection.request("HEAD", "/bytes/7").response("HEAD")
        assert head["Content-Length"] == "7"
        assert connection.get("/bytes/1").body == b"x"


def test_a_large_body_reaches_the_server(behind):
    body = bytes(range(32, 127)) * 20_000
    answer = behind.box.ask("PUT", "/", body=body)
    assert json.loads(answer.body)["body"].encode() == body
    with behind.box.connect() as connection:
        connection.request("POST", "/", "Transfer-Encoding: chunked")
        connection.send(b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
        seen = json.loads(connection.response("POST").body)
    assert seen["body"] == "hello world" and seen["fields"]["content-length"] == "11"


def test_connections_to_the_server_are_kept(behind):
    before = behind.server.connections
    with behind.box.connect() as connection:
        for _ in range(20):
            assert connection.get("/bytes/10").status == 200
    assert behind.server.connections - before <= 2


@pytest.mark.parametrize("request_bytes", [
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\nhello",
    b"GET /../etc HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
])
def test_what_is_no_valid_request_reaches_no_server(behind, request_bytes):
    before = len(behind.server.requests)
    with behind.box.connect() as connection:
        assert connection.send(request_bytes).response().status == 400
    assert len(behind.server.requests) == before


# --- servers that misbehave

@pytest.mark.parametrize("path, status, why", [
    ("/close", 502, "closed without an answer"),
    ("/mute", 504, "did not answer in time"),
    ("/raw/" + b"220 mail.example ESMTP\r\n\r\n".hex(), 502, "not valid"),
    ("/raw/" + (b"HTTP/1.1 200 OK\r\nA: " + b"a" * 40_000 + b"\r\n\r\n").hex()[:7000], 502, ""),
    ("/raw/" + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
               b"0\r\n\r\n".hex(), 502, "not valid"),
    ("/raw/" + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello".hex(),
     502, "not valid"),
    ("/raw/" + b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello".hex(), 502, "not valid"),
    ("/raw/" + b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n".hex(), 502, "not valid"),
], ids=lambda value: str(value)[:40] if not isinstance(value, int) else None)
def test_a_server_that_gives_no_answer_is_told_of(behind, path, status, why):
    answer = behind.box.ask("POST", path)
    assert answer.status == status and why in answer.body.decode()


@pytest.mark.parametrize("path", ["/half", "/late"])
def test_an_answer_that_breaks_off_is_seen_to(behind, path):
    with behind.box.connect() as connection, pytest.raises(Closed):
        connection.get(path)


def test_a_client_that_leaves_frees_the_server(behind):
    with behind.box.connect() as connection:
        connection.request("GET", "/mute")
        until(lambda: behind.box.metric("onebox_upstream_outstanding") == 1, "it is asked")
    until(lambda: behind.box.metric("onebox_upstream_outstanding") == 0, "it is let go")


def test_a_slow_client_does_not_hold_the_server(behind):
    """What the client does not take waits in the box, and the server has its hands free."""
    with behind.box.connect() as connection:
        connection.request("GET", "/bytes/20000000")
        until(lambda: behind.box.metric("onebox_upstream_outstanding") == 0, "the server is done")
        assert len(connection.response().body) == 20_000_000


# --- tunnels

UPGRADE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")


def test_a_websocket_goes_through(behind):
    with behind.box.connect() as connection:
        version, status, _, fields = connection.request("GET", "/echo", *UPGRADE).head()
        assert status == 101
        fields = {key.lower(): value for key, value in fields}
        assert fields["upgrade"] == "websocket" and fields["connection"] == "Upgrade"
        assert fields["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert connection.exactly(5) == b"hello"
        for message in (b"ping", b"y" * 1_000_000):
            threading.Thread(target=connection.send, args=(message,)).start()
            assert connection.exactly(len(message)) == message
        assert behind.box.metric("onebox_upstream_tunnels") == 1
        connection.finish()
        assert connection.rest() == b""
    until(lambda: behind.box.metric("onebox_upstream_tunnels") == 0, "the tunnel is closed")


def ask_for_websocket(client, path, protocol="websocket"):
    return client.ask(pseudo=[(":method", "CONNECT"), (":protocol", protocol), (":scheme", "http"),
                              (":path", path), (":authority", "test"), ("sec-websocket-version", "13")],
                      ends=False)


def test_a_websocket_goes_through_http_2(behind):
    with Http2(behind.box.address) as client:
        stream = ask_for_websocket(client, "/echo/q")
        answer = client.answers[stream]
        client.until(lambda: answer.body == b"hello")
        assert client.h2.remote_settings.enable_connect_protocol == 1 and answer.status == 200
        assert not {"upgrade", "connection", "sec-websocket-accept"} & dict(answer.fields).keys()
        seen = behind.server.requests[-1]
        fields = seen["fields"]
        assert (seen["method"], seen["target"]) == ("GET", "/echo/q")
        assert (fields["connection"], fields["upgrade"]) == ("Upgrade", "websocket")
        assert len(base64.b64decode(fields["sec-websocket-key"], validate=True)) == 16
        assert fields["sec-websocket-version"] == "13" and fields["via"] == "2 onebox"
        client.send(stream, b"y" * 1_000_000, ends=False)
        client.until(lambda: len(answer.body) == 1_000_005)
        assert client.get("/bytes/10").body == b"x" * 10
        assert behind.box.metric("onebox_upstream_tunnels") == 1 and not answer.ended
        client.send(stream, b"")
        assert client.answer(stream).ended
        until(lambda: behind.box.metric("onebox_upstream_tunnels") == 0, "the tunnel is closed")
        given_up = ask_for_websocket(client, "/echo")
        client.until(lambda: client.answers[given_up].body == b"hello")
        client.reset(given_up)
        until(lambda: behind.box.metric("onebox_upstream_tunnels") == 0, "the tunnel is given up")


@pytest.mark.parametrize("path, protocol, status", [
    ("/echo", "connect-udp", 501), ("/bytes/5", "websocket", 502),
    ("/raw/" + b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
               b"Sec-WebSocket-Accept: yes\r\n\r\n".hex(), "websocket", 502),
    ("/raw/" + b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno".hex(), "websocket", 403),
])
def test_what_is_no_websocket_is_none_over_http_2(behind, path, protocol, status):
    """A 2xx would be one for the client, whoever has answered it."""
    with Http2(behind.box.address) as client:
        assert client.answer(ask_for_websocket(client, path, protocol)).status == status
        assert client.get("/bytes/5").status == 200


def test_another_protocol_than_a_websocket_is_not_passed_on(behind):
    """A server that would take h2c by this way would be asked behind the back of all checks."""
    answer = behind.box.get("/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAA")
    assert not {"upgrade", "http2-settings"} & json.loads(answer.body)["fields"].keys()


# --- several servers

def test_a_server_that_is_killed_costs_no_request(serve):
    """Under load, one of two; and it is asked again when it is back."""
    with Process("one") as one, Process("two") as two:
        box = serve(toml='[app]\nproxy = ["both"]\n' + upstream(
            "both", one.url, two.url, pause="200ms", pause_max="400ms"), workers=None, threads=None)
        names, failures, ends = [], [], threading.Event()

        def ask():
            with box.connect() as connection:
                while not ends.is_set():
                    answer = connection.get("/")
                    if answer.status != 200:
                        failures.append(answer)
                        return
                    names.append(json.loads(answer.body)["name"])

        clients = [threading.Thread(target=ask) for _ in range(8)]
        for client in clients:
            client.start()
        until(lambda: {"one", "two"} <= set(names), "both answer")
        one.kill()
        count = len(names)
        until(lambda: failures or len(names) > count + 200, "the other one answers")
        assert not failures
        with Process("one", one.port):
            until(lambda: failures or "one" in names[-20:], "the first one is back")
            ends.set()
            for client in clients:
                client.join(20)
        assert not failures
        assert box.metric("onebox_upstream_pauses_total") >= 1


def test_a_request_that_must_not_run_twice_does_not(serve):
    with Server("one") as one, Server("two") as two:
        box = serve(toml='[app]\nproxy = ["both"]\n' + upstream("both", one.url, two.url), workers=None,
                    threads=None)
        assert box.ask("POST", "/close").status == 502
        assert len(one.requests) + len(two.requests) == 1
        assert box.ask("GET", "/close").status == 502
        assert len(one.requests) + len(two.requests) == 3
        assert box.metric("onebox_upstream_retries_total") == 1


def test_without_any_server_the_answer_comes_at_once(serve):
    with Server("one") as one:
        box = serve(toml='[app]\nproxy = ["one"]\n' + upstream(
            "one", one.url, health={"path": "/health", "interval": "100ms"}), workers=None, threads=None)
        assert box.get("/").status == 200
        one.stop()
        until(lambda: box.metric("onebox_upstream_up") == 0, "the probes see that it is down")
        answer = box.get("/")
        assert answer.status == 503 and answer["Retry-After"] == "1"
        assert b"no server can be asked" in answer.body
        one.start()
        until(lambda: box.metric("onebox_upstream_up") == 1, "it is back")
        assert box.get("/").status == 200


def test_a_key_has_its_server(serve):
    with Server("one") as one, Server("two") as two, Server("three") as three:
        box = serve(toml='[app]\nproxy = ["all"]\n' + upstream(
            "all", one.url, two.url, three.url, balance="hash", key="cookie:user"), workers=None, threads=None)
        names = {}
        for _ in range(3):
            for user in range(12):
                answer = box.get("/", f"Cookie: a=b; user={user}")
                assert names.setdefault(user, answer["X-Server"]) == answer["X-Server"]
        assert len(set(names.values())) > 1


# --- beside an app, before Gunicorn, before other boxes

def test_a_route_may_have_a_server_beside_the_app(serve):
    with Server("one") as one:
        box = serve("seen:app", toml=route("/api/*", one.url))
        assert box.get("/api/x")["X-Server"] == "one"
        assert json.loads(box.get("/").body)["PATH_INFO"] == "/"


def test_gunicorn_may_stay(serve, tmp_path):
    process, url = gunicorn(tmp_path, "hello_flask:app")
    try:
        box = serve(arguments=["--proxy", url], workers=None, threads=None)
        answer = box.get("/")
        assert answer.status == 200
        assert [one["role"] for one in box.status()["processes"]] == ["front"]
    finally:
        process.terminate()
        process.wait(10)


def test_boxes_may_stand_behind_a_box(serve):
    """The app sees the client, not the box before it."""
    toml = '[front]\ntrusted_proxies = ["127.0.0.1"]\n'
    boxes = [serve("seen:app", toml=toml) for _ in range(2)]
    before = serve(arguments=[f"--proxy={box.url}" for box in boxes], toml=toml, workers=None, threads=None)
    for _ in range(10):
        answer = before.get("/", "X-Forwarded-For: 203.0.113.7", "X-Request-ID: abc-123", "Host: shop.example")
        seen = json.loads(answer.body)
        assert (seen["REMOTE_ADDR"], seen["HTTP_HOST"]) == ("203.0.113.7", "shop.example")
        assert answer["X-Request-ID"] == seen["HTTP_X_REQUEST_ID"] == "abc-123"
    assert all(box.metric("onebox_requests_by_class_total") > 0 for box in boxes)


def test_an_https_server_must_be_who_it_says(serve, tmp_path):
    path = certificate(tmp_path)
    with Server("one", certificate=path) as one:
        toml = "".join([
            upstream("known", one.url, tls={"ca": f"{tmp_path}/cert.pem"}), route("/known/*", "known"),
            upstream("other", one.url, tls={"ca": f"{tmp_path}/cert.pem", "name": "shop.internal"}),
            route("/other/*", "other"), upstream("any", one.url, tls={"verify": False})])
        box = serve(toml='[app]\nproxy = ["any"]\n' + toml + route("/unknown/*", one.url),
                    workers=None, threads=None)
        with box.connect() as connection:
            for path in ("/known/", "/", "/bytes/200000", "/chunks/200000"):
                assert connection.get(path).status == 200
        body = b"z" * 300_000
        assert json.loads(box.ask("PUT", "/known/x", body=body).body)["body"] == body.decode()
        for path in ("/other/", "/unknown/"):
            answer = box.get(path)
            assert answer.status == 502 and b"over TLS" in answer.body


def test_a_reload_changes_the_servers(serve):
    with Server("one") as one, Server("two") as two:
        box = serve(toml=f'[app]\nproxy = ["{one.url}"]\n', workers=None, threads=None)
        assert box.get("/")["X-Server"] == "one"
        (box.folder / "onebox.toml").write_text(f'[app]\nproxy = ["{two.url}"]\n')
        box.tell("reload")
        assert box.get("/")["X-Server"] == "two"


@pytest.mark.parametrize("toml, mistake", [
    ('[app]\nproxy = ["nobody"]\n', 'there is no [[upstream]] "nobody"'),
    ('[app]\nproxy = ["ftp://a"]\n', "expected http://HOST[:PORT]"),
    ('[[upstream]]\nname = "a"\nservers = ["http://b weight=0"]\n', "expected weight=1"),
    ('[[upstream]]\nname = "a"\nservers = ["http://b backup"]\n', "expected a server that is no backup"),
    ('[[upstream]]\nname = "a"\nservers = ["http://b"]\nkey = "ip"\n', "expected address, path"),
    ('[[upstream]]\nname = "a"\nservers = ["http://b"]\nhealth = "x"\n', "expected a path"),
])
def test_mistakes_are_found_before_the_start(tmp_path, toml, mistake):
    (tmp_path / "onebox.toml").write_text(toml)
    checked = onebox("run", "--check-config", cwd=tmp_path)
    assert checked.returncode != 0 and mistake in checked.stdout + checked.stderr


def test_the_log_names_the_server(serve):
    with Server("one") as one:
        box = serve(toml=f'[app]\nproxy = ["{one.url}"]\n[log]\naccess_format = "json"\n', workers=None,
                    threads=None)
        box.get("/")
        line = json.loads(until(lambda: box.access_log.read_text(), "the log is written").splitlines()[0])
        assert line["upstream"] == one.url and float(line["run_seconds"]) >= 0
