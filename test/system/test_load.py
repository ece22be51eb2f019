"""Do many clients that do nothing, or half of something, disturb those that want something?"""
import resource
import socket
import time

import pytest

from wire import until

IDLE, HALF_SENT = 10_000, 5_000
SPARE = 500  # descriptors that the test itself has besides


@pytest.fixture(scope="module", autouse=True)
def descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(IDLE, 2 * HALF_SENT) + SPARE
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def open_many(running, count, data=b""):
    """Sockets, each with `data` sent; plain ones: a Connection each would be slow to make."""
    sockets = []
    for _ in range(count):
        one = socket.create_connection(running.address, timeout=20)
        if data:
            one.sendall(data)
        sockets.append(one)
    return sockets


def slowest_of(running, count):
    slowest = 0
    with running.connect() as connection:
        for _ in range(count):
            began = time.monotonic()
            assert connection.get("/").status == 200
            slowest = max(slowest, time.monotonic() - began)
    return slowest


def close_all(sockets):
    for one in sockets:
        one.close()


def test_ten_thousand_idle_connections(serve):
    running = serve("seen:app", toml=f"[app]\nqueue_max = {IDLE}\n"
                                     'queue_timeout = "100s"\ntimeout = "100s"\n'
                                     f"[front]\nconnections_max = {IDLE + SPARE}\n"
                                     f"connections_per_address_max = {IDLE + SPARE}\n"
                                     'idle_timeout = "120s"\n')
    request = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
    sockets = open_many(running, IDLE, request)
    for one in sockets:
        assert one.recv(1 << 16).startswith(b"HTTP/1.1 200")
    assert running.status()["connections"] >= IDLE
    assert slowest_of(running, 200) < 1
    for one in sockets[::100]:
        one.sendall(request)
        assert one.recv(1 << 16).startswith(b"HTTP/1.1 200"), "an idle one still works"
    close_all(sockets)
    until(lambda: running.status()["connections"] < 10, "they are gone")


def test_five_thousand_half_sent_heads_and_as_many_bodies(serve):
    running = serve("seen:app", workers=2, threads=2,
                    toml=f"[front]\nconnections_max = {2 * HALF_SENT + SPARE}\n"
                         f"connections_per_address_max = {2 * HALF_SENT + SPARE}\n"
                         'head_timeout = "120s"\nbody_timeout = "120s"\nbody_rate_min = "0 B"\n')
    heads = open_many(running, HALF_SENT, b"GET / HTTP/1.1\r\nHost: te")
    bodies = open_many(running, HALF_SENT,
                       b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\nhalf")
    assert slowest_of(running, 500) < 1
    assert running.status()["workers"]["busy"] == 0
    for one in bodies[::100]:
        one.sendall(b"x" * 96)
        assert one.recv(1 << 16).startswith(b"HTTP/1.1 200"), "the rest of it is still awaited"
    close_all(heads + bodies)


def test_many_clients_share_one_fair_queue(serve, hold):
    """Sixty-four wait for one thread: who came first is served first."""
    running = serve("busy:app", workers=1, threads=1, environment={"HOLD": str(hold)})
    connections = [running.connect().request("GET", "/hold/first")]
    until(lambda: running.metric("onebox_worker_threads_busy") == 1, "one runs")
    for count in range(1, 65):
        connections.append(running.connect().request("GET", f"/{count}"))
        until(lambda: running.metric("onebox_queue_length") == count, f"{count} wait")
    (hold / "first.go").touch()
    assert [connection.response().status for connection in connections] == [200] * 65
    assert running.get("/begun").body.decode().split() \
        == ["/hold/first", *(f"/{count}" for count in range(1, 65))]
    for connection in connections:
        connection.close()
