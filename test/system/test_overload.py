"""Does who asks for much, or takes long, leave room for the others, and is who is refused told why?"""
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from onebox import onebox
from wire import until

ROUTES = """
[[route]]
path = "/reports/*"
share = "50%"
queue_max = 3
[[route]]
path = "/low/*"
priority = "low"
[[route]]
path = "/high/*"
priority = "high"
[[route]]
path = "/short/*"
timeout = "200ms"
[[route]]
path = "/small"
methods = ["POST"]
body_bytes_max = 10
"""


@pytest.fixture(params=[1, 2], ids=["one reactor", "two reactors"])
def busy(request, serve, tmp_path):
    """Starts the app that holds requests until server.let_go(NAME)."""
    def start(toml="", front="", app="", threads=4):
        text = f"[app]\n{app}\n[front]\nreactors = {request.param}\n{front}\n{toml}"
        server = serve("busy:app", toml=text, workers=1, threads=threads,
                       environment={"HOLD": str(tmp_path)})
        # Ready is when the last reactor knows the worker; this answer comes when all do.
        assert server.get("/begun").status == 200
        server.let_go = lambda name: (tmp_path / f"{name}.go").touch()
        return server
    return start


def ask(server, path, *fields):
    """A request that has been sent on a connection of its own."""
    return server.connect().request("GET", path, *fields)


def run(server, count):
    until(lambda: server.metric("onebox_worker_threads_busy") == count, f"{count} run")


def wait(server, count):
    until(lambda: server.metric("onebox_queue_length") == count, f"{count} wait")


def met(server, limit):
    return server.metrics()[f'onebox_limits_total{{limit="{limit}"}}']


def begun(server):
    """The paths in the order in which they began."""
    return server.get("/begun").body.decode().split()


def statuses(connections):
    return [one.response().status for one in connections]


def test_reports_that_fill_their_share_leave_room_for_a_login(busy):
    server = busy(ROUTES)
    reports = [ask(server, "/reports/hold/r") for _ in range(5)]
    run(server, 2)
    wait(server, 3)
    assert server.get("/login").status == 200
    refused = server.get("/reports/hold/r")
    assert refused.status == 503 and b"of this kind" in refused.body
    assert met(server, "route_queue_max") == 1
    server.let_go("r")
    assert statuses(reports) == [200] * 5


def test_a_higher_priority_is_served_first(busy):
    server = busy(ROUTES, threads=1)
    connections = [ask(server, "/hold/first")]
    run(server, 1)
    for count, path in enumerate(["/low/a", "/b", "/high/c"], 1):
        connections.append(ask(server, path))
        wait(server, count)
    server.let_go("first")
    assert statuses(connections) == [200] * 4
    assert begun(server) == ["/hold/first", "/high/c", "/b", "/low/a"]


def test_a_route_has_its_own_deadline_and_body(busy):
    server = busy(ROUTES)
    assert server.get("/short/hold/never").status == 504, "the client's patience is less than 30 s"
    server.let_go("never")
    assert server.ask("POST", "/small", body=b"x" * 10).status == 200
    assert server.ask("POST", "/small", body=b"x" * 11).status == 413
    assert server.ask("POST", "/other", body=b"x" * 11).status == 200


def test_one_address_with_two_hundred_connections_does_not_delay_another(busy):
    server = busy(app='address_share = "50%"\nqueue_max = 300',
                  front='trusted_proxies = ["127.0.0.1"]', threads=1)
    greedy = [ask(server, "/hold/g", "X-Forwarded-For: 192.0.2.1") for _ in range(151)]
    run(server, 1)
    wait(server, 150)
    refused = server.get("/", "X-Forwarded-For: 192.0.2.1")
    assert refused.status == 503 and b"of this address" in refused.body
    assert met(server, "address_share") == 1
    others = [ask(server, "/other", "X-Forwarded-For: 192.0.2.2"), ask(server, "/nobody")]
    wait(server, 152)
    server.let_go("g")
    assert statuses([*others, *greedy]) == [200] * 153
    paths = begun(server)
    assert max(paths.index("/other"), paths.index("/nobody")) < 6, "in turn, not behind 150"


