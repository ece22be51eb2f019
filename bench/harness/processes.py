"""Server processes: started for as long as a block runs, measured from /proc, ended for certain."""
import ctypes
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Callable, Mapping, Optional, Sequence

TICK = os.sysconf("SC_CLK_TCK")
STOP_SECONDS = 15.0
START_SECONDS = 60.0
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LIBC = ctypes.CDLL(None, use_errno=True)


class StartFailed(Exception):
    """A server ended, or was silent, before it was ready."""


@dataclass(frozen=True)
class Stat:
    """One row of /proc: what a process is, and the CPU seconds of its children that have ended."""
    pid: int
    name: str
    state: str
    parent: int
    session: int
    of_the_dead: float


def read_stat(pid: int) -> Optional[Stat]:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    return Stat(pid, head.partition("(")[2], fields[0], int(fields[1]), int(fields[3]),
                (int(fields[13]) + int(fields[14])) / TICK)


def family(roots: Sequence[int]) -> list[Stat]:
    """The processes of the roots' sessions, and all that descend from them; also the ended ones
    that nobody has waited for, whose time is still theirs."""
    rows = {row.pid: row for entry in os.listdir("/proc") if entry.isdigit()
            for row in [read_stat(int(entry))] if row}
    found = {pid for pid, row in rows.items() if pid in roots or row.session in roots}
    while more := {pid for pid, row in rows.items() if row.parent in found} - found:
        found |= more
    return [rows[pid] for pid in sorted(found)]


def children() -> list[int]:
    return [row.pid for entry in os.listdir("/proc") if entry.isdigit()
            for row in [read_stat(int(entry))] if row and row.parent == os.getpid()]


def cpu_seconds(pid: int) -> float:
    """CPU time of a process, its ended threads included, in the scheduler's own nanoseconds:
    the clock that clock_getcpuclockid(3) names, without /proc's ticks of 10 ms."""
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        return 0.0


@dataclass(frozen=True)
class Cpu:
    """CPU seconds by part of a server at one moment; two of them differ by what was used."""
    parts: Mapping[str, float]

    def since(self, before: "Cpu") -> dict[str, float]:
        """Signed, so that the sum holds: who ended takes its time from its part to its parent's."""
        return {part: self.parts.get(part, 0.0) - before.parts.get(part, 0.0)
                for part in {*self.parts, *before.parts}}


@dataclass(frozen=True)
class Memory:
    """MiB: of PSS, where shared pages count once, and of RSS, where they count in each process."""
    pss: Mapping[str, float]
    rss: Mapping[str, float]


def rollup(pid: int) -> tuple[int, int]:
    """PSS and RSS of a process in bytes; zero when it has just ended."""
    found = {"Pss": 0, "Rss": 0}
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            key, _, rest = line.partition(":")
            if key in found:
                found[key] = int(rest.split()[0]) * 1024
    except OSError:
        pass
    return found["Pss"], found["Rss"]


Label = Callable[[Stat], str]


def by_name(row: Stat) -> str:
    return row.name


def cpu_of(roots: Sequence[int], label: Label = by_name) -> Cpu:
    """With what has ended: a parent's row holds the time of the children that it waited for."""
    parts: dict[str, float] = {}
    for row in family(roots):
        part = label(row)
        parts[part] = parts.get(part, 0.0) + cpu_seconds(row.pid) + row.of_the_dead
    return Cpu(parts)


def memory_of(roots: Sequence[int], label: Label = by_name) -> Memory:
    pss: dict[str, float] = {}
    rss: dict[str, float] = {}
    for row in family(roots):
        part = label(row)
        own, with_shared = rollup(row.pid)
        pss[part] = pss.get(part, 0.0) + own / 2**20
        rss[part] = rss.get(part, 0.0) + with_shared / 2**20
    return Memory(pss, rss)


def adopt_orphans() -> None:
    """A process whose parent has ended becomes our child, not init's: so none can be lost."""
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_family(roots: Sequence[int], grace: float = STOP_SECONDS) -> None:
    """SIGTERM to the roots, whose servers end their own; after the grace SIGKILL to all there is."""
    everyone = {row.pid for row in family(roots)}
    for root in roots:
        if root in everyone:
            send(root, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while any(alive(pid) for pid in everyone) and time.monotonic() < deadline:
        everyone |= {row.pid for row in family(roots)}
        time.sleep(0.02)
    for pid in everyone | {row.pid for row in family(roots)}:
        if alive(pid):
            send(pid, signal.SIGKILL)
    while any(alive(pid) for pid in everyone) and time.monotonic() < deadline + grace:
        time.sleep(0.02)


def end_descendants() -> None:
    """Whatever else of ours still runs, and has lost its parent on the way."""
    left = children()
    if left:
        end_family(left)


def alive(pid: int) -> bool:
    """Whether it runs; a child of ours that has ended is buried on the way."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass
    row = read_stat(pid)
    return row is not None and row.state not in "ZX"


def send(pid: int, sign: signal.Signals) -> None:
    try:
        os.kill(pid, sign)
    except ProcessLookupError:
        pass


def child_setup(cpus: Optional[set[int]]) -> Callable[[], None]:
    """What a child does first: it ends with us, however we end, and stays on its CPUs."""
    def setup() -> None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if cpus:
            os.sched_setaffinity(0, cpus)
    return setup


@dataclass
class Process:
    """One command in a session of its own, its output in a file: started by entering it."""
    command: Sequence[str]
    log: Path
    cpus: Optional[set[int]] = None
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Optional[Path] = None
    pid: int = 0
    process: "Optional[subprocess.Popen[bytes]]" = None

    def __enter__(self) -> "Process":
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [*map(str, self.command)], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **self.environment},
                cwd=self.folder, start_new_session=True, preexec_fn=child_setup(self.cpus))
        self.pid = self.process.pid
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        end_family([self.pid])

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_until(self, ready: Callable[[], bool], seconds: float = START_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not ready():
            if not alive(self.pid):
                raise StartFailed(f"{self.command[0]} ended:\n{self.said()[-2000:]}")
            if time.monotonic() > deadline:
                raise StartFailed(f"{self.command[0]} was not ready after {seconds:.0f} s:\n"
                                  f"{self.said()[-2000:]}")
            time.sleep(0.02)
