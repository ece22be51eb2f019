"""May each client ask as often, as much and from where the operator says, and who is the client?"""
import json
import re
import socket
import struct
import subprocess
import time

import pytest

from clients import reload
from onebox import APPS, PYTHON, onebox
from wire import until

TRUSTED = 'front.trusted_proxies = ["127.0.0.1"]\n'


@pytest.fixture
def serve_client(serve, hold):
    return lambda toml, **options: serve("client:app", toml=toml, environment={"HOLD": str(hold)}, **options)


def through(server, address, path="/", *fields):
    """The status for a client whose address a trusted proxy tells."""
    return server.get(path, f"X-Forwarded-For: {address}", *fields).status


def outcomes(server, limit):
    name = f'onebox_rate_limits_total{{limit="{limit}",outcome="'
    return {key.removeprefix(name).rstrip('"}'): count for key, count in server.metrics().items()
            if key.startswith(name) and count}


# --- rates ----------------------------------------------------------------------

def test_all_reactors_count_together(serve_client):
    server = serve_client('front.reactors = 2\nfront.limits = [{ name = "all", rate = "30/h" }]\n')
    connections = [server.connect() for _ in range(6)]
    statuses = [connection.get("/").status for _ in range(10) for connection in connections]
    assert sorted(statuses) == [200] * 30 + [429] * 30
    assert outcomes(server, "all") == {"passed": 30, "rate": 30}


def test_who_is_refused_is_told_when_to_come_again(serve_client):
    server = serve_client('[[route]]\npath = "/login"\n'
                          'limits = [{ name = "login", rate = "2/h" }]\n')
    assert [server.ask("POST", "/login", body=b"x").status for _ in range(2)] == [200, 200]
    refused = server.get("/login", "Accept: application/json")
    assert refused.status == 429
    assert 1700 < int(refused["Retry-After"]) <= 1800
    assert refused["RateLimit-Policy"] == '"login";q=2;w=3600'
    assert refused["RateLimit"] == f'"login";r=0;t={refused["Retry-After"]}'
    assert json.loads(refused.body)["error"] == "too many requests in this time"
    assert server.get("/").status == 200  # another route
    server.wait_for_line(r'limit "login": 1 refused by rate')


def test_who_comes_too_early_may_wait_with_his_body(serve_client):
    server = serve_client('[front]\nlimits = [{ name = "calm", rate = "20/m", burst = 1, then = "delay" }]\n')
    begun = time.monotonic()
    with server.connect() as first, server.connect() as second:
        first.request("POST", "/", body=b"one")
        assert first.response().status == 200
        second.request("POST", "/", body=b"two" * 50_000)
        assert json.loads(second.response().body)["body"] == "two" * 50_000
    assert time.monotonic() - begun >= 3
    assert outcomes(server, "calm") == {"passed": 1, "delayed": 1}


def test_who_waits_and_leaves_is_forgotten(serve_client):
    server = serve_client('[front]\nlimits = [{ name = "calm", rate = "1/m", burst = 1, then = "delay", '
                          'delay_max = "5m", delayed_max = 1 }]\n')
    assert server.get("/").status == 200
    with server.connect() as waits:
        waits.request("GET", "/waits")
        until(lambda: outcomes(server, "calm").get("delayed"), "it waits")
        assert server.get("/").status == 429
    until(lambda: "/waits" in server.access_log.read_text(), "it left")
    with server.connect() as next_one:
        next_one.request("GET", "/")
        until(lambda: outcomes(server, "calm")["delayed"] == 2, "another may wait")
    assert re.search(r'"GET /waits HTTP/1.1" 499 ', server.access_log.read_text())


def test_only_so_many_at_once(serve_client, hold):
    server = serve_client('[[route]]\npath = "/hold/*"\nlimits = [{ name = "slow", at_once = 2 }]\n')
    held = [server.connect().request("GET", "/hold/it") for _ in range(2)]
    until(lambda: outcomes(server, "slow") == {"passed": 2}, "two run")
    refused = server.get("/hold/it")
    assert (refused.status, refused["Retry-After"]) == (429, "1")
    assert refused["RateLimit-Policy"] == '"slow";q=2;qu="concurrent-requests"'
    (hold / "it.go").touch()
    assert [connection.response().status for connection in held] == [200, 200]
    assert server.get("/hold/it").status == 200


