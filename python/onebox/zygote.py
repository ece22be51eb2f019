"""The zygote: imports the app once, runs the hooks of Gunicorn's master, and forks each worker from what
it has then."""
from __future__ import annotations

import gc
import json
import os
import signal
import sys
from collections.abc import Sequence
# Before they are patched for gevent: a zygote waits as itself, and has no hub.
from socket import recv_fds, socket
from typing import Any

from onebox import forking, gevent_worker, gunicorn_hooks, target, worker
from onebox._onebox import fork_child_of
from onebox.gunicorn_conf import ConfError
from onebox.gunicorn_hooks import HookError, Hooks, ServerHooks

CONTROL = 3  # the descriptor that the supervisor speaks on; src/supervise/zygote.h has the messages
MESSAGE_BYTES_MAX = 4096
# With hooks only the supervisor ends it: on_exit comes after the last child_exit.
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


def main(arguments: Sequence[str]) -> int:
    options = worker.parse(arguments)
    supervisor = os.getppid()
    try:
        worker.begin(options)
        imports = options.preload != "off"
        if imports:
            worker.patch(options)
        hooks = gunicorn_hooks.load(options) if options.gunicorn else None
        if hooks:
            hooks.take_count(options.workers)
        app = target.load(options.target) if imports else None
    except (gevent_worker.Unusable, ConfError, HookError, target.LoadError) as error:
        worker.tell(error, options)
        return worker.IMPORT_FAILED
    about: dict[str, Any] = {}
    left_behind: list[str] = []
    if app is not None:
        about = {"app": worker.framework_of(app), "python": worker.python_of(options)}
        forking.close_pools()
        left_behind = forking.what_must_not_be_forked(CONTROL)
    with socket(fileno=CONTROL) as control:
        control.setblocking(True)
        if left_behind and options.preload == "auto":
            control.send(json.dumps({"unsafe": "; ".join(left_behind), **about}).encode())
            control.recv(1)  # until the supervisor ends us
            return 0
        for reason in left_behind:
            print(f"onebox: forked all the same, since preload is on: {reason}", file=sys.stderr)
        if app is not None:
            worker.warn(options)
        try:
            if hooks:
                _begin_hooks(hooks, options.first)
        except HookError as error:
            worker.tell(error, options)
            return worker.IMPORT_FAILED
        handlers = {number: signal.signal(number, _hear_nothing) for number in ENDING} if hooks else {}
        gc.collect()
        gc.freeze()  # what the import has made is looked at no more, so its pages stay shared
        control.send(json.dumps({"ready": True, "bytes": forking.resident_bytes(), **about}).encode())
        forks = _Forks(control, supervisor, hooks, handlers)
        number = forks.make_until_told()
    if number is None:
        return 0
    options.number = number
    if app is None:
        return worker.run_alone(options, forks.hooks_of_worker)
    return worker.run(options, lambda: app, forks.hooks_of_worker)


def _begin_hooks(hooks: ServerHooks, first: bool) -> None:
    """Raises HookError."""
    hooks.start()
    if first:
        hooks.serve_first()


def _hear_nothing(*_: Any) -> None:
    """Not SIG_IGN, which a program that a hook starts would inherit."""


class _Forks:
    """Forks a worker whenever the supervisor asks for one, and runs the hooks that it speaks of."""

    def __init__(self, control: socket, supervisor: int, hooks: ServerHooks | None,
                 handlers: dict[signal.Signals, Any]):
        self._control = control
        self._supervisor = supervisor
        self._hooks = hooks
        self._handlers = handlers  # that a worker begins with
        self.hooks_of_worker: Hooks | None = None  # in a worker

    def make_until_told(self) -> int | None:
        """The number of a worker, in that worker; None in the zygote when it is to end."""
        while True:
            message, descriptors, _, _ = recv_fds(self._control, MESSAGE_BYTES_MAX, 1)
            if not message:
                return None
            wish = json.loads(message)
            if "fork" not in wish:
                if self._hooks:
                    _run_hook(self._hooks, wish)
                if "exit" in wish:
                    return None
                continue
            number = wish["fork"]
            answer: dict[str, Any] = {"worker": number}
            try:
                pid = self._make(number, descriptors[0])
                if pid == 0:
                    return int(number)
                answer["pid"] = pid
            except OSError as error:
                answer["error"] = str(error)
            except HookError as error:  # its story is that of the worker
                os.write(descriptors[0], f"{error}\n".encode(errors="backslashreplace"))
                answer["error"] = "the hook pre_fork failed"
            os.close(descriptors[0])
            self._control.send(json.dumps(answer).encode())

    def _make(self, number: int, output: int) -> int:
        """The pid of a new worker; 0 in it. Raises OSError or HookError."""
        made = self._hooks.new_worker(number) if self._hooks else None
        # A signal that comes early waits until the worker takes it as its own.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        try:
            pid = _fork(self._supervisor, output)
            if pid == 0:
                for signal_number, handler in self._handlers.items():
                    signal.signal(signal_number, handler or signal.SIG_DFL)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if self._hooks and made:
            if pid == 0:
                self.hooks_of_worker = Hooks(self._hooks, made)
            else:
                self._hooks.forked(made, pid)
        return pid


def _run_hook(hooks: ServerHooks, event: dict[str, Any]) -> None:
    match event:
        case {"serves": True}:
            hooks.serve_next()
        case {"workers": int(count)}:
            hooks.take_count(count)
        case {"ended": int(pid), "worker": int(number)}:
            hooks.ended(pid, number)
        case {"reload": True}:
            hooks.reload()
        case {"execute": True}:
            hooks.execute()
        case {"exit": True}:
            hooks.exit()


def _fork(supervisor: int, output: int) -> int:
    """The pid of a new child of the supervisor; 0 in it."""
    pid = fork_child_of(supervisor)
    if pid == 0:
        for stream in (1, 2):
            os.dup2(output, stream)
        os.close(output)
        signal.set_wakeup_fd(-1)
    return pid
