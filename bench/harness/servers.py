"""The servers: how each is started at its best setting, and what it ran with."""
import json
import os
import re
import shlex
import socket
import ssl
import subprocess
import urllib.request
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterator, Mapping, Optional, Sequence, Union

from harness.processes import Cpu, Memory, Process, Stat, by_name, cpu_of, memory_of

ROOT = Path(__file__).resolve().parents[2]
APPS = ROOT / "bench/apps"
PYTHON = "/usr/bin/python3"  # Debian's, which has the packages
CONNECTIONS_MAX = 16_000  # of each server: more than any cell opens
LONG = 3600  # seconds: no server closes an idle connection while it is measured


@dataclass(frozen=True)
class Size:
    """What all app servers of a run are given alike."""
    workers: int
    threads: int


@dataclass
class Running:
    """A server that answers: where, how it was started, and of which processes it is made."""
    url: str
    commands: Sequence[str]
    roots: Sequence[int]
    label: Callable[[Stat], str] = by_name

    def cpu(self) -> Cpu:
        return cpu_of(self.roots, self.label)

    def memory(self) -> Memory:
        return memory_of(self.roots, self.label)


@dataclass(frozen=True)
class Place:
    """Where a server lives while it is measured."""
    folder: Path  # of its own, empty
    cpus: Optional[set[int]]
    size: Size
    onebox: Path
    static: Optional[Path] = None  # served under /static/
    other_cpus: Optional[set[int]] = None  # the client's, and those of what is not measured


@dataclass(frozen=True)
class Server:
    """A row of a table: its name, what it ran with, and how to run it."""
    name: str
    note: Callable[[Size], str]
    start: Callable[[Place, ExitStack], Running]

    @contextmanager
    def running(self, place: Place) -> Iterator[Running]:
        place.folder.mkdir(parents=True, mode=0o755)
        with ExitStack() as stack:
            yield self.start(place, stack)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def answers(url: str) -> bool:
    anyone = ssl._create_unverified_context() if url.startswith("https:") else None
    try:
        with urllib.request.urlopen(url, timeout=5, context=anyone) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def unix_answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(os.fspath(path))
        except OSError:
            return False
        return True


def shown(command: Sequence[object], environment: Optional[Mapping[str, str]] = None) -> str:
    settings = [f"{name}={value}" for name, value in (environment or {}).items()]
    return shlex.join([*settings, *map(str, command)])


# --- Onebox

@dataclass(frozen=True)
class OneboxApp:
    """`onebox run` on one app, with a onebox.toml for what has no flag."""
    target: str
    chdir: Path
    toml: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    workers: Union[int, str, None] = None  # None: as the place says
    threads: Optional[int] = None
    listen: str = "127.0.0.1:0"


def start_onebox(app: OneboxApp, place: Place, stack: ExitStack) -> Running:
    config = place.folder / "onebox.toml"
    config.write_text(app.toml)
    state = place.folder / "state"
    command = [place.onebox, "run", app.target, "--config", config, "--listen", app.listen,
               "--workers", app.workers or place.size.workers,
               "--threads", app.threads or place.size.threads, "--admin", "off",
               "--access-log", "off", "--python", PYTHON, "--chdir", app.chdir, "--state", state]
    if place.static:
        command += ["--static", f"/static/={place.static}"]
    words = [str(word) for word in command]
    process = stack.enter_context(Process(words, place.folder / "onebox.log", place.cpus,
                                          app.environment))
    process.wait_until(lambda: bool(re.search(r"^  ready in ", process.said(), re.M)))
    first = re.search(r"^onebox \S+\s+(https?://[^/\s]+)", process.said(), re.M)
    if not first:
        raise RuntimeError(f"onebox did not say where it listens:\n{process.said()}")
    return Running(first[1], [shown(words, app.environment), *config_lines(config)], [process.pid],
                   onebox_roles(place.onebox, state))


def config_lines(path: Path) -> list[str]:
    return [f"# {path.name}: {line}" for line in path.read_text().splitlines() if line.strip()]


