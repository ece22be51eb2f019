#!/usr/bin/python3 -B
"""Enqueues tasks, kills whatever there is of the box meanwhile, and says what became of each task.

    ./do prove queue [--seed N] [--tasks N] [--rate N] [--folder DIR]

test_queue_proof.py asks for a thousand; this file, run by hand, for as many as told.
"""
import argparse
import collections
import json
import math
import os
import random
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import onebox
from wire import Closed

APP = onebox.APPS / "proven.py"
CHUNK = 20  # as the app has it
PARTS = 4  # who enqueues side by side: half of them by requests, half beside the box
# What is killed, each as often as it stands here, before the deck is shuffled anew.
DECK = ["task worker"] * 4 + ["broker"] * 2 + ["app worker"] * 2 + ["front", "supervisor"]
PAUSE_SECONDS = (0.2, 1.0)  # between two kills
QUIET_SECONDS = 120  # without an end of any task: then what is left is stuck
GONE_SECONDS = 5.0  # that the rest may outlive the supervisor
ROUNDING = 1e-6  # seconds


@dataclass
class Run:
    """An attempt at a task."""
    id: int
    token: int
    pid: int
    begun: float
    ended: float | None = None
    failed: bool = False


@dataclass
class Ledger:
    """What the app has written down."""
    eta: dict[int, float] = field(default_factory=dict)  # of each number that was asked for
    told: dict[int, int] = field(default_factory=dict)  # the ids of numbers that were confirmed
    unknown: set[int] = field(default_factory=set)
    runs: dict[int, list[Run]] = field(default_factory=lambda: collections.defaultdict(list))
    acks: dict[int, list[tuple[str, float]]] = field(default_factory=lambda: collections.defaultdict(list))


def read(path):
    ledger = Ledger()
    open_runs = {}
    for line in path.read_text().splitlines():
        match line.split():
            case ["asked", number, eta]:
                ledger.eta[int(number)] = float(eta)
            case ["told", number, id]:
                ledger.told[int(number)] = int(id)
            case ["unknown", number]:
                ledger.unknown.add(int(number))
            case ["ack", id, _, op, _, at]:
                ledger.acks[int(id)].append((op, float(at)))
            case ["begin", number, id, token, pid, at]:
                run = Run(int(id), int(token), int(pid), float(at))
                ledger.runs[int(number)].append(run)
                open_runs[number, token, pid] = run
            case [("end" | "fails") as what, number, _, token, pid, at]:
                run = open_runs[number, token, pid]
                run.ended, run.failed = float(at), what == "fails"
            case _:
                raise ValueError(f"not a line of ours: {line!r}")
    return ledger


