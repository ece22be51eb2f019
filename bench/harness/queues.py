"""The queue group: tasks enqueued and run, beside Celery with Redis."""
import json
import os
import subprocess
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional

from harness.broker import Broker
from harness.groups import FAILURES, Run, named_alike, say
from harness.processes import Process, Stat, by_name, cpu_of
from harness.servers import APPS, PYTHON, OneboxApp, Place, shown, start_onebox
from harness.table import Goal, Section, median, microseconds, whole

SERVERS = {"onebox": "", "celery-always": "always", "celery-everysec": "everysec"}
PLACES = {"disk": "on the disk", "memory": "in memory (/dev/shm)"}
CLIENT = Path(__file__).with_name("queue_client.py")
PROCESSES = 8
WORKERS = 2
QUEUE = "default"
POLL_SECONDS = 0.02
DRAIN_SECONDS = 600.0


@dataclass(frozen=True)
class Sample:
    """One server, one round."""
    tasks: int
    enqueuing: float  # seconds, by all processes
    enqueue_cpu: dict[str, float]  # CPU seconds by part; "client" is the processes that enqueue
    running: float  # seconds, from the first begin to the last acknowledgement
    run_cpu: dict[str, float]

    def enqueued_per_second(self) -> float:
        return self.tasks / self.enqueuing

    def run_per_second(self) -> float:
        return self.tasks / self.running

    def enqueue_cost(self) -> float:
        return sum(self.enqueue_cpu.values()) / self.tasks

    def run_cost(self) -> float:
        return sum(self.run_cpu.values()) / self.tasks


@dataclass
class Queue:
    """A queue that runs: how to let its workers begin, and how much is left in it."""
    commands: list[str]
    roots: list[int]
    environment: dict[str, str]
    begin: Callable[[], Optional[float]]  # the time at which they begin, where that is known
    left: Callable[[], int]
    label: Callable[[Stat], str] = by_name


def onebox(place: Place, stack: ExitStack) -> Queue:
    app = OneboxApp("trivial_tasks:app", APPS, toml=f"[tasks]\nworkers = {WORKERS}\n")
    running = start_onebox(app, place, stack)
    broker = stack.enter_context(Broker(place.folder / "state"))
    broker.wait_for_workers(WORKERS)
    broker.ask("pause", queue=QUEUE, paused=True)

    def left() -> int:
        [queue] = [one for one in broker.ask("queues")["queues"] if one["name"] == QUEUE]
        return int(queue["waiting"] + queue["running"])

    def begin() -> float:
        began = time.monotonic()
        broker.ask("pause", queue=QUEUE, paused=False)
        return began

    environment = {"ONEBOX_BROKER": str(broker.path),
                   "PYTHONPATH": f"{place.onebox.parent.parent / 'python'}:{APPS}"}
    return Queue([*running.commands], [*running.roots], environment, begin, left, running.label)


def celery(place: Place, stack: ExitStack, fsync: str) -> Queue:
    import redis  # Debian's, as redis-py in the cache group's client
    path = place.folder / "redis.sock"
    server = ["redis-server", "--port", "0", "--unixsocket", str(path), "--save", "", "--appendonly", "yes",
              "--appendfsync", fsync, "--dir", str(place.folder)]
    store = stack.enter_context(Process(server, place.folder / "redis.log", place.cpus))
    store.wait_until(path.exists)
    environment = {"REDIS_SOCKET": str(path), "PYTHONPATH": str(APPS)}
    # It begins with another queue, so that its start is not measured.
    command = [PYTHON, "-m", "celery", "-A", "celery_tasks", "worker", "--pool", "prefork", "--concurrency",
               str(WORKERS), "-Q", "idle", "--without-gossip", "--without-mingle", "--without-heartbeat",
               "--loglevel", "INFO", "-n", "bench@localhost"]
    worker = stack.enter_context(Process(command, place.folder / "celery.log", place.cpus, environment, APPS))
    worker.wait_until(lambda: "ready." in worker.said())
    client = redis.Redis(unix_socket_path=str(path))

    def begin() -> None:
        told = [PYTHON, "-m", "celery", "-A", "celery_tasks", "control", "add_consumer", "celery"]
        subprocess.run(told, cwd=APPS, env={**os.environ, **environment}, check=True, capture_output=True,
                       timeout=60)

    return Queue([shown(server), shown(command, {"REDIS_SOCKET": str(path)})], [store.pid, worker.pid],
                 environment, begin, lambda: int(client.llen("celery") + client.hlen("unacked")),
                 lambda row: "redis" if row.name.startswith("redis") else "celery")


