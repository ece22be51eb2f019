"""From samples to what is read: medians, ratios by pairs, Markdown, the machine's facts."""
import os
import platform
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Mapping, Optional, Sequence

from harness.load import Sample, version

BASE = "onebox"
Samples = Mapping[str, Sequence[Sample]]  # by server, one a round


@dataclass(frozen=True)
class Column:
    """One number of a row: how it is taken from a sample, how written, and which way is better."""
    title: str
    take: Callable[[Sample], float]
    write: Callable[[float], str]
    more_is_better: bool = False
    compared: bool = True


@dataclass(frozen=True)
class Goal:
    """A number to reach, and what was measured; None where a side of it was not."""
    text: str
    reached: Optional[float]
    wanted: float
    at_least: bool

    def line(self) -> str:
        sign = ">=" if self.at_least else "<="
        if self.reached is None:
            return f"| {self.text} | {sign} {self.wanted:g} | not measured | |"
        held = self.reached >= self.wanted if self.at_least else self.reached <= self.wanted
        verdict = "yes" if held else "**no**"
        return f"| {self.text} | {sign} {self.wanted:g} | {self.reached:.2f} | {verdict} |"


@dataclass
class Section:
    """What a group found: its tables, its goals, the commands of each of its cells."""
    title: str
    text: str
    tables: list[str] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    commands: dict[str, Sequence[str]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def markdown(self) -> str:
        parts = [f"## {self.title}", self.text, *self.tables]
        if self.goals:
            parts.append("\n".join(["| goal | wanted | measured | reached |", "|---|---|---|---|",
                                    *(goal.line() for goal in self.goals)]))
        for cell, why in self.failures.items():
            parts.append(f"**{cell} was not measured:**\n\n```\n{why.strip()}\n```")
        lines = []
        for cell, commands in self.commands.items():
            lines += [f"# --- {cell}", *commands]
        if lines:
            parts.append("Commands (FOLDER is a temporary one; ports are whichever were free):\n\n"
                         "```sh\n" + "\n".join(lines) + "\n```")
        return "\n\n".join(parts) + "\n"


def median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else 0.0


def ratio(samples: Samples, one: str, other: str,
          take: Callable[[Sample], float]) -> Optional[float]:
    """The median over the rounds of one's number to the other's in the same round."""
    pairs = [take(first) / take(second)
             for first, second in zip(samples.get(one, ()), samples.get(other, ()))
             if take(first) > 0 and take(second) > 0]
    return median(pairs) if pairs else None


def cell_text(samples: Samples, server: str, column: Column) -> str:
    """A number, its ratio to Onebox's, and both in bold where it is better than Onebox's."""
    text = column.write(median([column.take(sample) for sample in samples[server]]))
    if server == BASE or not column.compared:
        return text
    times = ratio(samples, server, BASE, column.take)
    if times is None:
        return text
    text = f"{text} ({written_ratio(times)})"
    better = times > 1 if column.more_is_better else times < 1
    return f"**{text}**" if better else text


def written_ratio(times: float) -> str:
    return f"{times:.1f}x" if times >= 10 else f"{times:.2f}x"


def rows_table(samples: Samples, notes: Mapping[str, str], columns: Sequence[Column]) -> str:
    lines = ["| server | ran with | " + " | ".join(column.title for column in columns) + " |",
             "|---|---|" + "---:|" * len(columns)]
    for server, taken in samples.items():
        if taken:
            cells = [cell_text(samples, server, column) for column in columns]
            lines.append(f"| {server} | {notes.get(server, '')} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def parts_text(samples: Sequence[Sample], scale: float, digits: int) -> str:
    """CPU per request of each part of a server, the largest first."""
    parts = {part for sample in samples for part in sample.cpu}
    costs = {part: median([sample.cpu_per_request([part]) for sample in samples]) * scale
             for part in parts}
    shown = sorted(((cost, part) for part, cost in costs.items()), reverse=True)
    return ", ".join(f"{part} {cost:.{digits}f}" for cost, part in shown if cost >= 10**-digits)


def parts_table(samples: Samples, scale: float, digits: int, unit: str) -> str:
    lines = [f"| server | CPU by process, {unit} a request |", "|---|---|"]
    lines += [f"| {server} | {parts_text(taken, scale, digits)} |"
              for server, taken in samples.items() if taken]
    return "\n".join(lines)


# --- how numbers are written

def microseconds(seconds: float) -> str:
    return f"{seconds * 1e6:.1f} us" if seconds < 1e-3 else f"{seconds * 1e6:,.0f} us"


def time_text(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.2f} ms" if seconds < 0.1 else f"{seconds * 1e3:.0f} ms"


def whole(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.4g}"


def mib(number: float) -> str:
    return f"{number:.0f}" if number >= 100 else f"{number:.1f}"


REQUESTS = Column("req/s", lambda sample: sample.counted.requests / sample.counted.seconds, whole,
                  more_is_better=True)
P50 = Column("p50", lambda sample: sample.counted.p50, time_text)
P99 = Column("p99", lambda sample: sample.counted.p99, time_text)
CPU = Column("CPU/request", lambda sample: sample.cpu_per_request(), microseconds)
PSS = Column("PSS MiB", lambda sample: sum(sample.pss.values()), mib)
RSS = Column("RSS MiB", lambda sample: sum(sample.rss.values()), mib)
ERRORS = Column("errors", lambda sample: sample.counted.errors + sample.counted.refused, whole,
                compared=False)


# --- the machine

def cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def memory_gib() -> float:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30


def debian() -> str:
    try:
        return "Debian " + Path("/etc/debian_version").read_text().strip()
    except OSError:
        return platform.system()


def congestion_control() -> str:
    return Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()


def git(root: Path, *arguments: str) -> str:
    return version("git", "-C", str(root), *arguments)


def machine_facts(root: Path, onebox: Path) -> str:
    status = git(root, "status", "--porcelain", "--untracked-files=no")
    changed = "" if status == "silent" else ", changed"
    facts = [
        ("machine", f"{len(os.sched_getaffinity(0))} CPUs, {cpu_model()}, {memory_gib():.1f} GiB"),
        ("system", f"{debian()}, Linux {platform.release()}"),
        ("TCP's congestion control", congestion_control()),
        ("load before", f"{os.getloadavg()[0]:.2f}"),
        ("onebox", f"{version(str(onebox), '--version')}, commit "
                   f"{git(root, 'rev-parse', '--short', 'HEAD')}{changed}"),
        ("python", version("/usr/bin/python3", "--version")),
        ("gunicorn", version("gunicorn", "--version")),
        ("gevent", version("/usr/bin/python3", "-c", "import gevent; print(gevent.__version__)")),
        ("uwsgi", version("uwsgi", "--version")),
        ("nginx", version("nginx", "-v")),
        ("mariadb", version("mariadbd", "--version")),
        ("redis", version("redis-server", "--version")),
        ("celery", version("/usr/bin/python3", "-m", "celery", "--version")),
        ("wrk", version("wrk", "-v")),
        ("h2load", version("h2load", "--version")),
        ("OpenSSL", version("openssl", "version")),
    ]
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts)])
