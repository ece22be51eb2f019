"""The groups of what a front does: kept pages, TLS, HTTP/2, proxying, compression, and a page that expired."""
import os
import select
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Mapping, Optional, Sequence

from harness.burst import ANSWER_BYTES_MAX, is_whole
from harness.front_servers import (BROTLI_LEVEL, CODED, EXPIRED, GZIP_LEVEL, HTTP2, KEPT, OWN_FILE, PROXIES,
                                   SECURE, SECURE_HTTP2)
from harness.groups import CONNECTIONS, FRONTS, Run, in_turns, progress, say
from harness.load import (BROWSER, H2load, Handshakes, Load, LoadFailed, Sample, Wrk, measure, settled_pss)
from harness.processes import Process
from harness.servers import Running, Server
from harness.table import (CPU, ERRORS, P50, P99, PSS, REQUESTS, Column, Goal, Section, Samples, median,
                           ratio, rows_table, time_text)

STREAMS, CONNECTIONS_OF_STREAMS = 100, 8
FILES = {"1k.bin": 1 << 10, "2k.bin": 2 << 10}
OPEN_SECONDS = 300
MEAN = Column("mean", lambda sample: sample.counted.p50, time_text)
LONGEST = Column("longest", lambda sample: sample.counted.p99, time_text)
PLAIN = {name: value for name, value in BROWSER.items() if name != "Accept-Encoding"}


@dataclass(frozen=True)
class Ask:
    """One load of a group, and what is to be reached: Onebox's CPU as a part of its best peer's."""
    title: str
    load: Load
    goal: float
    columns: Sequence[Column] = (REQUESTS, P50, P99, PSS, ERRORS)
    parts: Optional[Sequence[str]] = None  # of the servers that are compared; None: all


@dataclass
class Asked:
    """What was found: by load, by server."""
    group: str
    servers: Sequence[Server]
    asks: Sequence[Ask]
    section: Section
    samples: dict[str, dict[str, list[Sample]]] = field(default_factory=dict)

    def run(self, run: Run, rounds: int, seconds: float, static: Optional[Path]) -> None:
        for ask in self.asks:
            self.samples[ask.title] = {server.name: [] for server in self.servers
                                       if run.wants(self.group, server.name)}

        def one(name: str, running: Running) -> list[str]:
            said = []
            for ask in self.asks:
                sample = measure(running, ask.load, seconds, run.folder / "client.log", run.client_cpus)
                into = self.samples[ask.title][name]
                into.append(sample)
                progress(f"{self.group}/{name} {ask.title}", len(into), rounds, sample, cpu_of(ask))
                said.append(ask.load.shown(running.url, seconds))
            return said

        in_turns(run, self.group, self.servers, rounds, self.section, static, one)
        notes = {server.name: server.note(run.size) for server in self.servers}
        for ask in self.asks:
            taken = self.samples[ask.title]
            self.section.tables.append(
                f"### {ask.title}\n\n" + rows_table(taken, notes, [cpu_of(ask), *ask.columns]))
            self.section.goals.append(beside_best(taken, ask))


def cpu_of(ask: Ask) -> Column:
    return Column("CPU/request", lambda sample: sample.cpu_per_request(ask.parts), CPU.write)


def beside_best(samples: Samples, ask: Ask) -> Goal:
    take = cpu_of(ask).take
    peers = [name for name in samples if not name.startswith("onebox") and samples[name]]
    best = min(peers, key=lambda name: median([take(sample) for sample in samples[name]]), default="")
    return Goal(f"{ask.title}: CPU, onebox / {best or 'nginx'}", ratio(samples, "onebox", best, take), ask.goal,
                False)


def make_files(run: Run, group: str) -> Path:
    folder = run.folder / f"files-{group}"
    folder.mkdir(mode=0o755)
    for name, size in FILES.items():
        (folder / name).write_bytes(os.urandom(size))
    return folder


