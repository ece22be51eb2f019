"""The game's mix of requests, on Onebox and on the roadmap's stack, over the same databases."""
import os
import re
import socket
import time
import urllib.parse
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Mapping, Optional, Sequence

import pymysql

from harness.groups import FAILURES, Run, named_alike, progress, say
from harness.load import Sample, Wrk, measure
from harness.processes import (Cpu, Label, Memory, Process, StartFailed, alive, children, cpu_of,
                               family, memory_of)
from harness.servers import ROOT, OneboxApp, Place, Running, start_onebox
from harness.table import (BASE, CPU, ERRORS, P50, P99, REQUESTS, Column, Goal, Section, median, mib,
                           parts_table, ratio, rows_table, whole)

NATION = ROOT / "examples/nation"
PEERS = ROOT / "bench/peers"
STACK = "nginx+gunicorn-gevent"
OWN_CACHE = "onebox-own-cache"  # in place of Redis
SHARED_JSON = "onebox-shared-json"  # and the response cache, for the JSON that is the same for all
SHARED_PAGES = "onebox-shared-pages"  # and for the pages, whose player's name is filled in by a script
SERVERS = {BASE: "none", OWN_CACHE: "none", SHARED_JSON: "none", SHARED_PAGES: "none",
           STACK: "gevent"}  # by what up.sh is to start of it
PORTS = (0, 25, 80, 306, 379, 545)  # of the stack, from its first
DATABASES = ("mariadb", "redis")
UP_SECONDS = 600
DOWN_SECONDS = 120
LOG_IN_SECONDS = 900
SETTLE_SECONDS = 40

# Above the longest wait that 1000 connections make: a queue that is fair, not short.
TOML = """\
[app]
queue_timeout = "30s"
"""


def toml_of(name: str) -> str:
    """With the routes of the game's own file that a server is measured with."""
    if name not in (SHARED_JSON, SHARED_PAGES):
        return TOML
    parts = re.split(r"^(?=\[)", (NATION / "onebox.toml").read_text(), flags=re.M)
    routes = [part.strip() + "\n" for part in parts if part.startswith("[[route]]")
              and (name == SHARED_PAGES or 'path = "/api/' in part)]
    return "\n".join([TOML, *routes])


def names_of(name: str) -> dict[str, str]:
    """How the app is told to have its players' names in its pages: unchanged, but where pages are shared."""
    return {} if name == SHARED_PAGES else {"NATION_NAMES": "page"}


@dataclass(frozen=True)
class Scale:
    """How large the world is, and how many play."""
    users: int
    players: int
    connections: int
    think_ms: int


FULL = Scale(users=20_000, players=1000, connections=1000, think_ms=7000)
QUICK = Scale(users=1000, players=50, connections=100, think_ms=1000)


class Stack(Running):
    """What up.sh has started, each part under its name; Onebox beside it where that is the app."""

    def __init__(self, folder: Path, url: str, commands: Sequence[str], database: str,
                 onebox: Optional[Running] = None) -> None:
        parts = {path.name: int(path.read_text().split()[0])
                 for path in sorted((folder / "pids").iterdir())}
        super().__init__(url, commands, list(parts.values()))
        self.parts, self.database, self.onebox = parts, database, onebox

    def cpu(self) -> Cpu:
        found = dict(self.onebox.cpu().parts) if self.onebox else {}
        for part, root in self.parts.items():
            found.update(cpu_of([root], always(part)).parts)
        return Cpu(found)

    def memory(self) -> Memory:
        own = self.onebox.memory() if self.onebox else Memory({}, {})
        pss, rss = dict(own.pss), dict(own.rss)
        for part, root in self.parts.items():
            one = memory_of([root], always(part))
            pss.update(one.pss)
            rss.update(one.rss)
        return Memory(pss, rss)


def always(part: str) -> Label:
    return lambda row: part


def free_ports() -> int:
    """A first port such that all of the stack's are free."""
    for first in range(20_000, 32_000, 600):
        try:
            for port in PORTS:
                socket.create_server(("127.0.0.1", first + port)).close()
        except OSError:
            continue
        return first
    raise StartFailed("no free ports for the stack")


def script(command: Sequence[object], environment: Mapping[str, str], log: Path,
           seconds: float) -> str:
    """Runs a command to its end, in bounded time; what it said."""
    words = [str(word) for word in command]
    with Process(words, log, environment=environment) as process:
        deadline = time.monotonic() + seconds
        while alive(process.pid):
            if time.monotonic() > deadline:
                raise StartFailed(f"{words[0]} took more than {seconds:.0f} s:\n{process.said()}")
            # The stack's servers are ours since the script that started them has ended, and
            # down.sh waits until each that it ends is gone.
            for pid in children():
                alive(pid)
            time.sleep(0.05)
        return process.said()


