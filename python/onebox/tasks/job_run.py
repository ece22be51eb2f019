"""One run of a job: a function of the app, a command, or a URL."""
from __future__ import annotations

import importlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import onebox
from onebox.jobs import registry
from onebox.tasks import payload
from onebox.tasks.definition import Options
from onebox.tasks.present import Running
from onebox.tasks.running import Work

SLICE_SECONDS = 0.25  # of waiting, so that it can be interrupted
TERM_SECONDS = 0.5  # that a command has to end, before it is killed: a stuck thread is given up after 1 s
TAIL_BYTES = 16 << 10  # of its output, that its end is told with
URL_SECONDS = 60.0  # where the job has no timeout


class CommandFailed(Exception):
    """Its exit status, and the end of what it has said."""


class UrlFailed(Exception):
    """What was answered instead."""


def prepare(run: Running, text: str) -> Work:
    """Of the firing that is in the payload. Raises LookupError, ImportError or ValueError."""
    firing = json.loads(text)
    run.firing = firing.get("firing")
    run.fence = firing.get("fence") or run.token
    call = _call_of(firing)
    return Work(lambda: _sayable(call()), Options())


def _sayable(value: Any) -> Any:
    """Nobody asks for what a job returns: it is for who looks."""
    try:
        payload.dump_result(value, "json", "job")
    except TypeError:
        return None
    return value


def _call_of(firing: dict[str, Any]) -> Callable[[], Any]:
    kind, what, name = firing.get("kind", "call"), firing["what"], firing["job"]
    if kind == "command":
        return lambda: run_command(what, name)
    if kind == "url":
        return lambda: ask_url(what)
    if kind != "call":
        raise ValueError(f"the job {name} is of the kind {kind!r}, which this version does not know")
    job = registry.get(name)
    if job and job.what == what:
        return lambda: job.function(*job.args, **job.kwargs)
    return _function_of(what)


def _function_of(what: str) -> Callable[[], Any]:
    name, _, call = what.partition(" ")
    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        if not hasattr(found, part):
            raise LookupError(f"{name} is not there: a job is a function that can be imported, or one that the app "
                              "registers whenever it is imported")
        found = getattr(found, part)
    given = json.loads(call) if call else {}
    return lambda: found(*given.get("args", ()), **given.get("kwargs", {}))


def run_command(command: str, job: str) -> str:
    """By the shell, in a process group of its own, which ends with this call whatever it does; its output goes
    to the log, and its end is returned. Raises CommandFailed."""
    process = subprocess.Popen([*_dies_with_us(), "/bin/sh", "-c", command], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        tail = _follow(process, job)
    finally:
        _end(process)
    if process.returncode:
        raise CommandFailed(f"{command!r} ended with {_status(process.returncode)}; it said last:\n{tail}")
    return tail


def _dies_with_us() -> list[str]:
    """A worker that is killed cannot end its commands."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []


def _follow(process: subprocess.Popen[bytes], job: str) -> str:
    """The end of what it says, until it has ended: what it has left behind may keep its output open."""
    assert process.stdout is not None
    output = process.stdout.fileno()
    os.set_blocking(output, False)
    tail, line = bytearray(), bytearray()
    while True:
        ended = process.poll() is not None
        ready, _, _ = select.select([output], [], [], 0 if ended else SLICE_SECONDS)
        piece = os.read(output, 1 << 16) if ready else b""
        tail += piece
        line += piece
        del tail[:-TAIL_BYTES]
        while b"\n" in line or len(line) > TAIL_BYTES:
            head, _, rest = line.partition(b"\n") if b"\n" in line else (line, b"", b"")
            _log(job, head)
            line = bytearray(rest)
        if ended and not piece:
            break
        if ready and not piece:  # closed, and it still runs
            try:
                process.wait(SLICE_SECONDS)
            except subprocess.TimeoutExpired:
                pass
    if line:
        _log(job, line)
    return tail.decode(errors="replace")


def _log(job: str, line: bytes) -> None:
    print(f"job {job}: {line.decode(errors='replace')}", file=sys.stderr, flush=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Of the group: first asked, then killed. The group is there as long as one of it is."""
    if process.poll() is None:
        _signal(process.pid, signal.SIGTERM)
        try:
            process.wait(TERM_SECONDS)
        except subprocess.TimeoutExpired:
            pass
    _signal(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout:
        process.stdout.close()


def _signal(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        pass


def _status(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


def ask_url(what: str) -> dict[str, Any]:
    """`URL`, or `POST URL`. What is waited for is a thread, since a read from a socket cannot be interrupted.
    Raises UrlFailed."""
    method, _, url = what.rpartition(" ")
    left = onebox.deadline()
    seconds = URL_SECONDS if left is None else max(left, SLICE_SECONDS)
    answer: dict[str, Any] = {}
    asking = threading.Thread(target=_ask, args=(method or "GET", url, seconds, answer), daemon=True,
                              name="onebox-url")
    asking.start()
    until = time.monotonic() + seconds
    while asking.is_alive() and time.monotonic() < until:
        asking.join(SLICE_SECONDS)
    if "status" in answer and answer["status"] < 400:
        return answer
    raise UrlFailed(f"{what}: {answer.get('error') or f'no answer within {seconds:.3g} s'}")


def _ask(method: str, url: str, seconds: float, answer: dict[str, Any]) -> None:
    try:
        request = urllib.request.Request(url, method=method, headers={"User-Agent": "onebox (job)"},
                                         data=b"" if method == "POST" else None)
        with urllib.request.urlopen(request, timeout=seconds) as response:
            response.read(TAIL_BYTES)
            answer["status"] = response.status
    except urllib.error.HTTPError as error:
        answer["error"] = f"{error.code} {error.reason}: {error.read(1024).decode(errors='replace')}"
    except Exception as error:  # of the network, of the URL
        answer["error"] = f"{type(error).__name__}: {error}"
