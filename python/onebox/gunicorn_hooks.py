"""The hooks of a gunicorn.conf.py, with the objects that they are given."""
from __future__ import annotations

import argparse
import faulthandler
import importlib
import json
import logging
import logging.config
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from onebox import gunicorn_conf
from onebox._onebox import signal_after
from onebox.gunicorn_settings import SETTINGS

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING,
          "error": logging.ERROR, "critical": logging.CRITICAL}


class HookError(Exception):
    """A hook that must run has failed; the text is its traceback."""


class Cfg:
    """server.cfg and worker.cfg: Gunicorn's settings by name, with what is in force here."""

    def __init__(self, values: dict[str, Any]):
        self.__dict__.update(values)
        self.settings = values

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"Gunicorn has no setting {name!r} that Onebox knows")

    @property
    def address(self) -> list[Any]:
        return [_address(text) for text in self.settings["bind"]]

    @property
    def env(self) -> dict[str, str]:
        return dict(pair.split("=", 1) for pair in self.settings["raw_env"] if "=" in pair)

    @property
    def is_ssl(self) -> bool:
        return False

    @property
    def worker_class_str(self) -> str:
        return str(self.settings["worker_class"])


def _address(text: str) -> Any:
    """As a socket says it: (host, port), or a path."""
    if text.startswith("unix:"):
        return text.removeprefix("unix:")
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


class _Object:
    """Says what an attribute of Gunicorn's that Onebox does not have is missing for."""
    _absent: dict[str, str] = {}

    def __getattr__(self, name: str) -> Any:
        why = self._absent.get(name, "Onebox does not offer it to hooks")
        raise AttributeError(f"{type(self).__name__}.{name}: {why}")


class Server(_Object):
    """What a hook gets as `server`: it stands for the supervisor. It lives in the zygote; a worker has it
    as it was when that was forked."""
    _absent = {"pidfile": "Onebox writes none", "reload": "onebox reload does it, or SIGHUP to server.pid",
               "LISTENERS": "the front holds the sockets"}

    def __init__(self, cfg: Cfg, log: Any):
        self.cfg = cfg
        self.log = log
        self.pid = os.getppid()
        self.address = cfg.address
        self.num_workers: int | None = None
        self.proc_name = cfg.proc_name or "onebox"
        self.WORKERS: dict[int, Worker] = {}
        self.app = None


class Worker(_Object):
    """What a hook gets as `worker`. Made before the fork, and its own in the worker from then on."""
    _absent = {"tmp": "a worker of Onebox proves that it lives through its channel, not a file",
               "sockets": "the front holds the sockets", "wsgi": "it is the app itself: import it"}

    def __init__(self, cfg: Cfg, log: Any, number: int, pid: int | str = "[booting]"):
        self.cfg = cfg
        self.log = log
        self.pid = pid
        self.ppid = os.getppid()
        self.age = number
        self.timeout = cfg.timeout
        self.alive = True
        self.booted = False
        self.aborted = False
        self._count: Callable[[], int] = lambda: 0

    @property
    def nr(self) -> int:
        """Requests that it has begun."""
        return self._count()

    def __str__(self) -> str:
        return f"<Worker {self.pid}>"


class Log:
    """server.log and worker.log: the logger gunicorn.error, whose lines Onebox's error log has."""

    def __init__(self, level: str):
        self.error_log = logging.getLogger("gunicorn.error")
        self.access_log = logging.getLogger("gunicorn.access")
        self.loglevel = LEVELS.get(level.lower(), logging.INFO)
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("[%(levelname)s] %(message)s"))
        for logger in (self.error_log, self.access_log):
            logger.propagate = False
        self.error_log.setLevel(self.loglevel)
        self.error_log.handlers = [handler]
        self.debug = self.error_log.debug
        self.info = self.error_log.info
        self.warning = self.error_log.warning
        self.error = self.error_log.error
        self.critical = self.error_log.critical
        self.exception = self.error_log.exception

    def log(self, level: int | str, message: str, *arguments: Any, **keywords: Any) -> None:
        number = LEVELS.get(level.lower(), logging.INFO) if isinstance(level, str) else level
        self.error_log.log(number, message, *arguments, **keywords)


