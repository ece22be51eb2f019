"""Requests that take too long, in every way there is. A file NAME.begun in the folder HOLD tells the
test what has begun, NAME.ended what has ended and how; NAME.go lets go what waits for it."""
import ctypes
import functools
import os
import threading
import time
from pathlib import Path

import onebox

HOLD = Path(os.environ.get("HOLD", "."))
TEXT = [("Content-Type", "text/plain")]
NEVER = threading.Lock()
NEVER.acquire()


def begin(name):
    (HOLD / f"{name}.begun").write_text(str(os.getpid()))


def end(name, how):
    part = HOLD / f"{name}.part"
    part.write_text(str(how))
    part.rename(HOLD / f"{name}.ended")  # whole, or not there


def wait_for(path):
    while not path.exists():
        time.sleep(0.005)


def sleeps(name, environ):
    """In pieces, as code that waits for something does."""
    try:
        while True:
            time.sleep(0.01)
    except BaseException as error:
        end(name, f"{type(error).__name__}: {error}")
        raise


def computes(name, environ):
    try:
        while True:
            sum(range(1000))
    except BaseException as error:
        end(name, type(error).__name__)
        raise


def catches(name, environ):
    """What a loop around a failing call does; it must not keep us."""
    try:
        while True:
            try:
                time.sleep(0.01)
            except Exception:
                pass
    finally:
        end(name, "left")


def swallows(name, environ):
    """Takes whatever is raised for its own, and goes on."""
    while not (HOLD / f"{name}.go").exists():
        try:
            time.sleep(0.01)
        except BaseException:
            pass


def answers_late(name, environ):
    """Is told to end, and answers all the same."""
    try:
        sleeps(name, environ)
    except onebox.DeadlineExceeded:
        pass


def locked(name, environ):
    NEVER.acquire()


def reads(name, environ):
    os.read(os.pipe()[0], 1)


def holds_gil(name, environ):
    """For a minute: no other thread of this process runs meanwhile."""
    ctypes.PyDLL(None).sleep(60)


def waits(name, environ):
    wait_for(HOLD / f"{name}.go")


def leaves(name, environ):
    """Until it sees that nobody waits."""
    while not environ["onebox.disconnected"]():
        time.sleep(0.01)
    end(name, "disconnected")


def left(name, environ):
    return f"{onebox.deadline():.3f}"


def streams(name):
    """What is left before the first part, and when the test lets the second one go."""
    yield f"{onebox.deadline():.3f}".encode()
    wait_for(HOLD / f"{name}.go")
    yield str(onebox.deadline()).encode()


def left_elsewhere(name, environ):
    """What a thread of the app's own is told; with gevent a greenlet."""
    told = []
    thread = threading.Thread(target=lambda: told.append(onebox.deadline()))
    thread.start()
    thread.join()
    return str(told[0])


def edge(name, environ):
    """Ends exactly when its deadline passes, a little before or after; sums, so that it can be hit."""
    early = int(name) % 40 / 1000 - 0.02
    while onebox.deadline() > early:
        sum(range(100))


def edge_in_turns(name, environ):
    """The same by a wait, for greenlets: what is thrown arrives there."""
    early = int(name) % 40 / 1000 - 0.02
    while onebox.deadline() > early:
        time.sleep(0.001)


def sums_in_turns(name, environ):
    """A hundred places where a greenlet waits, and what is meant for another could arrive."""
    total = 0
    try:
        for number in range(100):
            total += number
            time.sleep(0)
    except onebox.Cancelled:
        if onebox.deadline() > 0:
            end("hit", "by what was meant for another")
        raise
    return str(total)


def steps(name, environ):
    """A few thousand places where an exception that is meant for another could hit."""
    total = 0
    try:
        for number in range(3000):
            total += number
    except onebox.Cancelled:
        if onebox.deadline() > 0:
            end("hit", "by what was meant for another")
        raise
    return str(total)


class Parts:
    """A body that is closed, and says so."""

    def __init__(self, name):
        self.name = name

    def __iter__(self):
        yield b"begun"
        begin(f"{self.name}.sent")
        while True:
            time.sleep(0.01)

    def close(self):
        for _ in range(1000):  # an exception that arrives late would arrive here
            pass
        end(self.name, "closed")


class EndsLate:
    """A body that holds the hub until what ends it has been raised, then ends, and waits in close()."""

    def __init__(self, name):
        self.name = name

    def __iter__(self):
        late = time.monotonic() + onebox.deadline() + 0.5
        while time.monotonic() < late:
            pass
        yield b"late"

    def close(self):
        try:
            for _ in range(100):
                time.sleep(0)
            end(self.name, "closed")
        except BaseException as error:
            end(self.name, type(error).__name__)
            raise


class PartsInC:
    """A body that is made without a line of Python: what is raised meanwhile cannot arrive. NAME.go
    lets it end. Only with a name that ends in "closed" is there a close()."""

    def __init__(self, name):
        reading, self.writing = os.pipe()
        self.read = functools.partial(os.read, reading, 1)
        if name.endswith("closed"):
            self.close = lambda: end(name, "closed")
        threading.Thread(target=self.let_go, args=(name,), daemon=True).start()

    def let_go(self, name):
        wait_for(HOLD / f"{name}.go")
        os.write(self.writing, b"x")

    def __iter__(self):
        return iter(self.read, b"")


def app(environ, start_response):
    _, path, *name = environ["PATH_INFO"].split("/", 2)
    name = "".join(name)
    if path == "hello":
        start_response("200 OK", TEXT)
        return [str(os.getpid()).encode()]
    begin(name)
    if path == "parts":
        start_response("200 OK", TEXT)
        return Parts(name)
    if path == "streams":
        start_response("200 OK", TEXT)
        return streams(name)
    if path == "ends_late":
        start_response("200 OK", TEXT)
        return EndsLate(name)
    if path == "parts_in_c":
        start_response("200 OK", TEXT)
        return PartsInC(name)
    text = globals()[path](name, environ)
    start_response("200 OK", TEXT)
    return [(text or str(os.getpid())).encode()]
