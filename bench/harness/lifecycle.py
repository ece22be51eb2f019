"""What is lost, and who waits, when workers come, go, hang and die: one trial a promise."""
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterator, Mapping, Optional, Sequence

from harness.app_servers import APP_SERVERS, AppServer, Service
from harness.game import NATION
from harness.groups import FAILURES, Run, named_alike, say
from harness.load import LoadFailed, Pace, Paced
from harness.processes import Process, alive, family, rollup, send
from harness.servers import APPS, PYTHON, ROOT
from harness.table import BASE, Goal, Section, median, mib, time_text

TEST_APPS = ROOT / "test/apps"
USERS = 1000
WORLD_SECONDS = 120


@dataclass(frozen=True)
class Row:
    """A line of a trial's table, and the numbers of it that a goal speaks of."""
    cells: Sequence[str]
    figures: Mapping[str, float] = field(default_factory=dict)


class Bench:
    """What a trial needs to try one server: to start it, to load it, and to remember how."""

    def __init__(self, run: Run, trial: str, server: str) -> None:
        self.run, self.cell, self.server = run, f"{trial}/{server}", server
        self.commands: list[str] = []
        self.started = 0

    @property
    def quick(self) -> bool:
        return self.run.quick

    @contextmanager
    def running(self, service: Service) -> Iterator[AppServer]:
        self.started += 1
        place = self.run.place(f"{self.cell.replace('/', '-')}-{self.started}", None)
        place.folder.mkdir(parents=True, mode=0o755)
        with ExitStack() as stack:
            server = APP_SERVERS[self.server](service, place, stack)
            self.note(place.folder, server.commands)
            yield server
        shutil.rmtree(place.folder, ignore_errors=True)

    def note(self, folder: Path, commands: Sequence[str]) -> None:
        place = self.run.place(folder.name, None)
        self.commands += [line for line in named_alike(self.run, place, commands)
                          if line not in self.commands]

    def load(self, server: AppServer, pace: Pace,
             meanwhile: Callable[[Process], None] = lambda _: None) -> Paced:
        self.note(self.run.folder, [pace.shown(server.url)])
        return pace.run(server.url, self.run.folder / "pacer.log", meanwhile)

    def world(self) -> Mapping[str, str]:
        """The game's, on SQLite, made once; what its environment must say."""
        folder = self.run.folder / "world"
        environment = {"NATION_RUN": str(folder), "NATION_BACKGROUND": "0"}  # its peers run no tasks
        if not folder.exists():
            folder.mkdir()
            subprocess.run([PYTHON, NATION / "seed_data.py", "--users", str(USERS), "--reset",
                            "--indexes"], env={**os.environ, **environment}, check=True,
                           stdout=subprocess.DEVNULL, timeout=WORLD_SECONDS)
        return environment


def ask(url: str, seconds: float) -> tuple[str, float]:
    """One request on a connection of its own: its status or what came instead, and how long it took."""
    began = time.monotonic()
    try:
        with urllib.request.urlopen(url, timeout=seconds) as answer:
            answer.read()
            outcome = str(answer.status)
    except urllib.error.HTTPError as error:
        outcome = str(error.code)
    except TimeoutError:
        outcome = "no answer"
    except OSError as error:
        reason = getattr(error, "reason", error)
        outcome = "no answer" if isinstance(reason, TimeoutError) else "closed"
    return outcome, time.monotonic() - began


def at(began: float, seconds: float) -> None:
    """Waits until that long after `began`."""
    time.sleep(max(0.0, began + seconds - time.monotonic()))


# --- requests lost

THREADS = 4
CHEAP = ("GET:/api/health", "GET:/api/health", "GET:/api/health", "GET:/api/market/prices/1",
         "POST:/api/logout")


