"""Is anything lost or delayed when the box loads its app or its settings anew, and when a worker is
replaced?"""
import datetime
import os
import re
import signal
import subprocess
import threading
from pathlib import Path

import pytest

import onebox as onebox_module
from onebox import BINARY, onebox
from clients import Client, pid_of, reload, version_of
from wire import until


@pytest.fixture
def faulty_app(serve, hold):
    """Two workers of one thread, of an app whose requests are held; and the folder."""
    return serve("faults:app", environment={"HOLD": str(hold)}, workers=None, threads=1,
                 toml="[app]\nworkers_min = 2\nworkers_max = 4\n"
                      'timeout = "100s"\nqueue_timeout = "100s"\n'), hold


# --- reload ------------------------------------------------------------------

def test_a_reload_serves_the_new_code(versioned, hold):
    running = versioned(workers=2)
    assert version_of(running.get("/")) == "one"
    (hold / "version").write_text("two")
    result = reload(running)
    assert result.returncode == 0 and "generation 2 serves" in result.stdout, result
    assert {version_of(running.get("/")) for _ in range(20)} == {"two"}
    assert running.status()["generation"] == 2


def test_a_signal_reloads_too(versioned, hold):
    running = versioned()
    (hold / "version").write_text("two")
    running.process.send_signal(signal.SIGHUP)
    until(lambda: version_of(running.get("/")) == "two", "the new version serves")


@pytest.mark.parametrize("preload", ["on", "off"])
def test_the_old_code_serves_while_the_new_one_is_imported(versioned, hold, preload):
    running = versioned(workers=1, arguments=["--preload", preload])
    (hold / "version").write_text("two")
    (hold / "import").write_text("(HOLD / 'importing').touch(); wait_for('loaded')")
    running.process.send_signal(signal.SIGHUP)
    until((hold / "importing").exists, "the import begins")
    assert {version_of(running.get("/")) for _ in range(20)} == {"one"}
    (hold / "loaded").touch()
    until(lambda: version_of(running.get("/")) == "two", "the new version serves")


@pytest.mark.parametrize("preload", ["on", "off"])
def test_a_reload_that_fails_leaves_the_old_code_and_tells_why(versioned, hold, preload):
    running = versioned(workers=2, arguments=["--preload", preload])
    (hold / "import").write_text("raise RuntimeError('not today')")
    result = reload(running)
    assert result.returncode == 1
    assert "RuntimeError: not today" in result.stderr and "could not be loaded" in result.stderr
    running.wait_for_line("reload has failed, generation 1 serves on")
    assert {version_of(running.get("/")) for _ in range(20)} == {"one"}
    (hold / "import").unlink()
    (hold / "version").write_text("two")
    assert reload(running).returncode == 0
    assert version_of(running.get("/")) == "two"


def test_a_reload_asks_for_the_apps_health(versioned, hold):
    running = versioned(toml='[app]\nhealth = "/health"\n')
    (hold / "version").write_text("unwell")
    result = reload(running)
    assert result.returncode == 1 and "/health" in result.stderr and "500 Unwell" in result.stderr
    assert version_of(running.get("/")) == "one"


def test_a_request_that_runs_is_finished_by_the_old_code(versioned, hold):
    running = versioned(workers=1)
    with running.connect() as connection:
        connection.request("POST", "/hold/long", body=b"x")
        until((hold / "long.begun").exists, "the request runs")
        (hold / "version").write_text("two")
        assert reload(running).returncode == 0
        assert version_of(running.get("/")) == "two"
        (hold / "long.go").touch()
        assert version_of(connection.response()) == "one"
    until(lambda: len(running.pids("app worker")) == 1, "the old worker leaves")


