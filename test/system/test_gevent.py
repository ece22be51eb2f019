"""Does a greenlet a request behave as apps on gevent expect, and as threads do where they must not differ?
The cases of test_wsgi.py and test_frameworks.py run on it too."""
import json
import os
import re
import signal
import threading
import time

import pytest

from clients import reload
from late import (asked, begun, ended, is_504_in_time, nothing_is_hit, reset, serves_again, stack_of,
                  stack_with)
from onebox import PYTHON, onebox, shared
from wire import Closed, until

GEVENT = {"worker_class": "gevent"}
server = shared("greenlets:app", workers=1, worker_classes=("gevent",))


@pytest.fixture
def serve_gevent(serve):
    return lambda target="greenlets:app", **options: serve(target, **GEVENT, **options)


def ask_all(running, path, count):
    """The statuses of that many requests at once, each on a connection of its own."""
    with_all = [running.connect() for _ in range(count)]
    for connection in with_all:
        connection.request("GET", path)
    found = [connection.response() for connection in with_all]
    for connection in with_all:
        connection.close()
    return [answer.status for answer in found]


# --- many at once ------------------------------------------------------------

def test_500_requests_that_sleep_are_inside_at_once(serve_gevent):
    running = serve_gevent(toml="[app]\ngreenlets = 500\n", workers=1)
    assert ask_all(running, "/sleep/0.5", 500) == [200] * 500
    assert int(running.get("/most").body) > 250, "one worker runs them beside each other"


def test_no_more_are_inside_than_there_are_greenlets(serve_gevent):
    running = serve_gevent(toml="[app]\ngreenlets = 5\n", workers=1)
    assert ask_all(running, "/sleep/0.01", 60) == [200] * 60
    assert int(running.get("/most").body) == 5
    status = running.status()["workers"]
    assert (status["threads"], status["units"]) == (5, "greenlets")
    assert "1 of 1 ready, 5 greenlets each" in running.tell("status").stdout


def test_the_start_and_the_metrics_count_greenlets(serve_gevent):
    running = serve_gevent(workers=2)
    running.wait_for_line(r"plan +2 workers x 200 greenlets")
    running.wait_for_line(r"app +greenlets:app, Python 3\.\S+, gevent \d+\.\d+\S*, preloaded")
    until(lambda: running.metric("onebox_worker_threads") == 400, "both are counted")
    with running.connect() as waiting:
        waiting.request("GET", "/sleep/1")
        until(lambda: running.metric("onebox_worker_threads_busy") == 1, "one greenlet is busy")
        assert waiting.response().status == 200


# --- what an app may rely on -------------------------------------------------

def test_a_request_is_a_greenlet_with_its_own_locals(server):
    for _ in range(3):
        assert json.loads(server.get("/seen").body) == {
            "greenlet": True, "fresh": True, "kept": True, "timeout": True, "multithread": True,
            "patched": True}


def test_a_killed_greenlet_is_a_500_and_the_next_is_served(server):
    with server.connect() as killed:
        killed.request("GET", "/waits/killed")
        until(lambda: server.get("/kill/killed").status == 200, "its greenlet is known")
        assert killed.response().status == 500
    server.wait_for_line("GreenletExit")
    assert server.get("/seen").status == 200


def test_a_greenlet_that_waits_for_a_slow_client_can_be_killed(server):
    """In the middle of a part: the client must notice, the worker goes on."""
    with server.connect() as slow:
        slow.request("GET", "/endless/stuck").head()
        until(lambda: server.metric("onebox_worker_threads_busy") == 1, "it runs")
        server.get("/kill/stuck")
        with pytest.raises(Closed):
            for _ in slow.chunks():
                pass
    assert server.get("/seen").status == 200


def test_write_works_from_another_greenlet(server):
    assert server.get("/writes_elsewhere").body == b"x" * 5_000_000 + b"end"


def test_a_greenlet_takes_its_stack_from_the_one_before(server):
    """Each would else cost mmap, munmap and a fault for each page that it touches."""
    assert int(server.get("/page_faults/2000").body) < 1000


# --- clients -----------------------------------------------------------------

