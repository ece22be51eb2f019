"""The clients: wrk, our own, and connections that stay idle; and what was seen while they ran."""
import json
import re
import shlex
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, ClassVar, Mapping, Optional, Sequence, Union

from harness.processes import Process, alive
from harness.servers import Running

WARM_SECONDS = 0.5
GRACE_SECONDS = 45  # above wrk's own timeout, which it waits out at its end
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
SIZES = {"B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}

# What a browser sends; wrk itself adds only Host.
BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-US,en;q=0.5",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Cookie": "session=8c1f0e6a5c2b4d7f9e3a1b5c7d9e0f2a",
}


class LoadFailed(Exception):
    """The load generator said nothing that can be counted, or a server answered wrongly."""


@dataclass(frozen=True)
class Counted:
    """What wrk reports."""
    requests: int
    seconds: float
    bytes_read: float
    p50: float
    p99: float
    timeouts: int
    errors: int  # connect, read and write errors
    refused: int  # answers that are neither 2xx nor 3xx


@dataclass(frozen=True)
class Sample:
    """One run of one server: what the client counted and what the server used meanwhile."""
    counted: Counted
    cpu: Mapping[str, float]  # seconds by part
    pss: Mapping[str, float]  # MiB by part, at the end of the load
    rss: Mapping[str, float]

    def cpu_per_request(self, parts: Optional[Sequence[str]] = None) -> float:
        used = sum(seconds for part, seconds in self.cpu.items() if parts is None or part in parts)
        return used / max(1, self.counted.requests)

    def cpu_per_byte(self) -> float:
        return sum(self.cpu.values()) / max(1.0, self.counted.bytes_read)


def seconds_of(text: str) -> float:
    found = re.fullmatch(r"([\d.]+)(us|ms|s|m|h)", text)
    if not found:
        raise LoadFailed(f"wrk: {text!r} is no time")
    return float(found[1]) * UNITS[found[2]]


def parse_wrk(text: str) -> Counted:
    """wrk's report, which has a space behind times in whole seconds."""
    total = re.search(r"(\d+) requests in ([\d.]+\w+), ([\d.]+)([KMGT]?B) read", text)
    if not total:
        raise LoadFailed(f"wrk reported nothing:\n{text[-1000:]}")
    percentiles = dict(re.findall(r"^\s+(50|99)%\s+(\S+) *$", text, re.M))
    if int(total[1]) > 0 and len(percentiles) < 2:
        raise LoadFailed(f"wrk reported no percentiles:\n{text[-1000:]}")
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    failed = [int(number) for number in errors.groups()] if errors else [0, 0, 0, 0]
    return Counted(
        requests=int(total[1]), seconds=seconds_of(total[2]),
        bytes_read=float(total[3]) * SIZES[total[4]],
        p50=seconds_of(percentiles.get("50", "0s")), p99=seconds_of(percentiles.get("99", "0s")),
        timeouts=failed[3], errors=sum(failed[:3]), refused=int(refused[1]) if refused else 0)


@dataclass(frozen=True)
class Wrk:
    """A load: how many connections, and what they ask for."""
    connections: int
    threads: int = 1
    path: str = "/"
    fields: Mapping[str, str] = field(default_factory=dict)
    script: Optional[Path] = None
    arguments: Sequence[str] = ()

    def command(self, url: str, seconds: float) -> list[str]:
        words = ["wrk", "--threads", str(self.threads), "--connections", str(self.connections),
                 "--duration", f"{max(1, round(seconds))}s", "--timeout", "30s", "--latency"]
        for name, value in self.fields.items():
            words += ["--header", f"{name}: {value}"]
        if self.script:
            words += ["--script", str(self.script)]
        words.append(url + self.path)
        return [*words, "--", *self.arguments] if self.arguments else words

    def shown(self, url: str, seconds: float) -> str:
        return shlex.join(self.command(url, seconds))

    def run(self, url: str, seconds: float, log: Path, cpus: Optional[set[int]]) -> Counted:
        return parse_wrk(said_by(self.command(url, seconds), seconds, log, cpus))