def test_reloads_at_once_are_fine(versioned, hold):
    running = versioned(workers=1)
    (hold / "version").write_text("two")
    commands = [subprocess.Popen([BINARY, "reload", "--state", running.state],
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                for _ in range(4)]
    assert [command.wait(60) for command in commands] == [0] * 4
    assert version_of(running.get("/")) == "two"
    assert running.status()["generation"] in (2, 3), "who asks meanwhile shares the next one"


def test_a_reload_during_the_start_comes_after_it(versioned, hold):
    (hold / "import").write_text("(HOLD / 'importing').touch(); wait_for('loaded')")
    started = []
    starting = threading.Thread(target=lambda: started.append(versioned(workers=1)))
    starting.start()
    until((hold / "importing").exists, "the import begins")
    box = onebox_module.running[-1]
    box.process.send_signal(signal.SIGHUP)
    (hold / "version").write_text("two")
    (hold / "loaded").touch()
    starting.join(60)
    until(lambda: version_of(started[0].get("/")) == "two", "the reload follows")


@pytest.mark.parametrize("preload", ["auto", pytest.param("off", marks=pytest.mark.once)])
def test_no_request_is_lost_by_reloads(versioned, hold, preload):
    running = versioned(workers=2, arguments=["--preload", preload])
    clients = [Client(running, method) for method in ("GET", "POST", "GET", "POST")]
    for number in range(5):
        (hold / "version").write_text(f"version{number}")
        assert reload(running).returncode == 0
        assert version_of(running.get("/")) == f"version{number}"
    assert [client.end() for client in clients] == [[]] * 4
    assert all(client.answers > 20 for client in clients)


def test_reloads_among_forks_leave_no_worker_behind(versioned, hold):
    """Each worker runs few requests, so that its zygote forks nearly always, also when it is ended."""
    running = versioned(workers=2, toml="[app]\nrecycle_requests = 3\n")
    clients = [Client(running) for _ in range(3)]
    for number in range(8):
        (hold / "version").write_text(f"version{number}")
        assert reload(running).returncode == 0
        assert {version_of(running.get("/")) for _ in range(20)} == {f"version{number}"}
    assert [client.end() for client in clients] == [[]] * 3
    def known():
        return {one["pid"] for one in running.status()["processes"] if one["pid"]}
    until(lambda: set(running.processes()) == known() | {running.process.pid}, "each is known", 10)


def test_a_reload_whose_workers_do_not_all_get_ready_ends_and_another_may_follow(versioned, hold):
    running = versioned(workers=2, arguments=["--preload", "off"])
    (hold / "import").write_text(
        "if not (HOLD / 'taken').exists(): (HOLD / 'taken').touch()\n"
        "else: os._exit(7)\n")
    (hold / "version").write_text("two")
    first = subprocess.Popen([BINARY, "reload", "--state", running.state], stderr=subprocess.PIPE,
                             text=True)
    running.wait_for_line("death 2 in a row")
    (hold / "import").unlink()
    (hold / "version").write_text("three")
    assert reload(running).returncode == 0
    told = first.communicate(timeout=60)[1]
    assert first.returncode == 1 and "generation 2 serves with 1 of 2 workers" in told
    assert version_of(running.get("/")) == "three"


def test_settings_are_read_anew(versioned, hold):
    running = versioned(workers=None, toml="[app]\nworkers = 1\n")
    config = running.folder / "onebox.toml"
    config.write_text("[app]\nworkers = 3\nthreads = 2\n")
    assert reload(running).returncode == 0
    until(lambda: len(running.pids("app worker")) == 3, "three workers serve")
    config.write_text("[app]\nworkers = 0\n")
    result = reload(running)
    assert result.returncode == 1 and "onebox.toml:2: [app] workers" in result.stderr
    assert len(running.pids("app worker")) == 3


def test_the_fronts_settings_are_read_anew_and_no_connection_is_cut(versioned, hold):
    running = versioned(toml="[front]\nbody_bytes_max = 10\n")
    config = running.folder / "onebox.toml"
    clients = [Client(running, method) for method in ("GET", "POST")]
    before = running.pids("front")
    with running.connect() as idle:
        assert version_of(idle.request("GET", "/").response()) == "one"
        config.write_text('[front]\nbody_bytes_max = 20\nserver_name = "new"\n')
        (hold / "version").write_text("two")
        assert reload(running).returncode == 0
        answer = running.ask("POST", "/", body=b"x" * 15)
        assert version_of(answer) == "two" and answer["Server"] == "new"
        last = idle.request("GET", "/").response()
        assert last.status == 200 and last["Connection"] == "close"
    assert [client.end() for client in clients] == [[]] * 2
    until(lambda: len(running.pids("front")) == 1, "the front before ends")
    assert running.pids("front") != before


def test_new_code_does_not_wait_for_a_front_that_drains(versioned, hold):
    """Other settings of the front do, until the client that keeps it has asked once more."""
    running = versioned(workers=1)
    config = running.folder / "onebox.toml"
    with running.connect() as idle:
        assert version_of(idle.request("GET", "/").response()) == "one"
        config.write_text('[front]\nserver_name = "new"\n')
        assert reload(running).returncode == 0
        (hold / "version").write_text("two")
        assert reload(running).returncode == 0
        assert version_of(running.get("/")) == "two"
        config.write_text('[front]\nserver_name = "newer"\n')
        waiting = subprocess.Popen([BINARY, "reload", "--state", running.state])
        running.wait_for_line("waits until the one before has drained")
        assert running.get("/")["Server"] == "new"
        assert version_of(idle.request("GET", "/").response()) == "one"
    assert waiting.wait(60) == 0
    assert running.get("/")["Server"] == "newer"


def test_a_reload_of_the_front_takes_no_more_memory_than_there_is(versioned):
    """While the front before drains its workers are still there; so are fewer of the next."""
    running = versioned(workers=3, toml='[app]\nmemory_max = "1 MiB"\n')
    before = set(running.pids("app worker"))
    until(lambda: all(one["memory"] for one in running.status()["processes"]
                      if one["role"] == "app worker"), "their memory is known")
    with running.connect() as idle:  # the front before drains as long as this one says nothing
        assert version_of(idle.request("GET", "/").response()) == "one"
        (running.folder / "onebox.toml").write_text(
            '[front]\nserver_name = "new"\n[app]\nmemory_max = "1 MiB"\n')
        reloading = subprocess.Popen([BINARY, "reload", "--state", running.state])
        until(lambda: len(before & set(running.pids("app worker"))) == 1, "one of them is left")
        most = 4  # as many as are wanted, and the first of the next, which comes before any goes
        assert len(running.pids("app worker")) <= most
        assert version_of(idle.request("GET", "/").response()) == "one"
    assert reloading.wait(60) == 0
    assert len(running.pids("app worker")) == 3 and not before & set(running.pids("app worker"))


def test_listeners_come_and_go_with_a_reload(versioned, tmp_path):
    running = versioned(listen=(), toml='[front]\nlisten = ["127.0.0.1:0"]\n')
    path = tmp_path / "more.sock"
    config = running.folder / "onebox.toml"
    config.write_text(f'[front]\nlisten = ["127.0.0.1:0", "unix:{path}"]\n')
    assert reload(running).returncode == 0
    assert path.is_socket()
    assert version_of(running.get("/")) == "one", "the first one stays"
    config.write_text('[front]\nlisten = ["127.0.0.1:0"]\n')
    assert reload(running).returncode == 0
    assert not path.exists()


def test_what_a_reload_cannot_change_is_refused(versioned):
    running = versioned(toml="[log]\n")
    (running.folder / "onebox.toml").write_text('[log]\nlevel = "debug"\n')
    result = reload(running)
    assert result.returncode == 1 and "[log]" in result.stderr, result


def test_a_reload_of_a_box_that_is_not_there_says_so(tmp_path):
    result = onebox("reload", "--state", tmp_path / "nowhere")
    assert result.returncode == 1 and "no onebox runs" in result.stderr


def test_stop_ends_the_box(versioned):
    running = versioned()
    front, workers = running.pids("front"), running.pids("app worker")
    assert "ended" in running.tell("stop").stdout
    assert not {*front, *workers} & {*running.processes()}, "it has waited for them"
    running.wait_for_end()  # its own last steps, of the sanitizers too
    running.forget()
    assert running.process.returncode == 0


def test_stop_returns_when_what_had_begun_has_ended(versioned, hold):
    running = versioned()
    with running.connect() as connection:
        connection.request("GET", "/hold/last")
        until((hold / "last.begun").exists, "it runs")
        stopping = subprocess.Popen([BINARY, "stop", "--state", running.state])
        running.wait_for_line("asked to stop")
        assert stopping.poll() is None
        (hold / "last.go").touch()
        assert connection.response().status == 200
    assert stopping.wait(30) == 0
    assert running.process.wait(5) == 0
    running.kill()


# --- recycling ---------------------------------------------------------------

def test_workers_are_replaced_by_requests_and_none_is_lost(versioned):
    running = versioned(workers=2, toml="[app]\nrecycle_requests = 25\nrecycle_jitter = 10\n")
    clients = [Client(running, method) for method in ("GET", "POST", "GET", "POST")]
    until(lambda: running.metric("onebox_workers_started_total") > 10, "workers are replaced")
    assert [client.end() for client in clients] == [[]] * 4
    assert running.metric("onebox_workers_died_total") == 0, "nobody died"


def test_workers_are_replaced_by_age(versioned):
    running = versioned(workers=1, toml='[app]\nrecycle_age = "1s"\n')
    first = pid_of(running.get("/"))
    client = Client(running)
    until(lambda: pid_of(running.get("/")) != first, "another serves")
    assert client.end() == []


def test_a_worker_serves_until_its_successor_is_ready(versioned, hold):
    """One worker, whose successor cannot be ready before we say so."""
    running = versioned(workers=1, toml="[app]\nrecycle_requests = 5\n",
                        arguments=["--preload", "off"])
    (hold / "import").write_text("(HOLD / 'importing').touch(); wait_for('loaded')")
    first = {pid_of(running.get("/")) for _ in range(5)}
    until((hold / "importing").exists, "the successor is imported")
    assert {pid_of(running.get("/")) for _ in range(20)} == first
    (hold / "loaded").touch()
    until(lambda: pid_of(running.get("/")) not in first, "the successor serves")


@pytest.mark.parametrize("option", ["memory_soft", "memory_hard"])
def test_a_worker_that_leaks_is_replaced_and_no_request_is_lost(serve, option):
    running = serve("leaks:app", workers=2, toml=f'[app]\n{option} = "80 MiB"\n')
    clients = [Client(running, path="/leak") for _ in range(2)]
    running.wait_for_line(rf"is replaced: it has \d+ MiB, and app.{option} is 80 MiB", 60)
    until(lambda: running.metric("onebox_workers_started_total") > 4, "others follow", 60)
    assert [client.end() for client in clients] == [[]] * 2
    assert running.metric("onebox_workers_died_total") == 0


def test_where_memory_has_no_room_one_goes_before_the_next_comes(serve):
    """The two have more already, so there is none for a third."""
    running = serve("leaks:app", workers=2,
                    toml='[app]\nmemory_max = "1 MiB"\nrecycle_requests = 20\n')
    until(lambda: all(process["memory"] for process in running.status()["processes"]
                      if process["role"] == "app worker"), "they are measured")
    client = Client(running)
    until(lambda: running.metric("onebox_workers_started_total") > 6, "workers are replaced")
    assert client.end() == []
    running.wait_for_line(r"worker \d \[\d+\] goes before its successor comes: memory has no room for both")


# --- the number of workers ---------------------------------------------------

def test_auto_says_why_there_are_so_many(serve):
    running = serve("leaks:app", workers=None)
    workers = running.status()["workers"]
    assert workers["total"] >= 2 and workers["reason"]
    assert workers["reason"] in running.tell("status").stdout


def test_auto_keeps_to_its_bounds(serve):
    running = serve("leaks:app", workers=None, toml="[app]\nworkers_min = 1\nworkers_max = 1\n")
    assert running.status()["workers"]["total"] == 1


@pytest.mark.once
def test_auto_adds_workers_where_requests_wait_and_cpu_is_idle(faulty_app):
    running, hold = faulty_app
    connections = [running.connect().request("GET", f"/hold/waits{number}") for number in range(12)]
    running.wait_for_line(r"3 workers instead of 2: requests waited while \d+ % of the CPU was idle", 60)
    until(lambda: running.status()["workers"]["ready"] >= 3, "it serves")
    for number in range(12):
        (hold / f"waits{number}.go").touch()
    assert all(connection.response().status == 200 for connection in connections)


def hours(begin, end):
    """From now on, by UTC's clock."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return "-".join(f"{now + datetime.timedelta(minutes=minutes):%H:%M}" for minutes in (begin, end))


@pytest.mark.parametrize("begin", [-1, 1], ids=["they are", "they come"])
def test_at_peak_hours_there_are_more_workers(serve, begin):
    peak = hours(begin, 90)
    running = serve("leaks:app", workers=1, toml=f"""
[[app.peak]]
at = "{peak} UTC"
workers = 3
[[app.peak]]
at = "{hours(60, 120)} UTC"
workers = 5
""")
    until(lambda: running.status()["workers"]["ready"] == 3, "there are as many")
    assert f"(peak hours, {peak} UTC)" in running.tell("status").stdout
    (running.folder / "onebox.toml").write_text("")
    assert reload(running).returncode == 0
    until(lambda: running.status()["workers"]["total"] == 1, "it is as set")


def test_peak_hours_that_memory_has_no_room_for_are_told(serve):
    peak = hours(-1, 90)
    running = serve("leaks:app", workers=1, toml=f"""
[app]
memory_max = "1 MiB"
[[app.peak]]
at = "{peak} UTC"
workers = 3
""")
    line = running.wait_for_line(r"\d workers and no more")  # before their memory is known one comes
    assert f"peak hours, {peak} UTC, and memory has no room for more" in line
    assert running.status()["workers"]["total"] < 3


# --- the zygote --------------------------------------------------------------

def imports(hold):
    return len(list(hold.glob("imported.*")))


def test_the_app_is_imported_once_for_all_workers(versioned, hold):
    running = versioned(workers=4)
    assert imports(hold) == 1
    os.kill(running.pids("app worker")[0], signal.SIGKILL)
    until(lambda: len(running.pids("app worker")) == 4 and running.status()["workers"]["ready"] == 4,
          "it is replaced")
    assert imports(hold) == 1
    assert "preloaded" in running.output()


def test_without_preload_each_worker_imports(versioned, hold):
    versioned(workers=3, arguments=["--preload", "off"])
    assert imports(hold) == 3


@pytest.mark.parametrize("statements, words", [
    ("threading.Thread(target=wait_for, args=('end',), name='poller', daemon=True).start()",
     "thread 'poller' runs"),
    ("import socket; server = socket.create_server(('127.0.0.1', 0)); "
     "client = socket.create_connection(server.getsockname())", r"a connection to 127.0.0.1:\d+"),
    ("import sqlite3; database = sqlite3.connect(HOLD / 'data')", "SQLite"),
])
def test_what_must_not_be_forked_is_named_and_each_worker_imports(versioned, hold, statements, words):
    (hold / "import").write_text(statements)
    running = versioned(workers=2)
    line = running.wait_for_line("cannot be forked")
    assert re.search(words, line), line
    assert imports(hold) == 3, "once to find out, and once a worker"
    assert version_of(running.get("/")) == "one"


def test_preload_on_forks_all_the_same_and_says_so(versioned, hold):
    (hold / "import").write_text(
        "threading.Thread(target=wait_for, args=('end',), name='poller', daemon=True).start()")
    running = versioned(workers=2, arguments=["--preload", "on"])
    running.wait_for_line("forked all the same.*poller")
    assert imports(hold) == 1


def test_a_pool_of_the_import_is_closed_before_the_fork(versioned, hold):
    (hold / "import").write_text("""
import sqlalchemy
engine = sqlalchemy.create_engine(f"sqlite:///{HOLD / 'data'}", poolclass=sqlalchemy.pool.QueuePool)
with engine.connect() as connection:
    connection.execute(sqlalchemy.text("SELECT 1"))
assert engine.pool.checkedin() == 1
""")
    versioned(workers=2)
    assert imports(hold) == 1


WARM = '[app]\nwarm_up = ["/page?of=1", "/missing", "/raises"]\n'


def test_what_warms_an_app_up_is_done_before_the_fork_and_shared(serve):
    running = serve("first:app", workers=2, toml=WARM)
    zygote = running.pids("zygote")
    assert {pid_of(running.get("/page?of=1")) for _ in range(20)} == set(zygote)
    assert pid_of(running.get("/page?of=2")) in running.pids("app worker")
    running.wait_for_line("/missing is answered by 404 Not Found")
    running.wait_for_line("RuntimeError: not today")
    running.wait_for_line("/raises has no answer")
    running.wait_for_line(r"zygote .*: onebox: warmed up by 1 of 3 requests in \d")


@pytest.mark.parametrize("options", [
    {"arguments": ["--preload", "off"]},
    {"worker_class": "gevent"},  # its hub is each worker's own
], ids=["preload-off", "gevent"])
def test_what_warms_an_app_up_is_done_in_each_worker_else(serve, options):
    running = serve("first:app", workers=1, toml=WARM, **options)
    assert pid_of(running.get("/page?of=1")) == running.pids("app worker")[0]
    running.wait_for_line(r"worker 1 .*: onebox: warmed up by 1 of 3 requests")


def standby_of(running):
    until(lambda: running.pids("standby"), "a worker is forked ahead of time")
    return running.pids("standby")[0]


@pytest.mark.parametrize("worker_class", [None, "gevent"])
def test_a_worker_that_is_killed_has_its_successor_waiting(serve, worker_class):
    running = serve("first:app", workers=1, worker_class=worker_class)
    for _ in range(3):
        standby = standby_of(running)
        os.kill(running.pids("app worker")[0], signal.SIGKILL)
        until(lambda: running.pids("app worker") == [standby], "it is the one that waits")
        assert pid_of(running.get(f"/{standby}")) == standby


def test_a_standby_that_is_killed_is_missed_by_nobody(serve):
    running = serve("first:app", workers=1)
    standby = standby_of(running)
    os.kill(standby, signal.SIGKILL)
    until(lambda: not running.pids("standby"), "it is known to be gone")
    worker = running.pids("app worker")[0]
    os.kill(worker, signal.SIGKILL)
    until(lambda: running.pids("app worker") not in ([], [worker]), "another is forked")
    assert pid_of(running.get("/next")) == running.pids("app worker")[0]
    assert standby_of(running) != standby


def test_a_standby_goes_with_its_generation_even_where_it_is_stopped(serve):
    running = serve("first:app", workers=1)
    standby = standby_of(running)
    os.kill(standby, signal.SIGSTOP)
    assert reload(running).returncode == 0
    until(lambda: not os.path.exists(f"/proc/{standby}"), "it has gone")
    assert standby_of(running) != standby


def test_a_zygote_that_dies_is_replaced_and_nobody_notices(versioned, hold):
    running = versioned(workers=2)
    workers = running.pids("app worker")
    os.kill(running.pids("zygote")[0], signal.SIGKILL)
    until(lambda: imports(hold) == 2, "the app is loaded again")
    assert running.pids("app worker") == workers
    os.kill(workers[0], signal.SIGKILL)
    until(lambda: running.status()["workers"]["ready"] == 2, "a worker is forked by the next zygote")


def test_orphans_of_the_app_are_buried(versioned, hold):
    """A process that a worker has left behind ends as nobody's zombie."""
    (hold / "import").write_text("""
import subprocess
def leave_behind():
    if os.fork() == 0:
        if os.fork() == 0:
            (HOLD / "orphan").write_text(str(os.getpid()))
            wait_for("orphan.go")
        os._exit(0)
    os.wait()
leave_behind()
""")
    running = versioned(workers=1)
    until(lambda: (hold / "orphan").exists() and (hold / "orphan").read_text(), "it is there")
    orphan = int((hold / "orphan").read_text())
    (hold / "orphan.go").touch()
    until(lambda: not Path(f"/proc/{orphan}").exists(), "it is reaped")
    assert version_of(running.get("/")) == "one"