def test_slow_readers_do_not_hold_up_the_others(server):
    """Each has taken its fill and waits for its client: with that in C, the hub would stand still."""
    slow = [server.connect() for _ in range(20)]
    for number, connection in enumerate(slow):
        connection.request("GET", f"/endless/slow{number}").head()
    for _ in range(20):
        assert server.get("/seen").status == 200
    for connection in slow:
        assert len(connection.exactly(5_000_000)) == 5_000_000, "and each goes on"
    for connection in slow:
        connection.close()
    until(lambda: server.metric("onebox_worker_threads_busy") == 0, "each greenlet ends")
    assert server.get("/seen").status == 200


def test_large_answers_pass_beside_each_other(serve_gevent):
    running = serve_gevent("answers:app", workers=1)
    connections = [running.connect() for _ in range(10)]
    for connection in connections:
        connection.request("GET", "/large/20000000")
    for connection in connections:
        assert connection.response().body == b"x" * 20_000_000
        connection.close()


def test_large_uploads_pass_beside_each_other(serve_gevent):
    running = serve_gevent("answers:app", workers=1)
    body = b"line\n" * 200_000
    answers = []

    def upload():
        answers.append(running.ask("POST", "/body/readlines", body=body).body.count(b"line"))
    clients = [threading.Thread(target=upload) for _ in range(8)]
    for client in clients:
        client.start()
    for client in clients:
        client.join(60)
    assert answers == [200_000] * 8


# --- processes ---------------------------------------------------------------

def test_a_killed_worker_is_replaced_and_a_get_runs_again(serve_gevent):
    running = serve_gevent(workers=2)
    with running.connect() as connection:
        connection.request("GET", "/sleep/1")
        until(lambda: running.metric("onebox_worker_threads_busy") == 1, "it runs")
        for pid in running.pids("app worker")[:1]:
            os.kill(pid, signal.SIGKILL)
        assert connection.response().status == 200
    until(lambda: running.status()["workers"]["ready"] == 2, "another takes its place")
    assert ask_all(running, "/sleep/0.01", 50) == [200] * 50


def test_a_killed_front_is_found_again(serve_gevent):
    running = serve_gevent(workers=1)
    worker = running.pids("app worker")
    for _ in range(3):
        with running.connect() as lost:
            lost.request("GET", "/endless/lost").head()
            os.kill(running.pids("front")[0], signal.SIGKILL)
        assert running.get("/seen").status == 200
    assert running.pids("app worker") == worker
    until(lambda: running.metric("onebox_worker_threads_busy") == 0, "what lost its front has ended")


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_what_runs_finish(serve_gevent, sign):
    running = serve_gevent(workers=2)
    connections = [running.connect() for _ in range(20)]
    for connection in connections:
        connection.request("GET", "/sleep/1")
    until(lambda: running.metric("onebox_worker_threads_busy") == 20, "all run")
    running.process.send_signal(sign)
    assert [connection.response().status for connection in connections] == [200] * 20
    running.wait_for_end()
    running.stop()


def test_an_idle_worker_leaves_at_once(serve_gevent):
    running = serve_gevent(workers=1)
    running.stop()
    assert not any(re.search("kill", line) for line in running.lines), running.output()


def test_a_reload_serves_the_new_code_and_loses_nothing(serve_gevent, tmp_path):
    (tmp_path / "version").write_text("one")
    running = serve_gevent("versions:app", workers=4, environment={"HOLD": str(tmp_path)})
    assert running.get("/").body.startswith(b"one")
    lost, ended = [], threading.Event()

    def client():
        while not ended.is_set():
            answer = running.get("/")
            if answer.status != 200:
                lost.append(answer)
    clients = [threading.Thread(target=client) for _ in range(4)]
    for one in clients:
        one.start()
    (tmp_path / "version").write_text("two")
    done = reload(running)
    ended.set()
    for one in clients:
        one.join(30)
    assert done.returncode == 0, done.stderr
    assert not lost
    assert running.get("/").body.startswith(b"two")
    assert len(list(tmp_path.glob("imported.*"))) == 2, "one zygote each forks four workers"


def test_a_hub_that_stands_still_costs_its_own_requests_and_no_others(serve_gevent):
    running = serve_gevent(workers=2)
    with running.connect() as blocking:
        blocking.request("GET", "/blocks/4")
        running.wait_for_line("the hub stands still")
        assert ask_all(running, "/sleep/0.01", 30) == [200] * 30
        running.wait_for_line("takes no requests; they go to others")
        assert blocking.response().status == 200


