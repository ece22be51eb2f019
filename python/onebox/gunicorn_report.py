"""What Onebox makes of a gunicorn.conf.py: values for its own options, and a line for each of
Gunicorn's settings that says what became of it."""
from __future__ import annotations

import argparse
import difflib
import inspect
import ipaddress
import json
import os
import re
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from onebox import gunicorn_conf
from onebox.gunicorn_conf import Conf, ConfError, Told, shown
from onebox.gunicorn_settings import SECTIONS, SETTINGS, Kind, Setting, Verdict

FAILED = 4  # an exit status that says: the output has told why
THREADS = ("sync", "gthread", "gunicorn.workers.sync.SyncWorker",
           "gunicorn.workers.gthread.ThreadWorker", "egg:gunicorn#sync", "egg:gunicorn#gthread")
ASGI = re.compile(r"uvicorn|hypercorn|daphne|aiohttp|sanic|quart|asgi", re.IGNORECASE)
AS_WITHOUT = "as it is without the line"
KNOWN_ATOMS = re.compile(
    r"[hlutrmUqHsBbfaTDMLp]|\{[^}]+\}[io]|\{(?i:http_.+|content_type|content_length|remote_addr|"
    r"request_method|raw_uri|path_info|query_string|server_protocol|wsgi\.url_scheme)\}e")

# What decides which advice is worth a line.
PROXY_IDLE_SECONDS = 60      # nginx keeps its idle connections for so long
BUSY_REQUESTS_PER_SECOND = 200  # of a box at its peak hour
RECYCLE_SECONDS_MIN = 6 * 3600
DATABASE_CONNECTIONS = 151   # MySQL's max_connections; PostgreSQL's is 100
GREENLETS_MAX = 1000         # app.greenlets goes no further


@dataclass(frozen=True)
class Machine:
    cores: int = 1
    planned_workers: int = 2


@dataclass
class Line:
    """What became of one setting."""
    told: Told
    name: str
    verdict: Verdict
    why: str
    value: str
    tells: bool = False  # the start says it too: it is ignored, or means something else here


@dataclass
class Report:
    file: str
    settings: list[dict[str, Any]] = field(default_factory=list)  # for Onebox's options
    lines: list[Line] = field(default_factory=list)
    advice: list[tuple[str, str]] = field(default_factory=list)  # of whom, and what
    unknown: list[tuple[str, str]] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)

    def as_json(self) -> str:
        return json.dumps({
            "settings": self.settings,
            "lines": [{"source": line.told.source, "name": line.name, "value": line.value,
                       "verdict": line.verdict.value, "why": line.why, "tells": line.tells}
                      for line in self.lines],
            "advice": [{"source": source, "text": text} for source, text in self.advice],
            "unknown": [{"source": source, "text": text} for source, text in self.unknown],
            "mistakes": self.mistakes})


