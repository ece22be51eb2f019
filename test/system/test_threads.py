"""Do the threads of front and workers share rightly what they share? Clients do at once all that
requests may do; what no answer shows, the thread sanitizer does: ./do system tsan -m threads."""
import itertools
import os
import signal
import threading

import pytest

from onebox import APPS
from wire import Closed, Connection, until

pytestmark = pytest.mark.threads

CLIENTS, ROUNDS = 12, 6
SOURCE = (APPS / "answers.py").read_bytes()


def ask(address, path, *fields, body=b""):
    with Connection(address) as connection:
        return connection.request("POST" if body else "GET", path, *fields, body=body).response()


def parts(address):
    with Connection(address) as connection:
        for kind in ("list", "generator", "closing", "tuple"):
            assert connection.get(f"/iterable/{kind}").body == b"one two three"


def pipelined(address):
    with Connection(address) as connection:
        for _ in range(20):
            connection.request("GET", "/iterable/list")
        for _ in range(20):
            assert connection.response().body == b"one two three"


def large(address):
    assert len(ask(address, "/large/3000000").body) == 3_000_000


def compressed(address):
    assert ask(address, "/compressible/50000", "Accept-Encoding: gzip")["Content-Encoding"] == "gzip"


def files(address):
    assert ask(address, "/file/real").body == SOURCE


def bodies(address):
    for size in (20_000, 300_000):  # in the channel, and in a file
        assert len(ask(address, "/body/read", body=b"x" * size).body) > size


def logs(address):
    assert ask(address, "/log").body == b"logged"
    assert ask(address, "/raises/ValueError").status == 500


def leaves(address):
    """The client goes in the middle of an endless answer."""
    with Connection(address) as connection:
        connection.request("GET", "/endless/left").head()


STEPS = [parts, pipelined, large, compressed, files, bodies, logs, leaves]


class Crowd:
    """Clients that take the steps in turn, each from another one on. Entered: they run, for
    their ROUNDS, and longer until `enough` is set."""

    def __init__(self, address, forgiven=(), enough=True):
        self.address, self.forgiven, self.failures = address, forgiven, []
        self.enough = threading.Event()
        if enough:
            self.enough.set()
        self.threads = [threading.Thread(target=self.run, args=(number,))
                        for number in range(CLIENTS)]

    def run(self, number):
        for turn in itertools.count():
            if turn >= ROUNDS * len(STEPS) and self.enough.is_set():
                return
            try:
                STEPS[(number + turn) % len(STEPS)](self.address)
            except self.forgiven:
                pass
            except Exception as error:  # told by the test's thread
                self.failures.append(error)
                return

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.enough.set()
        for thread in self.threads:
            thread.join()
        if self.failures:
            raise self.failures[0]

    def runs(self):
        return any(thread.is_alive() for thread in self.threads)


def start(serve, reactors):
    return serve("answers:app", workers=2, threads=5, toml=f"""
[front]
reactors = {reactors}
body_memory_max = "64K"
""")


@pytest.mark.parametrize("reactors", [1, 3])
def test_everything_at_once(serve, reactors):
    running = start(serve, reactors)
    with Crowd(running.address) as crowd:
        while crowd.runs():
            assert running.metrics() and len(running.pids("app worker")) == 2
    until(lambda: running.status()["workers"]["busy"] == 0, "no thread is held")


def test_everything_while_workers_die(serve):
    running = start(serve, reactors=2)
    cut = (Closed, ConnectionResetError, AssertionError)  # a worker died with it
    with Crowd(running.address, cut, enough=False):
        for _ in range(3):
            victim = running.pids("app worker")[0]
            os.kill(victim, signal.SIGKILL)
            until(lambda: len(set(running.pids("app worker")) - {victim}) == 2,
                  "there are two again")
    until(lambda: running.status()["workers"]["busy"] == 0, "no thread is held")
    for step in STEPS:
        step(running.address)


def test_everything_while_it_ends(serve):
    running = start(serve, reactors=2)
    with Crowd(running.address, (Closed, OSError, AssertionError), enough=False):
        until(lambda: running.metric("onebox_requests_total") > 100, "they are at it")
        running.stop()