def onebox_roles(program: Path, state: Path) -> Callable[[Stat], str]:
    """Names each process by the role that `onebox status` gives it."""
    roles: dict[int, str] = {}

    def label(row: Stat) -> str:
        if row.pid not in roles:  # it is younger than the last answer
            answer = subprocess.run([program, "status", "--json", "--state", state],
                                    capture_output=True, text=True, timeout=30, check=True)
            roles.update((process["pid"], process["role"])
                         for process in json.loads(answer.stdout)["processes"])
        return roles.setdefault(row.pid, row.name)
    return label


def onebox(app: OneboxApp, note: Callable[[Size], str]) -> Server:
    return Server("onebox", note, lambda place, stack: start_onebox(app, place, stack))


# --- Gunicorn and uWSGI

def gunicorn_command(kind: str, size: Size, bind: str, target: str = "hello:app",
                     chdir: Path = APPS) -> list[str]:
    """A kind of worker; gevent has greenlets in place of threads."""
    command = ["gunicorn", "--bind", bind, "--workers", str(size.workers), "--worker-class", kind,
               "--worker-connections", str(CONNECTIONS_MAX), "--keep-alive", str(LONG),
               "--backlog", "4096", "--log-level", "warning", "--chdir", str(chdir)]
    if kind == "gthread":
        command += ["--threads", str(size.threads)]
    return [*command, target]


def uwsgi_command(size: Size, *socket_options: str, target: str = "hello:app",
                  chdir: Path = APPS) -> list[str]:
    return ["uwsgi", "--plugin", "python3", "--master", "--die-on-term", "--need-app",
            "--disable-logging", "--listen", "4096", "--processes", str(size.workers),
            "--threads", str(size.threads), "--chdir", str(chdir), "--module", target,
            *socket_options]


def start_directly(place: Place, stack: ExitStack,
                   command: Callable[[Size, str], list[str]]) -> Running:
    """A server that clients speak to."""
    bind = f"127.0.0.1:{free_port()}"
    words = command(place.size, bind)
    process = stack.enter_context(Process(words, place.folder / "server.log", place.cpus))
    process.wait_until(lambda: answers(f"http://{bind}/"))
    return Running(f"http://{bind}", [shown(words)], [process.pid])


# --- nginx

NGINX = """\
{user}
worker_processes 1;
worker_rlimit_nofile 20000;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections {connections}; multi_accept on; }}
http {{
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log off;
    keepalive_timeout {long}s;
    keepalive_requests 1000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    uwsgi_temp_path {folder}/uwsgi;
    fastcgi_temp_path {folder}/fastcgi;
    scgi_temp_path {folder}/scgi;
    {more}
}}
"""

PROXY = """\
    upstream app {{ server unix:{path}; keepalive 64; keepalive_requests 1000000; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection "";
        }}
    }}"""

UWSGI_PASS = """\
    upstream app {{ server unix:{path}; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{ include /etc/nginx/uwsgi_params; uwsgi_pass app; }}
    }}"""

STATIC = """\
    {files}
    open_file_cache max=1000 inactive=1h;
    open_file_cache_valid 60s;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location /static/ {{ alias {static}/; }}
    }}"""

SENDFILE = "sendfile on; tcp_nopush on;"
NO_SENDFILE = "sendfile off; output_buffers 2 64k;"


def start_nginx(more: str, probe: str, port: int, place: Place, stack: ExitStack,
                modules: Sequence[str] = (), scheme: str = "http") -> Process:
    config = place.folder / "nginx.conf"
    config.write_text(NGINX.format(
        user="user root;" if os.getuid() == 0 else "", folder=place.folder,
        connections=CONNECTIONS_MAX, long=LONG, more=more))
    process = stack.enter_context(Process(
        ["nginx", "-p", str(place.folder), "-c", str(config), "-g",
         " ".join(["daemon off;", *(f"load_module {module};" for module in modules)])],
        place.folder / "nginx.log", place.cpus))
    process.wait_until(lambda: answers(f"{scheme}://127.0.0.1:{port}{probe}"))
    return process


def nginx_lines(more: str) -> list[str]:
    return [f"# nginx.conf: {line.strip()}" for line in more.splitlines()]


def start_behind_nginx(place: Place, stack: ExitStack, template: str,
                       command: Callable[[Size, Path], list[str]]) -> Running:
    path = place.folder / "app.sock"
    words = command(place.size, path)
    app = stack.enter_context(Process(words, place.folder / "server.log", place.cpus))
    app.wait_until(lambda: unix_answers(path))
    port = free_port()
    more = template.format(path=path, port=port)
    front = start_nginx(more, "/", port, place, stack)
    return Running(f"http://127.0.0.1:{port}", [shown(words), *nginx_lines(more)],
                   [app.pid, front.pid])


