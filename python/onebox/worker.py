"""One app worker: loads the app, and gives it the requests of the front until it is told to end."""
from __future__ import annotations

import argparse
import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any

from onebox import target
from onebox._onebox import DUMP_SIGNAL, Worker

IMPORT_FAILED = 3  # an exit status that the supervisor knows


def main(arguments: Sequence[str]) -> int:
    options = _parse(arguments)
    faulthandler.enable()  # where a worker dies of a signal, the log says in which line
    faulthandler.register(DUMP_SIGNAL)  # and where nothing runs any more, in which lines
    _prepare_interpreter(options.chdir)
    try:
        app = target.load(options.target)
    except target.LoadError as error:
        print(f"{error}\ntried: {options.target!r} in {options.chdir}, "
              f"with {sys.executable} ({sys.version.split()[0]})", file=sys.stderr, flush=True)
        return IMPORT_FAILED
    worker = Worker(attach=options.attach, reactors=options.reactors, number=options.number,
                    threads=options.threads, multiprocess=options.workers > 1,
                    app=_framework_of(app), python=sys.version.split()[0])
    _serve(worker, app, options.threads)
    if worker.failure:
        print(f"onebox: the front does not take this worker: {worker.failure}", file=sys.stderr)
        return 1
    return 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="onebox")
    commands = parser.add_subparsers(dest="command", required=True)
    worker = commands.add_parser("worker", help="what Onebox starts; not for hands")
    worker.add_argument("--attach", required=True, help="the front's sockets, without their number")
    for name in ("reactors", "number", "workers", "threads"):
        worker.add_argument(f"--{name}", type=int, required=True)
    worker.add_argument("--target", required=True)
    worker.add_argument("--chdir", required=True)
    return parser.parse_args(arguments)


def _prepare_interpreter(chdir: str) -> None:
    """As the app expects it: its folder first in the path, its output not held back."""
    os.chdir(chdir)
    ours = sys.path.pop(0)
    sys.path.insert(0, chdir)
    sys.path.append(ours)
    sys.argv = ["onebox"]
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]


def _framework_of(app: Callable[..., Any]) -> str:
    """"Flask 2.2.2", where the app is an object of a package that says its version; else nothing."""
    package = type(app).__module__.partition(".")[0]
    try:
        return "%s %s" % (package.capitalize(), metadata.version(package))
    except (metadata.PackageNotFoundError, ValueError):
        return ""


def _serve(worker: Worker, app: Callable[..., Any], threads: int) -> None:
    """Until drained. The main thread takes signals alone, so that they never wait for the app."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.drain())
    serving = [threading.Thread(target=worker.serve, args=(app,), name=f"onebox-{number}")
               for number in range(1, threads + 1)]
    for thread in serving:
        thread.start()
    for thread in serving:
        thread.join()
