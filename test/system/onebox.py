"""The real program, started on an app of test/apps, watched, and ended without a trace."""
import itertools
import json
import os
import re
import signal
import subprocess
import threading
import time
import uuid
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

import certificates
from wire import Connection, until

ROOT = Path(__file__).resolve().parents[2]
APPS = ROOT / "test/apps"
BINARY = (ROOT / os.environ.get("ONEBOX", "build/release/bin/onebox")).resolve()
PYTHON = "/usr/bin/python3"
START_SECONDS = 60
SAME_SIGNAL_SECONDS = 0.4  # a signal to end that comes within 0.3 s of another counts as the same
STOP_SECONDS = 30
BUGS = re.compile(r"ERROR: \w+Sanitizer|runtime error:|WARNING: ThreadSanitizer|CHECK failed|"
                  r"LeakSanitizer")



def worker_sanitizers():
    """What lets a Python without sanitizers load an extension that was built with them."""
    extension = BINARY.parent.parent / "python/onebox/_onebox.abi3.so"
    code = extension.read_bytes()
    if b"__tsan_init" in code:
        return {"ONEBOX_APP_ENV":
                f"LD_PRELOAD={preloaded('g++', 'libtsan')},TSAN_OPTIONS=handle_segv=0"}
    if b"__asan_init" in code:
        return {"ONEBOX_APP_ENV": ",".join([
            "LD_PRELOAD=" + preloaded("clang++", "libclang_rt.asan-x86_64"), "PYTHONMALLOC=malloc",
            "ASAN_OPTIONS=detect_leaks=0:handle_segv=0:detect_stack_use_after_return=1"])}
    return {}


def preloaded(compiler, sanitizer):
    """The libraries of the compiler that each preset names."""
    return ":".join(subprocess.run([compiler, f"-print-file-name={name}.so"], capture_output=True,
                                   text=True, check=True).stdout.strip()
                    for name in (sanitizer, "libstdc++"))


os.environ.update(worker_sanitizers())
running = []  # the servers whose output a failing test wants to see


class StartFailed(Exception):
    """The program ended before it was ready; the text is all that it said."""


