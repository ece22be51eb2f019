"""A database that is ten times slower for a minute, while as much is asked as ever: who is answered
in time, and what the others are told."""
import time
from dataclasses import dataclass
from typing import Optional

from harness.app_servers import Service
from harness.groups import FAILURES, Run, say
from harness.lifecycle import Bench, at
from harness.load import Paced, Pace
from harness.processes import Process
from harness.servers import APPS
from harness.table import Goal, Section, time_text

RATE = 400  # a second; the database can do 800, and 80 when it is slow
SLOW_CAPACITY = 80
PATIENCE = 2.0  # seconds that a client waits
THREADS = 64

# What each is called, the server that it is, and what its onebox.toml adds.
SERVERS = {
    "onebox-auto": ("onebox", 'concurrency = "auto"\nqueue_timeout = "1s"'),
    "onebox-fixed": ("onebox", 'queue_timeout = "1s"'),
    "gunicorn-gthread": ("gunicorn-gthread", ""),
}


@dataclass(frozen=True)
class Phase:
    """What became of the requests that were due in some of the seconds."""
    seconds: int
    times: dict[str, list[float]]  # by outcome, in order

    @property
    def in_time(self) -> float:
        return len(self.times.get("200", [])) / self.seconds

    def quantile(self, outcome: str, part: float) -> float:
        """The time within which that part of those with the outcome had it; 0 where none had."""
        times = self.times.get(outcome, [])
        return times[int(part * (len(times) - 1))] if times else 0.0

    def cells(self) -> list[str]:
        others = {outcome: len(times) for outcome, times in sorted(self.times.items())
                  if outcome not in ("200", "503")}
        told = ", ".join(f"{count:,} {outcome}" for outcome, count in others.items())
        return [f"{self.in_time:.0f}", time_text(self.quantile("200", 0.5)),
                time_text(self.quantile("200", 0.99)), f"{len(self.times.get('503', [])):,}",
                time_text(self.quantile("503", 0.5)), time_text(self.quantile("503", 0.99)), told]


def phase(paced: Paced, first: int, after: int) -> Phase:
    times: dict[str, list[float]] = {}
    for second in range(first, after):
        for outcome, took in paced.each.get(str(second), {}).items():
            times.setdefault(outcome, []).extend(took)
    return Phase(after - first, {outcome: sorted(took) for outcome, took in times.items()})


def again_after(paced: Paced, usual: Phase, first: int, after: int) -> Optional[int]:
    """Seconds after `first` until one begins from which on all are answered as usual."""
    sound = after
    while sound > first:
        one = phase(paced, sound - 1, sound)
        if set(one.times) != {"200"} or one.quantile("200", 0.99) > 2 * usual.quantile("200", 0.99):
            break
        sound -= 1
    return sound - first if sound < after else None


def overload(run: Run) -> Section:
    calm, slow = (2, 5) if run.quick else (20, 60)
    end = calm + slow + calm
    section = Section(
        "A database that is slow for a minute",
        f"`bench/apps/database.py`, 1 worker x {THREADS} threads. {RATE} requests a second for "
        f"{end} s; the database runs 4 queries at a time, of 5 ms each, and of 50 ms from second "
        f"{calm} to second {calm + slow}: then it can do {SLOW_CAPACITY} a second. A client waits for "
        f"{PATIENCE:g} s (then `timeout`). Of the requests that were due in each part: how many were "
        "answered in time, what that took, and how soon the others were told to come again (503). "
        "`as usual again`: seconds after the slow minute until nobody failed any more and p99 was "
        "less than twice what it was before.")
    lines = ["| server | part | answered/s | p50 | p99 | 503 | p50 of it | p99 of it | others "
             "| as usual again |", "|---|---|" + "---:|" * 8]
    slow_parts: dict[str, Phase] = {}
    for name, (server, settings) in SERVERS.items():
        if not run.wants("overload", name):
            continue
        bench = Bench(run, "overload", server)
        try:
            paced = minute(bench, name, settings, calm, slow)
        except FAILURES as error:
            section.failures[f"overload/{name}"] = str(error).replace(str(run.folder), "FOLDER")
            say(f"overload/{name}: failed: {str(error).strip().splitlines()[-1]}")
            continue
        section.commands[f"overload/{name}"] = bench.commands
        usual = phase(paced, 0, calm)
        slow_parts[name] = phase(paced, calm, calm + slow)
        again = again_after(paced, usual, calm + slow, end)
        parts = {"before": usual, "slow": slow_parts[name], "after": phase(paced, calm + slow, end)}
        for part, found in parts.items():
            last = ("not yet" if again is None else f"{again} s") if part == "after" else ""
            cells = [name, part, *found.cells(), last]
            lines.append("| " + " | ".join(cells) + " |")
            say(f"overload/{name}: {part}: {found.in_time:.0f}/s in time, "
                f"p50 {time_text(found.quantile('200', 0.5))}")
    section.tables.append("\n".join(lines))
    section.goals += goals(slow_parts)
    return section


def minute(bench: Bench, name: str, settings: str, calm: int, slow: int) -> Paced:
    flag = bench.run.folder / f"slow-{name}"
    service = Service("database:app", APPS, {"SLOW": str(flag)}, workers=1, threads=THREADS,
                      app=settings)

    def disturb(client: Process) -> None:
        began = time.monotonic()
        at(began, calm)
        flag.touch()
        at(began, calm + slow)
        flag.unlink()

    with bench.running(service) as server:
        return bench.load(server, Pace(RATE, RATE * (2 * calm + slow), connections=2000,
                                       timeout=PATIENCE, each=True), disturb)


def goals(slow: dict[str, Phase]) -> list[Goal]:
    auto, fixed = slow.get("onebox-auto"), slow.get("onebox-fixed")
    both = auto and fixed and fixed.quantile("200", 0.5) > 0
    return [
        Goal("slow: answered in time / what the database can do",
             auto.in_time / SLOW_CAPACITY if auto else None, 0.9, True),
        Goal("slow: median answer, auto / fixed",
             auto.quantile("200", 0.5) / fixed.quantile("200", 0.5) if both else None, 0.8, False),
        Goal("slow: median of a 503, ms", auto.quantile("503", 0.5) * 1000 if auto else None, 50, False),
    ]
