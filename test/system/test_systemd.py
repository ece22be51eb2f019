"""Does a service manager hear what it needs, are its sockets served, and are the privileges gone?"""
import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest

from clients import reload, upgrade
from onebox import APPS, BINARY, PYTHON, Onebox, StartFailed, onebox
from wire import ANSWER_SECONDS, Connection, until


@pytest.fixture
def hold(hold):
    (hold / "version").write_text("one")
    return hold


ASKED = "asked"  # what the manager sends itself: whoever has heard it has heard all that came before


class Manager:
    """The end of NOTIFY_SOCKET that systemd has: keeps what is said, with its time."""

    def __init__(self, name):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.address = "\0" + name[1:] if name.startswith("@") else name
        self.socket.bind(self.address)
        self.heard = []
        self.asked = queue.Queue()
        threading.Thread(target=self._hear, daemon=True).start()

    def _hear(self):
        while True:
            text = self.socket.recv(4096).decode()
            if text == ASKED:
                self.asked.put(text)
            else:
                self.heard.append((time.monotonic(), text))

    def said(self, *, status=False):
        """All that was sent before this call; the lines for people and the signs of life only if asked for."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(ASKED.encode(), self.address)
        self.asked.get(timeout=ANSWER_SECONDS)
        return [text for _, text in self.heard
                if status or not text.startswith(("STATUS=", "WATCHDOG="))]

    def signs(self):
        return [when for when, text in self.heard if text == "WATCHDOG=1"]

    def status(self):
        lines = [text for _, text in self.heard if text.startswith("STATUS=")]
        return lines[-1] if lines else ""


@pytest.fixture
def notified(serve, hold, tmp_path):
    """notified(): a box with a service manager that listens."""
    def start(name=None, **options):
        name = name or f"@onebox-test-{os.getpid()}-{time.monotonic_ns()}"
        manager = Manager(name)
        environment = {"NOTIFY_SOCKET": name, "HOLD": str(hold), **options.pop("environment", {})}
        return manager, serve("versions:app", environment=environment, **options)
    return start


# --- what the service manager hears ------------------------------------------

@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_it_hears_of_the_start_and_of_the_end(notified, tmp_path, kind):
    manager, running = notified(str(tmp_path / "notify") if kind == "path" else None, workers=2)
    until(lambda: manager.said() == ["READY=1"], "it is ready")
    until(lambda: re.fullmatch(r"STATUS=serving: 2 of 2 workers, \d+ requests/s, 0 waiting",
                               manager.status()), "the line for people")
    assert manager.said(status=True)[0].startswith("STATUS=booting: 0 of 2 workers")
    running.stop()
    assert [text.split("\n")[0] for text in manager.said()] == ["READY=1", "STOPPING=1"]


def test_it_hears_why_the_start_has_failed(tmp_path):
    name = str(tmp_path / "notify")
    manager = Manager(name)
    result = onebox("run", "not_there:app", "--chdir", APPS, "--python", PYTHON, "--admin", "off",
                    "--listen", "127.0.0.1:0", "--state", tmp_path / "state",
                    environment={"NOTIFY_SOCKET": name})
    assert result.returncode == 1
    until(lambda: manager.said() == ["STOPPING=1\nSTATUS=not_there:app could not be loaded"], "why")


def test_it_hears_of_a_reload_before_who_asked_has_the_answer(notified):
    manager, running = notified()
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert reload(running).returncode == 0
    said = manager.said()
    reloading = re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", said[1])
    assert reloading and before <= int(reloading[1]) <= time.monotonic_ns() // 1000
    assert [said[0], *said[2:]] == ["READY=1", "READY=1"]


def test_an_upgrade_looks_like_a_reload(notified):
    manager, running = notified()
    until(lambda: "READY=1" in manager.said(), "it is ready")
    assert upgrade(running).returncode == 0
    before, reloading, ready = manager.said()
    assert reloading.startswith("RELOADING=1\nMONOTONIC_USEC=") and ready == before == "READY=1"
    assert running.get("/").status == 200
    running.stop()
    assert manager.said()[-1].startswith("STOPPING=1")


def test_a_reload_by_signal_that_fails_ends_with_ready_too(notified, hold):
    manager, running = notified()
    (hold / "import").write_text("raise RuntimeError('not today')")
    running.process.send_signal(signal.SIGHUP)
    until(lambda: len(manager.said()) == 3, "it is told")
    assert [text.split("\n")[0] for text in manager.said()] == ["READY=1", "RELOADING=1", "READY=1"]
    until(lambda: manager.status().endswith("; the last reload has failed"), "the line says so")
    (hold / "import").unlink()
    assert reload(running).returncode == 0
    until(lambda: "failed" not in manager.status(), "a good one ends that")


def test_signs_of_life_stop_while_the_front_is_stopped(notified):
    """Watched for 1 s, and so told each half; 3 s after its last word the front counts as silent."""
    manager, running = notified(environment={"WATCHDOG_USEC": "1000000"})
    until(lambda: len(manager.signs()) >= 4, "signs of life")
    gaps = [b - a for a, b in zip(manager.signs(), manager.signs()[1:])]
    assert max(gaps) < 1, gaps
    front = running.pids("front")[0]
    os.kill(front, signal.SIGSTOP)
    until(lambda: "the front does not answer" in manager.status(), "the line says so")
    count = len(manager.signs())
    until(lambda: running.pids("front") not in ([front], [None]), "it is killed and replaced", 30)
    until(lambda: len(manager.signs()) > count, "signs of life again")
    last, next_one = manager.signs()[count - 1:count + 1]
    assert next_one - last > 3, "none meanwhile"


def test_another_process_watchdog_is_not_fed(notified):
    manager, running = notified(environment={"WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"})
    until(lambda: manager.status().startswith("STATUS=serving"), "it serves")
    assert running.get("/").status == 200 and not manager.signs()


def test_a_service_manager_that_is_not_there_is_said_once_and_no_more(serve, tmp_path):
    running = serve("targets:app", environment={"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    running.wait_for_line("the service manager cannot be told")
    assert running.get("/").status == 200
    assert running.output().count("cannot be told") == 1


def test_the_app_sees_nothing_of_it(notified, hold):
    (hold / "import").write_text("(HOLD / 'seen').write_text(repr(dict(os.environ)))")
    notified(environment={"WATCHDOG_USEC": "30000000", "LISTEN_FDNAMES": "x", "LISTEN_FDS": "0",
                          "LISTEN_PID": "1"})
    seen = (hold / "seen").read_text()
    assert "HOLD" in seen
    assert not re.search("NOTIFY_SOCKET|WATCHDOG_|LISTEN_(FDS|PID|FDNAMES)", seen), seen


# --- socket activation -------------------------------------------------------

# What systemd does: descriptors from 3 on, and LISTEN_PID is who runs then.
LAUNCHER = """
import os, sys
names, descriptors = sys.argv[1], [int(number) for number in sys.argv[2].split(",")]
kept = [os.dup(descriptor) for descriptor in descriptors]
kept = [os.dup2(one, 100 + place) for place, one in enumerate(kept)]
for place, one in enumerate(kept):
    os.dup2(one, 3 + place, inheritable=True)
    os.close(one)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(kept)), LISTEN_FDNAMES=names)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Activated(Onebox):
    """A box that is handed sockets: {name: [socket, ...]}."""

    def __init__(self, folder, sockets, *target, admin=None, **options):
        super().__init__(folder, *target, listen=options.pop("listen", ()), **options)
        flag = self.command.index("--admin")
        self.command[flag:flag + 2] = ["--admin", admin] if admin else []
        self.sockets = [one for several in sockets.values() for one in several]
        names = ":".join(name for name, several in sockets.items() for _ in several)
        numbers = ",".join(str(one.fileno()) for one in self.sockets)
        self.command = [PYTHON, "-c", LAUNCHER, names, numbers, *self.command]

    def start(self):
        self.popen_options = {"pass_fds": [one.fileno() for one in self.sockets]}
        super().start()


