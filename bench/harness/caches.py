"""The cache group: onebox.cache beside Redis over a unix socket with redis-py."""
import json
import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator

from harness.groups import FAILURES, Run, say
from harness.processes import StartFailed
from harness.servers import ROOT
from harness.table import Goal, Section, median

SERVERS = ("onebox", "redis")
PYTHON = "/usr/bin/python3"
CLIENT = Path(__file__).with_name("cache_client.py")
PROCESSES = 8
GET = "get, 100 B"


@dataclass
class Measured:
    """What a client has printed."""
    alone: dict[str, list[float]]  # by call: calls, seconds, the client's CPU seconds
    hammer: dict[str, float]


@contextmanager
def redis(folder: Path) -> Iterator[tuple[str, list[str]]]:
    folder.mkdir()
    path = folder / "redis.sock"
    command = ["redis-server", "--port", "0", "--unixsocket", str(path), "--save", "", "--appendonly",
               "no", "--dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            for _ in range(600):
                if path.exists():
                    break
                time.sleep(0.05)
            else:
                raise StartFailed("redis-server does not open its socket")
            yield f"unix:{path}", [" ".join(command)]
        finally:
            server.terminate()


@contextmanager
def onebox(folder: Path) -> Iterator[tuple[str, list[str]]]:
    yield "onebox", []


def one(run: Run, which: str, seconds: float, number: int) -> tuple[Measured, list[str]]:
    folder = run.folder / f"cache-{number}-{which}"
    with (redis if which == "redis" else onebox)(folder) as (address, said):
        command = [PYTHON, str(CLIENT), address, str(seconds), str(PROCESSES)]
        environment = {**os.environ, "PYTHONPATH": str(run.onebox.parent.parent / "python")}
        ended = subprocess.run(command, env=environment, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, timeout=60 + 20 * seconds)
        if ended.returncode:
            raise StartFailed(ended.stderr)
        printed: dict[str, Any] = json.loads(ended.stdout)
        shutil.rmtree(folder, ignore_errors=True)
        return Measured(printed["alone"], printed["hammer"]), [*said, " ".join(command)]


def caches(run: Run) -> Section:
    rounds, seconds = run.rounds_or(5), run.seconds_or(1.0)
    section = Section(
        "The shared cache",
        "One Python process calls one cache after the other, the other way round in every second round; "
        "medians of the time of one call as the app sees it, in microseconds. Redis 7 over a unix socket, "
        f"redis-py from Debian. Then {PROCESSES} processes at once, each counting, writing values of "
        "several sizes, and reading them.")
    rows: dict[str, list[Measured]] = {name: [] for name in SERVERS if run.wants("cache", name)}
    for number in range(rounds):
        for which in list(rows) if number % 2 == 0 else list(rows)[::-1]:
            cell = f"cache/{which}"
            if cell in section.failures:
                continue
            try:
                measured, said = one(run, which, seconds, number)
                rows[which].append(measured)
                section.commands[cell] = [
                    line.replace(str(run.folder), "FOLDER").replace(f"{ROOT}/", "") for line in said]
                say(f"{cell}: round {number + 1}/{rounds}: {time_of(measured, GET):.2f} us")
            except FAILURES as error:
                section.failures[cell] = str(error)
                say(f"{cell}: failed: {error}")
    section.tables = [calls_table(rows), hammer_table(rows)]
    if all(rows.get(name) for name in SERVERS):
        pairs = zip(rows["redis"], rows["onebox"])
        section.goals = [
            Goal("get of 100 B: Redis' time over Onebox's", median(
                [time_of(theirs, GET) / time_of(ours, GET) for theirs, ours in pairs]), 40, True),
            Goal(f"{PROCESSES} processes: counts lost and values torn", sum(
                row.hammer["lost"] + row.hammer["torn"] for row in rows["onebox"]), 0, False)]
    return section


def time_of(measured: Measured, call: str) -> float:
    calls, seconds, _ = measured.alone[call]
    return seconds / calls * 1e6


def calls_table(rows: dict[str, list[Measured]]) -> str:
    lines = ["| call | " + " | ".join(f"{name}, us" for name in rows) + " | ratio |",
             "|---|" + "---:|" * (len(rows) + 1)]
    first = next(filter(None, rows.values()), None)
    for call in first[0].alone if first else []:
        times = [median([time_of(row, call) for row in found]) for found in rows.values() if found]
        ratio = f"{times[1] / times[0]:.0f}x" if len(times) == 2 else ""
        lines.append(f"| {call} | " + " | ".join(f"{time:.2f}" for time in times) + f" | {ratio} |")
    return "\n".join(lines)


def hammer_table(rows: dict[str, list[Measured]]) -> str:
    lines = [f"| {PROCESSES} processes | calls a second | counts lost | values torn |", "|---|---:|---:|---:|"]
    for name, found in rows.items():
        if found:
            rate = median([row.hammer["calls"] / row.hammer["seconds"] for row in found])
            lines.append(f"| {name} | {rate:,.0f} | {sum(row.hammer['lost'] for row in found):.0f} | "
                         f"{sum(row.hammer['torn'] for row in found):.0f} |")
    return "\n".join(lines)
