"""What happens when processes start, fail, hang and end?"""
import base64
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

import crowd
from onebox import APPS, PYTHON, ROOT, SAME_SIGNAL_SECONDS, StartFailed, onebox
from wire import Closed, until

pytestmark = pytest.mark.threads


@pytest.fixture
def faulty(serve, hold):
    def start(**options):
        environment = {"HOLD": str(hold), **options.pop("environment", {})}
        target = options.pop("target", "faults:app")
        return serve(target, environment=environment, **options)
    return start


def begun(hold, name):
    """The pids of the workers that have begun a request of that name."""
    return [int(path.suffixes[-2][1:]) for path in hold.glob(f"{name}.*.begun")]


def wait_begun(hold, name, count=1):
    until(lambda: len(begun(hold, name)) == count, f"{name} begins in {count} workers")
    return begun(hold, name)


def let_go(hold, name):
    (hold / f"{name}.go").touch()


def pid_of(answer):
    assert answer.status == 200, answer
    return int(answer.body)


# --- starting ----------------------------------------------------------------

@pytest.mark.parametrize("target, words", [
    ("broken_import:app", ["JSONDecodeError", "broken_import.py", "Traceback"]),
    ("not_there:app", ["not_there", "ModuleNotFoundError"]),
    ("targets:not_there", ["not_there", "targets"]),
    ("targets:not_callable", ["not_callable"]),
    ("targets:returns_nothing()", ["returns_nothing"]),
    ("targets:create_app(not_a_literal)", ["create_app(", "literals"]),
])
def test_an_app_that_cannot_be_imported_ends_the_start(tmp_path, target, words):
    began = time.monotonic()
    result = onebox("run", target, "--chdir", APPS, "--python", PYTHON, "--workers", "3",
                    "--listen", "127.0.0.1:0", "--admin", "off", "--state", tmp_path / "state",
                    environment={"ONEBOX_TEST": str(tmp_path)})
    assert result.returncode == 1, result
    assert all(word in result.stderr for word in words), result.stderr
    assert result.stderr.count("Traceback") <= 1, "one story, not one a worker"
    assert time.monotonic() - began < 20
    assert not list((tmp_path / "state").rglob("*.sock"))


def test_a_port_that_is_taken_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        result = onebox("run", "targets:app", "--chdir", APPS, "--python", PYTHON,
                        "--listen", address, "--admin", "off", "--state", tmp_path / "state")
    assert result.returncode == 1 and address in result.stderr


def test_an_app_that_prints_does_not_disturb(serve, tmp_path):
    (tmp_path / "talks.py").write_text(
        "print('hello from the import', flush=True)\n" + (APPS / "targets.py").read_text())
    running = serve("talks:app", chdir=tmp_path)
    running.wait_for_line("hello from the import")
    assert running.get("/").status == 200


# --- a worker ends -----------------------------------------------------------

def test_a_get_in_a_killed_worker_runs_again_and_a_post_is_502(faulty, hold):
    running = faulty(workers=1, threads=4)  # of two, one could get it before it is killed as well
    with running.connect() as get, running.connect() as post:
        get.request("GET", "/hold/get")
        post.request("POST", "/hold/post", body=b"x")
        [victim] = {*wait_begun(hold, "get"), *wait_begun(hold, "post")}
        os.kill(victim, signal.SIGKILL)
        assert post.response().status == 502
        let_go(hold, "get")
        assert pid_of(get.response()) != victim
    until(lambda: len(running.pids("app worker")) == 1 and victim not in running.pids("app worker"),
          "a worker again")
    assert pid_of(running.get("/")) != victim


def test_a_response_that_has_begun_is_broken_off_not_run_again(faulty, hold):
    running = faulty(workers=2)
    with running.connect() as connection:
        connection.request("GET", "/hold_in_body/part").head()
        assert next(connection.chunks()) == b"begun "
        os.kill(wait_begun(hold, "part")[0], signal.SIGKILL)
        with pytest.raises((Closed, ConnectionResetError)):
            list(connection.chunks())
    assert len(begun(hold, "part")) == 1


def test_a_request_that_kills_a_worker_by_chance_is_answered_by_the_next(faulty, hold):
    running = faulty(workers=2)
    assert pid_of(running.get("/die_once/chance")) not in begun(hold, "chance")