class _Maker:
    """Goes through a Conf, setting by setting."""

    def __init__(self, conf: Conf, machine: Machine):
        self.conf = conf
        self.machine = machine
        self.report = Report(conf.file, mistakes=list(conf.mistakes))

    def make(self) -> Report:
        for setting in SETTINGS.values():
            told = self.conf.told[setting.name]
            if told.is_default:
                self.take_default(setting, told)
            else:
                self.take(setting, told)
        self.report.lines.sort(key=lambda line: (line.told.line == 0, line.told.line))
        self.take_unknown()
        if not self.report.mistakes:
            found = advice(self.conf, self.machine)
            found.sort(key=lambda one: self.conf.told[one[0]].line)
            self.report.advice = [(self.conf.told[name].source, f"{name}: {text}")
                                  for name, text in found]
        return self.report

    def put(self, option: str, values: Sequence[str], told: Told) -> None:
        self.report.settings.append(
            {"option": option, "values": list(values), "source": told.source})

    def add(self, setting: Setting, told: Told, verdict: Verdict, why: str, tells: bool) -> None:
        value = told.value
        if setting.name == "raw_env":  # may hold what nobody should read
            value = [f"{pair.partition('=')[0]}=..." for pair in value]
        self.report.lines.append(Line(told, setting.name, verdict, why, shown(value), tells))

    def take_default(self, setting: Setting, told: Told) -> None:
        """Where Gunicorn takes something for granted that an app may rely on."""
        if setting.name == "workers":
            self.put("app.workers", ["1"], told)
        elif setting.name == "threads" and threads_of(self.conf) == 1:
            self.put("app.threads", ["1"], told)
        elif setting.name == "preload_app":
            self.put("app.preload", ["off"], told)
        elif setting.name == "forwarded_allow_ips":
            self.put_proxies(told)

    def take(self, setting: Setting, told: Told) -> None:
        verdict, why, option = setting.verdict, setting.why, setting.option
        if convert := CONVERTERS.get(setting.name):
            verdict, option, why = convert(self, setting, told)
        elif verdict is Verdict.REFUSED:
            if not told.value or told.value == setting.default:
                verdict, why = Verdict.IGNORED, AS_WITHOUT
        elif verdict is Verdict.MAPPED and option:
            if told.value is not None:
                self.put(option, values_of(told.value), told)
        if verdict is Verdict.REFUSED:
            self.report.mistakes.append(f"{told.source}: {setting.name}: {why}")
        is_default = setting.kind is not Kind.HOOK and told.value == setting.default
        if verdict is Verdict.IGNORED and is_default and not told.value:
            why = AS_WITHOUT
        tells = setting.name in CHANGED or (verdict is Verdict.IGNORED and not is_default)
        if verdict is Verdict.MAPPED and option:
            why = f"{option}: {why}"
        self.add(setting, told, verdict, why, tells)

    def put_proxies(self, told: Told) -> str:
        networks, wrong = [], []
        for address in told.value:
            if address == "*":
                networks += ["0.0.0.0/0", "::/0"]
                continue
            try:
                networks.append(str(ipaddress.ip_network(address, strict=False)))
            except ValueError:
                wrong.append(address)
        for address in wrong:
            self.report.mistakes.append(f"{told.source}: forwarded_allow_ips: expected an address, "
                                        f"a network or \"*\", got {shown(address)}")
        self.put("front.trusted_proxies", networks, told)
        self.put("front.trust_unix_sockets", ["true"], told)
        return ", ".join(networks)

    def take_unknown(self) -> None:
        for name, (value, line) in self.conf.others.items():
            meant = misspelled(self.conf, name, value)
            if meant:
                self.report.unknown.append((f"{self.conf.file}:{line}", f"{name}: Gunicorn has no "
                                            f"such setting and ignores it; is it {meant}?"))


def values_of(value: Any) -> list[str]:
    return [str(part) for part in value] if isinstance(value, list) else [str(value)]


def misspelled(conf: Conf, name: str, value: Any) -> str:
    """The setting that an unknown name may be meant for: a near one that the file does not set, and
    that may have such a value. A file's own variables, functions and imports are its own affair."""
    if inspect.ismodule(value) or inspect.isclass(value):
        return ""
    lowered = name.lower()
    known = [other for other, setting in SETTINGS.items()
             if not conf.is_set(other) and callable(value) == (setting.kind is Kind.HOOK)]
    if name != lowered:
        return lowered if lowered in known else ""
    if inspect.isfunction(value) and value.__module__ not in ("__config__", None):
        return ""
    squeezed = {other.replace("_", ""): other for other in known}
    if exact := squeezed.get(name.replace("_", "")):
        return exact
    near = difflib.get_close_matches(name, known, 1, 0.86)
    return near[0] if near else ""


# --- converters: a setting's verdict, the option that takes it, and why ----------

Converted = tuple[Verdict, str, str]


def _bind(maker: _Maker, setting: Setting, told: Told) -> Converted:
    addresses = []
    for text in told.value:
        try:
            addresses.append(_address_of(text))
        except ValueError as error:
            return Verdict.REFUSED, "", str(error)
    if not addresses:
        return Verdict.REFUSED, "", "expected at least one address"
    maker.put("front.listen", addresses, told)
    return Verdict.MAPPED, "front.listen", ", ".join(addresses)