@pytest.fixture
def activated(tmp_path):
    servers = []

    def start(sockets, *target, **options):
        running = Activated(tmp_path, sockets, *target, **options)
        running.start()
        servers.append(running)
        return running
    yield start
    for running in servers:
        running.stop()


def listening(address=("127.0.0.1", 0)):
    if isinstance(address, tuple):
        return socket.create_server(address)
    one = socket.socket(socket.AF_UNIX)
    one.bind(str(address))
    one.listen()
    return one


def text_of(one):
    return "%s:%s" % one.getsockname()


def test_sockets_that_are_handed_over_are_served(activated, tmp_path):
    path = tmp_path / "app.sock"
    web, unix, admin = listening(), listening(path), listening()
    running = activated({"web": [web, unix], "admin": [admin]}, "targets:app")
    first = next(line for line in running.lines if line.startswith("onebox "))
    assert f"http://{text_of(web)} (handed over)   unix:{path} (handed over)" in first
    assert f"admin http://{text_of(admin)} (handed over)" in first
    for address in (web.getsockname(), path):
        with Connection(address) as connection:
            assert connection.get("/").status == 200
    with Connection(admin.getsockname()) as connection:
        assert connection.get("/metrics").status == 200
    running.stop()
    assert path.is_socket(), "it is the service manager's"


