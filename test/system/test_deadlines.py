"""What becomes of a request that takes too long, of its thread, and of the others beside it?"""
import os
import signal
import subprocess
import time

import pytest

from clients import reload
from late import (asked, begun, ended, is_504_in_time, nothing_is_hit, reset, serves_again, stack_of,
                  stack_with)
from onebox import PYTHON, ROOT
from wire import until


@pytest.fixture
def late(serve, hold):
    def start(timeout="1s", **options):
        arguments = ["--timeout", timeout, *options.pop("arguments", ())]
        return serve("deadlines:app", environment={"HOLD": str(hold)}, arguments=arguments, **options)
    return start


# --- a thread that can be reached --------------------------------------------------

@pytest.mark.parametrize("path, line, how", [
    ("sleeps", "time.sleep(0.01)", "DeadlineExceeded: the request's deadline has passed"),
    ("computes", "sum(range(1000))", "DeadlineExceeded"),
    ("catches", "time.sleep(0.01)", "left"),
])
def test_a_late_request_is_ended_where_it_stands(late, hold, path, line, how):
    running = late(threads=2)
    connection, sent = asked(running, f"/{path}/one")
    request_id = is_504_in_time(connection, sent)
    assert ended(hold, "one") == how
    running.wait_for_line(rf"{request_id} GET /{path}/one: ended, since its deadline had passed")
    stack = "\n".join(stack_of(running, request_id))
    assert "its deadline has passed; it is ended where it stands" in stack
    assert f"in {path}" in stack and line in stack and "threading.py" not in stack
    assert "Traceback" not in stack, "it is no failure of the app's"
    pid = begun(hold, "one")
    for _ in range(10):
        assert int(running.get("/hello").body) == pid, "the worker goes on"
    assert running.metric("onebox_requests_interrupted_total") == 1
    assert running.metric("onebox_workers_stuck_total") == 0


def test_an_app_that_answers_all_the_same_is_not_heard(late, hold):
    running = late(threads=1)
    connection, sent = asked(running, "/answers_late/one")
    is_504_in_time(connection, sent)
    assert ended(hold, "one").startswith("DeadlineExceeded")
    assert int(running.get("/hello").body) == begun(hold, "one")


def test_close_is_called_whole(late, hold):
    running = late(threads=1, toml="[app]\ncancel_disconnected = true\n")
    with running.connect() as connection:
        connection.request("GET", "/parts/one").head()
        begun(hold, "one.sent")
        reset(connection)
    assert ended(hold, "one") == "closed"
    running.wait_for_line("ended, since its client had left")
    assert running.get("/hello").status == 200


def test_an_answer_that_has_begun_has_no_deadline(late, hold):
    running = late(timeout="200ms", threads=1, toml="[app]\ncancel_disconnected = true\n")
    with running.connect() as connection:
        connection.request("GET", "/parts/one").head()
        begun(hold, "one.sent")
        began = time.monotonic()
        until(lambda: time.monotonic() - began > 0.6, "its deadline passes three times")
        assert not (hold / "one.ended").exists()
        assert running.metric("onebox_requests_interrupted_total") == 0
        reset(connection)
    assert ended(hold, "one") == "closed"


@pytest.mark.parametrize("name", ["one", "one.closed"])
def test_what_has_not_arrived_hits_neither_close_nor_the_next_request(late, hold, name):
    """It is raised while the thread runs no Python, and no Python runs before the request's end."""
    running = late(threads=1)
    connection, sent = asked(running, f"/parts_in_c/{name}")
    request_id = is_504_in_time(connection, sent)
    running.wait_for_line(rf"{request_id} .*it is ended where it stands")
    began = time.monotonic()
    until(lambda: time.monotonic() - began > 0.3, "it is raised, which nobody can see")
    (hold / f"{name}.go").touch()
    assert running.get("/steps/x").body == b"4498500"
    assert name == "one" or ended(hold, name) == "closed"
    assert not list(hold.glob("hit*"))
    assert running.metric("onebox_workers_stuck_total") == 0


@pytest.mark.parametrize("reactors", [1, 3])
def test_no_later_request_is_hit(late, hold, reactors):
    """200 that end as their deadline passes, and each thread's next request, which has all its time."""
    running = late(timeout="150ms", threads=4, toml=f"[front]\nreactors = {reactors}\n")
    nothing_is_hit(running, hold, "edge", "steps", b"4498500")


