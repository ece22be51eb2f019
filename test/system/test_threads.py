"""Do the threads of front and workers share rightly what they share? Clients do at once all that
requests may do; what no answer shows, the thread sanitizer does: ./do system tsan -m threads."""
import os
import signal

import pytest

from crowd import STEPS, Crowd, start
from wire import Closed, until

pytestmark = pytest.mark.threads


@pytest.mark.parametrize("reactors", [1, 3])
def test_everything_at_once(serve, reactors):
    running = start(serve, reactors)
    with Crowd(running.address) as crowd:
        while crowd.runs():
            assert running.metrics() and len(running.pids("app worker")) == 2
    until(lambda: running.status()["workers"]["busy"] == 0, "no thread is held")


def test_everything_while_workers_die(serve):
    running = start(serve, reactors=2)
    cut = (Closed, ConnectionResetError, AssertionError)  # a worker died with it
    with Crowd(running.address, cut, enough=False):
        for _ in range(3):
            victim = running.pids("app worker")[0]
            os.kill(victim, signal.SIGKILL)
            until(lambda: len(set(running.pids("app worker")) - {victim}) == 2,
                  "there are two again")
    until(lambda: running.status()["workers"]["busy"] == 0, "no thread is held")
    for step in STEPS:
        step(running.address)


def test_everything_while_it_ends(serve):
    running = start(serve, reactors=2)
    with Crowd(running.address, (Closed, OSError, AssertionError), enough=False):
        until(lambda: running.metric("onebox_requests_total") > 100, "they are at it")
        running.stop()