def _address_of(text: str) -> str:
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        return "unix:" + ("/" + path.lstrip("/") if path.startswith("//") else path)
    if text.startswith("fd://"):
        raise ValueError(f"{text}: a socket that systemd hands over serves its address: name that, or "
                         "leave bind out")
    text = text.removeprefix("tcp://")
    host, port = text, "8000"
    match = re.fullmatch(r"\[(?P<v6>[^]]*)\](?::(?P<port6>\d+))?|(?P<host>[^:]*):(?P<port>\d*)", text)
    if match:
        host = match["v6"] if match["v6"] is not None else match["host"]
        port = match["port6"] or match["port"] or port
    try:
        address = ipaddress.ip_address(host or "0.0.0.0")
    except ValueError:
        try:
            address = ipaddress.ip_address(socket.gethostbyname(host))
        except (OSError, UnicodeError):
            raise ValueError(f"{text}: nobody knows the address of {host}") from None
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


def class_name(value: Any) -> str:
    if inspect.isclass(value):
        return f"{value.__module__}.{value.__qualname__}"
    return value if isinstance(value, str) else shown(value)


def _worker_class(maker: _Maker, setting: Setting, told: Told) -> Converted:
    name = class_name(told.value)
    if name in THREADS:
        return Verdict.HONOURED, "", "threads run the requests, in processes"
    if ASGI.search(name):
        return Verdict.REFUSED, "", (f"{name} is for ASGI apps, and Onebox serves WSGI: an ASGI app "
                                     "needs an ASGI server; for a WSGI app take the line out")
    websockets = "; WebSockets are not served" if "websocket" in name.lower() else ""
    if runs_greenlets(maker.conf):
        maker.put("app.worker_class", ["gevent"], told)
        return Verdict.MAPPED, "app.worker_class", f"a greenlet runs each request{websockets}"
    return Verdict.MAPPED, "", (f"threads instead: the class is not loaded, and what it does beside "
                                f"running requests is lost{websockets}")


def threads_of(conf: Conf) -> int:
    """How many requests ran at once in a worker; 0 where it was as many as came."""
    name = class_name(conf["worker_class"])
    return conf["threads"] if name in THREADS else 0


def runs_greenlets(conf: Conf) -> bool:
    return "gevent" in class_name(conf["worker_class"])


def _worker_connections(maker: _Maker, setting: Setting, told: Told) -> Converted:
    if not runs_greenlets(maker.conf):
        return Verdict.IGNORED, "", ("the front holds the connections (front.connections_max); a "
                                     "worker has only the requests that its threads run")
    maker.put("app.greenlets", [str(min(told.value, GREENLETS_MAX))], told)
    return Verdict.MAPPED, "app.greenlets", ("requests that one worker runs at the same time; idle "
                                             "connections do not count here" +
                                             (f". {GREENLETS_MAX} at most"
                                              if told.value > GREENLETS_MAX else ""))


def _threads(maker: _Maker, setting: Setting, told: Told) -> Converted:
    if runs_greenlets(maker.conf):
        return Verdict.IGNORED, "", "Gunicorn ignores it with gevent, and so does Onebox"
    maker.put("app.threads", [str(told.value)], told)
    why = "" if threads_of(maker.conf) else "; Gunicorn ignored it with this worker_class"
    return Verdict.MAPPED, "app.threads", "requests that one worker runs at the same time" + why


def _timeout(maker: _Maker, setting: Setting, told: Told) -> Converted:
    maker.put("app.timeout", [f"{told.value}s" if told.value else "1d"], told)
    return Verdict.MAPPED, "app.timeout", ("Gunicorn's was the heartbeat of a worker; here a request "
                                           "may take so long, then its client gets 504"
                                           + ("" if told.value else ". 0 was none: 1d"))


def _graceful_timeout(maker: _Maker, setting: Setting, told: Told) -> Converted:
    maker.put("front.drain_timeout", [f"{told.value}s"], told)
    return Verdict.MAPPED, "front.drain_timeout", setting.why


def _keepalive(maker: _Maker, setting: Setting, told: Told) -> Converted:
    if told.value == 0:
        maker.put("front.requests_per_connection_max", ["1"], told)
        return (Verdict.MAPPED, "front.requests_per_connection_max",
                "1: a connection is closed after its response")
    maker.put("front.idle_timeout", [f"{told.value}s"], told)
    return Verdict.MAPPED, "front.idle_timeout", "an idle connection costs no worker here"


