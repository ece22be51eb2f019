"""Where a thread or a greenlet is, for the log."""
from __future__ import annotations

import sys
import threading
import traceback
from types import FrameType
from typing import Any

from onebox import gevent_worker

OURS = {threading.__file__, gevent_worker.__file__}  # what has started a thread, or a greenlet
NOWHERE = "  in no line of the app\n"


def of_thread(number: int) -> str:
    """The lines of a traceback, the innermost last; without those that started the thread."""
    return _lines(sys._current_frames().get(number)) or NOWHERE


def of_greenlet(greenlet: Any, thread: int) -> str:
    """The same of one that belongs to this thread; and where the thread is, if it runs another."""
    frame = greenlet.gr_frame
    if frame is None:  # it runs
        return of_thread(thread)
    elsewhere = _lines(sys._current_frames().get(thread))
    return (_lines(frame) or NOWHERE) + (elsewhere and f"meanwhile the hub's thread runs:\n{elsewhere}")


def _lines(frame: FrameType | None) -> str:
    frames = [] if frame is None else list(traceback.walk_stack(frame))
    if frames and frames[-1][0].f_globals.get("__name__") == "gevent.hub":
        return ""  # the hub itself, which runs nothing of the app's
    while frames and frames[-1][0].f_code.co_filename in OURS:
        frames.pop()
    if not frames:
        return ""
    summary = traceback.StackSummary.extract(iter(frames), lookup_lines=False)
    summary.reverse()
    return "".join(summary.format())