def lost(bench: Bench) -> list[Row]:
    rate, count, events = (2000, 400_000, 20) if bench.server == BASE else (200, 10_000, 10)
    if bench.quick:
        rate, count, events = rate // 4, count // 50, 1
    service = Service("app:create_app()", NATION, bench.world(), workers=2, threads=THREADS,
                      recycle=(40, 20))
    reloads, kills = 0, 0
    with bench.running(service) as server:
        def disturb(client: Process) -> None:
            nonlocal reloads, kills
            began, pause = time.monotonic(), count / rate / (2 * events + 1)
            for number in range(events):
                at(began, (2 * number + 1) * pause)
                if not alive(client.pid):
                    return
                server.reload()
                reloads += 1
                at(began, (2 * number + 2) * pause)
                workers = server.pids("app worker")
                if workers and alive(client.pid):
                    send(workers[number % len(workers)], signal.SIGKILL)
                    kills += 1
        paced = bench.load(server, Pace(rate, count, CHEAP), disturb)
    gone = paced.outcomes["POST"].get("502", 0)
    asked = max(1, count - paced.unsent)
    percent = 100 * (paced.all_lost() - paced.unsent) / asked
    return [Row([f"{asked / paced.seconds:,.0f}", f"{reloads} + {kills}", paced.told("GET"),
                 paced.told("POST"), f"{paced.unsent:,}", f"{percent:.3g} %"],
                {"GET": paced.lost("GET"), "POST": paced.lost("POST") - gone,
                 "502 a kill": gone / max(1, kills), "unsent": paced.unsent,
                 "missed": 2 * events - reloads - kills})]


# --- the longest wait

def wait(bench: Bench) -> list[Row]:
    import_seconds, seconds, reloads = (1.0, 5, 1) if bench.quick else (3.0, 16, 2)
    service = Service("slow:app", APPS, {"SLOW_IMPORT": f"{import_seconds:g}"}, recycle=(300, 0))
    cells, figures = [], {}
    for workers in (1, 2):
        with bench.running(Service(**{**vars(service), "workers": workers})) as server:
            def disturb(client: Process) -> None:
                began = time.monotonic()
                for number in range(reloads):
                    at(began, 1 + number * seconds / reloads)
                    server.reload()
            paced = bench.load(server, Pace(100, 100 * seconds), disturb)
        cells += [time_text(paced.p99), time_text(paced.longest), str(paced.all_lost())]
        figures[f"longest {workers}"] = paced.longest * 1000
        figures[f"lost {workers}"] = paced.all_lost()
    return [Row(cells, figures)]


# --- stuck requests

DEADLINE = 3.0
GIVE_UP = 10.0
OTHERS = 6
STUCK = {"holds_gil": "in C, with the GIL", "reads": "in C, without the GIL",
         "computes": "in Python", "sleeps": "asleep"}


def stuck(bench: Bench) -> list[Row]:
    return [stuck_in(bench, path, text) for path, text in STUCK.items()]


def stuck_in(bench: Bench, path: str, text: str) -> Row:
    """One request never ends; others that began later are let go after its deadline."""
    hold = bench.run.folder / f"hold-{bench.cell.replace('/', '-')}-{path}"
    hold.mkdir()
    service = Service("deadlines:app", TEST_APPS, {"HOLD": str(hold)}, workers=2, threads=THREADS,
                      deadline=DEADLINE, probe="/hello")
    with bench.running(service) as server, ThreadPoolExecutor(1 + OTHERS) as pool:
        began = time.monotonic()
        one = pool.submit(ask, f"{server.url}/{path}/stuck", GIVE_UP)
        at(began, DEADLINE - 1)
        others = [pool.submit(ask, f"{server.url}/waits/other{number}", GIVE_UP)
                  for number in range(OTHERS)]
        at(began, DEADLINE + 0.2)
        pids = [path.read_text() for path in hold.glob("other*.begun")]
        beside = pids.count((hold / "stuck.begun").read_text())
        for number in range(OTHERS):
            (hold / f"other{number}.go").touch()
        outcome, took = one.result()
        fine = sum(other.result()[0] == "200" for other in others)
    late = took - DEADLINE if outcome == "504" else GIVE_UP
    return Row([text, f"{outcome} after {took:.2f} s", f"{fine} of {OTHERS}", str(beside)],
               {"late": late, "lost": OTHERS - fine})


# --- half-sent requests

HEAD = b"GET / HTTP/1.1\r\nHost: te"
BODY = b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\nhalf"
PATIENT = ('head_timeout = "10m"\nbody_timeout = "10m"\nbody_rate_min = "0 B"\n'
           "connections_max = 16000")