# --- deadlines ---------------------------------------------------------------
# The cases are those of test_deadlines.py; here they meet greenlets.

@pytest.fixture
def late(serve_gevent, hold):
    def start(timeout="1s", workers=1, **options):
        return serve_gevent("deadlines:app", environment={"HOLD": str(hold)}, workers=workers,
                            arguments=["--timeout", timeout], **options)
    return start


@pytest.mark.parametrize("path, line, how", [
    ("sleeps", "time.sleep(0.01)", "DeadlineExceeded: the request's deadline has passed"),
    ("catches", "time.sleep(0.01)", "left"),
    ("locked", "NEVER.acquire()", None),
])
def test_a_late_request_is_ended_where_its_greenlet_waits(late, hold, path, line, how):
    running = late()
    others = [asked(running, f"/waits/other{number}")[0] for number in range(3)]
    pid = begun(hold, "other0")
    connection, sent = asked(running, f"/{path}/one")
    for number in range(3):
        (hold / f"other{number}.go").touch()
    assert [int(other.response().body) for other in others] == [pid] * 3
    request_id = is_504_in_time(connection, sent)
    running.wait_for_line(rf"{request_id} GET /{path}/one: ended, since its deadline had passed")
    assert how is None or ended(hold, "one") == how
    stack = "\n".join(stack_of(running, request_id))
    assert "its deadline has passed; it is ended where it stands" in stack
    assert f"in {path}" in stack and line in stack
    assert "gevent_worker.py" not in stack and "meanwhile" not in stack
    assert "Traceback" not in stack, "it is no failure of the app's"
    assert int(running.get("/hello").body) == pid, "the worker goes on"
    assert running.metric("onebox_requests_interrupted_total") == 1
    assert running.metric("onebox_workers_stuck_total") == 0


def test_each_greenlet_has_a_deadline_of_its_own(late, hold):
    """Twenty that began at different times are inside, and each ends at its own."""
    running = late()
    late_ones = []
    for number in range(20):
        late_ones.append(asked(running, f"/sleeps/{number}"))
        begun(hold, number)
        assert 0.5 < float(running.get(f"/left/again{number}").body) <= 1
    for number, (connection, sent) in enumerate(late_ones):
        is_504_in_time(connection, sent)
        assert ended(hold, number).startswith("DeadlineExceeded")
    assert running.metric("onebox_requests_interrupted_total") == 20


def test_a_greenlet_of_the_apps_own_has_no_deadline(late):
    assert late().get("/left_elsewhere/one").body == b"None"


def test_close_is_called_whole_in_a_greenlet(late, hold):
    running = late(toml="[app]\ncancel_disconnected = true\n")
    with running.connect() as connection:
        connection.request("GET", "/parts/one").head()
        begun(hold, "one.sent")
        reset(connection)
    assert ended(hold, "one") == "closed"
    running.wait_for_line("ended, since its client had left")
    assert running.get("/hello").status == 200


def test_what_was_raised_while_the_hub_stood_still_hits_no_other_request(late, hold):
    """It cannot arrive before the request ends by itself; close() waits then, where it would arrive."""
    running = late()
    connection, sent = asked(running, "/ends_late/one")
    request_id = is_504_in_time(connection, sent)
    running.wait_for_line(rf"{request_id} .*it is ended where it stands")
    assert ended(hold, "one") == "closed"
    for number in range(20):
        assert running.get(f"/sums_in_turns/{number}").body == b"4950"
    assert not list(hold.glob("hit*"))
    assert "failed" not in running.output()
    assert running.metric("onebox_workers_stuck_total") == 0


def test_no_later_greenlet_is_hit(late, hold):
    """200 that end as their deadline passes, and after each some that have all their time."""
    running = late(timeout="150ms")
    nothing_is_hit(running, hold, "edge_in_turns", "sums_in_turns", b"4950")