HEAD_BYTES = 32 << 10       # front.head_bytes_max without a word
HEAD_BYTES_MAX = 1 << 20
FIELDS_MAX = 256
LINE_BYTES_MIN = 64


def _limit_line(maker: _Maker, setting: Setting, told: Told) -> Converted:
    if told.value == 0:
        return Verdict.IGNORED, "", "0 was no limit; Onebox keeps front.request_line_max"
    size = min(max(told.value, LINE_BYTES_MIN), HEAD_BYTES_MAX)
    maker.put("front.request_line_max", [str(size)], told)
    if size > HEAD_BYTES:
        maker.put("front.head_bytes_max", [str(HEAD_BYTES_MAX)], told)
    clipped = "" if size == told.value else f": {size} is the nearest that it can be"
    return Verdict.MAPPED, "front.request_line_max", f"above it 414{clipped}"


def _limit_fields(maker: _Maker, setting: Setting, told: Told) -> Converted:
    size = min(max(told.value, 1), FIELDS_MAX)
    maker.put("front.fields_max", [str(size)], told)
    clipped = "" if size == told.value else f": {size} is the nearest that it can be"
    return Verdict.MAPPED, "front.fields_max", f"above it 431{clipped}"


def _limit_field_size(maker: _Maker, setting: Setting, told: Told) -> Converted:
    if told.value <= HEAD_BYTES // 2:
        return Verdict.IGNORED, "", ("the head as a whole has a limit, front.head_bytes_max, and "
                                     "fields share it")
    size = min(told.value + HEAD_BYTES, HEAD_BYTES_MAX)
    maker.put("front.head_bytes_max", [str(size)], told)
    return Verdict.MAPPED, "front.head_bytes_max", "room for one such field beside the others"


def _raw_env(maker: _Maker, setting: Setting, told: Told) -> Converted:
    for pair in told.value:
        if not pair.partition("=")[0] or "=" not in pair:
            return Verdict.REFUSED, "", f"expected NAME=VALUE, got {shown(pair)}"
    maker.put("app.env", told.value, told)
    return Verdict.MAPPED, "app.env", setting.why


def _user(maker: _Maker, setting: Setting, told: Told) -> Converted:
    if told.value is None:
        return Verdict.IGNORED, "", AS_WITHOUT
    maker.put(setting.option, [str(told.value)], told)
    return Verdict.MAPPED, setting.option, setting.why


def _trusted(maker: _Maker, setting: Setting, told: Told) -> Converted:
    return Verdict.MAPPED, "front.trusted_proxies", (
        f"{maker.put_proxies(told) or 'none'}, and unix sockets; their word makes REMOTE_ADDR and "
        "Host too")


def _accesslog(maker: _Maker, setting: Setting, told: Told) -> Converted:
    maker.put("log.access", [told.value or "off"], told)
    if told.value and not maker.conf.is_set("access_log_format"):
        maker.put("log.access_format", [access_format(setting_default("access_log_format"))], told)
    return Verdict.MAPPED, "log.access", setting.why


def _preload_app(maker: _Maker, setting: Setting, told: Told) -> Converted:
    maker.put("app.preload", ["on" if told.value else "off"], told)
    return Verdict.MAPPED, "app.preload", (
        "on: the zygote imports the app, and forks workers whatever that has left behind" if told.value
        else "off: each worker imports the app by itself, after post_fork")


def setting_default(name: str) -> Any:
    return SETTINGS[name].default


def access_format(text: str) -> str:
    """Gunicorn's format in Onebox's words: what Gunicorn writes as - has no value here either, and
    a dollar sign is no variable."""
    def atom(match: re.Match[str]) -> str:
        return match[0] if KNOWN_ATOMS.fullmatch(match[1]) else "-"
    return re.sub(r"%\(([^)]*)\)s", atom, text.replace("$", "$$"))


def _access_log_format(maker: _Maker, setting: Setting, told: Told) -> Converted:
    text = access_format(told.value)
    maker.put("log.access_format", [text], told)
    lost = [f"%({atom})s" for atom in re.findall(r"%\(([^)]*)\)s", told.value)
            if not KNOWN_ATOMS.fullmatch(atom)]
    return Verdict.MAPPED, "log.access_format", (
        f"the same atoms, but for {', '.join(lost)}, always -: the front does not know it"
        if lost else "the same atoms")


