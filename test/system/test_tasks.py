"""Is what was enqueued done, once, and its end told, whoever dies meanwhile?"""
import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from wire import until


@pytest.fixture
def box(serve, hold):
    """box(**options): a server of tasked.py."""
    return lambda **options: Box(serve("tasked:app", environment={"HOLD": str(hold)}, **options), hold)


class Box:
    """How a test speaks to tasked.py."""

    def __init__(self, running, hold):
        self.running, self.hold = running, hold

    def ask(self, method, path, body=None):
        text = b"" if body is None else json.dumps(body).encode()
        answer = self.running.ask(method, path, "Content-Type: application/json", body=text)
        return answer.status, json.loads(answer.body)

    def enqueue(self, name, *args, **how):
        status, answer = self.ask("POST", f"/enqueue/{name}", {"args": args, **how})
        assert status == 200, answer
        return answer["id"]

    def get(self, id):
        return self.ask("GET", f"/get/{id}")[1]

    def status(self, id):
        return self.ask("GET", f"/status/{id}")[1]

    def values(self, ids):
        """As get(), of what a killed broker may have leased: it is leased again when the lease has passed."""
        for id in ids:
            until(lambda: self.status(id)["state"] == "done", f"task {id} is done", 100)
        return [self.get(id)["value"] for id in ids]

    def attempts(self, name):
        """[pid, attempt, deaths] of each."""
        path = self.hold / f"{name}.begun"
        return [list(map(int, line.split())) for line in path.read_text().splitlines()] if path.exists() else []

    def wait_for(self, name, count=1, seconds=20):
        until(lambda: len(self.attempts(name)) >= count, f"attempt {count} of {name} begins", seconds)

    def let_go(self, name):
        (self.hold / f"{name}.go").touch()

    def kill(self, role):
        """One of that role that lives; its pid."""
        killed = []

        def is_killed():
            for pid in self.running.pids(role):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue  # another has killed it, and its end is not known yet
                return not killed.append(pid)
            return False
        until(is_killed, f"a {role} is killed")
        return killed[0]


# --- what they do -----------------------------------------------------------------


def test_a_task_runs_elsewhere_and_its_result_comes_back(box):
    here = box()
    id = here.enqueue("around")
    name, pid = here.get(id)["value"]
    assert name == "tasked"  # the app's context is there
    assert pid in here.running.pids("task worker")
    assert here.status(id)["state"] == "done"


def test_an_app_without_tasks_has_no_broker(serve):
    running = serve("seen:app")
    assert running.get("/").status == 200
    assert (running.pids("broker"), running.pids("task worker")) == ([], [])


def test_many_are_done_once_each(box):
    here = box(workers=2)
    with ThreadPoolExecutor(16) as threads:
        ids = list(threads.map(lambda number: here.enqueue("add", number, 1000), range(300)))
        values = list(threads.map(lambda id: here.get(id)["value"], ids))
    assert len(set(ids)) == 300
    assert values == [number + 1000 for number in range(300)]


@pytest.mark.parametrize("worker_class", ["threads", "gevent"])
def test_what_belongs_together(box, worker_class):
    here = box(worker_class=worker_class)
    for name, value in (("chain", 16), ("group", [2 * number for number in range(50)]), ("callback", 7),
                        ("gates", 148)):
        assert here.ask("POST", f"/make/{name}?get=1")[1]["value"] == value, name


def test_a_chain_that_breaks_says_where(box):
    here = box()
    _, made = here.ask("POST", "/make/broken")
    answer = here.get(made["id"])
    assert answer["kind"] == "TaskFailed" and "TypeError: unsupported operand" in answer["error"]


def test_what_fails_is_tried_again_and_told(box):
    here = box()
    answer = here.get(here.enqueue("fails", "fails"))
    assert answer["kind"] == "TaskFailed" and "ValueError: not today" in answer["error"]
    assert [attempt for _, attempt, _ in here.attempts("fails")] == [1, 2, 3]
    here.running.wait_for_line(r"task 1 tasked:fails has failed in attempt 1, and is tried again in")
    here.running.wait_for_line(r"task 1 tasked:fails has failed in attempt 3, for good")


def test_what_takes_too_long_is_ended(box):
    here = box()
    answer = here.get(here.enqueue("late", "late"))
    assert "DeadlineExceeded" in answer["error"]
    assert (here.hold / "late.late").exists()
    assert len(here.attempts("late")) == 2
    assert {pid for pid, _, _ in here.attempts("late")} == set(here.running.pids("task worker"))


def test_a_task_is_cancelled_while_it_waits_and_while_it_runs(box):
    here = box()
    later = here.enqueue("add", 1, countdown=1000)
    assert here.ask("POST", f"/cancel/{later}")[1] == {"outcome": "done"}
    runs = here.enqueue("waits", "runs")
    here.wait_for("runs")
    assert here.ask("POST", f"/cancel/{runs}")[1] == {"outcome": "running"}
    for id in (later, runs):
        assert here.get(id)["kind"] == "TaskCancelled"
    assert here.ask("POST", f"/cancel/{runs}")[1] == {"outcome": "ended"}
    assert here.ask("POST", "/cancel/1000000")[1] == {"outcome": "unknown"}
    assert len(here.attempts("runs")) == 1