def open_half(url: str, count: int) -> list[socket.socket]:
    """So many half heads and as many half bodies; fewer, where the server takes no more."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    sockets: list[socket.socket] = []
    for number in range(2 * count):
        try:
            one = socket.create_connection((host, int(port)), timeout=5,
                                           source_address=(f"127.0.0.{1 + number % 8}", 0))
        except OSError:
            break
        one.sendall(HEAD if number % 2 else BODY)
        sockets.append(one)
    return sockets


def half_sent(bench: Bench) -> list[Row]:
    count, seconds = (200, 2) if bench.quick else (5000, 8)
    rounds = bench.run.rounds_or(3) if bench.server == BASE else 1
    pace = Pace(200, 200 * seconds, connections=16, timeout=5)
    before, beside, opened, failed = [], [], 0, 0
    with bench.running(Service("hello:app", APPS, workers=2, threads=2, front=PATIENT)) as server:
        for _ in range(rounds):
            before.append(bench.load(server, pace).p99)
            half = open_half(server.url, count)
            try:
                paced = bench.load(server, pace)
            finally:
                for one in half:
                    one.close()
            opened = len(half)
            beside.append(paced.p99)
            failed += paced.all_lost()
    times = median([after / first for first, after in zip(before, beside)])
    return [Row([f"{opened:,}", time_text(median(before)), time_text(median(beside)),
                 f"{times:.2f}x", f"{failed:,} of {rounds * pace.count:,}"],
                {"times": times, "failed": failed})]


# --- abandoned requests

def abandoned(bench: Bench) -> list[Row]:
    count, give_up = (10, 5.0) if bench.quick else (100, 30.0)
    with bench.running(Service("slow:app", APPS, workers=1, threads=1)) as server:
        host, _, port = server.url.removeprefix("http://").rpartition(":")
        for _ in range(count):
            with socket.create_connection((host, int(port)), timeout=5) as one:
                one.sendall(b"GET /sleep/2 HTTP/1.1\r\nHost: test\r\n\r\n")
                time.sleep(0.005)  # it has been read; then its client leaves
        outcome, took = ask(server.url, give_up)
    return [Row([str(count), f"{outcome} after {took:.2f} s"],
                {"seconds": took if outcome == "200" else give_up})]


# --- memory

PAGES = ("GET:/", "GET:/countries/1", "GET:/countries/2/market", "GET:/api/market/prices/3",
         "GET:/regions/4", "GET:/leaderboards", "GET:/listings?resource=1&quality=2",
         "GET:/companies/5", "GET:/players/6", "GET:/api/health")
EIGHT = 8


def memory(bench: Bench) -> list[Row]:
    pace = Pace(100, 100, PAGES) if bench.quick else Pace(500, 20_000, PAGES)
    service = Service("app:create_app()", NATION, bench.world(), workers=EIGHT, threads=THREADS,
                      pages=[page.removeprefix("GET:") for page in PAGES])
    with bench.running(service) as server:
        paced = bench.load(server, pace)
        found = server.memory()
    return [Row([mib(sum(found.pss.values())), mib(sum(found.rss.values())),
                 ", ".join(f"{part} {size:.0f}" for part, size in sorted(found.pss.items())),
                 str(paced.all_lost())], {"PSS": sum(found.pss.values())})]


# --- recovery

LIVED = 1.2  # seconds: a first death after that may be by chance, and nobody waits for it


def recovery(bench: Bench) -> list[Row]:
    rounds = bench.run.rounds_or(5)
    took: dict[str, list[float]] = {"app worker": [], "front": []}
    for role, times in took.items():
        for _ in range(rounds):
            with bench.running(Service("hello:app", APPS, workers=1)) as server:
                time.sleep(LIVED)
                pids = server.pids(role)
                if not pids:
                    break
                for pid in pids:
                    send(pid, signal.SIGKILL)
                began = time.monotonic()
                while ask(server.url, 5)[0] != "200":
                    if time.monotonic() - began > GIVE_UP:
                        raise LoadFailed(f"no answer within {GIVE_UP:g} s of the {role}'s end")
                times.append(time.monotonic() - began)
    cells = [text for times in took.values()
             for text in ((time_text(median(times)), time_text(max(times))) if times else ("", ""))]
    return [Row(cells, {role: median(times) * 1000 for role, times in took.items()})]


# --- a leak

def leak(bench: Bench) -> list[Row]:
    limit, seconds = (100, 4) if bench.quick else (400, bench.run.seconds_or(300))
    workers, largest, most, seen = 2, 0.0, 0.0, set[int]()
    with bench.running(Service("leaks:app", TEST_APPS, workers=workers, memory=limit)) as server:
        def watch(client: Process) -> None:
            nonlocal largest, most
            while alive(client.pid):
                sizes = {row.pid: rollup(row.pid)[0] / 2**20 for row in family(server.roots)}
                seen.update(sizes)
                largest = max(largest, *sizes.values())
                most = max(most, sum(sizes.values()))
                time.sleep(0.05)
        paced = bench.load(server, Pace(200, round(200 * seconds), ("GET:/leak",)), watch)
    return [Row([f"{seconds:g} s", mib(largest), mib(most), str(len(seen)), paced.told("GET"),
                 f"{paced.unsent:,}", time_text(paced.p99), time_text(paced.longest)],
                {"largest": largest / limit, "all": most / limit / workers,
                 "lost": paced.all_lost()})]


# --- the trials

Figures = Mapping[str, Sequence[Mapping[str, float]]]  # by server, one a row


@dataclass(frozen=True)
class Trial:
    """A promise: who is tried, what is written of each, and what must be reached."""
    title: str
    text: str
    columns: Sequence[str]
    servers: Sequence[str]
    take: Callable[[Bench], list[Row]]
    goals: Sequence[tuple[str, str, float]]  # text, the worst of which figure, at most


ALL = ("onebox", "gunicorn-gthread", "gunicorn-gthread-preload", "uwsgi")
ONE_OF_EACH = ("onebox", "gunicorn-gthread", "uwsgi")

TRIALS = {
    "lost": Trial(
        "Requests lost by recycling, reloads and killed workers",
        "The game, 2 workers x 4 threads, each replaced after 50 +- 10 requests; 64 keep-alive "
        "connections, asked at a steady 2,000/s for 400,000 requests, every fifth a POST; meanwhile "
        "20 reloads and 20 kill -9 of a worker, in turns. The game's cheapest requests "
        "(/api/health, a cached list of prices, /api/logout): its pages cannot be made 2,000 times a "
        "second on two CPUs. The peers, which cannot keep up with that, are asked 10,000 times at "
        "200/s, with 10 of each. Outcomes are statuses; `reset`: closed without an answer; `unsent`: "
        "not asked, since all connections waited. uWSGI knows no random share of requests: 60.",
        ["req/s", "reloads + kills", "GET", "POST", "unsent", "lost"], ALL, lost,
        [("GETs lost", "GET", 0), ("POSTs lost, but for a 502", "POST", 0),
         ("POSTs with 502 for each kill: at most the threads of a worker", "502 a kill", THREADS),
         ("not asked in twice the time, since the box was too slow", "unsent", 0),
         ("reloads and kills that there was no time for", "missed", 0)]),
    "wait": Trial(
        "The longest wait, of an app whose import takes 3 s",
        "100 requests a second for 16 s; two reloads, and workers are replaced after 300 requests. "
        "`onebox-preload-off` imports in each worker. What Gunicorn has preloaded a reload does not "
        "load anew.",
        ["1 worker: p99", "longest", "lost", "2 workers: p99", "longest", "lost"],
        ("onebox", "onebox-preload-off", *ALL[1:]), wait,
        [("longest wait with 1 worker, ms", "longest 1", 100),
         ("longest wait with 2 workers, ms", "longest 2", 100),
         ("requests lost with 1 worker", "lost 1", 0), ("requests lost with 2", "lost 2", 0)]),
    "stuck": Trial(
        "A request that never ends",
        f"2 workers x 4 threads, {DEADLINE:g} s for a request (Gunicorn's `timeout`, uWSGI's "
        f"`harakiri`). {OTHERS} others begin 1 s before the deadline and are let go 0.2 s after it; "
        "`beside` are those that had begun in the process of the stuck one.",
        ["stuck", "its client", "others answered 200", "beside"], ONE_OF_EACH, stuck,
        [("504 after the deadline, s", "late", 0.5), ("others lost", "lost", 0)]),
    "half-sent": Trial(
        "Half-sent requests",
        "5,000 half heads and 5,000 half bodies, open all the while; 2 workers x 2 threads, 200 "
        "whole requests a second on 16 connections for 8 s before and beside them, p99 of both.",
        ["half-sent", "p99 before", "p99 beside", "ratio", "not answered in 5 s"], ONE_OF_EACH,
        half_sent, [("p99 beside / before", "times", 2), ("whole requests lost", "failed", 0)]),
    "abandoned": Trial(
        "Abandoned requests",
        "Clients that ask for what takes 2 s, and leave; then one that stays. 1 worker, 1 thread; "
        "nobody waits longer than 30 s.",
        ["left", "the one that stays"], ONE_OF_EACH, abandoned,
        [("answered after, s", "seconds", 2.1)]),
    "memory": Trial(
        "Memory of 8 workers of the game",
        "MiB of all processes of the server after 20,000 requests for 10 pages in turn; 4 threads "
        "a worker. `onebox-warm-up` has these pages in `warm_up`: the zygote has asked the app for each "
        "once, before it forked.",
        ["PSS", "RSS", "PSS by part", "lost or unsent"],
        ("onebox", "onebox-warm-up", *ALL[1:]), memory, []),
    "recovery": Trial(
        "From a kill -9 to the next answer",
        "1 worker; each kill is the first in the life of a server. Only Onebox has a front to kill.",
        ["worker: median", "longest", "front: median", "longest"], ALL, recovery,
        [("next answer after a worker's end, ms", "app worker", 20),
         ("next answer after the front's end, ms", "front", 200)]),
    "leak": Trial(
        "A leak of 1 MiB a request",
        "200 requests a second, 2 workers, each limited to 400 MiB: `memory_hard`, with "
        "`memory_soft` at three quarters of it; uWSGI's `reload-on-rss`. PSS, read every 50 ms. "
        "Gunicorn has no such limit.",
        ["for", "largest process, MiB", "all together, MiB", "processes", "GET", "unsent",
         "p99", "longest"],
        ("onebox", "uwsgi"), leak,
        [("largest process / limit", "largest", 1),
         ("all together / (limit x workers)", "all", 1), ("requests lost", "lost", 0)]),
}


def lifecycle(run: Run) -> Section:
    section = Section(
        "Lifecycle",
        "What is lost, and who waits, when workers come, go, hang and die. Goals are Onebox's. "
        "Nothing is pinned: server and client share the machine. The client is "
        "`bench/harness/pacer.py`, which asks at a steady rate: a wait counts from when a request "
        "was due.")
    for name, trial in TRIALS.items():
        if run.trials and name not in run.trials:
            continue
        figures: dict[str, list[Mapping[str, float]]] = {}
        lines = ["| server | " + " | ".join(trial.columns) + " |",
                 "|---|" + "---|" * len(trial.columns)]
        for server in trial.servers:
            if not run.wants("lifecycle", server):
                continue
            bench = Bench(run, name, server)
            try:
                rows = trial.take(bench)
            except FAILURES as error:
                section.failures[bench.cell] = str(error).replace(str(run.folder), "FOLDER")
                say(f"{bench.cell}: failed: {str(error).strip().splitlines()[-1]}")
                continue
            figures[server] = [row.figures for row in rows]
            lines += [f"| {server} | " + " | ".join(row.cells) + " |" for row in rows]
            section.commands[bench.cell] = bench.commands
            for row in rows:
                say(f"{bench.cell}: " + "; ".join(
                    f"{title} {cell}" for title, cell in zip(trial.columns, row.cells)))
        section.tables.append("\n\n".join([f"### {trial.title}", trial.text, "\n".join(lines)]))
        own = [figures.get(server, []) for server in figures if server.startswith(BASE)]
        section.goals += [Goal(f"{name}: {text}", worst(own, key), wanted, False)
                          for text, key, wanted in trial.goals]
        if name == "memory":
            section.goals += memory_goals(figures)
    return section


def worst(own: Sequence[Sequence[Mapping[str, float]]], key: str) -> Optional[float]:
    return max((row[key] for rows in own for row in rows), default=None)


def memory_goals(figures: Figures) -> list[Goal]:
    def share(own: str, other: str) -> Optional[float]:
        if own not in figures or other not in figures:
            return None
        return figures[own][0]["PSS"] / figures[other][0]["PSS"]
    return [Goal(f"memory: PSS, {own} / {other}", share(own, other), wanted, False)
            for own in (BASE, "onebox-warm-up")
            for other, wanted in (("gunicorn-gthread", 0.5), ("gunicorn-gthread-preload", 0.85))]
