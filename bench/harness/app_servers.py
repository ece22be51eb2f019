"""App servers that run one service alike, load it anew when told, and name their workers."""
import json
import os
import signal
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Callable, Mapping, Optional, Sequence

from harness.processes import Process, family
from harness.servers import (ROOT, OneboxApp, Place, Running, Size, answers, free_port,
                             gunicorn_command, shown, start_onebox, uwsgi_command)

COMMAND_SECONDS = 120


@dataclass(frozen=True)
class Service:
    """An app and what its workers are held to, for which each server has its own words."""
    target: str
    chdir: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    workers: int = 2
    threads: int = 4
    recycle: Optional[tuple[int, int]] = None  # after so many requests, and up to so many more
    deadline: Optional[float] = None  # seconds that a request may take
    memory: Optional[int] = None  # MiB that a worker may have
    probe: str = "/"  # what is answered with 200
    app: str = ""  # settings of Onebox's app table
    front: str = ""  # and of its front
    pages: Sequence[str] = ()  # that the load asks for, where a server can be told of them before

    @property
    def size(self) -> Size:
        return Size(self.workers, self.threads)


@dataclass
class AppServer(Running):
    """A server whose processes can be found by their role, and which can load its app anew."""
    pids: Callable[[str], list[int]] = lambda role: []  # "app worker", "front"
    reload: Callable[[], None] = lambda: None  # to its end, where the server can say when


Start = Callable[[Service, Place, ExitStack], AppServer]


# --- Onebox

def onebox(service: Service, place: Place, stack: ExitStack, preload: str = "auto",
           warm_up: bool = False) -> AppServer:
    running = start_onebox(
        OneboxApp(service.target, service.chdir, onebox_toml(service, preload, warm_up),
                  service.environment, service.workers, service.threads), place, stack)
    state = ["--state", str(place.folder / "state")]

    def pids(role: str) -> list[int]:
        answer = tell(place.onebox, "status", "--json", *state)
        return [process["pid"] for process in json.loads(answer)["processes"]
                if process["role"] == role and process["pid"]]

    def reload() -> None:
        tell(place.onebox, "reload", *state)

    return AppServer(running.url, running.commands, running.roots, running.label, pids, reload)


def tell(*command: object) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True,
                          timeout=COMMAND_SECONDS, check=False)
    if done.returncode:
        raise RuntimeError(f"{shown(command)}: exit {done.returncode}: {done.stderr}")
    return done.stdout


def onebox_toml(service: Service, preload: str, warm_up: bool) -> str:
    lines = ["[app]", f'preload = "{preload}"', service.app]
    if warm_up:
        lines.append(f"warm_up = {json.dumps(list(service.pages))}")
    if service.recycle:
        lines += [f"recycle_requests = {service.recycle[0]}",
                  f"recycle_jitter = {service.recycle[1]}"]
    if service.deadline:
        lines.append(f'timeout = "{round(service.deadline * 1000)}ms"')
    if service.memory:  # room for the successor to be ready before the hard limit
        lines += [f'memory_soft = "{service.memory * 3 // 4} MiB"',
                  f'memory_hard = "{service.memory} MiB"']
    if service.front:
        lines += ["[front]", service.front]
    return "\n".join([*lines, ""])


# --- Gunicorn and uWSGI

def start(service: Service, bind: str, command: list[str], place: Place, stack: ExitStack,
          is_worker: Callable[[int], bool]) -> AppServer:
    environment = {"PYTHONPATH": str(ROOT / "python"), **service.environment}
    process = stack.enter_context(Process(command, place.folder / "server.log", place.cpus,
                                          environment))
    process.wait_until(lambda: answers(f"http://{bind}{service.probe}"))

    def pids(role: str) -> list[int]:
        return [row.pid for row in family([process.pid])
                if role == "app worker" and row.parent == process.pid and row.state not in "ZX"
                and is_worker(row.pid)]

    return AppServer(f"http://{bind}", [shown(command, service.environment)], [process.pid],
                     pids=pids, reload=lambda: os.kill(process.pid, signal.SIGHUP))


def gunicorn(service: Service, place: Place, stack: ExitStack,
             preload: bool = False) -> AppServer:
    bind = f"127.0.0.1:{free_port()}"
    command = gunicorn_command("gthread", service.size, bind, service.target, service.chdir)
    more = ["--preload"] if preload else []
    if service.recycle:
        more += ["--max-requests", str(service.recycle[0]),
                 "--max-requests-jitter", str(service.recycle[1])]
    if service.deadline:
        more += ["--timeout", f"{service.deadline:g}"]
    return start(service, bind, [*command, *more], place, stack, lambda pid: True)


def uwsgi(service: Service, place: Place, stack: ExitStack) -> AppServer:
    bind = f"127.0.0.1:{free_port()}"
    more = ["--plugin", "http", "--http-keepalive", "--http", bind, "--auto-procname",
            "--min-worker-lifetime", "0"]
    if service.recycle:
        more += ["--max-requests", str(sum(service.recycle))]
    if service.deadline:
        more += ["--harakiri", f"{service.deadline:g}"]
    if service.memory:
        more += ["--reload-on-rss", str(service.memory)]
    command = uwsgi_command(service.size, *more, target=service.target, chdir=service.chdir)
    return start(service, bind, command, place, stack, is_uwsgi_worker)


def is_uwsgi_worker(pid: int) -> bool:
    try:
        return b"worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


APP_SERVERS: dict[str, Start] = {
    "onebox": onebox,
    "onebox-preload-off": partial(onebox, preload="off"),
    "onebox-warm-up": partial(onebox, warm_up=True),
    "gunicorn-gthread": gunicorn,
    "gunicorn-gthread-preload": partial(gunicorn, preload=True),
    "uwsgi": uwsgi,
}