def test_progress_and_uniqueness(box):
    here = box()
    id = here.enqueue("leaps")
    until(lambda: here.status(id)["progress"] == 0.25, "its progress is seen")
    here.let_go("leaps")
    first = here.enqueue("alone", "alone")
    here.wait_for("alone")
    assert here.enqueue("alone", "alone") == first
    assert here.enqueue("alone", "another") != first
    here.let_go("alone")
    here.let_go("another")
    here.get(first)
    assert here.enqueue("alone", "alone") != first


def test_what_is_no_call_is_told_to_who_calls(box):
    here = box()
    assert here.ask("POST", "/enqueue/add", {"args": [1, 2, 3]}) == (
        400, {"error": "tasked:add(first, second=0): too many positional arguments"})
    status, answer = here.ask("POST", "/enqueue/add", {"args": ["x" * 2_000_000]})
    assert status == 400 and "payload_bytes_max" in answer["error"]
    answer = here.get(here.enqueue("returns", 2_000_000))
    assert "its result of 2000002 bytes is larger than results may be" in answer["error"]


# --- whoever dies -----------------------------------------------------------------


def test_a_worker_that_is_killed_costs_an_attempt(box):
    here = box()
    id = here.enqueue("waits", "waits")
    here.wait_for("waits")
    killed = here.kill("task worker")
    here.wait_for("waits", 2)
    here.let_go("waits")
    assert here.get(id)["value"] == ["waits", 2, 1]
    (first, *_), (second, *_) = here.attempts("waits")
    assert first == killed != second


def test_a_task_that_kills_its_workers_is_put_aside(box):
    here = box()
    id = here.enqueue("kills", "kills")
    assert here.get(id)["kind"] == "TaskFailed"
    assert [deaths for _, _, deaths in here.attempts("kills")] == [0, 1, 2]
    assert here.get(here.enqueue("add", 1, 2))["value"] == 3


@pytest.mark.timeout(300)
def test_a_broker_that_is_killed_loses_nothing_and_runs_nothing_twice(box):
    here = box(threads=8)
    runs = here.enqueue("waits", "runs")
    here.wait_for("runs")
    waiting = [here.enqueue("add", number, countdown=0.5) for number in range(20)]
    with ThreadPoolExecutor(8) as threads:
        answer = threads.submit(here.get, runs)
        here.kill("broker")
        again = here.enqueue("add", 1, 2, dedupe="while it is away")
        here.kill("broker")
        here.let_go("runs")
        assert answer.result()["value"] == ["runs", 1, 0]
    assert here.values([again, *waiting]) == [3, *range(20)]
    assert len(here.attempts("runs")) == 1


@pytest.mark.timeout(300)
def test_a_chain_goes_on_where_broker_and_worker_are_killed(box):
    here = box()
    _, made = here.ask("POST", "/make/held")
    here.wait_for("held")
    here.kill("broker")
    here.kill("task worker")
    here.wait_for("held", 2, seconds=100)  # nobody knows that it has died: its lease has to pass
    here.kill("broker")
    here.let_go("held")
    held = ["held", 2, 1]
    assert here.values([made["id"]])[0] == [[*held, 1], [*held, 2], 3, 4]


@pytest.mark.timeout(300)
def test_with_a_dedupe_key_each_is_enqueued_once_though_the_broker_dies(box):
    here = box(threads=8)
    with ThreadPoolExecutor(8) as threads:
        def enqueue(number):
            if number % 20 == 10:
                here.kill("broker")
            return here.enqueue("add", number, dedupe=f"number {number}")
        ids = list(threads.map(enqueue, range(60)))
        again = list(threads.map(lambda number: here.enqueue("add", 0, dedupe=f"number {number}"), range(60)))
    assert again == ids and len(set(ids)) == 60
    assert here.values(ids) == list(range(60))


def test_a_reload_lets_tasks_end(box):
    here = box()
    id = here.enqueue("waits", "waits")
    here.wait_for("waits")
    before = here.running.pids("task worker")
    here.running.process.send_signal(signal.SIGHUP)
    until(lambda: set(here.running.pids("task worker")) - set(before), "a task worker of the new generation is there")
    assert here.get(here.enqueue("add", 1, 2))["value"] == 3
    here.let_go("waits")
    assert here.get(id)["value"] == ["waits", 1, 0]
    until(lambda: not set(here.running.pids("task worker")) & set(before), "the old one has gone")


def test_what_waits_outlives_the_box(box):
    here = box()
    later = here.enqueue("add", 1, 2, countdown=1)
    runs = here.enqueue("waits", "runs")
    here.wait_for("runs")
    here.running.kill()  # as a machine that loses its power
    again = box(arguments=("--data", here.running.state / "data"))
    assert again.get(later)["value"] == 3
    again.wait_for("runs", 2)
    again.let_go("runs")
    assert again.get(runs)["value"] == ["runs", 2, 1]