def test_a_request_that_kills_two_workers_is_502_and_named(faulty, hold):
    running = faulty(workers=2)
    answer = running.get("/die/always")
    assert answer.status == 502
    assert len(begun(hold, "always")) == 2, "once more, not twice"
    running.wait_for_line(r"/die/always")
    until(lambda: pid_of(running.get("/")), "the others are answered")


@pytest.mark.parametrize("path, words", [("/leave/x", "3"), ("/crash/x", "SIGSEGV")])
def test_a_worker_that_ends_says_how(faulty, path, words):
    running = faulty(workers=1)
    assert running.ask("POST", path, body=b"x").status == 502
    running.wait_for_line(rf"worker.*({words})")
    until(lambda: running.get("/").status == 200, "a new worker serves")


def test_other_requests_of_a_killed_worker_are_not_lost(faulty, hold):
    running = faulty(workers=1, threads=8)
    connections = [running.connect().request("GET", f"/hold/many{number}") for number in range(8)]
    for number in range(8):
        wait_begun(hold, f"many{number}")
    os.kill(running.pids("app worker")[0], signal.SIGKILL)
    for number in range(8):
        let_go(hold, f"many{number}")
    assert all(pid_of(connection.response()) for connection in connections)


def test_a_worker_that_dies_at_every_start_is_backed_off(serve, hold, tmp_path):
    """Each wait is twice as long as the one before, the log has the last words, and the supervisor
    stays."""
    (tmp_path / "fragile.py").write_text((APPS / "faults.py").read_text() + """
with open(HOLD / "starts", "a") as starts:
    print(time.monotonic(), file=starts)
if (HOLD / "broken").exists():
    print("the database is gone", flush=True)
    os._exit(7)
""")
    running = serve("fragile:app", workers=1, chdir=tmp_path, environment={"HOLD": str(hold)},
                    arguments=["--preload", "off"])
    (hold / "broken").touch()
    os.kill(running.pids("app worker")[0], signal.SIGKILL)
    def waits():  # a first death or two may be by chance
        return [float(wait) for wait in re.findall(
            r"worker 1 .* exit status 7; it starts again in ([\d.]+) s \(death \d in a row\); its last words:",
            running.output())]
    until(lambda: len(waits()) >= 3, "it dies again and again", 60)
    running.wait_for_line(r"^ +\| the database is gone$")
    (hold / "broken").unlink()
    until(lambda: running.get("/").status == 200, "it recovers")
    *_, before, third, fourth = waits()
    assert (third, fourth) == (2 * before, 2 * third), waits()
    *_, before, last = map(float, (hold / "starts").read_text().split())
    assert last - before >= fourth, "it waits as long as it says"


def test_an_import_that_hangs_shows_where(serve, tmp_path):
    (tmp_path / "hangs.py").write_text("import time\ntime.sleep(1000)\n")
    with pytest.raises(StartFailed) as failed:
        serve("hangs:app", chdir=tmp_path, environment={"ONEBOX_APP_BOOT_TIMEOUT": "5s"})
    assert "was not ready within 5 s (app.boot_timeout)" in str(failed.value)
    assert 'hangs.py", line 2 in <module>' in str(failed.value)


# --- a worker is stuck -------------------------------------------------------

