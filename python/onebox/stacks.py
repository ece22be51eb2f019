"""Where a thread is, for the log."""
from __future__ import annotations

import sys
import threading
import traceback


def of_thread(number: int) -> str:
    """The lines of a traceback, the innermost last; without those that started the thread."""
    frame = sys._current_frames().get(number)
    frames = [] if frame is None else list(traceback.walk_stack(frame))
    while frames and frames[-1][0].f_code.co_filename == threading.__file__:
        frames.pop()
    if not frames:
        return "  in no line of the app\n"
    summary = traceback.StackSummary.extract(iter(frames), lookup_lines=False)
    summary.reverse()
    return "".join(summary.format())