def test_a_503_says_when_to_come_again(busy):
    server = busy(app="queue_max = 30", threads=1)
    connections = [ask(server, "/hold/first")]
    run(server, 1)
    connections += [ask(server, "/database") for _ in range(30)]
    wait(server, 30)
    until(lambda: int(server.get("/")["Retry-After"]) > 5, "nothing ends: later and later")
    assert int(server.get("/")["Retry-After"]) <= 60
    server.let_go("first")
    assert statuses(connections) == [200] * 31


def test_the_error_page_is_the_operators_or_json(busy, tmp_path):
    (tmp_path / "busy.html").write_text("<h1>Back soon</h1>")
    server = busy(app="queue_max = 1", threads=1,
                  front=f'error_pages = {{ 503 = "{tmp_path}/busy.html" }}')
    held = [ask(server, "/hold/p")]
    run(server, 1)
    held.append(ask(server, "/hold/p"))
    wait(server, 1)
    with server.connect() as connection:
        page = connection.get("/", "Accept: text/html,*/*;q=0.8")
        assert page.status == 503 and page.body == b"<h1>Back soon</h1>"
        assert page["Content-Type"] == "text/html; charset=utf-8"
        problem = connection.get("/", "Accept: application/json")
        assert problem["Content-Type"] == "application/problem+json"
        said = json.loads(problem.body)
        assert said["status"] == 503 and said["error"] == "the queue is full"
        assert said["request_id"] == problem["X-Request-ID"]
        head = connection.request("HEAD", "/").response("HEAD")
        assert head["Content-Length"] == str(len(page.body)) and head["Retry-After"]
    server.wait_for_line(r"front.*warning: \d refused for want of room .*\(queue_max \d\)")
    server.let_go("p")
    assert statuses(held) == [200, 200]


def test_the_operators_pages_stand_for_502_and_504_too(busy, tmp_path):
    (tmp_path / "gone.html").write_text("<h1>It broke</h1>")
    (tmp_path / "late.html").write_text("<h1>It took too long</h1>")
    server = busy(app='timeout = "200ms"', threads=1,
                  front=f'error_pages = {{ 502 = "{tmp_path}/gone.html", 504 = "{tmp_path}/late.html" }}')
    late = server.get("/hold/late")
    assert (late.status, late.body) == (504, b"<h1>It took too long</h1>")
    problem = server.get("/hold/again", "Accept: application/json")
    assert problem.status == 504 and json.loads(problem.body)["status"] == 504
    with server.connect() as connection:
        connection.request("POST", "/dies", "Content-Length: 0")
        gone = connection.response()
    assert (gone.status, gone.body) == (502, b"<h1>It broke</h1>")
    assert gone["Content-Type"] == "text/html; charset=utf-8"


def test_an_error_page_that_is_not_there_or_too_large_is_a_mistake(tmp_path):
    (tmp_path / "large.html").write_bytes(b"x" * ((64 << 10) + 1))
    for name in ("none.html", "large.html"):
        (tmp_path / "onebox.toml").write_text(f'[front]\nerror_pages = {{ 503 = "{name}" }}\n')
        said = onebox("run", "--check-config", cwd=tmp_path)
        assert said.returncode == 2
        assert "onebox.toml:2: [front] error_pages 503: " in said.stderr


def test_concurrency_follows_the_latency_down_and_up(busy, tmp_path):
    server = busy(app='concurrency = "auto"\nqueue_timeout = "1s"', threads=16)
    assert server.metric("onebox_concurrency_limit") == 16
    stop = threading.Event()

    def client():
        with server.connect() as connection:
            while not stop.is_set():
                if connection.get("/database").status == 503:
                    stop.wait(0.05)

    def shows(found):
        until(lambda: found(server.metric("onebox_concurrency_limit")), "the limit follows")

    with ThreadPoolExecutor(64) as clients:
        try:
            running = [clients.submit(client) for _ in range(2)]
            until(lambda: server.metric("onebox_run_seconds_count") > 300, "at work")
            (tmp_path / "slow").touch()
            running += [clients.submit(client) for _ in range(58)]
            shows(lambda now: now <= 4)
            until(lambda: met(server, "hopeless") > 0, "who cannot be served in time is told so")
            (tmp_path / "slow").unlink()
            shows(lambda now: now >= 5)
        finally:
            stop.set()
        for one in running:
            one.result()