class Killer:
    """Kills one process after the other until it is told to stop: one deck at least, and `decks` at most. The last is a supervisor:
    where the box begins anew, no lease of a broker that was killed has to pass first."""

    def __init__(self, running, seed, decks):
        self.running, self.choose = running, random.Random(f"killer {seed}")
        self.most = decks * len(DECK)
        self.deaths = {}  # by pid: no earlier than this
        self.killed = collections.Counter()
        self.survivors = []  # of a supervisor
        self.bugs = []  # what sanitizers have said
        self.failure = None
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self):
        self._enough.set()
        self._thread.join()
        if self.failure:
            raise self.failure

    def _run(self):
        try:
            for number, role in enumerate(self._deck()):
                if number >= self.most or number >= len(DECK) and self._enough.is_set():
                    break
                time.sleep(self.choose.uniform(*PAUSE_SECONDS))
                self._kill(role)
            self._kill("supervisor")
        except BaseException as error:
            self.failure = error

    def _deck(self):
        while True:
            yield from self.choose.sample(DECK, len(DECK))

    def _kill(self, role):
        if role == "supervisor":
            self._kill_supervisor()
        elif pids := self.running.pids(role):
            pid = self.choose.choice(sorted(pids))
            self.deaths.setdefault(pid, time.time())
            self._end(pid)
        else:
            return  # the last one has not been replaced yet
        self.killed[role] += 1

    def _kill_supervisor(self):
        """And starts it again, when what has to end with it has ended."""
        pids = self.running.processes()
        left = {}
        for pid in pids:
            try:
                left[os.pidfd_open(pid)] = pid
            except ProcessLookupError:
                pass
        beside = {process.pid for process in self.running.beside}
        now = time.time()
        self.deaths.update({pid: self.deaths.get(pid, now) for pid in pids if pid not in beside})
        self._end(self.running.process.pid)
        deadline = time.monotonic() + GONE_SECONDS
        watched = {fd for fd, pid in left.items() if pid not in beside}
        while watched and time.monotonic() < deadline:
            ready, _, _ = select.select(list(watched), [], [], deadline - time.monotonic())
            watched -= set(ready)
        self.survivors += [self.running.describe([left[fd]]) for fd in watched]
        for fd in left:
            os.close(fd)
        self.running.process.wait()
        self.running.reader.join(GONE_SECONDS)
        self.bugs += [line for line in self.running.lines if onebox.BUGS.search(line)]
        self.running.lines.clear()
        self.running.forget()
        self.running.start()

    @staticmethod
    def _end(pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def beside(running, *words):
    """The app's file as a command, beside the box: what starts it."""
    return {"args": [onebox.PYTHON, APP, *map(str, words)], "text": True,
            "env": {**running.environment, "PYTHONPATH": onebox.BINARY.parent.parent / "python",
                    "ONEBOX_BROKER": running.state / "data/broker"}}


def tell(running, *words, given=None):
    """What it prints."""
    ended = subprocess.run(**beside(running, *words), input=given, capture_output=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


class Proof:
    """One box with its tasks, from the first to the last."""

    def __init__(self, running, folder, seed, tasks, rate, decks):
        self.running, self.seed, self.rate, self.decks = running, seed, rate, decks
        self.last = tasks // CHUNK * CHUNK
        self.path = folder / "ledger"
        self.running.beside = []  # processes of ours that look like the box's
        self.poisoned = []  # of each dead letter: the workers that have died of it

    def run(self):
        """Enqueues and kills until all is enqueued, and then waits for the last end."""
        began = time.monotonic()
        self.running.get("/")  # the app is there
        clients = [subprocess.Popen(**beside(self.running, "enqueue", self.seed, 0, self.last, part, PARTS,
                                             self.rate / PARTS)) for part in range(PARTS // 2)]
        self.running.beside = clients
        askers = [threading.Thread(target=self._ask, args=(part,)) for part in range(PARTS // 2, PARTS)]
        killer = Killer(self.running, self.seed, self.decks)
        try:
            for asker in askers:
                asker.start()
            for asker in askers:
                asker.join()
            ended = [process.wait() for process in clients]
        finally:
            for process in clients:
                if process.poll() is None:
                    process.kill()
                    process.wait()
            killer.stop()
        assert not any(ended), "whoever enqueues beside the box has failed"
        self._drain()
        return self._judge(killer, time.monotonic() - began)

    def _ask(self, part):
        """By requests. Those that a killed front or worker had are not made again."""
        began = time.monotonic()
        for place, first in enumerate(range(part * CHUNK, self.last, PARTS * CHUNK)):
            time.sleep(max(0.0, began + place * CHUNK * PARTS / self.rate - time.monotonic()))
            try:
                with self._connection() as connection:
                    connection.request("POST", f"/enqueue/{self.seed}/{first}").response("POST")
            except (OSError, Closed):
                pass  # the ledger has what was told before

    def _connection(self):
        """To the box, as soon as there is one again."""
        deadline = time.monotonic() + onebox.START_SECONDS
        while True:
            try:
                return self.running.connect()
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def _drain(self):
        """Until nothing waits or runs. Dead letters are begun anew, as somebody would by hand."""
        last, quiet_since = None, time.monotonic()
        while True:
            figures = tell(self.running, "figures")
            if any(queue["dead"] for queue in figures):
                self.poisoned += tell(self.running, "revive")
                continue
            left = sum(queue[what] for queue in figures for what in ("held", "waiting", "running"))
            if left == 0:
                return
            if left != last:
                last, quiet_since = left, time.monotonic()
            if time.monotonic() - quiet_since > QUIET_SECONDS:
                return  # they are told as lost
            time.sleep(0.1)

    def _judge(self, killer, seconds):
        ledger = read(self.path)
        verdict = Verdict(self.seed, len(ledger.eta), seconds, killer.killed)
        ids = sorted({id for id in ledger.told.values() if id} |
                     {run.id for runs in ledger.runs.values() for run in runs})
        states = tell(self.running, "states", given=json.dumps(ids))
        verdict.wrong["outlived the supervisor"] = killer.survivors
        verdict.wrong["bugs"] = killer.bugs
        verdict.judge(ledger, killer.deaths, {int(id): state for id, (state, _) in states.items()})
        verdict.check_order(ledger, self._units())
        verdict.wrong["dead though no worker died of it"] = [
            deaths for deaths in self.poisoned if deaths < 3]
        verdict.poisoned = len(self.poisoned)
        return verdict

    def _units(self):
        for first in range(0, self.last, CHUNK):
            yield from units(self.seed, first)


def units(seed, first, count=CHUNK):
    """As the app's, which cannot be imported beside the tests' own `onebox`."""
    choose = random.Random(f"{seed} {first}")
    left = list(range(first, first + count))
    while left:
        kind = choose.choices(["plain", "late", "fails", "group", "chain"], [60, 10, 10, 4, 6])[0]
        size = {"group": 6, "chain": 3}.get(kind, 1)
        if size <= len(left):
            yield kind, left[:size]
            del left[:size]


@dataclass
class Verdict:
    """What was found; `wrong` is to be empty, but for its keys."""
    seed: object
    asked: int
    seconds: float
    killed: collections.Counter
    wrong: dict[str, list] = field(default_factory=dict)
    told: int = 0
    unknown: int = 0
    unknown_there: int = 0
    again: int = 0
    poisoned: int = 0

    def judge(self, ledger, deaths, states):
        self.told = len(ledger.told)
        untold = set(ledger.eta) - set(ledger.told)
        self.unknown = len(untold)
        self.unknown_there = sum(number in ledger.runs for number in untold)
        done = {number for number, runs in ledger.runs.items()
                if any(run.ended and not run.failed for run in runs)}
        for number, runs in ledger.runs.items():
            runs.sort(key=lambda run: run.begun)
        self.wrong.update({
            "lost": [number for number, id in ledger.told.items()
                     if number not in done or id and states[id] != "done"],
            "begun, and not done": [number for number in ledger.runs if number not in done],
            "enqueued twice": [number for number, runs in ledger.runs.items()
                               if len({run.id for run in runs} | {ledger.told.get(number) or runs[0].id}) > 1],
            "acknowledged twice": [id for id, acks in ledger.acks.items()
                                   if sum(op == "done" for op, _ in acks) > 1],
            "begun after it was acknowledged": [
                number for number, runs in ledger.runs.items()
                if any(op == "done" and runs[-1].begun > at for op, at in ledger.acks.get(runs[-1].id, ()))],
            "before its ETA": [number for number, runs in ledger.runs.items()
                               if runs[0].begun < ledger.eta[number] - ROUNDING],
            "run twice, and its holder lived": [
                (number, one, other) for number, runs in ledger.runs.items()
                for one, other in zip(runs, runs[1:])
                if not one.failed and deaths.get(one.pid, float("inf")) > other.begun]})
        self.again = sum(not one.failed for runs in ledger.runs.values() for one in runs[:-1])

    def check_order(self, ledger, units):
        """What follows begins when what it follows has ended."""
        wrong = self.wrong["begun before what it follows"] = []
        for kind, numbers in units:
            if kind not in ("group", "chain"):
                continue
            pairs = ([(number, numbers[-1]) for number in numbers[:-1]] if kind == "group"
                     else list(zip(numbers, numbers[1:])))
            for before, after in pairs:
                ends = [run.ended for run in ledger.runs.get(before, ()) if run.ended and not run.failed]
                if after in ledger.runs and (not ends or ledger.runs[after][0].begun < min(ends)):
                    wrong.append((before, after))

    def __str__(self):
        kills = ", ".join(f"{count} x {role}" for role, count in self.killed.most_common())
        lines = [f"seed {self.seed}: {self.asked:,} tasks in {self.seconds:.0f} s; killed: {kills}",
                 f"  {self.told:,} confirmed, {self.unknown:,} not ({self.unknown_there:,} of them were there)",
                 f"  {self.again:,} runs whose holder died were followed by another; {self.poisoned} dead letters, "
                 "begun anew by hand"]
        for what, found in self.wrong.items():
            lines.append(f"  {what}: {len(found)}" + (f": {found[:5]}" if found else ""))
        return "\n".join(lines)


def prove(folder, seed, tasks, rate, decks=math.inf):
    folder = Path(folder)
    with onebox.Onebox(folder, "proven:app", workers=2, environment={"PROOF": str(folder / "ledger")},
                       arguments=["--task-workers", "2"]) as running:
        return Proof(running, folder, seed, tasks, rate, decks).run()


def main():
    parser = argparse.ArgumentParser(prog="./do prove queue", description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--rate", type=float, default=1000.0, help="tasks that are enqueued in a second (%(default)s)")
    parser.add_argument("--folder", help="where the box and the ledger are kept (a temporary one, which goes)")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="onebox-proof-") as folder:
        verdict = prove(arguments.folder or folder, arguments.seed, arguments.tasks, arguments.rate)
    print(verdict)
    return any(verdict.wrong.values())


if __name__ == "__main__":
    sys.exit(main())
