"""What the tests know of the app answers.py under load: clients that do at once all that requests
may do."""
import itertools
import operator
import threading

from onebox import APPS
from wire import Connection, until

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
QUIET = [step for step in STEPS if step is not logs]  # those that write nothing to the log


class Crowd:
    """Clients that take the steps in turn, each from another one on. Entered: they run, for
    their ROUNDS, and longer until `enough` is set. What they met that is not forgiven is raised
    when it is left."""

    def __init__(self, address, forgiven=(), enough=True, steps=None):
        self.address, self.forgiven, self.failures = address, forgiven, []
        self.steps = steps or STEPS
        self.done = [0] * CLIENTS  # steps of each client that ended well
        self.enough = threading.Event()
        if enough:
            self.enough.set()
        self.threads = [threading.Thread(target=self.run, args=(number,))
                        for number in range(CLIENTS)]

    def run(self, number):
        for turn in itertools.count():
            if turn >= ROUNDS * len(self.steps) and self.enough.is_set():
                return
            try:
                self.steps[(number + turn) % len(self.steps)](self.address)
                self.done[number] += 1
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

    def go_on(self):
        """Waits until each client has done some more steps well."""
        wanted = [done + 3 for done in self.done]
        until(lambda: self.failures or all(map(operator.ge, self.done, wanted)),
              "they go on", 60)


def start(serve, reactors):
    return serve("answers:app", workers=2, threads=5, toml=f"""
[front]
reactors = {reactors}
body_memory_max = "64K"
""")