def _loglevel(maker: _Maker, setting: Setting, told: Told) -> Converted:
    level = told.value.lower()
    known = {"debug": "debug", "info": "info", "warning": "warning", "error": "error",
             "critical": "error"}
    maker.put("log.level", [known.get(level, "info")], told)
    return Verdict.MAPPED, "log.level", (
        f"{known[level]}" if level in known else "no such level: info, as with Gunicorn")


def _errorlog(maker: _Maker, setting: Setting, told: Told) -> Converted:
    maker.put("log.error", [told.value or "-"], told)
    return Verdict.MAPPED, "log.error", setting.why


def _wsgi_app(maker: _Maker, setting: Setting, told: Told) -> Converted:
    if not told.value:
        return Verdict.IGNORED, "", "it is empty"
    target = told.value if ":" in told.value else f"{told.value}:application"
    maker.put("app.target", [target], told)
    return Verdict.MAPPED, "app.target", target


def _logger_class(maker: _Maker, setting: Setting, told: Told) -> Converted:
    if class_name(told.value) == setting.default:
        return Verdict.IGNORED, "", AS_WITHOUT
    return Verdict.MAPPED, "", setting.why


def _reload(maker: _Maker, setting: Setting, told: Told) -> Converted:
    if not told.value:
        return Verdict.IGNORED, "", AS_WITHOUT
    maker.put("app.watch", ["true"], told)
    return Verdict.MAPPED, "app.watch", setting.why


CONVERTERS: dict[str, Callable[[_Maker, Setting, Told], Converted]] = {
    "bind": _bind, "worker_class": _worker_class, "threads": _threads, "timeout": _timeout,
    "worker_connections": _worker_connections,
    "graceful_timeout": _graceful_timeout, "keepalive": _keepalive,
    "limit_request_line": _limit_line, "limit_request_fields": _limit_fields,
    "limit_request_field_size": _limit_field_size, "preload_app": _preload_app,
    "raw_env": _raw_env, "user": _user, "group": _user, "forwarded_allow_ips": _trusted,
    "accesslog": _accesslog, "access_log_format": _access_log_format, "loglevel": _loglevel,
    "errorlog": _errorlog, "wsgi_app": _wsgi_app, "logger_class": _logger_class,
    "reload": _reload,
}

# Settings that are taken over and yet mean something else here: the start says so.
CHANGED = frozenset({"worker_class", "timeout", "worker_abort", "on_starting", "logger_class",
                     "forwarded_allow_ips"})


# --- advice ----------------------------------------------------------------------