def test_a_request_that_came_before_the_start_is_answered(activated):
    web, admin = listening(), listening()
    with Connection(web.getsockname()) as early:
        early.request("GET", "/")
        activated({"web": [web], "admin": [admin]}, "targets:app")
        assert early.response().status == 200


def test_a_socket_takes_its_place_in_front_listen_and_the_rest_is_bound(activated):
    web = listening()
    running = activated({"web": [web]}, "targets:app", admin="127.0.0.1:0",
                        listen=("127.0.0.1:0", text_of(web)))
    assert len(running.urls) == 2 and running.urls[1] == f"http://{text_of(web)}"
    assert running.get("/").status == 200
    with Connection(web.getsockname()) as connection:
        assert connection.get("/").status == 200


@pytest.mark.parametrize("names, options, words", [
    ({"web": 1}, ["--listen", "127.0.0.1:0"], "it is not in front.listen"),
    ({"admin": 1}, ["--admin", "off"], "admin.listen says otherwise"),
    ({"admin": 2}, [], "there is one admin address"),
])
def test_a_socket_that_is_not_used_ends_the_start(tmp_path, names, options, words):
    sockets = [listening() for count in names.values() for _ in range(count)]
    result = subprocess.run(
        [PYTHON, "-c", LAUNCHER, ":".join(name for name, count in names.items() for _ in range(count)),
         ",".join(str(one.fileno()) for one in sockets), BINARY, "run", "targets:app",
         "--chdir", APPS, "--python", PYTHON, "--state", tmp_path / "state", *options],
        pass_fds=[one.fileno() for one in sockets], capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    assert "was handed over" in result.stderr and words in result.stderr, result.stderr


def test_handed_over_sockets_stay_across_a_reload_and_a_dead_front(activated, hold, tmp_path):
    web, admin = listening(), listening()
    config = tmp_path / "onebox.toml"
    running = activated({"web": [web], "admin": [admin]}, "versions:app",
                        environment={"HOLD": str(hold)}, toml="[front]\nbody_bytes_max = 10\n")
    config.write_text("[front]\nbody_bytes_max = 20\n")
    (hold / "version").write_text("two")
    assert reload(running).returncode == 0
    assert running.get("/").body.startswith(b"two")
    config.write_text('[front]\nlisten = ["127.0.0.1:0"]\n')
    result = reload(running)
    assert result.returncode == 1 and "is not used" in result.stderr
    os.kill(running.pids("front")[-1], signal.SIGKILL)
    until(lambda: running.get("/").status == 200, "the next front serves them")


def test_handed_over_sockets_stay_across_an_upgrade(activated, hold, tmp_path):
    path = tmp_path / "app.sock"
    web, admin = listening(path), listening()
    running = activated({"web": [web], "admin": [admin]}, "versions:app",
                        environment={"HOLD": str(hold)})
    for _ in range(2):
        result = upgrade(running)
        assert result.returncode == 0, result
        assert running.status()["listen"] == [f"unix:{path} (handed over)"]
        with Connection(path) as connection:
            assert connection.get("/").status == 200
    running.stop()
    assert path.is_socket(), "it is the service manager's"


# --- privileges --------------------------------------------------------------

USER, UID, GID = "nobody", 65534, 65534
SUPERVISORS = {0, 1, 5, 6, 7, 8, 10, 19}  # CHOWN DAC_OVERRIDE KILL SETGID SETUID SETPCAP BIND PTRACE


@pytest.fixture
def open_folder():
    """A folder that another user may look into, which pytest's own are not."""
    path = Path(tempfile.mkdtemp(prefix="onebox-user-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def as_user(open_folder):
    """as_user(target, ...): a box of root whose app is nobody's."""
    servers = []

    def start(*target, arguments=(), **options):
        running = Onebox(open_folder, *target, arguments=["--user", USER, *arguments], **options)
        servers.append(running)
        running.start()
        return running
    yield start
    for running in servers:
        running.stop()


@pytest.fixture
def open_hold(open_folder):
    folder = open_folder / "hold"
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "version").write_text("one")
    return folder


def status_of(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {line.split(":")[0]: line.split(":")[1].split() for line in lines}


def capabilities(status, which):
    number = int(status[which][0], 16)
    return {bit for bit in range(64) if number >> bit & 1}


def children(running):
    """But for the standby, which may have come or not."""
    return [one["pid"] for one in running.status()["processes"] if one["role"] != "standby"]


def assert_unprivileged(pid, user=UID, group=GID):
    status = status_of(pid)
    assert status["Uid"] == [str(user)] * 4 and status["Gid"] == [str(group)] * 4, status
    assert status["Groups"] == [str(group)], status
    for which in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert capabilities(status, which) == set(), (which, status)
    assert status["NoNewPrivs"] == ["1"]


@pytest.mark.parametrize("preload", ["on", "off"])
def test_front_zygote_and_workers_are_the_user_and_can_do_nothing_more(as_user, preload):
    running = as_user("targets:app", workers=2, arguments=["--preload", preload])
    assert len(children(running)) == (4 if preload == "on" else 3)
    for pid in children(running):
        assert_unprivileged(pid)
    supervisor = status_of(running.process.pid)
    for which in ("CapPrm", "CapEff", "CapBnd"):
        assert capabilities(supervisor, which) <= SUPERVISORS, which
    front = Path(f"/proc/{running.pids('front')[0]}")
    assert (front / "mem").stat().st_uid == 0, "the app, although the same user, cannot attach to it"
    assert "user      nobody, without privileges" in running.output()
    assert running.get("/").status == 200


def test_the_group_can_be_another(as_user):
    running = as_user("targets:app", arguments=["--group", "daemon"])
    for pid in children(running):
        assert_unprivileged(pid, group=1)


def test_without_a_user_nobody_gets_new_privileges_all_the_same(serve):
    running = serve("targets:app", workers=1)
    assert [status_of(pid)["NoNewPrivs"] for pid in children(running)] == [["1"]] * 3
    assert status_of(running.process.pid)["NoNewPrivs"] == ["0"]


def test_an_app_that_needs_sudo_can_have_it(as_user, open_folder):
    running = as_user("targets:app", toml="[app]\nno_new_privileges = false\n")
    for pid in running.pids("app worker") + running.pids("zygote"):
        status = status_of(pid)
        assert status["NoNewPrivs"] == ["0"] and capabilities(status, "CapEff") == set()
        assert capabilities(status, "CapBnd"), "the bounds stay: sudo's root would have nothing"
    assert_unprivileged(running.pids("front")[0])


def test_a_folder_that_the_user_may_not_enter_is_told(as_user, open_folder):
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(StartFailed, match="the app's folder cannot be entered as user"):
        as_user("seen:app", chdir=closed)


def test_everything_goes_on_working_as_the_user(as_user, open_folder, open_hold):
    """A low port, a reload with a new front, a death of each role, rotated logs, a spooled body."""
    logs = open_folder / "logs"
    logs.mkdir()  # root's: the user may not make files here
    config = '[front]\nbody_bytes_max = "1 MiB"\n'
    running = as_user("versions:app", listen=("127.0.0.1:897",), toml=config,
                      environment={"HOLD": str(open_hold)}, access_log=logs / "access.log",
                      arguments=["--error-log", logs / "error.log"])
    for name in ("access.log", "error.log"):
        assert ((logs / name).stat().st_uid, (logs / name).stat().st_mode & 0o777) == (UID, 0o640)

    assert running.ask("POST", "/", body=b"x" * 500_000).status == 200, "a body that goes to a file"

    (running.folder / "onebox.toml").write_text(config.replace("1", "2"))
    (open_hold / "version").write_text("two")
    result = reload(running)
    assert result.returncode == 0, result
    assert running.get("/").body.startswith(b"two")
    until(lambda: len(running.pids("front")) == 1, "the front before ends")

    result = upgrade(running)
    assert result.returncode == 0, result
    assert running.get("/").body.startswith(b"two")
    until(lambda: len(running.pids("front")) == 1 and len(running.pids("app worker")) == 1,
          "what the program before has left ends")

    for role in ("app worker", "zygote", "front"):
        before = running.pids(role)[0]
        os.kill(before, signal.SIGKILL)
        until(lambda: running.pids(role)[:1] not in ([before], [None], [])
              and all(one["state"] == "ready" for one in running.status()["processes"]),
              f"another {role}")
        assert running.get("/").status == 200
        for pid in children(running):
            assert_unprivileged(pid)

    for name in ("access.log", "error.log"):
        (logs / name).rename(logs / f"{name}.1")
    running.process.send_signal(signal.SIGUSR1)
    until(lambda: (logs / "error.log").exists() and (logs / "access.log").exists(), "new ones")
    until(lambda: running.get("/rotated").status == 200
          and "/rotated" in (logs / "access.log").read_text(), "the front writes to the new one")
    assert (logs / "access.log").stat().st_uid == UID
    os.kill(running.pids("app worker")[0], signal.SIGKILL)
    until(lambda: "SIGKILL" in (logs / "error.log").read_text(), "so does the supervisor")


def test_all_end_with_a_supervisor_of_another_user(as_user):
    """Even those that cannot notice: a change of user had made the kernel forget."""
    running = as_user("targets:app", workers=2, arguments=["--preload", "off"])
    for pid in children(running):
        os.kill(pid, signal.SIGSTOP)
    running.process.kill()
    running.process.wait()
    until(lambda: not running.processes(), "the kernel ends them")
    running.forget()


def test_the_app_finds_itself_at_home(as_user, open_hold):
    (open_hold / "import").write_text(
        "(HOLD / 'seen').write_text(' '.join(os.environ[name] for name in ('HOME', 'USER', 'LOGNAME'))"
        " + f' {os.umask(0):03o}')")
    as_user("versions:app", environment={"HOLD": str(open_hold)}, toml='[app]\numask = "027"\n')
    assert (open_hold / "seen").read_text() == "/nonexistent nobody nobody 027"


def test_the_apps_user_may_not_ask_roots_box(as_user):
    running = as_user("targets:app")
    result = subprocess.run([BINARY, "status", "--state", running.state], capture_output=True,
                            text=True, user=UID, group=GID, extra_groups=[])
    assert result.returncode == 1
    assert "answers root and the user that started it alone" in result.stderr, result


def test_sessions_of_the_app_s_user_survive_a_box_of_root(as_user):
    first = as_user("shared:app")
    cookie = first.get("/login/7")["set-cookie"].split(";")[0]
    files = list((first.state / "data").glob("sessions-*"))
    assert {(path.stat().st_uid, path.stat().st_mode & 0o777) for path in files} == {(UID, 0o600)}
    first.stop()
    second = as_user("shared:app")
    assert second.get("/me", f"Cookie: {cookie}").body == b"7"
    assert "onebox: sessions" not in second.output()


def test_a_reload_cannot_change_the_user(as_user, open_folder):
    running = as_user("targets:app", toml="[app]\n")
    (open_folder / "onebox.toml").write_text('[app]\ngroup = "daemon"\n')
    result = reload(running)
    assert result.returncode == 1 and "user and group" in result.stderr


@pytest.mark.parametrize("arguments, user, words", [
    (["--user", "not-there"], 0, 'no user "not-there"'),
    (["--user", USER, "--group", "not-there"], 0, 'no group "not-there"'),
    (["--group", "daemon"], 0, "a group needs a user"),
    (["--user", "daemon"], UID, "root alone"),
])
def test_a_user_that_cannot_be_is_refused(open_folder, arguments, user, words):
    result = subprocess.run(
        [BINARY, "run", "targets:app", "--check-config", "--chdir", APPS, "--state",
         open_folder / "state", *arguments], capture_output=True, text=True, user=user, cwd="/")
    assert result.returncode == 2 and words in result.stderr, result


# --- the unit ----------------------------------------------------------------

PACKAGING = Path(__file__).resolve().parents[2] / "packaging"
EXPOSURE_MAX = 1.6  # of 10; 1.5 was reached


def test_the_units_are_right(tmp_path):
    """systemd asks that the program is there: ours stands in its place."""
    for name in ("onebox.service", "onebox.socket"):
        text = (PACKAGING / name).read_text().replace("/usr/bin/onebox", str(BINARY))
        (tmp_path / name).write_text(text)
    result = subprocess.run(["systemd-analyze", "verify", *tmp_path.glob("onebox.*")],
                            capture_output=True, text=True, timeout=60)
    assert result.returncode == 0 and not re.search(r"onebox\.", result.stderr), result.stderr


def test_the_service_is_exposed_no_more_than_it_was():
    result = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager",
                             PACKAGING / "onebox.service"],
                            capture_output=True, text=True, timeout=60)
    level = re.search(r"Overall exposure level for onebox.service: ([\d.]+)", result.stdout)
    assert level and float(level[1]) <= EXPOSURE_MAX, result.stdout


def test_the_unit_gives_the_drain_its_time():
    text = (PACKAGING / "onebox.service").read_text()
    standard = onebox("run", "--print-config", "targets:app").stdout
    drain = int(re.search(r'drain_timeout = "(\d+)s"', standard)[1])
    assert int(re.search(r"^TimeoutStopSec=(\d+)s", text, re.M)[1]) >= drain + 2 + 5
    assert int(re.search(r"^WatchdogSec=(\d+)s", text, re.M)[1]) >= 2 * 10


# As systemd has it: what is not allowed is EPERM.
FILTER = """
import ctypes, errno, os, sys
library = ctypes.CDLL("libseccomp.so.2")
library.seccomp_init.restype = ctypes.c_void_p
library.seccomp_load.argtypes = [ctypes.c_void_p]
library.seccomp_rule_add.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint]
rules = library.seccomp_init(0x00050000 | errno.EPERM)
for name in sys.argv[1].split(","):
    number = library.seccomp_syscall_resolve_name(name.encode())
    if number >= 0:
        assert library.seccomp_rule_add(rules, 0x7FFF0000, number, 0) == 0
assert library.seccomp_load(rules) == 0
os.execv(sys.argv[2], sys.argv[2:])
"""


def calls_of(group):
    """The system calls of a group such as @system-service, as systemd-analyze lists them."""
    listed = subprocess.run(["systemd-analyze", "syscall-filter", group], capture_output=True,
                            text=True, check=True).stdout.split("\n")[1:]
    words = [line.strip() for line in listed if line.strip() and not line.strip().startswith("#")]
    return {call for word in words
            for call in (calls_of(word) if word.startswith("@") else {word})}


def test_the_box_serves_under_the_units_filter_of_system_calls(open_folder, open_hold):
    """As another user than root, reloads and replaces a worker."""
    allowed, denied = re.findall(r"^SystemCallFilter=(~?)(.*)$",
                                 (PACKAGING / "onebox.service").read_text(), re.M)
    assert (allowed[0], denied[0]) == ("", "~")
    calls = set().union(*map(calls_of, allowed[1].split()))
    calls -= set().union(*map(calls_of, denied[1].split())) - calls_of("@default")
    assert "capset" not in calls and "openat2" in calls
    open_folder.chmod(0o777)
    running = Onebox(open_folder, "versions:app", workers=2,
                     environment={"HOLD": str(open_hold),
                                  "ASAN_OPTIONS": "detect_leaks=0"})  # which needs ptrace
    running.command = [PYTHON, "-c", FILTER, ",".join(sorted(calls)), *running.command]
    running.popen_options = {"user": UID, "group": GID, "extra_groups": []}
    with running:
        (open_hold / "version").write_text("two")
        assert reload(running).returncode == 0
        until(lambda: len(running.pids("app worker")) == 2, "those before have ended")
        os.kill(running.pids("app worker")[0], signal.SIGKILL)
        until(lambda: running.status()["workers"]["ready"] == 2, "it is replaced")
        assert running.get("/").body.startswith(b"two")
        assert status_of(running.pids("front")[0])["Seccomp"] == ["2"]