def measured(run: Run, group: str, servers: Sequence[Server], asks: Sequence[Ask], title: str,
             text: str) -> Asked:
    rounds, seconds = run.rounds_or(5), run.seconds_or(4)
    asked = Asked(group, servers, asks, Section(title, f"{text} {rounds} rounds of {seconds:g} s."))
    asked.run(run, rounds, seconds, make_files(run, group))
    return asked


# --- a page that is kept

def kept(run: Run) -> Section:
    page = Ask("A page of 2 KiB that is kept", Wrk(CONNECTIONS, path="/page", fields=PLAIN), 0.6)
    asked = measured(
        run, "kept", [server for server in KEPT if server.name != OWN_FILE], [page],
        "The response cache",
        f"2 KiB of `bench/apps/pages.py`, which says that they are good for an hour, {CONNECTIONS} keep-alive "
        "connections with a session's cookie, nothing compressed. The app runs once.")
    # In turn with nothing else: its path is another one.
    file = Ask("A static file of 2 KiB", Wrk(CONNECTIONS, path="/static/2k.bin", fields=PLAIN), 1.0)
    own = Asked("kept", [server for server in KEPT if server.name in ("onebox", OWN_FILE)], [file],
                asked.section)
    own.run(run, run.rounds_or(5), run.seconds_or(4), run.folder / "files-kept")
    asked.section.goals.pop()
    by_file = {"onebox": asked.samples[page.title].get("onebox", []),
               OWN_FILE: own.samples[file.title].get(OWN_FILE, [])}
    asked.section.goals.append(Goal("A page of 2 KiB that is kept: CPU, onebox / its own static file",
                                    ratio(by_file, "onebox", OWN_FILE, CPU.take), 1.15, False))
    return asked.section


# --- TLS and HTTP/2

def tls(run: Run) -> Section:
    path = "/static/1k.bin"
    return measured(
        run, "tls", SECURE,
        [Ask("1 KiB over TLS 1.3, keep-alive", Wrk(CONNECTIONS, path=path, fields=BROWSER), 0.8),
         Ask("Handshakes in full", Handshakes(1, path), 1.05),
         Ask("Handshakes that resume a session", Handshakes(1, path, resume=True), 1.05)],
        "TLS 1.3",
        f"A static file of 1 KiB; a certificate of ECDSA P-256. First {CONNECTIONS} keep-alive connections; then "
        "connections of one request each, one after the other, by `bench/harness/handshakes.py`: there the "
        "CPU is that of a connection, its handshake and its request.").section


def http2(run: Run) -> Section:
    load = H2load(CONNECTIONS_OF_STREAMS, STREAMS, "/static/1k.bin")
    text = f"A static file of 1 KiB, {CONNECTIONS_OF_STREAMS} connections of {STREAMS} streams at once, by h2load."
    columns = (REQUESTS, MEAN, LONGEST, PSS, ERRORS)
    plain = measured(run, "http2", HTTP2, [Ask("HTTP/2, 1 KiB", load, 0.8, columns)], "HTTP/2", text).section
    secure = Asked("http2", SECURE_HTTP2, [Ask("HTTP/2 over TLS 1.3, 1 KiB", load, 0.8, columns)],
                   Section("", ""))
    secure.run(run, run.rounds_or(5), run.seconds_or(4), run.folder / "files-http2")
    plain.tables += secure.section.tables
    plain.goals += secure.section.goals
    plain.failures.update({f"{cell} over TLS": why for cell, why in secure.section.failures.items()})
    plain.commands.update({f"{cell} over TLS": said for cell, said in secure.section.commands.items()})
    return plain


# --- proxying and compressing

def proxy(run: Run) -> Section:
    return measured(
        run, "proxy", PROXIES,
        [Ask("2 KiB from an upstream", Wrk(CONNECTIONS, path="/static/2k.bin", fields=BROWSER), 0.8)],
        "Proxying",
        f"2 KiB that an nginx of its own serves from memory, on the client's CPU and counted for nobody; "
        f"{CONNECTIONS} keep-alive connections, and keep-alive towards the upstream.").section