def test_what_is_counted_apart(serve_client):
    server = serve_client(TRUSTED + '''
[[route]]
path = "/address"
limits = [{ name = "address", rate = "1/h", exempt = ["10.0.0.0/8"] }]
[[route]]
path = "/cookie"
limits = [{ name = "cookie", by = ["cookie:id"], rate = "1/h" }]
[[route]]
path = "/key"
limits = [{ name = "key", by = ["header:X-Key", "path"], rate = "1/h" }]
[[route]]
path = "/all"
limits = [{ name = "all", by = ["all"], rate = "1/h" }]
[[route]]
path = "/dry"
limits = [{ name = "dry", rate = "1/h", log_only = true }]
''')
    ask = lambda *arguments: through(server, *arguments)
    assert [ask("192.0.2.1", "/address") for _ in range(2)] == [200, 429]
    assert ask("192.0.2.2", "/address") == 200
    assert ask("2001:db8::1", "/address") == 200
    assert ask("2001:db8::ffff:2", "/address") == 429  # the same /64
    assert ask("2001:db8:0:1::1", "/address") == 200
    assert [ask("10.1.1.1", "/address") for _ in range(2)] == [200, 200]
    assert ask("192.0.2.1", "/cookie", "Cookie: a=1; id=7") == 200
    assert ask("192.0.2.2", "/cookie", "Cookie: id=7") == 429
    assert [ask("192.0.2.2", "/cookie") for _ in range(2)] == [200, 429]  # by its address
    assert ask("192.0.2.1", "/key", "X-Key: a") == 200
    assert ask("192.0.2.2", "/key", "x-key: a") == 429
    assert ask("192.0.2.2", "/key", "X-Key: b") == 200
    assert [ask("192.0.2.1", "/all"), ask("192.0.2.2", "/all")] == [200, 429]
    assert [ask("192.0.2.1", "/dry") for _ in range(3)] == [200, 200, 200]
    assert outcomes(server, "dry") == {"passed": 1, "rate": 2, "logged": 2}


def test_a_flood_of_addresses_hides_nobody(serve_client):
    server = serve_client(TRUSTED + 'front.limits = [{ name = "all", rate = "5/h", keys_max = 1024 }]\n')
    assert [through(server, "192.0.2.1") for _ in range(6)] == [200] * 5 + [429]
    with server.connect() as connection:
        for number in range(3000):
            other = f"198.18.{number // 256}.{number % 256}"
            assert connection.get("/", f"X-Forwarded-For: {other}").status == 200
    assert through(server, "192.0.2.1") == 429
    assert server.metrics()['onebox_limits_total{limit="limit_keys_max"}'] > 0


# --- networks that may come in -----------------------------------------------------