def advice(conf: Conf, machine: Machine) -> list[tuple[str, str]]:
    """Of which setting, and what is wrong with its value on this machine."""
    found: list[tuple[str, str]] = []
    workers, threads, name = conf["workers"], conf["threads"], class_name(conf["worker_class"])
    if conf.is_set("threads") and threads > 1 and not threads_of(conf):
        found.append(("threads", f"Gunicorn ignores threads with {name} and says nothing: no worker "
                                 f"ever had {threads}" + ("" if runs_greenlets(conf) else
                                                          ". Here it counts")))
    if conf.is_set("workers") and workers != machine.planned_workers:
        formula = 2 * machine.cores + 1
        found.append(("workers", (
            f"(2 x {machine.cores} cores) + 1 is {formula}" +
            ("" if workers == formula else f", not {workers}") +
            ", and that formula is for workers of one request each. Onebox would plan "
            f"{machine.planned_workers} for this machine: app.workers = \"auto\"")))
    if not conf.is_set("workers") and threads_of(conf) == 1:
        found.append(("workers", "Gunicorn's default of 1 worker with 1 thread runs one request at "
                                 "a time; with app.workers = \"auto\" Onebox would run "
                                 f"{machine.planned_workers}, in processes of their own"))
    if conf.is_set("timeout") and name not in THREADS[:1]:
        found.append(("timeout", f"with {name} it never ended a request: it was the heartbeat of "
                                 "the whole worker. Here each request has "
                                 f"{conf['timeout'] or 86400} s; what takes longer by design needs "
                                 "a larger app.timeout"))
    if conf.is_set("keepalive") and 0 < conf["keepalive"] < PROXY_IDLE_SECONDS:
        found.append(("keepalive", f"{conf['keepalive']} s is less than the {PROXY_IDLE_SECONDS} s "
                                   "for which nginx keeps its connections: it then sends requests "
                                   "into closed ones. Without the line it is 75 s"))
    if conf.is_set("worker_connections"):
        count = workers * conf["worker_connections"]
        if count > DATABASE_CONNECTIONS:
            found.append(("worker_connections", (
                f"{workers} workers x {conf['worker_connections']} are {count} requests at once, "
                f"each of which may want a connection of the database (MySQL has "
                f"{DATABASE_CONNECTIONS}, PostgreSQL 100)" + ("" if runs_greenlets(conf) else (
                    ". Here at most app.workers x app.threads run, and the others wait in the "
                    "queue")))))
    if conf.is_set("max_requests") and conf["max_requests"]:
        period = conf["max_requests"] * workers // BUSY_REQUESTS_PER_SECOND
        if period < RECYCLE_SECONDS_MIN:
            found.append(("max_requests", (
                f"at {BUSY_REQUESTS_PER_SECOND} requests/s {workers} workers are replaced every "
                f"{_time_text(period)}, each with an import of the app. Unless memory "
                "grows, 0 is right")))
        if not conf["max_requests_jitter"] and workers > 1:
            found.append(("max_requests", "without max_requests_jitter all workers are due at the "
                                          "same time"))
    if conf.is_set("forwarded_allow_ips") and "*" in conf["forwarded_allow_ips"]:
        found.append(("forwarded_allow_ips", "with \"*\" every client can say who it is and that "
                                             "it came over https; name the proxy's address"))
    return found


def _time_text(seconds: int) -> str:
    return f"{seconds} s" if seconds < 120 else (
        f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h")


# --- commands ----------------------------------------------------------------------


def make_report(location: str, shown_as: str, machine: Machine) -> Report:
    """Raises ConfError."""
    return _Maker(gunicorn_conf.read(location, shown_as), machine).make()


def page() -> str:
    """docs/use/gunicorn-settings.md, below its head."""
    def safe(text: str) -> str:
        return text.replace("|", "\\|")
    text = ""
    for section in SECTIONS:
        text += f"\n## {section.title}\n\n| setting | flag | here | |\n|---|---|---|---|\n"
        for row in section.settings:
            flags = ", ".join(f"`{flag}`" for flag in row.flags)
            here = row.verdict.value
            if row.option:
                here += f": `{row.option}`"
            text += f"| `{row.name}` | {flags} | {here} | {safe(row.why)} |\n"
    return text


def main(arguments: Sequence[str]) -> int:
    options = _parse(arguments)
    output = os.dup(1)  # the file may do to sys.stdout what it likes
    if options.command == "gunicorn-page":
        answer = json.dumps(page())
    else:
        os.chdir(options.chdir)
        sys.path.append(sys.path.pop(0))
        sys.path.insert(0, options.chdir)
        sys.argv = ["onebox"]
        try:
            answer = make_report(options.file, options.name,
                                 Machine(options.cores, options.planned_workers)).as_json()
        except ConfError as error:
            os.write(output, f"{error}\n".encode(errors="backslashreplace"))
            os._exit(FAILED)
    _flush()
    _write(output, f"\n{options.mark}{answer}\n".encode())
    os._exit(0)  # threads that the file has started are not waited for


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="onebox")
    parser.add_argument("command", choices=("gunicorn", "gunicorn-page"))
    parser.add_argument("--file", help="a path, file:PATH or python:MODULE")
    parser.add_argument("--name", help="of the file, as it is shown")
    parser.add_argument("--chdir", help="where the file is executed")
    parser.add_argument("--mark", help="what stands before the answer, in a line of its own")
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--planned-workers", type=int, default=2)
    return parser.parse_args(arguments)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass  # the file has replaced or closed it


def _write(output: int, text: bytes) -> None:
    while text:
        text = text[os.write(output, text):]