# What a logconfig_dict goes over: names that Gunicorn has given to handlers and formatters, and that
# files speak of.
_LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "root": {"level": "INFO", "handlers": ["console"]},
    "loggers": {
        "gunicorn.error": {"level": "INFO", "handlers": ["error_console"], "propagate": False,
                           "qualname": "gunicorn.error"},
        "gunicorn.access": {"level": "INFO", "handlers": [], "propagate": False,
                            "qualname": "gunicorn.access"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "generic",
                    "stream": "ext://sys.stdout"},
        "error_console": {"class": "logging.StreamHandler", "formatter": "generic",
                          "stream": "ext://sys.stderr"}},
    "formatters": {"generic": {"class": "logging.Formatter",
                               "format": "[%(levelname)s] %(message)s"}},
}


def _apply_logging(cfg: Cfg) -> None:
    if cfg.logconfig_dict:
        logging.config.dictConfig({**_LOGGING, **cfg.logconfig_dict})
    elif cfg.logconfig_json:
        with open(cfg.logconfig_json, encoding="utf-8") as file:
            logging.config.dictConfig({**_LOGGING, **json.load(file)})
    elif cfg.logconfig:
        logging.config.fileConfig(
            cfg.logconfig, disable_existing_loggers=False,
            defaults={"__file__": cfg.logconfig, "here": os.path.dirname(cfg.logconfig)})


def _make_log(cfg: Cfg) -> Any:
    """server.log: an object of the file's logger_class where one can be made."""
    log: Any = Log(cfg.loglevel)
    chosen = cfg.logger_class
    if chosen != SETTINGS["logger_class"].default:
        try:
            if isinstance(chosen, str):
                module, _, name = chosen.rpartition(".")
                chosen = getattr(importlib.import_module(module), name)
            # Its own files and syslog would be beside those of Onebox.
            log = chosen(Cfg({**cfg.settings, "errorlog": "-", "accesslog": None, "syslog": False,
                              "capture_output": False}))
        except Exception:
            log.warning("logger_class cannot be used here:\n%s", traceback.format_exc())
    _apply_logging(cfg)
    return log


class Request:
    """What pre_request and post_request get as `req`."""

    def __init__(self, environ: dict[str, Any]):
        self.method: str = environ["REQUEST_METHOD"]
        self.uri: str = environ["RAW_URI"]
        path, _, rest = self.uri.partition("?")
        self.query, _, self.fragment = rest.partition("#")
        self.path = path
        self.version = (1, int(environ["SERVER_PROTOCOL"][-1]))
        self.scheme: str = environ["wsgi.url_scheme"]
        self.remote_addr = (environ.get("REMOTE_ADDR", ""), int(environ.get("REMOTE_PORT") or 0))
        self.peer_addr = self.remote_addr
        self.headers = [(name[5:].replace("_", "-"), value) for name, value in environ.items()
                        if name.startswith("HTTP_")]
        self.headers += [(name.replace("_", "-"), environ[name])
                         for name in ("CONTENT_TYPE", "CONTENT_LENGTH") if environ.get(name)]


class Response:
    """What post_request gets as `resp`: what the app has said, and the bytes that it gave."""

    def __init__(self, request: Request):
        self.req = request
        self.status = ""
        self.status_code = 0
        self.headers: list[tuple[str, str]] = []
        self.response_length: int | None = None
        self.sent = 0

    def take_head(self, status: str, headers: list[tuple[str, str]]) -> None:
        self.status, self.headers = status, list(headers)
        self.status_code = int(status[:3]) if status[:3].isdigit() else 0
        for name, value in headers:
            if name.lower() == "content-length":
                self.response_length = int(value)


class _Parts:
    """The app's result, with something to call when it has ended."""

    def __init__(self, result: Iterable[bytes], response: Response, ended: Callable[[], None]):
        self._result = result
        self._response = response
        self._ended = ended

    def __iter__(self) -> Iterator[bytes]:
        for part in self._result:
            self._response.sent += len(part)
            yield part

    def __len__(self) -> int:  # of one part the server tells the length
        return len(self._result)  # type: ignore[arg-type]

    def close(self) -> None:
        try:
            if hasattr(self._result, "close"):
                self._result.close()
        finally:
            self._ended()


