"""The groups of cells that need only the front and a trivial app: wsgi, static, idle."""
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional, Sequence, Union

from harness.load import BROWSER, Burst, Idle, LoadFailed, Reader, Sample, Wrk, measure, settled_pss
from harness.processes import StartFailed
from harness.servers import (BURST, GREENLETS, ROOT, STATIC_FILES, WSGI, Place, Running, Server,
                             Size)
from harness.table import (CPU, ERRORS, P50, P99, PSS, REQUESTS, RSS, Column, Goal, Section, median,
                           parts_table, ratio, rows_table, time_text, whole)

CONNECTIONS = 64
FAILURES = (StartFailed, LoadFailed, OSError, RuntimeError, subprocess.SubprocessError)


@dataclass(frozen=True)
class Run:
    """What a run was asked for: how often, how long, of which cells, and where it may write."""
    rounds: Optional[int]
    seconds: Optional[float]
    quick: bool
    wanted: Sequence[str]  # groups, or GROUP/SERVER; none: everything
    trials: Sequence[str]  # of the lifecycle group; none: all
    size: Size
    onebox: Path
    folder: Path
    server_cpus: Optional[set[int]]
    client_cpus: Optional[set[int]]

    def wants(self, group: str, server: str) -> bool:
        return not self.wanted or group in self.wanted or f"{group}/{server}" in self.wanted

    def wants_any(self, group: str) -> bool:
        return not self.wanted or any(name.partition("/")[0] == group for name in self.wanted)

    def rounds_or(self, standard: int) -> int:
        return self.rounds or (1 if self.quick else standard)

    def seconds_or(self, standard: float) -> float:
        return self.seconds or (2 if self.quick else standard)

    def place(self, name: str, static: Optional[Path] = None) -> Place:
        return Place(self.folder / name, self.server_cpus, self.size, self.onebox, static,
                     self.client_cpus)


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


def in_turns(run: Run, group: str, servers: Sequence[Server], rounds: int, section: Section,
             static: Optional[Path], one: Callable[[str, Running], list[str]]) -> None:
    """Round after round each server is started, given to `one`, and ended; each round begins with
    another, so that none always follows the same. A server that fails once is left out."""
    servers = [server for server in servers if run.wants(group, server.name)]
    for number in range(rounds):
        for server in servers[number % len(servers):] + servers[:number % len(servers)]:
            cell = f"{group}/{server.name}"
            if cell in section.failures:
                continue
            place = run.place(f"{group}-{number}-{server.name}", static)
            try:
                with server.running(place) as running:
                    said = one(server.name, running)
                    section.commands[cell] = named_alike(run, place, [*running.commands, *said])
            except FAILURES as error:
                section.failures[cell] = str(error).replace(str(run.folder), "FOLDER")
                say(f"{cell}: failed: {str(error).strip().splitlines()[-1]}")
            shutil.rmtree(place.folder, ignore_errors=True)


def named_alike(run: Run, place: Place, lines: Sequence[str]) -> list[str]:
    """Commands as they can be read elsewhere: without the folders of this run and this machine."""
    names = {str(place.folder): "FOLDER", str(run.folder): "FOLDER", f"{ROOT}/": ""}
    for name, short in names.items():
        lines = [line.replace(name, short) for line in lines]
    return list(lines)


def progress(cell: str, number: int, rounds: int, sample: Sample, column: Column = CPU) -> None:
    counted = sample.counted
    say(f"{cell}: round {number}/{rounds}: {column.write(column.take(sample))}, "
        f"{counted.requests / counted.seconds:,.0f} req/s"
        + (f", {counted.errors} errors" if counted.errors else "")
        + (f", {counted.refused} answers not 2xx" if counted.refused else "")
        + (f", {counted.timeouts} timeouts" if counted.timeouts else ""))


# --- the trivial app

def wsgi(run: Run) -> Section:
    rounds, seconds = run.rounds_or(5), run.seconds_or(5)
    section = Section(
        "A trivial WSGI app",
        f"100 bytes from `bench/apps/hello.py`, {CONNECTIONS} keep-alive connections, one after the "
        f"other request on each; {rounds} rounds of {seconds:g} s. CPU is that of all processes of "
        "the server, of nginx too where it stands before. In brackets: times Onebox's number in the "
        "same round, the median of the rounds; bold: better than Onebox.")
    samples: dict[str, list[Sample]] = {server.name: [] for server in WSGI
                                        if run.wants("wsgi", server.name)}
    load = Wrk(CONNECTIONS, fields=BROWSER)

    def one(name: str, running: Running) -> list[str]:
        sample = measure(running, load, seconds, run.folder / "wrk.log", run.client_cpus)
        samples[name].append(sample)
        progress(f"wsgi/{name}", len(samples[name]), rounds, sample)
        return [load.shown(running.url, seconds)]

    in_turns(run, "wsgi", WSGI, rounds, section, None, one)
    notes = {server.name: server.note(run.size) for server in WSGI}
    section.tables = [rows_table(samples, notes, [CPU, REQUESTS, P50, P99, PSS, RSS, ERRORS]),
                      parts_table(samples, 1e6, 1, "us")]

    def times(*servers: str) -> Optional[float]:
        found = [value for server in servers
                 if (value := ratio(samples, server, "onebox", CPU.take)) is not None]
        return min(found, default=None)

    section.goals = [
        Goal("CPU per request: gunicorn gevent / onebox", times("gunicorn-gevent"), 9, True),
        Goal("CPU per request: nginx + uWSGI / onebox", times("nginx+uwsgi"), 4.5, True),
        Goal("CPU per request: uWSGI, the best of its three / onebox",
             times("uwsgi-http", "uwsgi-http-socket", "uwsgi-http11-socket"), 2.7, True)]
    return section