def start_static_nginx(files: str, place: Place, stack: ExitStack) -> Running:
    port = free_port()
    more = STATIC.format(files=files, port=port, static=place.static)
    front = start_nginx(more, "/static/1k.bin", port, place, stack)
    return Running(f"http://127.0.0.1:{port}", nginx_lines(more), [front.pid])


# --- the tables' rows

def threads_of(size: Size) -> str:
    return f"{size.workers} x {size.threads} threads"


def greenlets_of(size: Size) -> str:
    return f"{size.workers} x greenlets"


HELLO = OneboxApp("hello:app", APPS)
ONE_THREAD_A_CONNECTION = 64

WSGI = [
    onebox(HELLO, lambda size: f"{threads_of(size)}; front: 1 reactor"),
    Server("gunicorn-gthread", threads_of, lambda place, stack: start_directly(
        place, stack, lambda size, bind: gunicorn_command("gthread", size, bind))),
    Server("gunicorn-gevent", greenlets_of, lambda place, stack: start_directly(
        place, stack, lambda size, bind: gunicorn_command("gevent", size, bind))),
    Server("uwsgi-http", lambda size: f"{threads_of(size)}; its HTTP router, keep-alive",
           lambda place, stack: start_directly(place, stack, lambda size, bind: uwsgi_command(
               size, "--plugin", "http", "--http-keepalive", "--http", bind))),
    Server("uwsgi-http-socket",
           lambda size: f"{threads_of(size)}; closes after each answer, an error to wrk",
           lambda place, stack: start_directly(place, stack, lambda size, bind: uwsgi_command(
               size, "--http-socket", bind))),
    Server("uwsgi-http11-socket",
           lambda size: f"{size.workers} x {ONE_THREAD_A_CONNECTION} threads: one a connection",
           lambda place, stack: start_directly(place, stack, lambda size, bind: uwsgi_command(
               Size(size.workers, ONE_THREAD_A_CONNECTION), "--http11-socket", bind))),
    Server("nginx+gunicorn-gthread", lambda size: f"1 nginx worker; {threads_of(size)}",
           lambda place, stack: start_behind_nginx(
               place, stack, PROXY,
               lambda size, path: gunicorn_command("gthread", size, f"unix:{path}"))),
    Server("nginx+gunicorn-gevent", lambda size: f"1 nginx worker; {greenlets_of(size)}",
           lambda place, stack: start_behind_nginx(
               place, stack, PROXY,
               lambda size, path: gunicorn_command("gevent", size, f"unix:{path}"))),
    Server("nginx+uwsgi", lambda size: f"1 nginx worker; {threads_of(size)}; uwsgi protocol",
           lambda place, stack: start_behind_nginx(
               place, stack, UWSGI_PASS,
               lambda size, path: uwsgi_command(size, "--socket", str(path)))),
]

BURST = 500

GREENLETS = [
    onebox(OneboxApp("naps:app", APPS, toml=f"""\
[app]
worker_class = "gevent"
greenlets = {BURST}
"""), lambda size: f"{size.workers} x {BURST} greenlets; front: 1 reactor"),
    Server("gunicorn-gevent", greenlets_of, lambda place, stack: start_directly(
        place, stack, lambda size, bind: gunicorn_command("gevent", size, bind, "naps:app"))),
]

FRONT_ONLY = OneboxApp("hello:app", APPS, workers=1, threads=1, toml=f"""\
[front]
connections_max = {CONNECTIONS_MAX}
idle_timeout = "{LONG}s"
""")

STATIC_FILES = [
    onebox(FRONT_ONLY, lambda size: "1 reactor"),
    Server("nginx-sendfile", lambda size: f"1 worker; {SENDFILE} open_file_cache",
           lambda place, stack: start_static_nginx(SENDFILE, place, stack)),
    Server("nginx-read", lambda size: f"1 worker; {NO_SENDFILE} open_file_cache",
           lambda place, stack: start_static_nginx(NO_SENDFILE, place, stack)),
]