def parse_h2load(text: str) -> Counted:
    """h2load tells a mean and no percentiles: the mean stands for the middle, and its longest for p99."""
    total = re.search(r"^finished in ([\d.]+\w+), .*\nrequests: (\d+) total, .* (\d+) succeeded, "
                      r"(\d+) failed, (\d+) errored, (\d+) timeout", text, re.M)
    read = re.search(r"^traffic: .*?\((\d+)\) total", text, re.M)
    took = re.search(r"^time for request:\s+\S+\s+(\S+)\s+(\S+)", text, re.M)
    if not total or not read or not took:
        raise LoadFailed(f"h2load reported nothing:\n{text[-1000:]}")
    return Counted(requests=int(total[3]), seconds=seconds_of(total[1]), bytes_read=float(read[1]),
                   p50=seconds_of(took[2]), p99=seconds_of(took[1]), timeouts=int(total[6]),
                   errors=int(total[5]), refused=int(total[4]) - int(total[5]))


@dataclass(frozen=True)
class H2load:
    """A load over HTTP/2: by prior knowledge on http://, by ALPN on https://."""
    connections: int
    streams: int  # at once on each of them
    path: str

    def command(self, url: str, seconds: float) -> list[str]:
        return ["h2load", f"--clients={self.connections}", f"--max-concurrent-streams={self.streams}",
                "--threads=1", f"--duration={max(1, round(seconds))}", url + self.path]

    def shown(self, url: str, seconds: float) -> str:
        return shlex.join(self.command(url, seconds))

    def run(self, url: str, seconds: float, log: Path, cpus: Optional[set[int]]) -> Counted:
        counted = parse_h2load(said_by(self.command(url, seconds), seconds, log, cpus))
        if counted.requests == 0:
            raise LoadFailed("h2load had no answer: is it HTTP/2 that the server speaks?")
        return counted


@dataclass(frozen=True)
class _Client:
    """A program of ours that asks on so many connections, and reports as JSON."""
    connections: int
    path: str
    program: ClassVar[str]

    def command(self, url: str, seconds: float) -> list[str]:
        return [str(Path(__file__).with_name(self.program)), url + self.path, str(self.connections),
                f"{seconds:g}"]

    def shown(self, url: str, seconds: float) -> str:
        return shlex.join(self.command(url, seconds))

    def run(self, url: str, seconds: float, log: Path, cpus: Optional[set[int]]) -> Counted:
        text = said_by(self.command(url, seconds), seconds, log, cpus)
        try:
            return self.counted(json.loads(text))
        except ValueError:
            raise LoadFailed(text) from None

    def counted(self, found: Mapping[str, Any]) -> Counted:
        raise NotImplementedError


class Reader(_Client):
    """For answers that are large."""
    program = "reader.py"

    def counted(self, found: Mapping[str, Any]) -> Counted:
        return Counted(found["requests"], found["seconds"], found["bytes"], found["p50"],
                       found["p99"], timeouts=0, errors=found["errors"], refused=0)


@dataclass(frozen=True)
class Handshakes(_Client):
    """TLS connections for one request each, one after the other; errors are those that should have been
    resumed and were not, or the reverse."""
    resume: bool = False
    program = "handshakes.py"

    def command(self, url: str, seconds: float) -> list[str]:
        return [str(Path(__file__).with_name(self.program)), url + self.path, f"{seconds:g}",
                *["--resume"] * self.resume]

    def counted(self, found: Mapping[str, Any]) -> Counted:
        return Counted(found["requests"], found["seconds"], found["bytes"], found["p50"],
                       found["p99"], timeouts=0, errors=found["errors"], refused=0)


class Burst(_Client):
    """All connections ask at once. Its p50 and p99 are those of whole bursts: the median and the longest."""
    program = "burst.py"

    def counted(self, found: Mapping[str, Any]) -> Counted:
        return Counted(found["requests"], found["seconds"], 0, found["median"], found["longest"],
                       timeouts=0, errors=0, refused=0)


Load = Union[Wrk, H2load, Reader, Handshakes, Burst]


@dataclass(frozen=True)
class Paced:
    """What pacer.py reports: by method how often there was which outcome, a status or a failure."""
    outcomes: Mapping[str, Mapping[str, int]]
    unsent: int
    seconds: float
    p50: float
    p99: float
    longest: float
    each: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)

    def lost(self, method: str) -> int:
        """Requests without an answer, or with one that says that there is none."""
        return sum(count for outcome, count in self.outcomes[method].items()
                   if not "200" <= outcome < "500")

    def all_lost(self) -> int:
        return sum(map(self.lost, self.outcomes)) + self.unsent

    def told(self, method: str) -> str:
        return ", ".join(f"{count:,} {outcome}" for outcome, count
                         in sorted(self.outcomes[method].items()))