# --- greenlets

WHOLE_BURST = Column("a burst", lambda sample: sample.counted.p50, time_text)
LONGEST_BURST = Column("the longest", lambda sample: sample.counted.p99, time_text)


def greenlets(run: Run) -> Section:
    rounds, seconds = run.rounds_or(5), run.seconds_or(4)
    section = Section(
        "Workers of greenlets",
        f"First {BURST} requests at once that sleep for 10 ms each (`bench/apps/naps.py`), again and "
        "again: how long until the last of them is answered. Then the same app without the sleep, "
        f"{CONNECTIONS} keep-alive connections. {rounds} rounds of {seconds:g} s each.")
    bursts: dict[str, list[Sample]] = {server.name: [] for server in GREENLETS
                                       if run.wants("greenlets", server.name)}
    steady: dict[str, list[Sample]] = {name: [] for name in bursts}
    burst, stream = Burst(BURST, "/nap"), Wrk(CONNECTIONS, fields=BROWSER)

    def one(name: str, running: Running) -> list[str]:
        bursts[name].append(measure(running, burst, seconds, run.folder / "burst.log",
                                    run.client_cpus))
        progress(f"greenlets/{name}", len(bursts[name]), rounds, bursts[name][-1], WHOLE_BURST)
        steady[name].append(measure(running, stream, seconds, run.folder / "wrk.log",
                                    run.client_cpus))
        progress(f"greenlets/{name}", len(steady[name]), rounds, steady[name][-1])
        return [load.shown(running.url, seconds) for load in (burst, stream)]

    in_turns(run, "greenlets", GREENLETS, rounds, section, None, one)
    notes = {server.name: server.note(run.size) for server in GREENLETS}
    section.tables = [f"A burst of {BURST}:",
                      rows_table(bursts, notes, [WHOLE_BURST, LONGEST_BURST, CPU, PSS]),
                      "Without the sleep:",
                      rows_table(steady, notes, [CPU, REQUESTS, P50, P99, PSS, ERRORS]),
                      parts_table(steady, 1e6, 1, "us")]
    section.goals = [
        Goal(f"a burst of {BURST}: onebox / gunicorn gevent",
             ratio(bursts, "onebox", "gunicorn-gevent", WHOLE_BURST.take), 0.5, False),
        Goal("CPU per request without the sleep: gunicorn gevent / onebox",
             ratio(steady, "gunicorn-gevent", "onebox", CPU.take), 2, True)]
    return section


# --- static files

@dataclass(frozen=True)
class File:
    name: str
    text: str
    size: int
    connections: int
    goal: float


SMALL = File("1k.bin", "1 KiB", 1 << 10, CONNECTIONS, 0.75)
LARGE = [File("64k.bin", "64 KiB", 64 << 10, CONNECTIONS, 0.78),
         File("10m.bin", "10 MiB", 10 << 20, 8, 0.75)]


@dataclass(frozen=True)
class Fetch:
    """A file, and by what it is asked for."""
    file: File
    load: Union[Wrk, Reader]
    text: str


FETCHES = [Fetch(file, Wrk(file.connections, path=f"/static/{file.name}", fields=BROWSER),
                 file.text) for file in [SMALL, *LARGE]]
FETCHES += [Fetch(file, Reader(file.connections, f"/static/{file.name}"),
                  f"{file.text}, a client of large reads") for file in LARGE]

CPU_PER_MIB = Column("CPU/MiB", lambda sample: sample.cpu_per_byte() * 2**20,
                     lambda seconds: f"{seconds * 1e6:.0f} us")
THROUGHPUT = Column("MiB/s", lambda sample: (sample.counted.bytes_read / 2**20
                                             / sample.counted.seconds), whole, more_is_better=True)


def make_files(folder: Path) -> Path:
    folder.mkdir(mode=0o755)
    for file in [SMALL, *LARGE]:
        (folder / file.name).write_bytes(os.urandom(file.size))
    return folder