def test_a_stopped_worker_costs_its_own_requests_and_no_others(faulty, hold):
    running = faulty(workers=2, threads=1, arguments=["--timeout", "2s"])
    stopped = pid_of(running.get("/"))
    os.kill(stopped, signal.SIGSTOP)
    statuses = []

    def ask():
        statuses.append(running.get("/").status)
    threads = [threading.Thread(target=ask) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(statuses) == 30
    assert statuses.count(200) >= 29 and set(statuses) <= {200, 503, 504}
    until(lambda: stopped not in running.pids("app worker"), "the stopped worker is replaced")


def test_a_request_over_its_time_is_504(faulty, hold):
    running = faulty(workers=1, threads=2, arguments=["--timeout", "1s"])
    assert running.ask("POST", "/hold/never", body=b"x").status == 504
    let_go(hold, "never")
    until(lambda: running.get("/").status == 200, "the next ones are answered")


# --- the front ---------------------------------------------------------------

def test_a_killed_front_is_replaced_and_the_listener_stays(faulty):
    running = faulty(workers=2)
    before = running.pids("front")
    os.kill(before[0], signal.SIGKILL)
    assert running.get("/").status == 200, "a connection made while it is away is served by the next"
    after = running.pids("front")
    assert len(after) == 1 and after != before


def test_a_front_that_is_killed_again_and_again_is_replaced_within_seconds(faulty):
    running = faulty(workers=1)
    for _ in range(3):
        os.kill(running.pids("front")[0], signal.SIGKILL)
        began = time.monotonic()
        assert running.get("/").status == 200
        assert time.monotonic() - began < 5


CUT = (Closed, ConnectionResetError, BrokenPipeError)


def test_a_front_killed_under_load_costs_what_it_held_and_no_more(serve):
    """A connection may be cut; an answer that comes is the right one."""
    running = crowd.start(serve, reactors=2)
    with crowd.Crowd(running.address, CUT, enough=False) as clients:
        for _ in range(2):
            clients.go_on()
            killed = running.pids("front")[0]
            os.kill(killed, signal.SIGKILL)
            until(lambda: {*running.pids("front")} - {killed}, "another is there")
            clients.go_on()
    assert running.metric("onebox_front_restarts_total") == 2
    until(lambda: running.status()["workers"]["busy"] == 0, "no thread is held")


def test_a_stopped_front_goes_on_or_is_replaced(faulty):
    running = faulty(workers=1)
    front = running.pids("front")[0]
    os.kill(front, signal.SIGSTOP)
    with running.connect() as connection:
        connection.request("GET", "/")
        try:
            os.kill(front, signal.SIGCONT)
        except ProcessLookupError:
            pass  # replaced meanwhile
        assert running.get("/").status == 200


# --- the supervisor ----------------------------------------------------------

FRONT_SILENCE = 10  # seconds, after which the supervisor takes a front for dead
# A process of its own, since the clients' threads would make it late: stops another one where it reads.
STOPPER = """
import os, signal, sys, time
pid, folder = int(sys.argv[1]), f"/proc/{sys.argv[1]}"
READ = "0"  # the system call's number
while True:
    if open(f"{folder}/syscall").read() != "running\\n":
        continue
    os.kill(pid, signal.SIGSTOP)
    while open(f"{folder}/stat").read().rpartition(")")[2].split()[0] != "T":
        pass
    if open(f"{folder}/syscall").read().split()[0] == READ:
        break
    os.kill(pid, signal.SIGCONT)
"""


def stop_in_a_turn(pid):
    """While it looks at the workers' memory, which it does after it has heard the news."""
    subprocess.run([PYTHON, "-c", STOPPER, str(pid)], check=True, timeout=60)


@pytest.mark.once
@pytest.mark.parametrize("stop", [lambda pid: os.kill(pid, signal.SIGSTOP), stop_in_a_turn],
                         ids=["at any time", "in a turn"])
def test_a_stopped_supervisor_does_not_take_its_own_absence_for_the_others(serve, stop):
    """They serve without it, and when it goes on it finds them as they were. Its part is to read what
    an app prints: one that fills its pipe meanwhile waits, so this one prints nothing."""
    running = crowd.start(serve, reactors=2)
    before = running.pids("front"), running.pids("app worker")
    with crowd.Crowd(running.address, enough=False, steps=crowd.QUIET) as clients:
        clients.go_on()
        stop(running.process.pid)
        stopped = time.monotonic()
        until(lambda: time.monotonic() - stopped > FRONT_SILENCE + 1 or clients.failures,
              "its patience with a front is over")
        clients.go_on()
        os.kill(running.process.pid, signal.SIGCONT)
        for _ in range(3):  # each is answered in a turn of its own
            running.status()
        clients.go_on()
    assert (running.pids("front"), running.pids("app worker")) == before
    assert running.metric("onebox_front_restarts_total") == 0
    assert running.metric("onebox_worker_restarts_total") == 0


# --- the end -----------------------------------------------------------------

def test_a_killed_supervisor_leaves_nothing(faulty, hold):
    running = faulty(workers=3)
    with running.connect() as connection:
        connection.request("GET", "/hold/orphan")
        wait_begun(hold, "orphan")
        os.kill(running.process.pid, signal.SIGKILL)
        running.process.wait()
        until(lambda: not running.processes(), "every process ends", 10)
    until(lambda: refuses(running), "nobody listens")
    running.kill()


def test_a_supervisor_killed_under_load_leaves_nothing(serve):
    running = crowd.start(serve, reactors=2)
    with crowd.Crowd(running.address, (Closed, OSError, AssertionError), enough=False) as clients:
        clients.go_on()
        os.kill(running.process.pid, signal.SIGKILL)
        running.process.wait()
        until(lambda: not running.processes(), "every process ends", 10)
        until(lambda: refuses(running), "nobody listens")
    running.kill()


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_what_runs_finish(faulty, hold, sign):
    running = faulty(workers=2)
    with running.connect() as busy, running.connect() as idle:
        assert idle.get("/").status == 200
        busy.request("GET", "/hold/last")
        wait_begun(hold, "last")
        running.process.send_signal(sign)
        assert idle.is_closed()
        until(lambda: refuses(running), "no new connection is taken")
        let_go(hold, "last")
        answer = busy.response()
        assert answer.status == 200
        assert (answer["Connection"] or "").lower() == "close" or busy.is_closed()
    running.stop(sign)


def refuses(running):
    try:
        with running.connect() as connection:
            connection.get("/")
        return False
    except (OSError, Closed):
        return True


def test_a_signal_that_comes_twice_at_once_is_one(faulty, hold):
    """A shell that has passed a Ctrl-C on, and the terminal that has told the whole group."""
    running = faulty(workers=1)
    with running.connect() as connection:
        connection.request("GET", "/hold/last")
        wait_begun(hold, "last")
        for _ in range(2):
            running.process.send_signal(signal.SIGTERM)
            until(lambda: refuses(running), "it drains")
        let_go(hold, "last")
        assert connection.response().status == 200
    running.wait_for_end()


@pytest.mark.parametrize("sign", [signal.SIGTTIN, signal.SIGTTOU, signal.SIGALRM])
def test_a_signal_that_means_nothing_here_stops_nothing(faulty, sign):
    running = faulty(workers=1)
    running.process.send_signal(sign)
    running.wait_for_line(rf"{sign.name} does nothing here")
    assert running.get("/").status == 200


def test_a_second_signal_ends_it_at_once(faulty, hold):
    running = faulty(workers=2)
    with running.connect() as connection:
        connection.request("GET", "/hold/forever")
        wait_begun(hold, "forever")
        running.process.send_signal(signal.SIGTERM)
        until(lambda: refuses(running), "it drains")
        time.sleep(SAME_SIGNAL_SECONDS)
        running.process.send_signal(signal.SIGTERM)
        running.process.wait(5)
        until(lambda: not running.processes(), "every process ends", 5)
    running.kill()


def test_the_end_comes_in_bounded_time(faulty, hold):
    running = faulty(workers=1, toml='[front]\ndrain_timeout = "1s"\n')
    with running.connect() as connection:
        connection.request("GET", "/hold/forever")
        wait_begun(hold, "forever")
        running.process.send_signal(signal.SIGTERM)
        running.process.wait(15)
        until(lambda: not running.processes(), "every process ends", 5)
    running.kill()


SIGNAL_BEFORE_SLEEP = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <semaphore.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

int signal_due = 0;

static void before_sleep(void) {
  if (gettid() == getpid() && __sync_bool_compare_and_swap(&signal_due, 1, 0)) {
    kill(getpid(), SIGTERM);
  }
}
int sem_wait(sem_t* sem) {
  before_sleep();
  return ((int (*)(sem_t*))dlsym(RTLD_NEXT, "sem_wait"))(sem);
}
int sem_clockwait(sem_t* sem, clockid_t clock, const struct timespec* until) {
  before_sleep();
  return ((int (*)(sem_t*, clockid_t, const struct timespec*))dlsym(RTLD_NEXT, "sem_clockwait"))(
      sem, clock, until);
}
"""


def test_a_worker_hears_a_signal_that_comes_just_before_it_sleeps(faulty, tmp_path):
    """Python saw none before it asked the kernel to wait; the kernel had none to wake it with."""
    (tmp_path / "before.c").write_text(SIGNAL_BEFORE_SLEEP)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", "before.so", "before.c"], cwd=tmp_path,
                   check=True)
    (tmp_path / "sleeps.py").write_text(
        (APPS / "faults.py").read_text() + """
import ctypes
import threading

join = threading.Thread.join
if not (HOLD / "first").exists():  # its successor lives
    (HOLD / "first").touch()

    def join_and_get_a_signal(thread, *timeout):
        ctypes.c_int.in_dll(BEFORE, "signal_due").value = 1
        threading.Thread.join = join
        return join(thread, *timeout)
    BEFORE = ctypes.CDLL(os.environ["BEFORE"])
    threading.Thread.join = join_and_get_a_signal
""")
    preloaded = ":".join([*re.findall("LD_PRELOAD=([^,]*)", os.environ.get("ONEBOX_APP_ENV", "")),
                          str(tmp_path / "before.so")])
    others = re.sub("LD_PRELOAD=[^,]*,?", "", os.environ.get("ONEBOX_APP_ENV", ""))
    running = faulty(target="sleeps:app", workers=1, chdir=tmp_path, environment={
        "BEFORE": str(tmp_path / "before.so"),
        "ONEBOX_APP_ENV": ",".join(filter(None, [f"LD_PRELOAD={preloaded}", others]))})
    running.wait_for_line(r"worker 1 .*ended", 10)
    until(lambda: running.get("/").status == 200, "a new worker serves")


# --- the queue ---------------------------------------------------------------

def test_a_full_queue_is_503_with_retry_after(faulty, hold):
    running = faulty(workers=1, threads=1, toml="[app]\nqueue_max = 2\n")
    held = running.connect().request("GET", "/hold/queue")
    wait_begun(hold, "queue")
    waiting = [running.connect().request("GET", "/") for _ in range(2)]
    until(lambda: running.status()["queue"] == 2, "two wait")
    answer = running.get("/")
    assert answer.status == 503 and int(answer["Retry-After"]) > 0
    let_go(hold, "queue")
    assert all(connection.response().status == 200 for connection in (held, *waiting))


def test_a_wait_that_is_too_long_is_503(faulty, hold):
    running = faulty(workers=1, threads=1, toml='[app]\nqueue_timeout = "1s"\n')
    held = running.connect().request("GET", "/hold/wait")
    wait_begun(hold, "wait")
    answer = running.get("/")
    assert answer.status == 503 and int(answer["Retry-After"]) > 0
    let_go(hold, "wait")
    assert held.response().status == 200


def test_a_client_that_left_is_taken_out_of_the_queue(faulty, hold):
    running = faulty(workers=1, threads=1)
    held = running.connect().request("GET", "/hold/first")
    wait_begun(hold, "first")
    with running.connect() as leaving:
        leaving.request("GET", "/hold/second")
        until(lambda: running.status()["queue"] == 1, "it waits")
    until(lambda: running.status()["queue"] == 0, "it is taken out")
    let_go(hold, "first")
    assert held.response().status == 200
    assert running.get("/").status == 200
    assert not begun(hold, "second")


# --- what it says of itself ----------------------------------------------------

def test_status_tells_people_and_programs(faulty, hold):
    running = faulty(workers=2, threads=3)
    assert running.get("/").status == 200
    until(lambda: running.status()["requests"] >= 1, "it is counted, after its last byte has left")
    found = running.status()
    assert re.match(r"\d+\.\d+\.\d+", found["version"]) and found["uptime"] >= 0
    assert len(running.pids("app worker")) == 2 and len(running.pids("front")) == 1
    assert found["queue"] == 0 and found["errors"] == 0
    with running.connect() as connection:
        connection.request("GET", "/hold/busy")
        wait_begun(hold, "busy")
        workers = running.status()["workers"]
        assert workers["busy"] == 1
        let_go(hold, "busy")
        connection.response()
    text = running.tell("status").stdout
    assert found["version"] in text and str(running.pids("front")[0]) in text


def test_status_without_a_server_says_so(tmp_path):
    result = onebox("status", "--state", tmp_path)
    assert result.returncode != 0 and result.stderr.strip() and "Traceback" not in result.stderr


def test_metrics_count_what_happens(faulty):
    running = faulty(workers=1)
    before = running.metric("onebox_requests_total")
    for _ in range(5):
        running.get("/")
    until(lambda: running.metric("onebox_requests_total") == before + 5, "five more are counted")
    os.kill(running.pids("app worker")[0], signal.SIGKILL)
    until(lambda: running.get("/").status == 200, "a new worker serves")
    names = "\n".join(running.metrics())
    for word in ("queue", "seconds_bucket", "connections", "workers", "bytes", "restarts"):
        assert word in names, word


def test_the_access_log_has_a_line_a_request(serve):
    running = serve("seen:app", toml='[log]\naccess_format = "json"\n')
    answer = running.get("/page?x=1", "User-Agent: the test", "Referer: http://there.test/")
    line = until(lambda: running.access_log.exists() and running.access_log.read_text(),
                 "the line is written")
    found = json.loads(line)
    text = json.dumps(found)
    for value in ("/page", "the test", "http://there.test/", answer["X-Request-ID"], "GET", "200"):
        assert value in text, (value, text)


def test_the_access_log_says_what_of_a_file_has_left_and_how_long_it_took(serve, tmp_path):
    (tmp_path / "large.bin").write_bytes(b"x" * 20_000_000)
    running = serve("seen:app", toml=f"""
[static]
"/static/" = "{tmp_path}"
[log]
access_format = "$uri $body_bytes_sent $request_time"
""")
    def logged(path):
        found = [line for line in running.access_log.read_text().splitlines() if line.startswith(path)]
        return found and found[0].split()[1:]
    with running.connect() as patient:
        patient.request("GET", "/static/large.bin?whole")
        time.sleep(0.2)
        assert not running.access_log.read_text(), "it is on its way"
        assert len(patient.response().body) == 20_000_000
    size, seconds = until(lambda: logged("/static/large.bin"), "the line is written")
    assert int(size) == 20_000_000 and float(seconds) >= 0.2
    running.access_log.write_text("")
    running.process.send_signal(signal.SIGUSR1)  # the file from its beginning
    with running.connect() as leaves:
        leaves.request("GET", "/static/large.bin")
        assert leaves.socket.recv(1000)
    size, _ = until(lambda: logged("/static/large.bin"), "the line is written")
    assert 0 < int(size) < 20_000_000


def test_the_combined_access_log_is_nginx_s(serve):
    running = serve("seen:app", toml='[log]\naccess_format = "combined"\n')
    running.get('/a"b', "User-Agent: quote\" here", "Referer: -")
    line = until(lambda: running.access_log.exists() and running.access_log.read_text(),
                 "the line is written")
    assert re.match(r'127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] '
                    r'"GET /a\S*b HTTP/1\.1" 200 \d+ "-" "quote\S+ here"', line), line


def basic(user, password="a secret"):
    return "Authorization: Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def access_lines(running, count):
    def lines():
        found = running.access_log.read_text().splitlines() if running.access_log.exists() else []
        return found if len(found) >= count else None
    found = until(lines, f"{count} lines are written")
    assert len(found) == count, found
    return found


def test_the_access_log_names_the_user_and_no_password(serve):
    running = serve("seen:app")
    for credentials in (basic("maria"), basic('a "b\n\\c'), "Authorization: Bearer bWFyaWE6eA==",
                        "X-None: none"):
        assert running.get("/", credentials).status == 200
    lines = access_lines(running, 4)
    assert [line.split()[2] for line in lines] == ["maria", r"a\x20\x22b\x0A\x5Cc", "-", "-"]
    assert "secret" not in running.access_log.read_text()


def test_a_user_s_name_does_not_break_json(serve):
    running = serve("seen:app", toml='[log]\naccess_format = "json"\n')
    running.get("/", basic('a "b\n\\c'))
    (line,) = access_lines(running, 1)
    assert json.loads(line)["user"] == 'a "b\n\\c'
    assert "secret" not in line


def test_every_atom_of_the_docs_has_a_value(serve):
    text = (ROOT / "docs/use/logs-and-metrics.md").read_text()
    rows = re.findall(r"^\|(.*)\|(.*)\|.*\|$", text[text.index("| Gunicorn | nginx |"):
                                                 text.index("## Metrics")], re.MULTILINE)
    atoms = [atom for row in rows for cell in row for atom in re.findall(r"`(.*?)`", cell)]
    assert "%(u)s" in atoms and "$remote_user" in atoms and len(atoms) > 35
    named = [atom.replace("{Name}", "{X-Name}").replace("{NAME}", "{HTTP_X_NAME}")
             .replace("$http_name", "$http_x_name")
             for atom in atoms if "%" in atom or "$" in atom if atom not in ("%%", "$$")]
    named += ["%({Content-Type}o)s", "$sent_http_content_type"]
    text = "|".join(["%%", "$$", *named])
    running = serve("seen:app", toml=f"[log]\naccess_format = '{text}'\n")
    running.ask("POST", "/page?a=b", basic("maria"), "X-Name: name", "Referer: http://there.test/",
                "User-Agent: test", "Content-Type: text/plain", body=b"x")
    percent, dollar, *values = access_lines(running, 1)[0].split("|")
    assert (percent, dollar) == ("%", "$") and len(values) == len(named)
    for atom, value in zip(named, values):
        assert (value in ("", "-")) == (atom == "$upstream_addr"), atom  # no server but the app answers
