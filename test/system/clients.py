"""What the tests know of the app versions.py: its answers, and clients that never stop asking."""
import subprocess
import threading

from onebox import BINARY
from wire import Closed


def version_of(answer):
    assert answer.status == 200, answer
    return answer.body.decode().split()[0]


def pid_of(answer):
    assert answer.status == 200, answer
    return int(answer.body.decode().split()[1])


def reload(running):
    """`onebox reload` to its end."""
    return subprocess.run([BINARY, "reload", "--state", running.state], capture_output=True,
                          text=True, timeout=60)


class Client(threading.Thread):
    """Asks on one connection that stays open as long as the server keeps it, and opens the next."""

    def __init__(self, running, method="GET", path="/"):
        super().__init__(daemon=True)
        self.running, self.method, self.path = running, method, path
        self.ending = threading.Event()
        self.answers, self.failures = 0, []
        self.start()

    def run(self):
        connection = None
        while not self.ending.is_set():
            try:
                connection = connection or self.running.connect()
                body = b"x" if self.method == "POST" else b""
                answer = connection.request(self.method, self.path, body=body).response(self.method)
                self.answers += 1
                if answer.status != 200:
                    self.failures.append(answer.status)
                if answer["Connection"] == "close":
                    connection.close()
                    connection = None
            except (OSError, Closed) as error:
                self.failures.append(repr(error))
                connection = None

    def end(self):
        self.ending.set()
        self.join(30)
        return self.failures
