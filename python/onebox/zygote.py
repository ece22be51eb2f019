"""The zygote: imports the app once, and forks each worker from what it has then."""
from __future__ import annotations

import gc
import json
import os
import signal
import sys
from collections.abc import Sequence
# Before they are patched for gevent: a zygote waits as itself, and has no hub.
from socket import recv_fds, socket

from onebox import forking, gevent_worker, target, worker
from onebox._onebox import fork_child_of

CONTROL = 3  # the descriptor that the supervisor speaks on; src/supervise/zygote.h has the messages
MESSAGE_BYTES_MAX = 4096


def main(arguments: Sequence[str]) -> int:
    options = worker.parse(arguments)
    supervisor = os.getppid()
    try:
        worker.begin(options)
        app = target.load(options.target)
    except (gevent_worker.Unusable, target.LoadError) as error:
        worker.tell(error, options)
        return worker.IMPORT_FAILED
    about = {"app": worker.framework_of(app), "python": worker.python_of(options)}
    forking.close_pools()
    left_behind = forking.what_must_not_be_forked(CONTROL)
    with socket(fileno=CONTROL) as control:
        control.setblocking(True)
        if left_behind and not options.unsafe:
            control.send(json.dumps({"unsafe": "; ".join(left_behind), **about}).encode())
            control.recv(1)  # until the supervisor ends us
            return 0
        for reason in left_behind:
            print(f"onebox: forked all the same, since preload is on: {reason}", file=sys.stderr)
        worker.warn(options)
        gc.collect()
        gc.freeze()  # what the import has made is looked at no more, so its pages stay shared
        control.send(json.dumps({"ready": True, "bytes": forking.resident_bytes(), **about}).encode())
        number = _fork_when_told(control, supervisor)
    if number is None:
        return 0
    options.number = number
    return worker.run(options, lambda: app)


def _fork_when_told(control: socket, supervisor: int) -> int | None:
    """The number of a worker, in that worker; None in the zygote when it is to end."""
    while True:
        message, descriptors, _, _ = recv_fds(control, MESSAGE_BYTES_MAX, 1)
        if not message:
            return None
        number = json.loads(message)["fork"]
        try:
            pid = _fork(supervisor, descriptors[0])
        except OSError as error:
            os.close(descriptors[0])
            control.send(json.dumps({"worker": number, "error": str(error)}).encode())
            continue
        if pid == 0:
            return number
        os.close(descriptors[0])
        control.send(json.dumps({"worker": number, "pid": pid}).encode())


def _fork(supervisor: int, output: int) -> int:
    """The pid of a new child of the supervisor; 0 in it."""
    pid = fork_child_of(supervisor)
    if pid == 0:
        for stream in (1, 2):
            os.dup2(output, stream)
        os.close(output)
        signal.set_wakeup_fd(-1)
    return pid