def test_who_only_waits_for_longer_than_its_time_is_told_to_come_again(late, hold):
    running = late(timeout="300ms", threads=1)
    stuck, sent = asked(running, "/reads/stuck")
    begun(hold, "stuck")
    with running.connect() as waiting:
        answer = waiting.get("/hello")
        assert answer.status == 503 and answer["Retry-After"]
    is_504_in_time(stuck, sent, 0.3)


def test_an_app_whose_answer_has_begun_is_told_of_no_deadline(late, hold):
    running = late(timeout="300ms")
    with running.connect() as connection:
        connection.request("GET", "/streams/it")
        assert connection.head()[1] == 200
        chunks = connection.chunks()
        assert float(next(chunks)) > 0, "its first part was made before the head"
        began = time.monotonic()
        until(lambda: time.monotonic() - began > 0.5, "its time is over")
        (hold / "it.go").touch()
        assert list(chunks) == [b"None"]


def test_an_answer_that_has_begun_is_finished_by_a_worker_that_leaves(late, hold):
    running = late(timeout="300ms", toml='[front]\ndrain_timeout = "60s"\n')
    with running.connect() as connection:
        connection.request("GET", "/streams/it")
        connection.head()
        chunks = connection.chunks()
        next(chunks)
        assert reload(running).returncode == 0
        began = time.monotonic()
        until(lambda: time.monotonic() - began > 3, "app.timeout and what a worker has besides are over")
        (hold / "it.go").touch()
        assert list(chunks) == [b"None"]
    assert "it is killed" not in running.output()


# --- a thread that cannot ------------------------------------------------------------

@pytest.mark.parametrize("reactors", [1, 2])
@pytest.mark.parametrize("path, line", [
    ("swallows", "time.sleep(0.01)"),
    ("locked", "NEVER.acquire()"),
    ("reads", "os.read(os.pipe()[0], 1)"),
])
def test_others_finish_before_a_stuck_worker_is_replaced(late, hold, path, line, reactors):
    running = late(timeout="3s", threads=3, toml=f"[front]\nreactors = {reactors}\n")
    connection, sent = asked(running, f"/{path}/stuck")
    pid = begun(hold, "stuck")
    until(lambda: time.monotonic() - sent > 1.5, "the others come later")
    others = [running.connect().request("GET", f"/waits/other{number}") for number in range(2)]
    assert {begun(hold, "other0"), begun(hold, "other1")} == {pid}
    request_id = is_504_in_time(connection, sent, 3.0)
    running.wait_for_line(r"supervisor.*worker 1 \[\d+\] is stuck: a thread of it does not end")
    for number in range(2):
        (hold / f"other{number}.go").touch()
    assert [int(other.response().body) for other in others] == [pid, pid]
    stack_with(running, request_id, "it does not end; this worker finishes the others and goes",
               f"in {path}", f"in {path}", line)
    serves_again(running, pid)
    assert running.output().count("is stuck, it is replaced") == 1, "told once, by one reactor"
    assert running.metric("onebox_workers_stuck_total") == 1


@pytest.mark.parametrize("reactors", [1, 2])
def test_a_held_gil_costs_the_others_nothing(late, hold, reactors):
    """They run again in another worker; the stack of the one that holds it is in the log."""
    running = late(timeout="3s", workers=2, threads=2, toml=f"[front]\nreactors = {reactors}\n")
    connection, sent = asked(running, "/holds_gil/stuck")
    pid = begun(hold, "stuck")
    until(lambda: time.monotonic() - sent > 1.9, "the others come later")
    others = [running.connect().request("GET", f"/hello/{number}") for number in range(20)]
    request_id = is_504_in_time(connection, sent, 3.0)
    for other in others:
        answer = other.response()
        assert answer.status == 200 and int(answer.body) != pid
    running.wait_for_line(rf"{request_id} GET /holds_gil/stuck: nobody waits for it any more, and nothing")
    running.wait_for_line(r"deadlines.py\", line \d+ in holds_gil")
    running.wait_for_line(r"supervisor.*is stuck: nothing in it runs")
    serves_again(running, pid)
    until(lambda: len(running.pids("app worker")) == 2, "two workers again")


