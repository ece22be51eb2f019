"""The jobs group: how late a box with many jobs begins them, and what they cost when none is due."""
import sqlite3
import time
from contextlib import ExitStack, closing
from pathlib import Path

from harness.broker import Broker
from harness.groups import FAILURES, Run, named_alike, say
from harness.processes import cpu_of
from harness.servers import APPS, OneboxApp, Running, start_onebox
from harness.table import Goal, Section, time_text

CELLS = ("fire", "idle")
JOBS = 10_000
EARLY_SECONDS = 0.5  # a run before that is not the one that was due then
SLACK_SECONDS = 60.0  # after the last was due: then what has not begun is told


def start(run: Run, cell: str, stack: ExitStack) -> tuple[Running, Broker, list[str]]:
    place = run.place(f"jobs-{cell}")
    place.folder.mkdir(parents=True)
    environment = {"JOBS": str(JOBS), **({"JOBS_FAR": "yes"} if cell == "idle" else {})}
    running = start_onebox(OneboxApp("many_jobs:app", APPS, environment=environment,
                                     toml='[tasks]\nworkers = 2\n[jobs]\nparallel = 8\n'), place, stack)
    broker = stack.enter_context(Broker(place.folder / "state"))
    broker.wait_for_workers(2)
    deadline = time.monotonic() + 60
    while len(broker.ask("jobs")["jobs"]) < JOBS:
        if time.monotonic() > deadline:
            raise RuntimeError(f"there are no {JOBS} jobs after a minute")
        time.sleep(0.5)
    return running, broker, named_alike(run, place, running.commands)


def fire(run: Run, section: Section) -> list[float]:
    """Seconds that each job's next run began after it was due."""
    with ExitStack() as stack:
        running, broker, section.commands["jobs/fire"] = start(run, "fire", stack)
        due = {job["name"]: job["next"] for job in broker.ask("jobs")["jobs"]}
        time.sleep(max(0.0, min(due.values()) - 1 - time.time()))
        before, began = cpu_of(running.roots, running.label), time.monotonic()
        time.sleep(max(0.0, max(due.values()) - time.time()))
        used, seconds = cpu_of(running.roots, running.label).since(before), time.monotonic() - began
        file = run.folder / "jobs-fire/state/data/jobs.db"
        until = time.monotonic() + SLACK_SECONDS
        while len(begun_in(file, due)) < len(due) and time.monotonic() < until:
            time.sleep(0.5)
        late = lateness(begun_in(file, due), due)
    rows = [f"| {part} | {cpu / seconds:.1%} |" for part, cpu in sorted(used.items(), key=lambda row: -row[1])
            if cpu / seconds >= 0.0005]
    section.tables += [lateness_table(late), "\n".join(
        [f"CPU while {JOBS / 60:.0f} jobs a second begin:\n", "| process | CPU |", "|---|---:|", *rows])]
    say(f"jobs/fire: {len(late)} begun, p50 {time_text(at(late, 0.5))}, p99 {time_text(at(late, 0.99))}")
    return late


def begun_in(file: Path, due: dict[str, float]) -> dict[str, float]:
    """When each job's run began that was due then; others may read the file at any time."""
    begun: dict[str, float] = {}
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as found:
        for name, at_ns in found.execute("SELECT job.name, run.begun FROM run JOIN job ON job.id = run.job "
                                         "WHERE run.begun IS NOT NULL ORDER BY run.begun"):
            if at_ns / 1e9 >= due[name] - EARLY_SECONDS:
                begun.setdefault(name, at_ns / 1e9)
    return begun


def lateness(begun: dict[str, float], due: dict[str, float]) -> list[float]:
    missing = set(due) - set(begun)
    if missing:
        raise RuntimeError(f"{len(missing)} jobs have not begun, as {sorted(missing)[:3]}")
    return sorted(begun[name] - due[name] for name in due)


def at(late: list[float], part: float) -> float:
    return late[min(len(late) - 1, int(len(late) * part))]


def lateness_table(late: list[float]) -> str:
    points = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("the longest", 1.0))
    return "\n".join(["| begun after it was due | |", "|---|---:|", *(
        f"| {name} | {time_text(at(late, part))} |" for name, part in points)])


def idle(run: Run, section: Section) -> float:
    """The broker's CPU seconds a second, when no job is due for months."""
    seconds = run.seconds_or(30)
    with ExitStack() as stack:
        running, _, section.commands["jobs/idle"] = start(run, "idle", stack)
        time.sleep(2.0)  # what the start has left to do
        before, began = cpu_of(running.roots, running.label), time.monotonic()
        time.sleep(seconds)
        used = cpu_of(running.roots, running.label).since(before)
        passed = time.monotonic() - began
    share = used.get("broker", 0.0) / passed
    section.tables.append(f"Idle, for {seconds:g} s: the broker uses {share:.2%} of a CPU, all processes "
                          f"{sum(used.values()) / passed:.2%}.")
    say(f"jobs/idle: {share:.2%} of a CPU")
    return share


def jobs(run: Run) -> Section:
    section = Section(
        "The scheduler",
        f"A box with {JOBS:,} jobs that do nothing. First each is due once a minute, at a moment of its own (every "
        "minute with a minute of jitter); for each, its next run: from when it was due to when the broker sent it to "
        "a task worker, as its history has it. 2 task workers, `jobs.parallel` 8. Then each is due once a year.")
    late: list[float] = []
    share = None
    for cell in CELLS:
        if not run.wants("jobs", cell):
            continue
        try:
            if cell == "fire":
                late = fire(run, section)
            else:
                share = idle(run, section)
        except FAILURES as error:
            section.failures[f"jobs/{cell}"] = str(error)
            say(f"jobs/{cell}: failed: {error}")
    section.goals = [Goal("lateness, p99, in ms", at(late, 0.99) * 1e3 if late else None, 50, False),
                     Goal("CPU of the broker when idle, in %", share * 100 if share is not None else None, 2, False)]
    return section