class Onebox:
    """`onebox run` as a process. Entered when it is ready, left when nothing of it is left.

    toml: text of an onebox.toml; arguments: more of the command line; environment: over ours;
    python=None leaves the choice to Onebox.
    """

    def __init__(self, folder, target=None, *, toml="", arguments=(), environment=None, workers=1,
                 threads=4, python=PYTHON, chdir=APPS, listen=("127.0.0.1:0",), access_log=None,
                 program=BINARY, worker_class=None, tls=None):
        self.folder = Path(folder)
        self.state = self.folder / "state"
        self.access_log = Path(access_log or self.folder / "access.log")
        self.mark = f"ONEBOX_TEST={uuid.uuid4()}"
        self.environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1",
                            **dict([self.mark.split("=")]), **(environment or {})}
        self.command = [program, "run", *([target] if target else [])]
        if toml:
            config = self.folder / "onebox.toml"
            config.write_text(toml)
            self.command += ["--config", config]
        for address in listen:
            self.command += ["--listen", address]
        self.command += ["--admin", "127.0.0.1:0", "--state", self.state,
                         "--access-log", self.access_log]
        for flag, value in (("--workers", workers), ("--threads", threads), ("--python", python),
                            ("--chdir", chdir), ("--worker-class", worker_class)):
            if value is not None:
                self.command += [flag, str(value)]
        self.command += arguments
        self.tls = tls  # what connect() trusts and shows: an ssl.SSLContext
        self.popen_options = {}
        self.process = None
        self.lines = []
        self.news = threading.Condition()

    # --- starting and ending

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.kill()
        else:
            self.stop()

    def start(self):
        self.process = subprocess.Popen(
            [*map(str, self.command)], env=self.environment, cwd=self.folder,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True, **self.popen_options)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        running.append(self)
        try:
            self.wait_for_line(r"^  ready in", START_SECONDS)
        except BaseException:
            self.kill()
            raise
        first = next(line for line in self.lines if line.startswith("onebox "))
        self.urls = re.findall(r"(?<!admin )(https?://[^/\s]+|unix:\S+)", first)
        admin = re.search(r"admin http://(\S+):(\d+)", first)
        self.admin = admin and (admin[1], int(admin[2]))
        self.url = self.urls[0]

    def stop(self, sign=signal.SIGTERM):
        """Ends it as an operator does, and holds it to leaving nothing."""
        if self.process is None or self not in running:
            return  # ended by the test itself
        if self.process.poll() is None:
            self.process.send_signal(sign)
        self.wait_for_end()
        self.forget()
        assert self.process.returncode == 0, f"exit {self.process.returncode}\n{self.output()}"

    def wait_for_end(self):
        """The program ends by itself: in bounded time, with no process or socket left."""
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            left = self.describe(self.processes())
            self.kill()
            raise AssertionError(f"did not end within {STOP_SECONDS} s; there were {left}"
                                 f"\n{self.output()}")
        until(lambda: not self.processes(), "every process ends", 10)
        self.reader.join(10)
        left = [str(path) for path in self.state.rglob("*") if path.is_socket()]
        assert not left, f"sockets left: {left}"
        bugs = [line for line in self.lines if BUGS.search(line)]
        assert not bugs, f"{bugs[0]}\n{self.output()}"

    def kill(self):
        """Ends everything at once, for tests that have failed, or that have ended it themselves."""
        for pid in [self.process.pid, *self.processes()]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        self.forget()

    def forget(self):
        if self in running:
            running.remove(self)

    # --- what it says

    def _read(self):
        for line in self.process.stdout:
            with self.news:
                self.lines.append(line.decode(errors="replace").rstrip("\n"))
                self.news.notify_all()
        with self.news:
            self.news.notify_all()

    def wait_for_line(self, pattern, seconds=20):
        """The first line that matches, now or later."""
        deadline = time.monotonic() + seconds
        with self.news:
            while True:
                for line in self.lines:
                    if re.search(pattern, line):
                        return line
                ended = not self.reader.is_alive()
                if ended or time.monotonic() > deadline:
                    why = "it ended" if ended else f"{seconds} s passed"
                    raise StartFailed(f"no line like {pattern!r}: {why}\n{self.output()}")
                self.news.wait(0.1)

    def output(self):
        return "\n".join(self.lines)

    # --- what it is made of

    def processes(self):
        """The pids of every process that was started from ours, wherever it has gone since."""
        return marked(self.mark)

    @staticmethod
    def describe(pids):
        return {pid: Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")[:200]
                for pid in pids if Path(f"/proc/{pid}").exists()}

    def pids(self, role):
        """The pids of those of a role that run: "front", "app worker"."""
        return [process["pid"] for process in self.status()["processes"]
                if process["role"] == role and process["pid"]]

    def status(self):
        return json.loads(self.tell("status", "--json").stdout)

    def tell(self, *arguments):
        """Runs another onebox command on this one's state folder."""
        return subprocess.run([BINARY, arguments[0], "--state", self.state, *arguments[1:]],
                              capture_output=True, text=True, timeout=30, check=True)

    def metrics(self):
        """The samples of /metrics: {name{labels}: value}."""
        with Connection(self.admin) as connection:
            answer = connection.get("/metrics")
        assert answer.status == 200
        samples = (line.rpartition(" ") for line in answer.body.decode().splitlines()
                   if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in samples}

    def metric(self, name):
        """A metric's sum over its labels."""
        return sum(value for key, value in self.metrics().items()
                   if key.split("{")[0] == name)

    # --- speaking to it

    @property
    def address(self):
        return self.address_of(self.url)

    @staticmethod
    def address_of(url):
        host, _, port = url.split("://")[-1].rpartition(":")
        return host.strip("[]"), int(port)

    def connect(self, **options):
        """To its first address."""
        if self.url.startswith("https://"):
            options.setdefault("tls", self.tls)
        return Connection(self.address, **options)

    def get(self, path, *fields):
        return self.ask("GET", path, *fields)

    def ask(self, method, path, *fields, body=b""):
        """One request on a connection of its own."""
        with self.connect() as connection:
            return connection.request(method, path, *fields, body=body).response(method)


def marked(mark):
    """The pids of the processes that live and have NAME=VALUE in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                ours = mark.encode() in (entry / "environ").read_bytes().split(b"\0")
                dead = (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
            except OSError:
                continue
            if ours and not dead:
                found.append(int(entry.name))
    return sorted(found)


def onebox(*arguments, cwd=None, environment=None, seconds=60):
    """Runs the program to its end, e.g. onebox("run", "--check-config")."""
    return subprocess.run([BINARY, *map(str, arguments)], cwd=cwd, capture_output=True, text=True,
                          timeout=seconds, stdin=subprocess.DEVNULL,
                          env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **(environment or {})})


def shared(*target, worker_classes=(None,), schemes=("http",), **options):
    """A fixture for one server that all tests of a file use; one after the other of each class, and by
    each of the schemes."""
    def kind(worker_class, scheme):
        name, marks = worker_class, ()
        if isinstance(worker_class, ParameterSet):
            [name], marks = worker_class.values, worker_class.marks
        return pytest.param((name, scheme), marks=marks, id="-".join(filter(None, (name, scheme))))

    @pytest.fixture(scope="module", params=[kind(*one) for one in itertools.product(worker_classes, schemes)])
    def server(request, tmp_path_factory):
        worker_class, scheme = request.param
        more = options
        if scheme == "https":
            own = certificates.issue(tmp_path_factory.mktemp("certificate"))
            more = {**options, "listen": ("https://127.0.0.1:0",), "tls": own.trusting(),
                    "arguments": (*options.get("arguments", ()), *own.arguments)}
        with Onebox(tmp_path_factory.mktemp("onebox"), *target, worker_class=worker_class,
                    **more) as running:
            yield running
    return server