def enqueue(which: str, queue: Queue, tasks: int) -> tuple[float, dict[str, float], str]:
    command = [PYTHON, str(CLIENT), which, str(PROCESSES), str(tasks)]
    before = cpu_of(queue.roots, queue.label)
    ended = subprocess.run(command, env={**os.environ, **queue.environment}, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, timeout=DRAIN_SECONDS)
    if ended.returncode:
        raise RuntimeError(ended.stderr)
    found = json.loads(ended.stdout)
    used = cpu_of(queue.roots, queue.label).since(before)
    return found["seconds"], {**used, "client": found["cpu"]}, " ".join(command)


def drain(queue: Queue) -> tuple[int, float, dict[str, float]]:
    """What waits is run: how much it was, the seconds, the CPU seconds."""
    tasks = queue.left()
    before = cpu_of(queue.roots, queue.label)
    began = queue.begin()
    deadline = time.monotonic() + DRAIN_SECONDS
    empty = 0
    while empty < 2:  # in Redis one may be on its way from one list to the other
        time.sleep(POLL_SECONDS)
        left = queue.left()
        if began is None and left < tasks:
            began = time.monotonic() - POLL_SECONDS
        empty = empty + 1 if left == 0 else 0
        if time.monotonic() > deadline:
            raise RuntimeError(f"{left} of {tasks} tasks are left after {DRAIN_SECONDS:g} s")
    assert began is not None
    return tasks, time.monotonic() - began - POLL_SECONDS, cpu_of(queue.roots, queue.label).since(before)


def one(run: Run, name: str, place: Place, tasks: int) -> tuple[Sample, list[str]]:
    place.folder.mkdir(parents=True)
    with ExitStack() as stack:
        queue = celery(place, stack, SERVERS[name]) if SERVERS[name] else onebox(place, stack)
        seconds, enqueue_cpu, command = enqueue(name.partition("-")[0], queue, tasks)
        count, running, run_cpu = drain(queue)
        expected = tasks // PROCESSES * PROCESSES + PROCESSES
    if count != expected:
        raise RuntimeError(f"{count} tasks waited, and not {expected}")
    return Sample(count, seconds, enqueue_cpu, running, run_cpu), [*queue.commands, command]


def commit_milliseconds(folder: Path, times: int = 100) -> float:
    """What 4 KiB more take until fdatasync returns: the median."""
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        taken = []
        for _ in range(times):
            os.write(file.fileno(), b"x" * 4096)
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - began)
    return median(taken) * 1e3


