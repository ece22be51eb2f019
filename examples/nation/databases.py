"""Debian's MariaDB and Redis, each with its data in a folder, on loopback, for as long as asked.

    with MariaDb(folder) as database, Redis(folder) as cache:
        environment.update(database.environment, **cache.environment)

A server ends with the process that started it, however that ends.
"""
import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

START_SECONDS = 60
STOP_SECONDS = 20
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


def free_port():
    """Below those that the kernel gives to who asks for any: nobody takes it before the server does."""
    while True:
        port = random.randrange(15000, 32000)
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue


def end_with_parent():
    """In the child, before it becomes the server: no Ctrl-C of its own, but an end with us."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Server:
    """A server process: entered when it answers, left when it has ended."""

    name = "server"

    def __init__(self, folder):
        self.folder = Path(folder).resolve() / self.name
        self.port = free_port()
        self.process = None

    def __enter__(self):
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.install()
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=end_with_parent)
        try:
            self.wait_until_it_answers()
            self.prepare()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def wait_until_it_answers(self):
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                last_words = (self.folder / "server.log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{self.name} did not start:\n{last_words}")
            time.sleep(0.05)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def install(self):
        """Makes what the server needs before its first start."""

    def prepare(self):
        """Makes what the game needs, when the server answers."""


class MariaDb(Server):
    name = "mariadb"

    def __init__(self, folder):
        super().__init__(folder)
        self.options = [f"--datadir={self.folder}/data", *as_root("--user=root")]

    @property
    def environment(self):
        """The game's database, from which Onebox takes its tasks, too."""
        url = f"mysql+pymysql://nation:nation@127.0.0.1:{self.port}/nation?charset=utf8mb4"
        return {"NATION_DB_URL": url, "ONEBOX_TASKS_OUTBOX": url}

    def install(self):
        data = self.folder / "data"
        if (data / "complete").exists():
            return
        shutil.rmtree(data, ignore_errors=True)
        subprocess.run(
            ["mariadb-install-db", "--no-defaults", *self.options, "--skip-test-db",
             "--auth-root-authentication-method=normal"],
            check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        (data / "complete").touch()

    def command(self):
        # The socket's name is relative to the data folder: a whole path has 107 bytes at most.
        return [find("mariadbd"), "--no-defaults", *self.options, f"--port={self.port}",
                "--bind-address=127.0.0.1", "--socket=mariadb.sock",
                f"--pid-file={self.folder}/pid", "--skip-name-resolve", "--skip-log-bin",
                "--max-connections=500", "--innodb-buffer-pool-size=256M",
                "--innodb-flush-log-at-trx-commit=2"]

    def client(self, name, *arguments):
        return [name, "--no-defaults", "--protocol=tcp", "--host=127.0.0.1",
                f"--port={self.port}", "--user=root", *arguments]

    def answers(self):
        return succeeds(self.client("mariadb-admin", "ping"))

    def prepare(self):
        subprocess.run(self.client("mariadb", "-e", """
            CREATE DATABASE IF NOT EXISTS nation CHARACTER SET utf8mb4;
            CREATE USER IF NOT EXISTS nation@127.0.0.1 IDENTIFIED BY 'nation';
            GRANT ALL ON nation.* TO nation@127.0.0.1;"""), check=True)


class Redis(Server):
    name = "redis"

    @property
    def environment(self):
        return {"NATION_REDIS_URL": f"redis://127.0.0.1:{self.port}/0"}

    def command(self):
        return [find("redis-server"), "--bind", "127.0.0.1", "--port", str(self.port),
                "--dir", str(self.folder), "--save", "", "--appendonly", "no",
                "--maxmemory", "256mb", "--maxmemory-policy", "volatile-lru"]

    def answers(self):
        return succeeds(["redis-cli", "-p", str(self.port), "ping"])


def as_root(option):
    """MariaDB runs as root only when told so."""
    return [option] if os.getuid() == 0 else []


def find(program):
    """A server's program, which an ordinary user's PATH need not have."""
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin") or program


def succeeds(command):
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, check=False).returncode == 0
