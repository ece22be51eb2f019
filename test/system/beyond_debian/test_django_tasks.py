"""Does the built program run Django's own tasks?"""
import json

from onebox import ROOT, shared
from wire import until

server = shared("tasks_django:app", workers=2, python=ROOT / "build/beyond/python/python3")


def outcome(server, path):
    id = server.get(path).body.decode()

    def ended():
        found = json.loads(server.get(f"/show/{id}").body)
        return found if found["status"] in ("SUCCESSFUL", "FAILED") else None

    return until(ended, f"{path} has ended")


def test_a_task_runs_in_a_task_worker(server):
    found = outcome(server, "/enqueue/add/2")
    assert (found["value"]["sum"], found["args"], found["attempts"], found["errors"]) == (3, [1, 2], 1, [])
    assert found["value"]["pid"] in server.pids("task worker")


def test_a_failure_is_told_to_whoever_asks(server):
    found = outcome(server, "/enqueue/fails/ore")
    ((path, traceback),) = found["errors"]
    assert (found["status"], found["attempts"], found["args"]) == ("FAILED", 2, ["ore"])
    assert path == "builtins.LookupError" and "LookupError: ore in attempt 2" in traceback
