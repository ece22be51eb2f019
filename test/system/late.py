"""Requests to deadlines.py that take too long: how they begin and end, for those who ask."""
import re
import socket
import struct
import time

from wire import until


def begun(hold, name):
    """The pid of the worker that has begun it, when it has."""
    path = hold / f"{name}.begun"
    return int(until(lambda: path.exists() and path.read_text(), f"{name} begins"))


def ended(hold, name):
    """How it has ended, when it has."""
    path = hold / f"{name}.ended"
    return until(lambda: path.exists() and path.read_text(), f"{name} ends")


def asked(running, path):
    """A request on a connection of its own, and the time before it was sent."""
    connection, now = running.connect(), time.monotonic()
    return connection.request("GET", path), now


def is_504_in_time(connection, sent, timeout=1.0):
    answer = connection.response()
    took = time.monotonic() - sent
    assert answer.status == 504 and timeout <= took < timeout + 0.5, (answer, took)
    return answer["X-Request-ID"]


def stack_of(running, request_id):
    """The lines of the log that the id stands before."""
    return [line for line in running.lines if re.search(rf"worker.*: {request_id} ", line)]


def stack_with(running, request_id, *words):
    """What stack_of() says, when it has each of the words, as often as they stand there: the log may
    come after the client's answer."""
    def whole():
        text = "\n".join(stack_of(running, request_id))
        return text if all(text.count(word) >= words.count(word) for word in words) else None
    return until(whole, f"the stack has {words}")


def reset(connection):
    """Leaves so that the server must notice, whatever it does."""
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def serves_again(running, gone):
    """A worker that is not `gone` serves, and it alone."""
    until(lambda: gone not in running.pids("app worker"), "the stuck worker is gone")
    until(lambda: running.get("/hello").status == 200, "another serves")
    for _ in range(20):
        assert int(running.get("/hello").body) != gone