def closes(server, source):
    """Whether a client of this address is closed without an answer."""
    with socket.create_connection(server.address, timeout=20, source_address=(source, 0)) as client:
        try:
            client.sendall(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
            return client.recv(100) == b""
        except ConnectionResetError:
            return True


def test_denied_networks_change_with_a_reload(serve_client, tmp_path):
    networks = tmp_path / "denied.txt"
    networks.write_text("# bots\n127.0.0.2/32\n\n2001:db8::/32  # more\n")
    server = serve_client(TRUSTED + f'front.deny_file = "{networks}"\n'
                          '[[route]]\npath = "/staff/*"\nallow = ["192.0.2.0/24"]\ndeny = ["192.0.2.66"]\n')
    assert closes(server, "127.0.0.2")
    assert not closes(server, "127.0.0.3")
    assert through(server, "127.0.0.2") == 403
    assert through(server, "2001:db8::1") == 403
    assert through(server, "192.0.2.1", "/staff/page") == 200
    assert through(server, "192.0.2.66", "/staff/page") == 403
    assert through(server, "198.51.100.1", "/staff/page") == 403
    assert server.metrics()['onebox_limits_total{limit="denied"}'] == 5
    networks.write_text("127.0.0.3\n")
    assert reload(server).returncode == 0
    assert closes(server, "127.0.0.3")
    assert not closes(server, "127.0.0.2")


def test_a_purge_has_the_lists_and_limits_of_its_url(serve_client):
    server = serve_client(TRUSTED + 'front.purge_token = "open sesame"\nfront.deny = ["198.51.100.0/24"]\n'
                          '[[route]]\npath = "/staff/*"\nallow = ["192.0.2.0/24"]\ncache = { ttl = "60s" }\n'
                          '[[route]]\npath = "/calm"\nlimits = [{ name = "calm", rate = "1/h" }]\n')

    def purge(address, path):
        return server.ask("PURGE", path, f"X-Forwarded-For: {address}", "Authorization: Bearer open sesame")

    assert purge("192.0.2.1", "/staff/page").status == 200
    for address, path in (("203.0.113.1", "/staff/page"), ("198.51.100.1", "/staff/page"), ("198.51.100.1", "/")):
        answer = purge(address, path)
        assert answer.status == 403 and b"address" in answer.body
    assert [purge("203.0.113.1", "/calm").status for _ in range(2)] == [200, 429]
    assert server.tell("purge", "/staff/page").returncode == 0  # the socket has none


@pytest.mark.parametrize("toml, mistake", [
    ('front.limits = [{ name = "a", rate = "10/w" }]', 'limits "a": rate: expected a rate like "10/s"'),
    ('front.limits = [{ name = "a" }]', 'limits "a": expected a rate, or at_once'),
    ('front.limits = [{ name = "a", rate = "1/s", by = ["adress"] }]', 'by: expected "address"'),
    ('front.limits = [{ name = "a", at_once = 1, then = "delay" }]', "then: "),
    ('front.limits = [{ name = "a", rate = "1/s" }, { name = "a", rate = "2/s" }]',
     "there is another limit of that name"),
    ('front.deny_file = "/nowhere.txt"', "deny_file: "),
    ('front.write_rate_min = "2 KiB"\nfront.bytes_per_second = "1 KiB"', "must be more than front.write_rate_min (2 KiB)"),
])
def test_mistakes_are_told_with_their_place(tmp_path, toml, mistake):
    (tmp_path / "onebox.toml").write_text(toml + "\n")
    told = onebox("run", "client:app", "--chdir", APPS, "--python", PYTHON, "--state", tmp_path / "state",
                  "--config", tmp_path / "onebox.toml", "--check-config")
    assert told.returncode != 0
    assert mistake in told.stdout + told.stderr


# --- bytes a second ------------------------------------------------------------------

@pytest.mark.parametrize("path", ["/bytes/90000", "/static/file.txt"])
def test_an_answer_leaves_as_slowly_as_it_may(serve_client, tmp_path, path):
    (tmp_path / "file.txt").write_bytes(b"x" * 90_000)
    server = serve_client(f'static = {{ "/static/" = "{tmp_path}" }}\n'
                          'front.bytes_per_second = "40000 B"\nfront.bytes_per_second_after = "20000 B"\n')
    begun = time.monotonic()
    with server.connect() as connection:
        answer = connection.request("GET", path).response()
        assert (answer.status, len(answer.body)) == (200, 90_000)
        # 20,000 and a portion at once, the rest at the rate; never sooner, however fast the machine.
        assert time.monotonic() - begun >= (90_000 - 20_000 - 5_000) / 40_000 - 0.1
        assert connection.get("/").status == 200  # and the connection lives on


@pytest.mark.parametrize("path", ["/bytes/90000", "/static/file.txt"])
def test_so_it_does_over_http2(serve_client, tmp_path, path):
    (tmp_path / "file.txt").write_bytes(b"x" * 90_000)
    server = serve_client(f'static = {{ "/static/" = "{tmp_path}" }}\n'
                          'front.bytes_per_second = "40000 B"\nfront.bytes_per_second_after = "20000 B"\n')
    begun = time.monotonic()
    answer = subprocess.run(["curl", "-sS", "--http2-prior-knowledge", "--max-time", "60", server.url + path],
                            capture_output=True, check=True, timeout=70).stdout
    assert len(answer) == 90_000
    assert time.monotonic() - begun >= (90_000 - 20_000 - 5_000) / 40_000 - 0.1


# --- who the client is -----------------------------------------------------------------

PROXIES = 'front.proxy_protocol = ["127.0.0.0/8"]\nfront.head_timeout = "500ms"\n'
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LINE = b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 443\r\n"
BLOCK = SIGNATURE + b"\x21\x11\0\x0c" + socket.inet_aton("192.0.2.7") + socket.inet_aton("192.0.2.1") \
    + struct.pack(">HH", 40_000, 443)


def told_client(connection):
    found = json.loads(connection.get("/").body)
    return found["address"], found["port"]


def test_the_proxy_protocol_names_the_client(serve_client):
    server = serve_client(PROXIES + 'front.deny = ["203.0.113.0/24"]\nfront.connections_per_address_max = 1\n')
    for header in (LINE, BLOCK):
        with server.connect() as connection:
            assert told_client(connection.send(header)) == ("192.0.2.7", "40000")
            assert told_client(connection) == ("192.0.2.7", "40000")  # the next request too
    with server.connect() as connection:
        for byte in LINE:
            connection.send(bytes([byte]))
        assert told_client(connection)[0] == "192.0.2.7"
        with server.connect() as second:  # of the same client, who may have one
            assert second.send(LINE).is_closed()
        with server.connect() as other:
            assert told_client(other.send(LINE.replace(b"2.7", b"2.8")))[0] == "192.0.2.8"
    for header in (b"PROXY UNKNOWN\r\n", SIGNATURE + b"\x20\0\0\0"):
        with server.connect() as connection:
            assert told_client(connection.send(header))[0] == "127.0.0.1"
    with server.connect() as connection:
        assert connection.send(LINE.replace(b"192.0.2.7", b"203.0.113.7")).is_closed()
    for wrong in (b"GET / HTTP/1.1\r\nHost: test\r\n\r\n", LINE[:20], BLOCK[:14] + b"\xff\xff"):
        with server.connect() as connection:
            assert connection.send(wrong).is_closed()
    server.wait_for_line(r"connections without a right PROXY header: .* 127\.0\.0\.1: there is none")
    assert server.metrics()['onebox_limits_total{limit="proxy_header"}'] == 3
    server.connect().close()  # who looks whether somebody listens is no mistake


def test_curl_speaks_the_proxy_protocol_to_it(serve_client):
    server = serve_client(PROXIES)
    done = subprocess.run(["curl", "-sS", "--max-time", "20", "--haproxy-protocol", server.url],
                          capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["address"] == "127.0.0.1"


def test_a_proxy_header_from_elsewhere_is_no_request(serve_client):
    server = serve_client('front.proxy_protocol = ["10.0.0.0/8"]\n')
    for header in (LINE, BLOCK):
        with server.connect() as connection:
            assert connection.send(header + b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").response().status == 400


@pytest.mark.parametrize("field, client", [("X-Forwarded-For", ["192.0.2.2", "22"]),
                                           ("Forwarded", ["192.0.2.1", "11"]),
                                           ("X-Real-IP", ["192.0.2.3", ""])])
def test_trusted_proxies_name_the_client_in_the_field_that_was_chosen(serve_client, field, client):
    server = serve_client(TRUSTED + f'front.client_field = "{field}"\n')
    answer = server.get("/", 'Forwarded: for="192.0.2.1:11";proto=https', "X-Forwarded-For: 9.9.9.9, 192.0.2.2:22",
                        "X-Real-IP: 192.0.2.3", "X-Forwarded-Proto: http")
    found = json.loads(answer.body)
    assert [found["address"], found["port"] or ""] == client
    assert found["scheme"] == ("https" if field == "Forwarded" else "http")


# --- what the logs do not tell ------------------------------------------------------------

FORMATS = {"combined": "combined", "json": "json",
           "atoms": "%(r)s %(q)s %({cookie}i)s %({set-cookie}o)s %({authorization}i)s $request_uri $args $http_referer"}


@pytest.mark.parametrize("form", FORMATS)
def test_logs_tell_no_secrets(serve_client, form):
    server = serve_client(TRUSTED + f'''app.timeout = "200ms"
[log]
access_format = {json.dumps(FORMATS[form])}
private = ["query", "cookies", "address"]
''')
    fields = ("X-Forwarded-For: 192.0.2.77", "Cookie: id=s3cret", "Referer: https://a.example/b?token=s3cret",
              "Authorization: Bearer s3cret")
    assert server.get("/page?token=s3cret", *fields).status == 200
    assert server.get("/hold/never?token=s3cret", *fields).status == 504
    until(lambda: "/hold/never" in server.access_log.read_text(), "both are logged")
    log = server.access_log.read_text()
    assert "/page" in log
    assert "s3cret" not in log + server.output()
    assert "192.0.2.77" not in log
    if form != "atoms":
        assert "192.0.2.0" in log and "https://a.example/b" in log