@dataclass(frozen=True)
class Pace:
    """pacer.py: so many requests at a steady rate; methods and paths in turn."""
    rate: float
    count: int
    asks: Sequence[str] = ("GET:/",)
    connections: int = 64
    timeout: float = 10
    each: bool = False  # what each request took is told too, by the second in which it was due

    def command(self, url: str) -> list[str]:
        return [str(Path(__file__).with_name("pacer.py")), *["--each"] * self.each, url, f"{self.rate:g}", str(self.count),
                str(self.connections), f"{self.timeout:g}", *self.asks]

    def shown(self, url: str) -> str:
        return shlex.join(self.command(url))

    def run(self, url: str, log: Path,
            meanwhile: Callable[[Process], None] = lambda _: None) -> Paced:
        """With what is to happen while it runs, which is given the client's process."""
        seconds = 2 * self.count / self.rate + self.timeout
        text = said_by(self.command(url), seconds, log, None, meanwhile)
        try:
            return Paced(**json.loads(text))
        except (ValueError, TypeError):
            raise LoadFailed(text) from None


def said_by(command: Sequence[str], seconds: float, log: Path, cpus: Optional[set[int]],
            meanwhile: Callable[[Process], None] = lambda _: None) -> str:
    """What a client said that has come to its end, which it must in time."""
    with Process(command, log, cpus) as client:
        meanwhile(client)
        deadline = time.monotonic() + seconds + GRACE_SECONDS
        while alive(client.pid):
            if time.monotonic() > deadline:
                raise LoadFailed(f"{command[0]} did not end in time")
            time.sleep(0.01)
        return client.said()


def measure(server: Running, load: Load, seconds: float, log: Path,
            cpus: Optional[set[int]], warm: float = WARM_SECONDS) -> Sample:
    """Warms up, then counts what the client does and what the server uses for it."""
    if warm:
        load.run(server.url, warm, log, cpus)
    before = server.cpu()
    counted = load.run(server.url, seconds, log, cpus)
    used = server.cpu().since(before)
    memory = server.memory()
    return Sample(counted, used, memory.pss, memory.rss)


# --- idle connections

def request(path: str) -> bytes:
    head = "".join(f"{name}: {value}\r\n" for name, value in BROWSER.items())
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}\r\n".encode()


class Idle:
    """Keep-alive connections that have had one answer each."""

    def __init__(self, url: str, path: str) -> None:
        host, _, port = url.removeprefix("http://").rpartition(":")
        self.address = (host, int(port))
        self.request = request(path)
        self.sockets: list[socket.socket] = []

    def open(self, count: int) -> None:
        for _ in range(count):
            # From several addresses: one has too few ports for what is open and what has been.
            source = f"127.0.0.{1 + len(self.sockets) % 8}"
            one = socket.create_connection(self.address, timeout=30, source_address=(source, 0))
            self.sockets.append(one)
            one.sendall(self.request)
            answer = b""
            while b"\r\n\r\n" not in answer:
                piece = one.recv(1 << 16)
                if not piece:
                    raise LoadFailed("a connection was closed instead of answered")
                answer += piece
            head, _, body = answer.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            if not head.startswith(b"HTTP/1.1 200") or not length:
                raise LoadFailed(f"not 200 with a length: {head[:200]!r}")
            left = int(length[1]) - len(body)
            while left > 0:
                piece = one.recv(min(left, 1 << 16))
                if not piece:
                    raise LoadFailed("an answer ended before its length")
                left -= len(piece)

    def close(self) -> None:
        for one in self.sockets:
            one.close()
        self.sockets = []

    def all_alive(self) -> bool:
        """None was closed by the server, nor sent anything more."""
        for one in self.sockets:
            one.setblocking(False)
            try:
                one.recv(1)
                return False
            except BlockingIOError:
                pass
        return True


def settled_pss(server: Running, part: str) -> float:
    """Bytes of PSS of one part of a server, once two looks agree."""
    last = -1.0
    for _ in range(20):
        now = server.memory().pss.get(part, 0.0)
        if now == last:
            break
        last = now
        time.sleep(0.1)
    return now * 2**20


def version(*command: str) -> str:
    """The first line that a program says of its version."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except OSError:
        return "not found"
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0] if lines else "silent"