def static(run: Run) -> Section:
    rounds, seconds = run.rounds_or(5), run.seconds_or(4)
    section = Section(
        "Static files",
        f"Files that cannot be compressed, {CONNECTIONS} keep-alive connections (8 for 10 MiB); "
        f"{rounds} rounds of {seconds:g} s for each size. CPU is counted per request, or per byte "
        "where a request is large. The large ones are also asked for by `bench/harness/reader.py`, "
        "which takes up to 1 MiB of a socket at a time; wrk takes 8 KiB. nginx at both of its "
        "settings: the better one of each table is its best.")
    folder = make_files(run.folder / "static")
    taken: dict[str, dict[str, list[Sample]]] = {
        fetch.text: {server.name: [] for server in STATIC_FILES if run.wants("static", server.name)}
        for fetch in FETCHES}

    def one(name: str, running: Running) -> list[str]:
        said = []
        for fetch in FETCHES:
            sample = measure(running, fetch.load, seconds, run.folder / "client.log",
                             run.client_cpus)
            into = taken[fetch.text][name]
            into.append(sample)
            progress(f"static/{name} {fetch.text}", len(into), rounds, sample, column(fetch.file))
            said.append(fetch.load.shown(running.url, seconds))
        return said

    in_turns(run, "static", STATIC_FILES, rounds, section, folder, one)
    shutil.rmtree(folder)
    notes = {server.name: server.note(run.size) for server in STATIC_FILES}
    for fetch in FETCHES:
        file, samples = fetch.file, taken[fetch.text]
        first = [column(file), REQUESTS if file.size < 1 << 20 else THROUGHPUT]
        section.tables.append(
            f"### {fetch.text}\n\n"
            + rows_table(samples, notes, [*first, P50, P99, PSS, RSS, ERRORS]))
        peers = [name for name in samples if name != "onebox" and samples[name]]
        take = column(file).take
        best = min(peers, key=lambda name: median([take(sample) for sample in samples[name]]),
                   default="")
        section.goals.append(Goal(f"{fetch.text}: CPU, onebox / {best or 'nginx'}",
                                  ratio(samples, "onebox", best, take), file.goal, False))
    return section


def column(file: File) -> Column:
    return CPU if file.size <= 1 << 10 else CPU_PER_MIB


# --- idle connections

FRONTS = {"onebox": "front", "nginx-sendfile": "nginx"}
IDLE_GOAL = 256


def idle(run: Run) -> Section:
    rounds, count = run.rounds_or(3), 1000 if run.quick else 8000
    section = Section(
        "Memory of an idle keep-alive connection",
        f"{count:,} connections that have had one answer (a static file of 1 KiB) and wait: growth "
        "of the front's PSS over what it had after 64 connections that were closed again, divided "
        f"by their number; {rounds} rounds. nginx has allocated its table of connections at its "
        "start, which is not counted here. The kernel's memory for a socket, some 4 KB, is the "
        "same for all.")
    folder = make_files(run.folder / "static")
    grown: dict[str, list[float]] = {name: [] for name in FRONTS if run.wants("idle", name)}
    total: dict[str, list[float]] = {name: [] for name in grown}

    def one(name: str, running: Running) -> list[str]:
        clients = Idle(running.url, "/static/1k.bin")
        try:
            clients.open(CONNECTIONS)
            clients.close()
            time.sleep(0.5)
            before = settled_pss(running, FRONTS[name])
            clients.open(count)
            after = settled_pss(running, FRONTS[name])
            if not clients.all_alive():
                raise LoadFailed("the server has closed idle connections")
        finally:
            clients.close()
        grown[name].append((after - before) / count)
        total[name].append(after / 2**20)
        say(f"idle/{name}: round {len(grown[name])}/{rounds}: {grown[name][-1]:.0f} B a connection")
        return [f"# {count} connections by bench/run"]

    in_turns(run, "idle", [server for server in STATIC_FILES if server.name in FRONTS], rounds,
             section, folder, one)
    shutil.rmtree(folder)
    lines = ["| server | bytes a connection | front's PSS with all of them, MiB |",
             "|---|---:|---:|"]
    own = median(grown.get("onebox", []))
    for name, values in grown.items():
        if values:
            text = f"{median(values):.0f}"
            if name != "onebox" and own > 0:
                text += f" ({median(values) / own:.2f}x)"
                text = f"**{text}**" if median(values) < own else text
            shown = name.removesuffix("-sendfile")
            lines.append(f"| {shown} | {text} | {median(total[name]):.1f} |")
    section.tables = ["\n".join(lines)]
    section.goals = [Goal("bytes of user memory for an idle connection",
                          own if grown.get("onebox") else None, IDLE_GOAL, False)]
    return section
