"""Requests to deadlines.py that take too long: how they begin and end, for those who ask."""
import re
import socket
import struct
import threading
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


def nothing_is_hit(running, hold, ends, follows, body):
    """200 requests end as their deadline passes, and after each some follow that have all their time:
    what was meant for one never arrives in the next, whose answer is that body."""
    pids, statuses, errors = set(running.pids("app worker")), [], []

    def ask(first):
        try:
            with running.connect() as connection:
                for number in range(first, first + 50):
                    statuses.append(connection.get(f"/{ends}/{number}").status)
                    for _ in range(5):
                        answer = connection.get(f"/{follows}/x")
                        assert answer.status in (503, 504) or answer.body == body, answer
        except BaseException as error:
            errors.append(error)
    threads = [threading.Thread(target=ask, args=(50 * number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors[0]
    assert {200, 504} <= set(statuses) <= {200, 503, 504}, "some before and some after"
    assert set(running.pids("app worker")) == pids
    assert not list(hold.glob("hit*"))
    assert "failed" not in running.output()
