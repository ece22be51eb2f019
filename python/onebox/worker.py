"""One app worker: loads the app, and gives it the requests of the front until it is told to end."""
from __future__ import annotations

import argparse
import faulthandler
import functools
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any

from onebox import apscheduler_hook, declaration, first_requests, gevent_worker, gunicorn_hooks, target
from onebox._onebox import DUMP_SIGNAL, Worker, connect_cache, share_cache
from onebox.gunicorn_conf import ConfError
from onebox.gunicorn_hooks import HookError, Hooks

# Exit statuses that the supervisor knows.
IMPORT_FAILED = 3
HEALTH_FAILED = 4
# Python hears of a signal between two steps: one that comes just before it sleeps is heard when it
# wakes. So it sleeps in turns.
JOIN_SECONDS = 1
CACHE_CONNECTIONS_MAX = 16  # to Redis, of one worker


def main(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    begin(options)
    hooks = None
    if options.gunicorn:
        try:
            hooks = gunicorn_hooks.load(options).of_worker(options.number)
        except (ConfError, HookError) as error:
            tell(error, options)
            return IMPORT_FAILED
    return run_alone(options, hooks)


def run_alone(options: argparse.Namespace, hooks: Hooks | None) -> int:
    """As run(); this worker imports the app by itself."""
    try:
        patch(options)
    except gevent_worker.Unusable as error:
        tell(error, options)
        return IMPORT_FAILED
    return run(options, lambda: _load(options), hooks)


def _load(options: argparse.Namespace) -> Callable[..., Any]:
    """Raises LoadError."""
    app = target.load(options.target)
    if options.number == 1:
        warn(options)
    first_requests.warm_up(app, options.warm_up)
    return app


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Of a worker, or of a zygote."""
    parser = argparse.ArgumentParser(prog="onebox")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("worker", "zygote"):
        command = commands.add_parser(name, help="what Onebox starts; not for hands")
        command.add_argument("--attach", required=True, help="the front's sockets, without their number")
        for number in ("reactors", "workers", "threads"):
            command.add_argument(f"--{number}", type=int, required=True)
        command.add_argument("--target", required=True)
        command.add_argument("--chdir", required=True)
        command.add_argument("--worker-class", choices=("threads", "gevent"), default="threads")
        command.add_argument("--health", default="", help="a path that the app must answer first")
        command.add_argument("--warm-up", action="append", default=[], metavar="PATH",
                             help="a path that the app is asked for once")
        command.add_argument("--script-name", default="", help="what all paths of the app begin with")
        command.add_argument("--gunicorn", help="a gunicorn.conf.py, or python:MODULE")
        command.add_argument("--gunicorn-name", help="of that file, as it is shown")
        command.add_argument("--gunicorn-folder", help="where it is executed")
        command.add_argument("--listen", action="append", help="for its hooks")
        command.add_argument("--memory", type=int, help="a descriptor of what all workers share")
        command.add_argument("--tasks", action="store_true", help="run tasks and jobs, and no requests")
        command.add_argument("--generation", type=int, default=0, help="of what the app declares")
        command.add_argument("--hook-seconds", type=float, help="that a hook of the server may take")
    commands.choices["worker"].add_argument("--number", type=int, required=True)
    zygote = commands.choices["zygote"]
    zygote.add_argument("--preload", choices=("off", "auto", "on"), required=True,
                        help="import the app; on: and fork whatever that has left behind")
    zygote.add_argument("--first", action="store_true", help="nothing has served in this box yet")
    return parser.parse_args(arguments)


def begin(options: argparse.Namespace) -> None:
    """What comes before anything of the app."""
    faulthandler.enable()  # where a worker dies of a signal, the log says in which line
    faulthandler.register(DUMP_SIGNAL)  # and where nothing runs any more, in which lines
    if options.memory is not None:
        share_cache(options.memory)
    _prepare_interpreter(options.chdir)
    apscheduler_hook.install(tells=options.command == "zygote" or options.number == 1)


def patch(options: argparse.Namespace) -> None:
    """What comes before the import of the app. Raises gevent_worker.Unusable."""
    if options.worker_class == "gevent":
        gevent_worker.patch()


def run(options: argparse.Namespace, find_app: Callable[[], Callable[..., Any]],
        hooks: Hooks | None) -> int:
    """Serves until drained; the exit status of the process."""
    connect_cache(min(options.threads, CACHE_CONNECTIONS_MAX))
    if options.worker_class == "gevent":
        gevent_worker.after_fork()
    try:
        if hooks:
            hooks.prepare()
        return _run(options, find_app(), hooks)
    except (HookError, target.LoadError) as error:
        tell(error, options)
        return IMPORT_FAILED
    finally:
        if hooks:
            hooks.ended()


def tell(error: Exception, options: argparse.Namespace) -> None:
    print(f"{error}\ntried: {options.target!r} in {options.chdir}, "
          f"with {sys.executable} ({sys.version.split()[0]})", file=sys.stderr, flush=True)


def _run(options: argparse.Namespace, app: Callable[..., Any], hooks: Hooks | None) -> int:
    """Raises HookError."""
    if options.health and not options.tasks and not first_requests.is_well(app, options.health):
        return HEALTH_FAILED
    worker = Worker(attach=options.attach, reactors=options.reactors, number=options.number,
                    threads=options.threads, multiprocess=options.workers > 1,
                    app=framework_of(app), python=python_of(options),
                    current=gevent_worker.current() if options.worker_class == "gevent" else None)
    _take_signals(worker, hooks)  # before its hooks, as in Gunicorn: one of them may want them otherwise
    if hooks:
        hooks.loaded(lambda: worker.requests)
        app = app if options.tasks else hooks.wrap(app)
    if options.script_name:
        app = below(options.script_name, app)
    declaration.begin(options.generation)
    if options.tasks:
        _serve_tasks(worker, app, options)
    elif options.worker_class == "gevent":
        gevent_worker.serve(worker, app, options.threads)
    else:
        _serve(worker, app, options.threads)
    if worker.failure:
        print(f"onebox: the front does not take this worker: {worker.failure}", file=sys.stderr)
        return 1
    return 0


def below(script_name: str, app: Callable[..., Any]) -> Callable[..., Any]:
    """The app where its paths begin with `script_name` (PEP 3333). A path that does not begin so stays whole."""
    def call(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        path = environ["PATH_INFO"]
        if path == script_name or path.startswith(f"{script_name}/"):
            environ["SCRIPT_NAME"], environ["PATH_INFO"] = script_name, path[len(script_name):]
        return app(environ, start_response)
    return call


def _serve_tasks(worker: Worker, app: Callable[..., Any], options: argparse.Namespace) -> None:
    from onebox.task_worker import TaskApp  # what no other worker needs
    tasks = TaskApp(app, options.number, options.generation)
    apscheduler_hook.serve()
    _serve(worker, tasks, options.threads)
    tasks.finish()


def framework_of(app: Callable[..., Any]) -> str:
    """"Flask 2.2.2", where the app is an object of a package that says its version; else nothing."""
    return _name_and_version(type(app).__module__.partition(".")[0])


@functools.cache  # it reads files: a zygote does, and its workers need not
def _name_and_version(package: str) -> str:
    try:
        return "%s %s" % (package.capitalize(), metadata.version(package))
    except (metadata.PackageNotFoundError, ValueError):
        return ""


def python_of(options: argparse.Namespace) -> str:
    """"3.11.2", and what else runs the app: "3.11.2, gevent 22.10.2"."""
    python = sys.version.split()[0]
    return f"{python}, gevent {gevent_worker.version()}" if options.worker_class == "gevent" else python


def warn(options: argparse.Namespace) -> None:
    """Of what the app has imported and its worker class makes slow. Once for all workers."""
    for sentence in gevent_worker.advice() if options.worker_class == "gevent" else []:
        print(f"onebox: {sentence}", file=sys.stderr, flush=True)


def _prepare_interpreter(chdir: str) -> None:
    """As the app expects it: its folder first in the path, its output not held back."""
    try:
        os.chdir(chdir)
    except OSError as error:
        print(f"the app's folder cannot be entered as user {os.geteuid()}: {error}",
              file=sys.stderr, flush=True)
        sys.exit(IMPORT_FAILED)
    ours = sys.path.pop(0)
    sys.path.insert(0, chdir)
    sys.path.append(ours)
    sys.argv = ["onebox"]
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]


def _take_signals(worker: Worker, hooks: Hooks | None) -> None:
    """In the main thread. Of threads it runs none of the app's, so that they never wait for it."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.drain())
    if hooks:
        hooks.take_signals(worker.drain)


def _serve(worker: Worker, app: Callable[..., Any], threads: int) -> None:
    """Until drained."""
    serving = [threading.Thread(target=worker.serve, args=(app,), name=f"onebox-{number}")
               for number in range(1, threads + 1)]
    for thread in serving:
        thread.start()
    for thread in serving:
        while thread.is_alive():
            thread.join(JOIN_SECONDS)