def test_a_stopped_worker_is_not_taken_for_one_with_a_held_gil(late, hold):
    """It has missed its deadline, and most of the time in which it could have said so."""
    running = late(threads=2)
    connection, sent = asked(running, "/sleeps/one")
    pid = begun(hold, "one")
    os.kill(pid, signal.SIGSTOP)
    is_504_in_time(connection, sent)
    until(lambda: time.monotonic() - sent > 2.5, "more than a grace passes", 5)
    os.kill(pid, signal.SIGCONT)
    assert ended(hold, "one").startswith("DeadlineExceeded")
    assert int(running.get("/hello").body) == pid
    assert running.metric("onebox_workers_stuck_total") == 0


def test_a_short_timeout_is_no_reason_to_give_a_worker_up(late, hold):
    """Its only thread works for nobody, and nothing is heard of it: for longer than the timeout, but no
    longer than a busy machine may hold it up."""
    running = late(timeout="200ms", threads=1)
    connection, sent = asked(running, "/sleeps/one")
    pid = begun(hold, "one")
    os.kill(pid, signal.SIGSTOP)
    is_504_in_time(connection, sent, 0.2)
    until(lambda: time.monotonic() - sent > 1, "the timeout passes several times", 5)
    os.kill(pid, signal.SIGCONT)
    assert ended(hold, "one").startswith("DeadlineExceeded")
    assert int(running.get("/hello").body) == pid
    assert running.metric("onebox_workers_stuck_total") == 0


# --- clients that leave ---------------------------------------------------------------

@pytest.mark.parametrize("worker_class", ["threads", "gevent"])
def test_a_request_sees_that_its_client_has_left(late, hold, worker_class):
    running = late(worker_class=worker_class, timeout="20s")
    with running.connect() as connection:
        connection.request("GET", "/leaves/one")
        begun(hold, "one")
    assert ended(hold, "one") == "disconnected"


@pytest.mark.parametrize("worker_class", ["threads", "gevent"])
def test_a_request_whose_client_has_left_is_ended_where_that_is_allowed(late, hold, worker_class):
    running = late(worker_class=worker_class, timeout="20s", toml="[app]\ncancel_disconnected = true\n")
    with running.connect() as connection:
        connection.request("GET", "/sleeps/one")
        begun(hold, "one")
    assert ended(hold, "one") == "ClientDisconnected: the request's client has left"
    running.wait_for_line("GET /sleeps/one: ended, since its client had left")
    assert running.metric("onebox_requests_interrupted_total") == 1


def test_a_route_may_allow_it_alone_and_have_its_own_deadline(late, hold):
    running = late(timeout="20s", toml='[[route]]\npath = "/sleeps/one"\ncancel_disconnected = true\n'
                                       '[[route]]\npath = "/sleeps/two"\ntimeout = "300ms"\n')
    with running.connect() as connection:
        connection.request("GET", "/sleeps/one")
        begun(hold, "one")
    assert ended(hold, "one").startswith("ClientDisconnected")
    connection, sent = asked(running, "/sleeps/two")
    is_504_in_time(connection, sent, 0.3)
    running.wait_for_line("GET /sleeps/two: ended, since its deadline had passed")
    assert running.metric("onebox_requests_interrupted_total") == 2


def test_elsewhere_it_has_until_its_deadline(late, hold):
    running = late(timeout="1s")
    with running.connect() as connection:
        connection.request("GET", "/sleeps/one")
        began = time.monotonic()
        begun(hold, "one")
    assert ended(hold, "one").startswith("DeadlineExceeded")
    assert time.monotonic() - began >= 0.95


# --- what the app can ask -----------------------------------------------------------

def test_the_app_is_told_what_it_has_left(late):
    running = late(timeout="5s")
    assert 4 < float(running.get("/left/one").body) <= 5


def test_it_all_works_without_a_server():
    result = subprocess.run(
        [PYTHON, "-c", "import onebox\n"
                       "assert onebox.deadline() is None\n"
                       "assert issubclass(onebox.DeadlineExceeded, onebox.Cancelled)\n"
                       "assert issubclass(onebox.ClientDisconnected, onebox.Cancelled)\n"
                       "assert not issubclass(onebox.Cancelled, Exception)\n"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "python"), "PYTHONDONTWRITEBYTECODE": "1"},
        check=False, capture_output=True, text=True)
    assert result.returncode == 0 and not result.stderr, result
