"""Debian's redis-server, on a unix socket of the test's own, and stopped, killed and filled by it."""
import signal
import subprocess

import redis

from wire import until


class RedisServer:
    """Entered when it answers, gone when it is left. It keeps nothing on disk."""

    def __init__(self, folder):
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self.folder = folder
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        if self.process:
            self.go_on()
            self.kill()

    def start(self):
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.socket, "--dir", self.folder,
             "--save", "", "--appendonly", "no", "--logfile", self.folder / "redis.log"])
        until(self.answers, "Redis answers")

    def answers(self):
        try:
            return self.client().ping()
        except redis.exceptions.ConnectionError:
            return False

    def client(self):
        return redis.Redis(unix_socket_path=str(self.socket), socket_timeout=10)

    def stop(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def fill(self):
        """It takes nothing new any more."""
        self.client().config_set("maxmemory", "1")

    def make_room(self):
        self.client().config_set("maxmemory", "0")