def compress(run: Run) -> Section:
    def ask(name: str, level: int) -> Ask:
        coding = {"gzip": "gzip", "brotli": "br"}[name]
        return Ask(f"{name}, level {level}", Wrk(8, path="/text", fields={**PLAIN, "Accept-Encoding": coding}), 1.0,
                   parts=["front", "nginx"], columns=(REQUESTS, BYTES, ERRORS))
    asked = measured(
        run, "compress", CODED, [ask("gzip", GZIP_LEVEL), ask("brotli", BROTLI_LEVEL)], "Compression",
        "A page of 64 KiB of `bench/apps/pages.py`, made anew for each request, 8 connections. CPU is that of Onebox's front "
        "and of nginx; their apps, and what is between, are left out.")
    return asked.section


BYTES = Column("bytes", lambda sample: sample.counted.bytes_read / max(1, sample.counted.requests),
               lambda size: f"{size:,.0f}")


# --- idle connections over TLS

def idle_tls(run: Run) -> Section:
    rounds, count = run.rounds_or(3), 1000 if run.quick else 10_000
    section = Section(
        "Memory of an idle TLS connection",
        f"{count:,} connections over TLS 1.3 that have had one answer (a static file of 1 KiB) and wait: growth of the "
        f"front's PSS over what it had after {CONNECTIONS} that were closed again; {rounds} rounds.")
    grown: dict[str, list[float]] = {server.name: [] for server in SECURE if run.wants("idle-tls", server.name)}
    total: dict[str, list[float]] = {name: [] for name in grown}

    def one(name: str, running: Running) -> list[str]:
        part = FRONTS.get(name, "nginx")
        with idle_clients(running, CONNECTIONS, run):
            pass
        time.sleep(0.5)
        before = settled_pss(running, part)
        with idle_clients(running, count, run) as clients:
            after = settled_pss(running, part)
            if "closed" in clients.said():
                raise LoadFailed("the server has closed idle connections")
        grown[name].append((after - before) / count)
        total[name].append(after / 2**20)
        say(f"idle-tls/{name}: round {len(grown[name])}/{rounds}: {grown[name][-1]:,.0f} B a connection")
        return [f"bench/harness/tls_idle.py {running.url}/static/1k.bin {count}"]

    in_turns(run, "idle-tls", SECURE, rounds, section, make_files(run, "idle-tls"), one)
    section.tables = [memory_table(grown, total)]
    pairs = [ours / theirs for ours, theirs in zip(grown.get("onebox", []), grown.get("nginx", []))]
    section.goals = [Goal("bytes of an idle TLS connection, onebox / nginx", median(pairs) if pairs else None, 1, False)]
    return section


class idle_clients:
    """The connections, for as long as the block runs; they are open when it is entered."""

    def __init__(self, running: Running, count: int, run: Run) -> None:
        self.process = Process([str(Path(__file__).with_name("tls_idle.py")), f"{running.url}/static/1k.bin",
                                str(count)], run.folder / "idle.log", run.client_cpus)

    def __enter__(self) -> Process:
        self.process.__enter__()
        try:
            self.process.wait_until(lambda: "open" in self.process.said(), OPEN_SECONDS)
        except BaseException:
            self.__exit__()
            raise
        return self.process

    def __exit__(self, *_: object) -> None:
        self.process.__exit__(None, None, None)


def memory_table(grown: Mapping[str, Sequence[float]], total: Mapping[str, Sequence[float]]) -> str:
    lines = ["| server | bytes a connection | front's PSS with all of them, MiB |", "|---|---:|---:|"]
    own = median(grown.get("onebox", []))
    for name, values in grown.items():
        if values:
            text = f"{median(values):,.0f}"
            if name != "onebox" and own > 0:
                text += f" ({median(values) / own:.2f}x)"
                text = f"**{text}**" if median(values) < own else text
            lines.append(f"| {name} | {text} | {median(total[name]):.1f} |")
    return "\n".join(lines)