def read_exports(path: Path) -> dict[str, str]:
    return dict(re.findall(r'^export (\w+)="?([^"\n]*)"?$', path.read_text(), re.M))


@contextmanager
def running(run: Run, name: str, scale: Scale, environment: Mapping[str, str],
            place: Place) -> Iterator[Stack]:
    """One of the servers on a world that was just made."""
    state = Path(environment["NATION_RUN"])
    command = [PEERS / "up.sh", SERVERS[name], "--users", str(scale.users), "--reseed"]
    environment = {**environment, **names_of(name)}
    shown = " ".join(["NATION_RUN=FOLDER/game", *(f"{key}={environment[key]}" for key in environment
                                                  if key != "NATION_RUN"), *map(str, command)])
    with ExitStack() as stack:
        stack.callback(take_down, environment, run.folder)
        said = script(command, environment, run.folder / "up.log", UP_SECONDS)
        if not re.search(r"^up: ", said, re.M):
            raise StartFailed(f"up.sh failed:\n{said[-2000:]}")
        settings = read_exports(state / "env")
        if SERVERS[name] != "none":
            yield Stack(state, settings["NATION_URL"], [shown], settings["NATION_DB_URL"])
            return
        place.folder.mkdir(parents=True)
        if name != BASE:
            del settings["NATION_REDIS_URL"]
        app = OneboxApp("app:create_app()", NATION, toml_of(name), {**settings, **names_of(name)},
                        workers="auto", threads=4)
        onebox = start_onebox(app, place, stack)
        yield Stack(state, onebox.url, [shown, *onebox.commands], settings["NATION_DB_URL"], onebox)


def take_down(environment: Mapping[str, str], folder: Path) -> None:
    script([PEERS / "down.sh"], environment, folder / "down.log", DOWN_SECONDS)


def statements(url: str) -> int:
    """That the database has executed since its start, this one too."""
    parts = urllib.parse.urlsplit(url)
    with pymysql.connect(host=parts.hostname, port=parts.port or 3306, user=parts.username,
                         password=parts.password or "") as connection, connection.cursor() as cursor:
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Questions'")
        return int(cursor.fetchone()[1])