class _HookedApp:
    """The app, between pre_request and post_request."""

    def __init__(self, app: Callable[..., Any], hooks: Hooks):
        self._app = app
        self._hooks = hooks

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        request = Request(environ)
        self._hooks.pre_request(request)
        if not self._hooks.has("post_request"):
            return self._app(environ, start_response)
        response = Response(request)

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            write = start_response(status, headers, exc_info)
            response.take_head(status, headers)
            return write

        def ended() -> None:
            self._hooks.post_request(request, environ, response)

        try:
            result = self._app(environ, start)
        except BaseException:
            ended()
            raise
        if type(result) in (list, tuple):  # whole already: one part has a length
            result = [b"".join(result)]
        return _Parts(result, response, ended)


class _Hooks:
    """What calls the hooks of a file, where it has them."""

    def __init__(self, cfg: Cfg, server: Server):
        self.cfg = cfg
        self.server = server

    def has(self, name: str) -> bool:
        return self.cfg.settings[name] is not None

    def _call(self, name: str, *arguments: Any) -> None:
        hook = self.cfg.settings[name]
        if hook is not None:
            hook(*arguments)

    def _must(self, name: str, *arguments: Any) -> None:
        """Without it nothing can go on."""
        try:
            self._call(name, *arguments)
        except BaseException:  # a hook may raise anything, SystemExit included
            raise HookError(f"{traceback.format_exc()}the hook {name} failed") from None

    def _try(self, name: str, *arguments: Any) -> None:
        """Its failure is told, and nothing else."""
        try:
            self._call(name, *arguments)
        except Exception:
            self.server.log.exception("Exception in the hook %s", name)


class ServerHooks(_Hooks):
    """Those of Gunicorn's master, in the zygote: one method for each moment at which one is due. None may
    take longer than `seconds`; on_starting has as long as the import."""

    def __init__(self, conf: gunicorn_conf.Conf, *, workers: int, threads: int, listen: list[str],
                 seconds: float):
        values = {name: conf[name] for name in SETTINGS}
        values.update(workers=workers, threads=threads, bind=listen)
        values["chdir"] = values["chdir"] or os.getcwd()
        cfg = Cfg(values)
        super().__init__(cfg, Server(cfg, _make_log(cfg)))
        self._seconds = seconds
        # All stacks, and then what the signal does by itself: it ends the zygote.
        faulthandler.register(signal.SIGALRM, file=2, chain=True)
        if conf.is_set("umask"):
            os.umask(conf["umask"])
        for path in (cfg.pythonpath or "").split(","):
            if path and os.path.abspath(path) not in sys.path:
                sys.path.insert(0, os.path.abspath(path))

    def _call(self, name: str, *arguments: Any) -> None:
        if not self.has(name):
            return
        # Not faulthandler.dump_traceback_later(): its thread may still be there when the hook has ended, and
        # a fork would copy what that holds, a lock of the allocator for ever.
        signal_after(signal.SIGALRM, 0 if name == "on_starting" else self._seconds)
        try:
            super()._call(name, *arguments)
        finally:
            signal_after(signal.SIGALRM, 0)

    def run_between_forks(self) -> bool:
        """Whether there are any that do."""
        return any(map(self.has, ("pre_fork", "child_exit", "nworkers_changed", "when_ready", "on_reload")))

    def start(self) -> None:
        """Raises HookError."""
        self._must("on_starting", self.server)

    def serve_first(self) -> None:
        """The sockets listen, and this zygote is to fork the box's workers. Raises HookError."""
        self._must("when_ready", self.server)

    def serve_next(self) -> None:
        """Workers served before this zygote came. It is that of the box now, and the one before has gone
        with its workers."""
        self._try("when_ready", self.server)

    def take_count(self, workers: int) -> None:
        """So many workers are wanted."""
        before = self.server.num_workers
        if workers == before:
            return
        self.server.num_workers = workers
        self._try("nworkers_changed", self.server, workers, before)

    def new_worker(self, number: int) -> Worker:
        """One that is to be forked. Raises HookError."""
        worker = Worker(self.cfg, self.server.log, number)
        self._must("pre_fork", self.server, worker)
        return worker

    def of_worker(self, number: int) -> Hooks:
        """In a worker that no zygote has forked."""
        return Hooks(self, Worker(self.cfg, self.server.log, number))

    def forked(self, worker: Worker, pid: int) -> None:
        worker.pid = pid
        self.server.WORKERS[pid] = worker

    def ended(self, pid: int, number: int) -> None:
        """A worker has gone: one of ours, or of a zygote before."""
        worker = self.server.WORKERS.pop(pid, None)
        if worker is None:
            worker = Worker(self.cfg, self.server.log, number, pid)
        worker.alive = False
        self._try("child_exit", self.server, worker)

    def reload(self) -> None:
        self._try("on_reload", self.server)

    def execute(self) -> None:
        self._try("pre_exec", self.server)

    def exit(self) -> None:
        self._try("on_exit", self.server)


