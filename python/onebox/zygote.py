"""The zygote: imports the app once, runs the hooks of Gunicorn's master, and forks each worker from what
it has then, one of them ahead of time."""
from __future__ import annotations

import argparse
import gc
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
# Before they are patched for gevent: a zygote waits as itself, and has no hub. The module's own
# socketpair() makes the sockets that it has been patched with.
from _socket import socketpair
from select import select
from socket import AF_UNIX, SOCK_SEQPACKET, recv_fds, send_fds, socket
from typing import Any

from onebox import first_requests, forking, gevent_worker, gunicorn_hooks, target, worker
from onebox._onebox import fork_child_of
from onebox.gunicorn_conf import ConfError
from onebox.gunicorn_hooks import HookError, Hooks, ServerHooks

CONTROL = 3  # the descriptor that the supervisor speaks on; src/supervise/zygote.h has the messages
MESSAGE_BYTES_MAX = 4096
STANDBY_PAUSE = 0.2  # seconds without a wish: whoever wants several workers has them first
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
        if app is not None and options.worker_class == "threads":  # greenlets want a hub, of each worker
            first_requests.warm_up(app, options.warm_up)
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
        wish = forks.make_until_told()
    if wish is None:
        return 0
    options.number = wish["fork"]
    if "tasks" in wish:
        options.tasks, options.attach, options.threads = True, wish["tasks"], wish["threads"]
        options.reactors = 1
    if app is None:
        return worker.run_alone(options, forks.hooks_of_worker)
    return worker.run(options, lambda: _warm(app, options), forks.hooks_of_worker)


def _warm(app: Callable[..., Any], options: argparse.Namespace) -> Callable[..., Any]:
    """In a worker: of threads it is warm already."""
    if options.worker_class == "gevent":
        first_requests.warm_up(app, options.warm_up)
    return app


def _begin_hooks(hooks: ServerHooks, first: bool) -> None:
    """Raises HookError."""
    hooks.start()
    if first:
        hooks.serve_first()


def _hear_nothing(*_: Any) -> None:
    """Not SIG_IGN, which a program that a hook starts would inherit."""


class _Standby:
    """A worker that was forked ahead and waits until it is told its number. It ends with the zygote."""

    def __init__(self, pid: int, control: socket):
        self._pid = pid
        self._control = control

    def call(self, wish: dict[str, Any], output: int) -> int:
        """Its pid, after it was told. Raises OSError where it has ended."""
        with self._control:
            send_fds(self._control, [json.dumps(wish).encode()], [output])
        return self._pid


class _Forks:
    """Forks a worker whenever the supervisor asks for one, and runs the hooks that it speaks of."""

    def __init__(self, control: socket, supervisor: int, hooks: ServerHooks | None,
                 handlers: dict[signal.Signals, Any]):
        self._control = control
        self._supervisor = supervisor
        self._hooks = hooks
        self._handlers = handlers  # that a worker begins with
        self.hooks_of_worker: Hooks | None = None  # in a worker
        # A worker is to have what the zygote has: hooks may change that until its fork.
        self._ahead = not (hooks and hooks.run_between_forks())
        self._standby: _Standby | None = None

    def make_until_told(self) -> dict[str, Any] | None:
        """The wish that made a worker, in that worker; None in the zygote when it is to end."""
        while True:
            if (wish := self._make_standby()) is not None:
                return wish
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
                pid = self._make(wish, descriptors[0])
                if pid == 0:
                    return wish
                answer["pid"] = pid
            except OSError as error:
                answer["error"] = str(error)
            except HookError as error:  # its story is that of the worker
                os.write(descriptors[0], f"{error}\n".encode(errors="backslashreplace"))
                answer["error"] = "the hook pre_fork failed"
            os.close(descriptors[0])
            self._control.send(json.dumps(answer).encode())

    def _make_standby(self) -> dict[str, Any] | None:
        """Where there is none and nobody waits. The wish, in a worker, when it is called."""
        if not self._ahead or self._standby or select([self._control], [], [], STANDBY_PAUSE)[0]:
            return None
        try:
            ours, theirs = (socket(fileno=end.detach()) for end in socketpair(AF_UNIX, SOCK_SEQPACKET))
            pid = fork_child_of(self._supervisor)
        except OSError as error:  # the next wish tries again
            print(f"onebox: no worker can be forked ahead: {error}", file=sys.stderr, flush=True)
            return None
        if pid == 0:
            ours.close()
            with theirs:
                return self._stand_by(theirs)
        theirs.close()
        self._standby = _Standby(pid, ours)
        self._control.send(json.dumps({"standby": pid}).encode())
        return None

    def _stand_by(self, call: socket) -> dict[str, Any]:
        """In the standby: what made it a worker."""
        self._control.close()
        message, descriptors, _, _ = recv_fds(call, MESSAGE_BYTES_MAX, 1)
        if not message:
            os._exit(0)
        wish: dict[str, Any] = json.loads(message)
        self._begin_worker(descriptors[0])
        if self._hooks:
            self.hooks_of_worker = Hooks(self._hooks, self._hooks.new_worker(wish["fork"]))
        return wish

    def _make(self, wish: dict[str, Any], output: int) -> int:
        """The pid of a new worker; 0 in it. Raises OSError or HookError."""
        made = self._hooks.new_worker(wish["fork"]) if self._hooks else None
        pid = self._call_standby(wish, output) or self._fork(output)
        if self._hooks and made:
            if pid == 0:
                self.hooks_of_worker = Hooks(self._hooks, made)
            else:
                self._hooks.forked(made, pid)
        return pid

    def _call_standby(self, wish: dict[str, Any], output: int) -> int | None:
        """Its pid; None where there is none, or somebody has killed it."""
        standby, self._standby = self._standby, None
        try:
            return standby.call(wish, output) if standby else None
        except OSError:
            return None

    def _fork(self, output: int) -> int:
        """The pid of a new child of the supervisor; 0 in it. Raises OSError."""
        # A signal that comes early waits until the worker takes it as its own.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        try:
            pid = fork_child_of(self._supervisor)
            if pid == 0:
                self._begin_worker(output)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return pid

    def _begin_worker(self, output: int) -> None:
        """In a new worker, whose own `output` is."""
        for stream in (1, 2):
            os.dup2(output, stream)
        os.close(output)
        signal.set_wakeup_fd(-1)
        for number, handler in self._handlers.items():
            signal.signal(number, handler or signal.SIG_DFL)


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