def test_others_finish_before_a_worker_with_a_stuck_greenlet_is_replaced(late, hold):
    running = late(timeout="3s")
    connection, sent = asked(running, "/swallows/stuck")
    pid = begun(hold, "stuck")
    until(lambda: time.monotonic() - sent > 1.5, "the others come later")
    others = [asked(running, f"/waits/other{number}")[0] for number in range(2)]
    assert {begun(hold, "other0"), begun(hold, "other1")} == {pid}
    request_id = is_504_in_time(connection, sent, 3.0)
    running.wait_for_line(r"supervisor.*worker 1 \[\d+\] is stuck")
    for number in range(2):
        (hold / f"other{number}.go").touch()
    assert [int(other.response().body) for other in others] == [pid, pid]
    stack_with(running, request_id, "it does not end; this worker finishes the others and goes",
               "in swallows", "in swallows")
    serves_again(running, pid)
    assert running.metric("onebox_workers_stuck_total") == 1


@pytest.mark.parametrize("path, line", [
    ("reads", "os.read(os.pipe()[0], 1)"),
    ("computes", "sum(range(1000))"),
])
def test_a_worker_whose_hub_stands_still_is_replaced(late, hold, path, line):
    running = late(timeout="1s", workers=2)
    connection, sent = asked(running, f"/{path}/stuck")
    pid = begun(hold, "stuck")
    request_id = is_504_in_time(connection, sent)
    for _ in range(10):
        assert int(running.get("/hello").body) != pid, "the other worker has them"
    running.wait_for_line(r"supervisor.*worker \d \[\d+\] is stuck: a thread of it does not end")
    running.wait_for_line(rf"{request_id} .*it does not end")
    serves_again(running, pid)
    stack = "\n".join(stack_of(running, request_id))
    assert "it does not end; this worker finishes the others and goes" in stack
    assert stack.count(f"in {path}") >= 2 and line in stack
    until(lambda: len(running.pids("app worker")) == 2, "two workers again")


def test_the_stack_of_one_that_waits_names_what_holds_the_hub(late, hold):
    running = late(timeout="1s")
    waiting, sent = asked(running, "/sleeps/waiting")
    begun(hold, "waiting")
    culprit, _ = asked(running, "/reads/culprit")
    begun(hold, "culprit")
    request_id = is_504_in_time(waiting, sent)
    running.wait_for_line(rf"{request_id} .*it does not end")
    assert culprit.response().status == 504
    stack = "\n".join(stack_of(running, request_id))
    assert re.search(r"in sleeps.*meanwhile the hub's thread runs.*in reads", stack, re.DOTALL), stack


def test_a_held_gil_is_found_with_greenlets_too(late, hold):
    running = late(timeout="1s", workers=2)
    connection, sent = asked(running, "/holds_gil/stuck")
    pid = begun(hold, "stuck")
    request_id = is_504_in_time(connection, sent)
    running.wait_for_line(rf"{request_id} GET /holds_gil/stuck: nobody waits for it any more, and nothing")
    thread = re.search(r"It is thread (0x\w+) of:", running.output())[1]
    running.wait_for_line(rf"Thread {thread} ")
    running.wait_for_line(r"deadlines.py\", line \d+ in holds_gil")
    serves_again(running, pid)


def test_elsewhere_a_greenlet_has_until_its_deadline(late, hold):
    running = late()
    with running.connect() as connection:
        connection.request("GET", "/sleeps/one")
        began = time.monotonic()
        begun(hold, "one")
    assert ended(hold, "one").startswith("DeadlineExceeded")
    assert time.monotonic() - began >= 0.95


# --- starting ----------------------------------------------------------------

def test_a_python_without_gevent_ends_the_start(tmp_path):
    (tmp_path / "gevent.py").write_text("raise ImportError('No module named gevent')\n")
    done = onebox("run", "answers:app", "--worker-class", "gevent", "--python", PYTHON, "--listen",
                  "127.0.0.1:0", "--admin", "off", "--state", tmp_path / "state", "--chdir", tmp_path,
                  environment={"ONEBOX_APP_PRELOAD": "off"})
    assert done.returncode == 1
    assert 'worker_class = "gevent" needs the package gevent' in done.stdout + done.stderr


def test_a_driver_in_c_is_named_once(serve_gevent, tmp_path):
    (tmp_path / "MySQLdb.py").write_text("")
    (tmp_path / "shop.py").write_text(
        "import MySQLdb\n"
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return [b'shop']\n")
    running = serve_gevent("shop:app", chdir=tmp_path, workers=2)
    line = running.wait_for_line("MySQLdb waits for the database in C")
    assert running.output().count(line) == 1