class Hooks(_Hooks):
    """Those of a worker, in the worker: one method for each moment at which some are due."""

    def __init__(self, of_the_server: ServerHooks, worker: Worker):
        super().__init__(of_the_server.cfg, of_the_server.server)
        self.worker = worker
        worker.pid = os.getpid()
        self.server.WORKERS[worker.pid] = worker

    # --- a worker's life

    def prepare(self) -> None:
        """Before the app is imported, unless the zygote has done that. Raises HookError."""
        self._must("post_fork", self.server, self.worker)

    def loaded(self, count: Callable[[], int]) -> None:
        """The app is imported; `count` tells the requests from now on. Raises HookError."""
        self.worker._count = count
        self.worker.booted = True
        self._must("post_worker_init", self.worker)

    def wrap(self, app: Callable[..., Any]) -> Callable[..., Any]:
        """The app itself where nothing is to run for each request."""
        hooked = self.has("pre_request") or self.has("post_request")
        return _HookedApp(app, self) if hooked else app

    def take_signals(self, drain: Callable[[], None]) -> None:
        """SIGINT and SIGABRT, where a hook waits for them. In the main thread."""
        def interrupted(*_: Any) -> None:
            self.worker.alive = False
            self._try("worker_int", self.worker)
            drain()

        def aborted(*_: Any) -> None:
            self.worker.alive = False
            self.worker.aborted = True
            self._try("worker_abort", self.worker)
            self.ended()
            sys.stderr.flush()
            os._exit(1)  # its threads may be stuck

        if self.has("worker_int"):
            signal.signal(signal.SIGINT, interrupted)
        if self.has("worker_abort"):
            signal.signal(signal.SIGABRT, aborted)

    def ended(self) -> None:
        """Its requests have ended, or it never had any."""
        self.worker.alive = False
        self._try("worker_exit", self.server, self.worker)

    # --- a request, in its thread

    def pre_request(self, request: Request) -> None:
        self._call("pre_request", self.worker, request)

    def post_request(self, request: Request, environ: dict[str, Any], response: Response) -> None:
        hook = self.cfg.settings["post_request"]
        arguments = (self.worker, request, environ, response)
        count = gunicorn_conf.parameters_of(hook) or len(arguments)
        try:
            hook(*arguments[:count])
        except Exception:
            self.server.log.exception("Exception in the hook post_request")


def load(options: argparse.Namespace) -> ServerHooks:
    """Executes the file again, in this process and where it was executed before. Raises ConfError or
    HookError."""
    os.chdir(options.gunicorn_folder)
    try:
        conf = gunicorn_conf.read(options.gunicorn, options.gunicorn_name)
    finally:
        os.chdir(options.chdir)
    try:
        return ServerHooks(conf, workers=options.workers, threads=options.threads,
                           listen=options.listen, seconds=options.hook_seconds)
    except Exception:  # of logging.config: the file's logconfig is wrong
        raise HookError(f"{traceback.format_exc()}{conf.file}: it cannot be applied") from None