def queues(run: Run) -> Section:
    rounds, tasks = run.rounds_or(3), int(run.seconds_or(5) * 2000)
    section = Section(
        "The durable queue",
        f"{PROCESSES} processes enqueue {tasks:,} trivial tasks, each call when the one before has returned; then "
        f"{WORKERS} task workers run them, from the first begin to the last acknowledgement. {rounds} rounds, medians; "
        "in brackets: Onebox's number over this server's in the same round. Onebox commits each enqueue and end to "
        "the disk; so does Redis with appendfsync always, and with everysec a loss of power costs a second. CPU is "
        "that of all processes, the enqueuing ones too. Nothing is pinned.")
    rows: dict[str, dict[str, list[Sample]]] = {place: {
        name: [] for name in SERVERS if run.wants("queue", name)} for place in PLACES}
    commits: dict[str, list[float]] = {place: [] for place in PLACES}
    for number in range(rounds):
        for where, folder in (("disk", run.folder), ("memory", Path("/dev/shm"))):
            names = list(rows[where])
            for name in names[number % len(names):] + names[:number % len(names)]:
                cell = f"queue/{name}"
                if cell in section.failures:
                    continue
                with tempfile.TemporaryDirectory(prefix="onebox-bench-", dir=folder) as own:
                    place = Place(Path(own) / "queue", None, run.size, run.onebox)
                    commits[where].append(commit_milliseconds(Path(own)))
                    try:
                        sample, said = one(run, name, place, tasks)
                    except FAILURES as error:
                        section.failures[cell] = str(error)
                        say(f"{cell}: failed: {error}")
                        continue
                rows[where][name].append(sample)
                section.commands[cell] = named_alike(run, place, [line.replace(own, "FOLDER") for line in said])
                say(f"{cell}, {where}: round {number + 1}/{rounds}: enqueued {sample.enqueued_per_second():,.0f}/s, "
                    f"run {sample.run_per_second():,.0f}/s")
    for where, samples in rows.items():
        section.tables += [
            f"Files {PLACES[where]}, where 4 KiB and `fdatasync` take {median(commits[where]):.2f} ms:",
            table(samples), parts_table(samples)]
    section.goals = goals(rows["disk"])
    return section


def times(samples: dict[str, list[Sample]], name: str, take: Callable[[Sample], float]) -> Optional[float]:
    pairs = [take(ours) / take(theirs)
             for ours, theirs in zip(samples.get("onebox", ()), samples.get(name, ()))]
    return median(pairs) if pairs else None


def table(samples: dict[str, list[Sample]]) -> str:
    lines = ["| server | enqueued/s | CPU/enqueue | run/s | CPU/run |", "|---|---:|---:|---:|---:|"]
    columns: list[tuple[Callable[[Sample], float], Callable[[float], str]]] = [
        (Sample.enqueued_per_second, whole), (Sample.enqueue_cost, microseconds),
        (Sample.run_per_second, whole), (Sample.run_cost, microseconds)]
    for name, taken in samples.items():
        if not taken:
            continue
        cells = []
        for take, write in columns:
            ratio = times(samples, name, take) if name != "onebox" else None
            cells.append(write(median([take(sample) for sample in taken])) + (f" ({ratio:.2f}x)" if ratio else ""))
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def parts_table(samples: dict[str, list[Sample]]) -> str:
    lines = ["| server | CPU by process, us an enqueue | us a run |", "|---|---|---|"]
    for name, taken in samples.items():
        if taken:
            lines.append(f"| {name} | {parts([one.enqueue_cpu for one in taken], taken)} | "
                         f"{parts([one.run_cpu for one in taken], taken)} |")
    return "\n".join(lines)


def parts(cpu: list[dict[str, float]], taken: list[Sample]) -> str:
    costs = {part: median([one.get(part, 0.0) / sample.tasks for one, sample in zip(cpu, taken)]) * 1e6
             for part in {part for one in cpu for part in one}}
    return ", ".join(f"{part} {cost:.0f}" for part, cost in sorted(costs.items(), key=lambda row: -row[1])
                     if cost >= 0.5)


def goals(samples: dict[str, list[Sample]]) -> list[Goal]:
    durable = "celery-always"
    ours = samples.get("onebox", [])
    return [
        Goal("enqueued a second: onebox / Celery with appendfsync always",
             times(samples, durable, Sample.enqueued_per_second), 5, True),
        Goal("run a second: onebox / Celery with appendfsync always",
             times(samples, durable, Sample.run_per_second), 5, True),
        Goal("CPU for an enqueue and a run: Celery with appendfsync always / onebox", inverse(times(
            samples, durable, lambda one: one.enqueue_cost() + one.run_cost())), 5, True),
        Goal("enqueued a second", median([one.enqueued_per_second() for one in ours]) if ours else None, 20_000, True),
        Goal("run a second", median([one.run_per_second() for one in ours]) if ours else None, 5_000, True)]


def inverse(number: Optional[float]) -> Optional[float]:
    return 1 / number if number else None