def settle(stack: Stack) -> None:
    """Waits until the server has done what its clients left behind."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        before = stack.cpu()
        time.sleep(0.5)
        if sum(stack.cpu().since(before).values()) < 0.03:
            return


def game(run: Run) -> Section:
    scale = QUICK if run.quick else FULL
    rounds, seconds = run.rounds_or(3), run.seconds_or(60)
    section = Section(
        "The game at its peak",
        f"`examples/nation` with {scale.users:,} users, the mix of `load/prepare.py`, "
        f"{scale.connections:,} connections of {scale.players:,} players; all on the same MariaDB "
        f"and Redis with the roadmap's settings, the world made anew each time. {rounds} rounds of "
        f"{seconds:g} s. Nothing is pinned: servers, databases and wrk share the machine. "
        f"{OWN_CACHE} has the app's cache in place of Redis, {SHARED_JSON} also its routes' `cache` for the "
        f"JSON that is the same for all, {SHARED_PAGES} for the pages too; there the players' names are filled in by "
        "a script, and one request in 100 is what that asks of `/api/me`.")
    if os.getuid() != 0:
        section.failures["game"] = "bench/peers/up.sh, which starts the databases, wants root"
        return section
    names = [name for name in SERVERS if run.wants("game", name)]
    loads = {"saturation": 0, "think": scale.think_ms}
    taken: dict[str, dict[str, list[Sample]]] = {
        load: {name: [] for name in names} for load in loads}
    asked: dict[str, dict[str, list[float]]] = {
        load: {name: [] for name in names} for load in loads}
    (run.folder / "game").mkdir(mode=0o755)
    environment = {"NATION_RUN": str(run.folder / "game"), "NATION_PORT": str(free_ports())}
    players = run.folder / "players"
    notes: dict[str, str] = {}
    for number in range(rounds):
        for name in names if number % 2 == 0 else names[::-1]:
            cell = f"game/{name}"
            if cell in section.failures:
                continue
            place = Place(run.folder / f"game-{number}-{name}", None, run.size, run.onebox,
                          NATION / "static")
            try:
                with running(run, name, scale, environment, place) as stack:
                    log_in(stack.url, scale, players, run.folder)
                    said = []
                    notes[name] = ran_with(stack)
                    for load, think in loads.items():
                        wrk = Wrk(scale.connections, threads=2, path="",
                                  script=NATION / "load/players.lua",
                                  arguments=[str(players), str(think), mix_of(name)])
                        warm_up(stack, players, name, run)
                        settle(stack)
                        before = statements(stack.database)
                        sample = measure(stack, wrk, seconds, run.folder / "wrk.log", None, warm=0)
                        asked[load][name].append(
                            (statements(stack.database) - before) / max(1, sample.counted.requests))
                        taken[load][name].append(sample)
                        progress(f"{cell} {load}", len(taken[load][name]), rounds, sample)
                        said.append(wrk.shown(stack.url, seconds))
                        settle(stack)
                    section.commands[cell] = named_alike(run, place, [*stack.commands, *said])
            except FAILURES as error:
                section.failures[cell] = str(error).replace(str(run.folder), "FOLDER")
                say(f"{cell}: failed: {str(error).strip().splitlines()[-1]}")
    describe(section, scale, taken, notes)
    section.tables.append(queries_table(asked))
    return section


def queries_table(asked: Mapping[str, Mapping[str, list[float]]]) -> str:
    lines = ["| statements that the database executes for a request | " + " | ".join(asked) + " |",
             "|---|" + "---:|" * len(asked)]
    for name in next(iter(asked.values())):
        found = [f"{median(by_server[name]):.3f}" if by_server[name] else ""
                 for by_server in asked.values()]
        lines.append(f"| {name} | " + " | ".join(found) + " |")
    return "\n".join(lines)


def log_in(url: str, scale: Scale, players: Path, folder: Path) -> None:
    """Once for all: the worlds are alike, and so are the secrets that sign the cookies."""
    if (players / "mix.tsv").exists():
        return
    say(f"game: {scale.players} players log in")
    said = script([NATION / "load/prepare.py", "--url", url, "--out", players,
                   "--players", scale.players, "--users", scale.users], {},
                  folder / "prepare.log", LOG_IN_SECONDS)
    if not (players / "mix.tsv").exists():
        raise StartFailed(f"prepare.py failed:\n{said[-2000:]}")


def mix_of(name: str) -> str:
    return "mix-names.tsv" if name == SHARED_PAGES else "mix.tsv"


def warm_up(stack: Stack, players: Path, name: str, run: Run) -> None:
    """Few connections: what a client leaves unanswered at its end would be work in the next load."""
    Wrk(16, path="", script=NATION / "load/players.lua",
        arguments=[str(players), "0", mix_of(name)]).run(
        stack.url, 1 if run.quick else 5, run.folder / "wrk.log", None)


def ran_with(stack: Stack) -> str:
    if not stack.onebox:
        return "the roadmap's settings; 2 x cores + 1 workers"
    label = stack.onebox.label
    workers = sum(label(row) == "app worker" for row in family(stack.onebox.roots))
    return f"workers = auto: {workers} x 4 threads; front: 1 reactor"


TIMEOUTS = Column("timeouts", lambda sample: sample.counted.timeouts, whole, compared=False)


def served_by(sample: Sample) -> float:
    """MiB of what serves the app: everything but the databases."""
    return sum(size for part, size in sample.pss.items() if part not in DATABASES)


SERVER_CPU = Column("without databases", lambda sample: sample.cpu_per_request(
    [part for part in sample.cpu if part not in DATABASES]), CPU.write)
SERVER_PSS = Column("PSS MiB without databases", served_by, mib)


def describe(section: Section, scale: Scale, taken: Mapping[str, Mapping[str, list[Sample]]],
             notes: Mapping[str, str]) -> None:
    titles = {"saturation": "Saturation: each connection asks again at once",
              "think": f"{scale.connections:,} players who think for {scale.think_ms / 1000:g} s"}
    for load, samples in taken.items():
        section.tables += [
            f"### {titles[load]}\n\n" + rows_table(samples, notes, [
                REQUESTS, P50, P99, TIMEOUTS, ERRORS, CPU, SERVER_CPU, SERVER_PSS]),
            parts_table(samples, 1e3, 3, "ms")]
    full = taken["saturation"]
    own = full.get(BASE, [])
    section.goals = [
        Goal("saturation: timeouts and refusals", float(sum(
            sample.counted.timeouts + sample.counted.refused for sample in own)) if own else None,
             0, False),
        Goal("saturation: p99 / p50", median([sample.counted.p99 / sample.counted.p50
                                              for sample in own if sample.counted.p50])
             if own else None, 1.5, False),
        Goal("saturation: throughput, onebox / the roadmap's stack",
             ratio(full, BASE, STACK, REQUESTS.take), 1.1, True),
        Goal("saturation: throughput, onebox with shared pages / the roadmap's stack",
             ratio(full, SHARED_PAGES, STACK, REQUESTS.take), 3, True)]