# --- a page that has expired

APP_SECONDS, FRESH_SECONDS = 1.0, 1.0  # of bench/apps/pages.py's /slow
PATIENCE = 10.0  # seconds that a client waits


@dataclass(frozen=True)
class Rush:
    """So many ask at once: how many had their answer in time, after how many seconds the last of these, and of how many
    runs of the app these are."""
    answered: int
    seconds: float
    runs: int


def expired(run: Run) -> Section:
    rounds, count = run.rounds_or(3), 100 if run.quick else 1000
    section = Section(
        "A page that has expired",
        f"{count:,} clients ask at once for a page that was kept and has expired; the app takes {APP_SECONDS:g} s for it, "
        f"and a client waits for {PATIENCE:g} s. nginx-stale gives them the expired page meanwhile. {rounds} rounds.")
    found: dict[str, list[Rush]] = {server.name: [] for server in EXPIRED if run.wants("expired", server.name)}

    def one(name: str, running: Running) -> list[str]:
        found[name].append(rush(running.url, count))
        say(f"expired/{name}: round {len(found[name])}/{rounds}: {found[name][-1]}")
        return [f"# {count} connections by bench/run: GET /slow"]

    in_turns(run, "expired", EXPIRED, rounds, section, None, one)
    lines = ["| server | ran with | answered in time | the last of these after | these are of so many runs |",
             "|---|---|---:|---:|---:|"]
    for server in EXPIRED:
        if taken := found.get(server.name):
            lines.append(f"| {server.name} | {server.note(run.size)} | {min(one.answered for one in taken):,} | "
                         f"{time_text(median([one.seconds for one in taken]))} | {max(one.runs for one in taken):,} |")
    section.tables = ["\n".join(lines)]
    own = found.get("onebox", [])
    section.goals = [
        Goal("answered in time", min((float(one.answered) for one in own), default=None), count, True),
        Goal("runs of the app for all of them", max((float(one.runs) for one in own), default=None), 1, False),
        Goal("the last answer, as a multiple of the app's time",
             max((one.seconds / APP_SECONDS for one in own), default=None), 1.1, False)]
    return section


def rush(url: str, count: int) -> Rush:
    host, _, port = url.removeprefix("http://").rpartition(":")
    request = f"GET /slow HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()
    connections = [socket.create_connection((host, int(port)), timeout=30) for _ in range(count)]
    try:
        first = ask_all(connections[:1], request)
        if not first:
            raise LoadFailed("nobody was answered")
        time.sleep(FRESH_SECONDS + 1)  # HTTP's ages are whole seconds
        took = ask_all(connections, request)
        last = max((run for _, run in took), default=first[0][1])
        return Rush(len(took), max((seconds for seconds, _ in took), default=PATIENCE), last - first[0][1])
    finally:
        for one in connections:
            one.close()


def ask_all(connections: Sequence[socket.socket], request: bytes) -> list[tuple[float, int]]:
    """All at once; of each answer that came in time and is no error, after how many seconds, and of which run."""
    took: list[tuple[float, int]] = []
    answers = {one.fileno(): (one, b"") for one in connections}
    with select.epoll() as poll:
        for number in answers:
            poll.register(number, select.EPOLLIN)
        began = time.perf_counter()
        for one in connections:
            one.sendall(request)
        while answers and (left := began + PATIENCE - time.perf_counter()) > 0:
            for number, _ in poll.poll(left):
                one, answer = answers[number]
                piece = one.recv(ANSWER_BYTES_MAX)
                answers[number] = one, answer + piece
                if not piece or is_whole(answer + piece):
                    poll.unregister(number)
                    del answers[number]
                    if (answer + piece).startswith(b"HTTP/1.1 200"):
                        took.append((time.perf_counter() - began, int((answer + piece).rpartition(b"\n")[2])))
    return took
