"""Does an app that moves from Gunicorn with its gunicorn.conf.py find what its file speaks of?"""
import contextlib
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from clients import reload, upgrade
from onebox import BINARY, PYTHON, ROOT, SAME_SIGNAL_SECONDS, Onebox, StartFailed, onebox
from wire import Connection, until

HOOKS = '''
def post_fork(server, worker):
    server.log.info("post_fork pid=%s ppid=%s age=%s booted=%s cfg=%s address=%s workers=%s known=%s",
                    worker.pid, server.pid, worker.age, worker.booted, worker.cfg.timeout,
                    server.address, server.num_workers, list(server.WORKERS) == [worker.pid])
    try:
        worker.tmp
    except AttributeError as error:
        worker.log.warning("no tmp: %s", error)


def post_worker_init(worker):
    worker.log.info("post_worker_init booted=%s nr=%s", worker.booted, worker.nr)


def pre_request(worker, req):
    worker.log.info("pre_request %s %s %s %s %s", req.method, req.uri, req.path, req.query,
                    dict(req.headers).get("X-COLOUR"))


def post_request(worker, req, environ, resp):
    worker.log.info("post_request %s %s %s %s %s nr=%s", req.path, resp.status, resp.status_code,
                    resp.sent, environ["REQUEST_METHOD"], worker.nr)


def worker_exit(server, worker):
    server.log.info("worker_exit nr=%s alive=%s", worker.nr, worker.alive)
'''


@pytest.fixture
def serve_file(serve, tmp_path):
    """serve_file(text, target): a server with that gunicorn.conf.py."""
    def start(text, target="answers:app", arguments=(), **options):
        file = tmp_path / "gunicorn.conf.py"
        file.write_text(text, encoding="utf-8")
        return serve(target, arguments=["-c", file, *arguments], **options)
    return start


def test_the_hooks_of_a_worker_run_in_their_order(serve_file):
    server = serve_file("timeout = 17\n" + HOOKS, "seen:app")
    pid = server.pids("app worker")[0]
    server.wait_for_line(rf"post_fork pid={pid} ppid={server.process.pid} age=1 booted=False cfg=17 "
                         r"address=\[\('127.0.0.1', 0\)\] workers=1 known=True")
    server.wait_for_line(r"no tmp: Worker.tmp: a worker of Onebox proves")
    server.wait_for_line(r"post_worker_init booted=True nr=0")
    answer = server.get("/a%20b?c=d", "X-Colour: blue")
    assert answer.status == 200
    server.wait_for_line(r"pre_request GET /a%20b\?c=d /a%20b c=d blue")
    server.wait_for_line(rf"post_request /a%20b 200 OK 200 {len(answer.body)} GET nr=1")
    server.stop()
    said = [re.search(r"\[INFO\] (\w+)", line)[1] for line in server.lines if "[INFO]" in line]
    assert said == ["post_fork", "post_worker_init", "pre_request", "post_request",
                    "worker_exit"], server.output()
    assert any("worker_exit nr=1 alive=False" in line for line in server.lines)


def test_a_failing_hook_of_a_request_is_told_and_the_answer_stays(serve_file):
    server = serve_file("def post_request(worker, req):\n    1 / 0\n", "seen:app")
    assert server.get("/").status == 200
    server.wait_for_line(r"Exception in the hook post_request")
    server.wait_for_line(r"ZeroDivisionError")
    assert server.get("/").status == 200


def test_a_pre_request_that_raises_is_a_500(serve_file):
    server = serve_file("def pre_request(worker, req):\n"
                        "    if req.path == '/no':\n        raise ValueError('not this one')\n",
                        "seen:app")
    assert server.get("/no").status == 500
    server.wait_for_line(r"ValueError: not this one")
    assert server.get("/yes").status == 200


@pytest.mark.parametrize("hook", ["post_fork(server, worker)", "post_worker_init(worker)"])
def test_a_hook_without_which_no_worker_can_be_ends_the_start(serve_file, hook):
    with pytest.raises(StartFailed, match=f"the hook {hook.partition('(')[0]} failed") as failed:
        serve_file(f"def {hook}:\n    raise RuntimeError('no pool')\n")
    assert "RuntimeError: no pool" in str(failed.value)


def test_worker_int_runs_on_sigint(serve_file):
    server = serve_file("def worker_int(worker):\n    worker.log.info('int %s', worker.pid)\n")
    pid = server.pids("app worker")[0]
    os.kill(pid, signal.SIGINT)
    server.wait_for_line(rf"int {pid}")
    until(lambda: server.pids("app worker") not in ([pid], [None]), "another worker is there", 20)


def test_worker_abort_runs_on_sigabrt(serve_file):
    server = serve_file("def worker_abort(worker):\n    worker.log.info('abort %s', worker.pid)\n")
    pid = server.pids("app worker")[0]
    os.kill(pid, signal.SIGABRT)
    server.wait_for_line(rf"abort {pid}")
    server.wait_for_line(r"ended after .*exit status 1")


def test_umask_pythonpath_and_environment_are_there_before_the_import(serve_file, tmp_path):
    (tmp_path / "more").mkdir()
    (tmp_path / "more/found_there.py").write_text(
        "import os\nmask = os.umask(0)\nos.umask(mask)\n"
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return [f'{mask:o} {os.environ[\"COLOUR\"]}'.encode()]\n")
    server = serve_file(f"umask = 0o027\npythonpath = '{tmp_path}/more'\n"
                        "raw_env = ['COLOUR=blue']\nwsgi_app = 'found_there:app'\n", None)
    assert server.get("/").body == b"27 blue"


def test_logging_is_configured_as_the_file_says(serve_file):
    server = serve_file('''
logconfig_dict = {
    "formatters": {"generic": {"format": "HERE %(levelname)s %(name)s %(message)s"}},
    "loggers": {"shop": {"level": "DEBUG"}},
}

def post_worker_init(worker):
    import logging
    logging.getLogger("shop").info("from the app")
''')
    server.wait_for_line(r"HERE INFO shop from the app")


def test_a_logger_class_is_the_log_of_hooks(serve_file):
    server = serve_file('''
import logging

class Loud:
    def __init__(self, cfg):
        self.level = cfg.loglevel

    def info(self, message, *arguments):
        print("LOUD", self.level, message % arguments)

logger_class = Loud

def post_fork(server, worker):
    server.log.info("hello %s", worker.age)
''')
    server.wait_for_line(r"LOUD info hello 1")


def test_a_list_keeps_its_length_under_post_request(serve_file):
    hook = "def post_request(worker, req, environ, resp):\n    worker.log.info('sent %s', resp.sent)\n"
    plain = serve_file("", "seen:app").get("/")
    hooked = serve_file(hook, "seen:app").get("/")
    for answer in (plain, hooked):
        assert int(answer["Content-Length"]) == len(answer.body)


def test_the_roadmaps_own_file_serves(serve_file):
    text = (ROOT / "test/gunicorn_conf/roadmap.shape").read_text(encoding="utf-8")
    server = serve_file(text, "seen:app", workers=None, threads=None)
    assert server.get("/").status == 200
    status = server.status()
    assert len(server.pids("app worker")) == 9, status
    assert (status["workers"]["threads"], status["workers"]["units"]) == (1000, "greenlets")
    first = [line for line in server.lines if "gunicorn.conf.py:" in line]
    for name, why in (("worker_class", "a greenlet runs each request"), ("timeout", "504")):
        assert any(f" {name}: " in line and why in line for line in first), server.output()


def test_a_file_that_nobody_names_is_not_read_and_the_start_says_so(serve, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lies")
    (folder / "gunicorn.conf.py").write_text("1 / 0\n")
    server = Onebox(folder, "answers:app")
    with server:
        server.wait_for_line(r"gunicorn\.conf\.py is here and not read: -c gunicorn\.conf\.py")


# --- the hooks of Gunicorn's master, in the zygote -------------------------------

SAYS = """
import os

def say(*words):
    with open({said!r}, "a") as file:
        file.write(f"{{os.getpid()}} " + " ".join(map(str, words)) + "\\n")
"""
ALL_HOOKS = SAYS + """
def on_starting(server): say("on_starting", len(server.WORKERS), server.num_workers)
def when_ready(server): say("when_ready", len(server.WORKERS))
def on_reload(server): say("on_reload", len(server.WORKERS))
def nworkers_changed(server, new, old): say("nworkers_changed", new, old, server.num_workers)
def pre_fork(server, worker): say("pre_fork", worker.pid, worker.booted)
def post_fork(server, worker): say("post_fork", worker.pid == os.getpid(), worker.booted)
def post_worker_init(worker): say("post_worker_init")
def worker_exit(server, worker): say("worker_exit", worker.pid == os.getpid())
def child_exit(server, worker): say("child_exit", worker.pid in server.WORKERS)
def on_exit(server): say("on_exit", len(server.WORKERS))
def pre_exec(server): say("pre_exec")
"""
SAYING_APP = SAYS + """
say("import")

def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


class Said:
    """What hooks have written to a file, and who: one list of lines for each of the test's steps."""

    def __init__(self, folder, name="said"):
        self.file = folder / name
        self.file.touch()
        self.read = 0

    def lines(self):
        """(pid, words) of each."""
        return [(int(pid), words) for pid, _, words in
                (line.partition(" ") for line in self.file.read_text().splitlines())]

    def words(self):
        return [words for _, words in self.lines()]

    def count(self, hook):
        return sum(words.split()[0] == hook for words in self.words())

    def wait_for(self, hook, count=1):
        until(lambda: self.count(hook) >= count, f"{hook} has run {count} times", 30)

    def step(self):
        """What has come since the last step: (is it a worker's, words)."""
        lines = self.lines()
        workers = {pid for pid, words in lines if words.startswith("post_fork ")}
        new, self.read = lines[self.read:], len(lines)
        return [("worker" if pid in workers else "master", words) for pid, words in new]


@pytest.fixture
def said(tmp_path):
    return Said(tmp_path)


def hooks_of(said, text=""):
    return SAYS.format(said=str(said.file)) + text


def life(said, worker, send, stop):
    """A start, a killed worker, a reload, a stop: what has run in each."""
    said.wait_for("post_worker_init")
    steps = [said.step()]
    os.kill(worker(), signal.SIGKILL)
    said.wait_for("post_worker_init", 2)
    steps.append(said.step())
    send(signal.SIGHUP)
    said.wait_for("post_worker_init", 3)
    said.wait_for("child_exit", 2)
    if said.count("on_starting") == 2:  # another zygote
        said.wait_for("when_ready", 2)
    steps.append(said.step())
    stop()
    steps.append(said.step())
    return steps


@pytest.mark.parametrize("preload", [False, True])
def test_all_hooks_run_in_gunicorns_order(serve_file, tmp_path, preload):
    files = {}
    for server in ("gunicorn", "onebox"):
        folder = tmp_path / server
        folder.mkdir()
        files[server] = said = Said(folder)
        (folder / "saying.py").write_text(SAYING_APP.format(said=str(said.file)))
        (folder / "gunicorn.conf.py").write_text(
            f"preload_app = {preload}\n" + ALL_HOOKS.format(said=str(said.file)))

    gunicorn = subprocess.Popen([PYTHON, "-B", "-m", "gunicorn", "-b", "127.0.0.1:0", "saying:app"],
                                cwd=tmp_path / "gunicorn", stderr=subprocess.DEVNULL)
    try:
        def end():
            gunicorn.terminate()
            gunicorn.wait(30)
        said = files["gunicorn"]
        theirs = life(said, lambda: [pid for pid, words in said.lines()
                                     if words.startswith("post_fork")][-1], gunicorn.send_signal, end)
    finally:
        gunicorn.kill()
        gunicorn.wait()

    said = files["onebox"]
    server = serve_file((tmp_path / "onebox/gunicorn.conf.py").read_text(), "saying:app",
                        chdir=tmp_path / "onebox")
    ours = life(said, lambda: server.pids("app worker")[0], server.process.send_signal, server.stop)
    start, killed, reloaded, stopped = ours
    assert start == theirs[0], theirs
    assert killed == theirs[1]
    assert stopped == theirs[3]

    # A reload: the same in the workers; and Gunicorn's one master is two zygotes here.
    def of(role, lines):
        return [words for whose, words in lines if whose == role]
    assert sorted(of("worker", reloaded)) == sorted(of("worker", theirs[2]))
    assert of("master", theirs[2]) == ["nworkers_changed 1 1 1", "on_reload 1", "pre_fork [booting] False",
                                       "child_exit False"]
    old, new = dict.fromkeys(pid for pid, words in said.lines() if words.startswith("on_starting"))
    assert [words for pid, words in said.lines() if pid == old][-1] == "on_reload 1"
    after = [words for pid, words in said.lines() if pid == new]
    begin = ["nworkers_changed 1 None 1", *["import"] * preload, "on_starting 0 1",
             "pre_fork [booting] False"]
    assert after == begin + ["child_exit False", "when_ready 1", "child_exit False", "on_exit 0"]


@pytest.mark.parametrize("hook", ["on_starting", "when_ready"])
@pytest.mark.parametrize("preload", ["on", "off"])
def test_a_server_that_cannot_start_ends_with_the_traceback(serve_file, said, hook, preload):
    with pytest.raises(StartFailed, match=f"the hook {hook} failed") as failed:
        serve_file(hooks_of(said, f"def {hook}(server):\n    raise RuntimeError('no vault')\n"
                                  "def post_fork(server, worker): say('post_fork')\n"),
                   arguments=["--preload", preload])
    assert "RuntimeError: no vault" in str(failed.value)
    assert not said.lines(), "no worker was forked"


def test_a_failing_on_starting_is_exit_status_1(tmp_path):
    (tmp_path / "gunicorn.conf.py").write_text("def on_starting(server):\n    raise SystemExit(0)\n")
    done = onebox("run", "seen:app", "-c", "gunicorn.conf.py", "--python", PYTHON, "--listen",
                  "127.0.0.1:0", "--admin", "off", "--state", tmp_path / "state", "--chdir",
                  ROOT / "test/apps", cwd=tmp_path)
    assert done.returncode == 1 and "the hook on_starting failed" in done.stderr, done


def test_what_when_ready_serves_is_there_after_a_reload_too(serve_file):
    """As the exporter of prometheus_flask_exporter: a thread with a port of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = free.getsockname()
    server = serve_file(f"""
def when_ready(server):
    import http.server, os, threading

    class Exporter(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(str(os.getpid()).encode())

    exporter = http.server.HTTPServer({address!r}, Exporter)
    threading.Thread(target=exporter.serve_forever, daemon=True).start()
""")

    def exported():
        try:
            with Connection(address) as connection:
                return connection.get("/").body
        except OSError:
            return None
    for generation in (1, 2, 3):
        pid = str(server.pids("zygote")[-1]).encode()
        until(lambda: exported() == pid, f"the exporter of generation {generation}", 20)
        assert reload(server).returncode == 0
    assert "Exception in the hook" not in server.output()


def test_pre_fork_speaks_to_post_fork(serve_file, said):
    server = serve_file(hooks_of(said, """
def on_starting(server): server.shared = ["from on_starting"]
def pre_fork(server, worker):
    worker.slot = f"slot {worker.age} of {server.num_workers}"
def post_fork(server, worker):
    say(worker.slot, *server.shared, worker.pid == os.getpid(), worker.ppid == os.getppid() == server.pid)
"""), workers=2)
    assert sorted(said.words()) == [f"slot {number} of 2 from on_starting True True" for number in (1, 2)]
    assert {pid for pid, _ in said.lines()} == set(server.pids("app worker"))


def test_a_failing_pre_fork_ends_the_start(serve_file):
    with pytest.raises(StartFailed, match="worker 1 cannot be forked: the hook pre_fork failed") as failed:
        serve_file("def pre_fork(server, worker):\n    raise RuntimeError('no slot')\n")
    assert "RuntimeError: no slot" in str(failed.value)


def test_a_pre_fork_that_fails_later_keeps_that_worker_waiting(serve_file, tmp_path):
    full = tmp_path / "full"
    server = serve_file("import os\ndef pre_fork(server, worker):\n"
                        f"    if os.path.exists({str(full)!r}):\n        raise RuntimeError('no slot')\n",
                        "seen:app")
    full.touch()
    first = server.pids("app worker")[0]
    os.kill(first, signal.SIGKILL)
    server.wait_for_line(r"RuntimeError: no slot")
    server.wait_for_line(r"worker 1 cannot be forked: the hook pre_fork failed")
    full.unlink()
    until(lambda: server.status()["workers"]["ready"] == 1, "it is forked after all", 30)
    assert server.pids("app worker") != [first]
    assert server.get("/").status == 200


@pytest.mark.parametrize("preload", ["on", "off"])
def test_dead_workers_leave_no_prometheus_files(serve_file, tmp_path, preload):
    metrics = tmp_path / "metrics"
    metrics.mkdir()
    server = serve_file(f"""
import os

def post_fork(server, worker):
    open(os.path.join("{metrics}", f"gauge_live_{{worker.pid}}.db"), "w").close()

def child_exit(server, worker):
    os.remove(os.path.join("{metrics}", f"gauge_live_{{worker.pid}}.db"))
""", workers=2, arguments=["--preload", preload])

    def living():
        return {f"gauge_live_{pid}.db" for pid in server.pids("app worker")}
    killed = server.pids("app worker")[0]
    os.kill(killed, signal.SIGKILL)
    until(lambda: f"gauge_live_{killed}.db" not in {path.name for path in metrics.iterdir()},
          "a killed worker's file goes too")
    assert reload(server).returncode == 0
    until(lambda: {path.name for path in metrics.iterdir()} == living() and len(living()) == 2,
          "those of the generation before go")
    server.stop()
    assert not list(metrics.iterdir())


def test_a_failing_child_exit_is_told_and_nothing_else(serve_file):
    server = serve_file("def child_exit(server, worker):\n    1 / 0\n", "seen:app")
    for _ in range(2):
        first = server.pids("app worker")[0]
        os.kill(first, signal.SIGKILL)
        until(lambda: server.pids("app worker") not in ([], [first]), "the next worker is there", 20)
    server.wait_for_line(r"Exception in the hook child_exit")
    server.wait_for_line(r"ZeroDivisionError")
    assert server.get("/").status == 200


def test_the_server_knows_all_its_workers(serve_file, said):
    server = serve_file(hooks_of(said, """
def child_exit(server, worker):
    say(worker.pid, worker.age, *sorted(f"{pid}={other.age}" for pid, other in server.WORKERS.items()))
"""), workers=3)
    by_number = {process["number"]: process["pid"] for process in server.status()["processes"]
                 if process["role"] == "app worker"}
    os.kill(by_number[2], signal.SIGKILL)
    until(said.lines, "child_exit has run")
    others = sorted(f"{by_number[number]}={number}" for number in (1, 3))
    assert said.words()[0] == " ".join([str(by_number[2]), "2", *others])


ON_EXIT = """
def worker_exit(server, worker): say("worker_exit")
def on_exit(server): say("on_exit", len(server.WORKERS))
"""


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_on_exit_runs_once_and_last(serve_file, said, sign):
    server = serve_file(hooks_of(said, ON_EXIT), workers=2)
    assert reload(server).returncode == 0
    assert upgrade(server).returncode == 0
    assert not said.count("on_exit"), "a reload and an upgrade are no end"
    zygote = server.pids("zygote")[-1]
    server.stop(sign)
    assert said.lines()[-1] == (zygote, "on_exit 0")
    assert said.count("on_exit") == 1


def test_on_exit_runs_where_every_process_gets_the_signal(serve_file, said):
    """As systemd sends it without KillMode=mixed."""
    server = serve_file(hooks_of(said, ON_EXIT), workers=2)
    for pid in server.processes():
        with contextlib.suppress(ProcessLookupError):  # the supervisor may have been as fast
            os.kill(pid, signal.SIGTERM)
    server.wait_for_end()
    server.forget()
    assert said.words() == ["worker_exit", "worker_exit", "on_exit 0"]


def test_on_exit_runs_where_the_app_cannot_be_loaded(serve_file, said):
    with pytest.raises(StartFailed, match="could not be loaded"):
        serve_file(hooks_of(said, ON_EXIT), "broken_import:app")
    until(lambda: said.words() == ["worker_exit", "on_exit 0"], "the hooks have run")


def test_an_on_exit_that_hangs_is_ended_in_time(serve_file, said):
    server = serve_file(hooks_of(said, "def on_exit(server):\n    say('on_exit')\n"
                                       "    import time\n    time.sleep(1000)\n"))
    server.stop()
    assert said.words() == ["on_exit"]
    assert re.search(r"zygote \[\d+\] has not ended in time; it is killed", server.output())


def test_a_second_signal_ends_a_hanging_on_exit_at_once(serve_file, said):
    server = serve_file(hooks_of(said, "def on_exit(server):\n    say('on_exit')\n"
                                       "    import time\n    time.sleep(1000)\n"))
    server.process.send_signal(signal.SIGTERM)
    said.wait_for("on_exit")
    time.sleep(SAME_SIGNAL_SECONDS)
    server.stop()
    assert "has not ended in time" not in server.output()


def test_a_second_signal_leaves_on_exit_its_time(serve_file, said, hold):
    (hold / "version").write_text("one")
    server = serve_file(hooks_of(said, ON_EXIT), "versions:app", environment={"HOLD": str(hold)})
    with server.connect() as connection:
        connection.request("GET", "/hold/long")
        until((hold / "long.begun").exists, "the request runs")
        server.process.send_signal(signal.SIGTERM)
        server.wait_for_line("finishing what has begun")
        time.sleep(SAME_SIGNAL_SECONDS)
        server.stop()
    assert "ending at once" in server.output()
    assert said.words() == ["on_exit 0"]


def test_a_worker_that_imports_can_be_ended(serve_file, hold):
    (hold / "version").write_text("one")
    server = serve_file("def child_exit(server, worker): pass\n", "versions:app",
                        environment={"HOLD": str(hold)})
    (hold / "import").write_text("(HOLD / 'importing').touch(); wait_for('loaded')")
    os.kill(server.pids("app worker")[0], signal.SIGKILL)
    until((hold / "importing").exists, "the import begins")
    [importing] = until(lambda: server.pids("app worker"), "its pid is known")
    os.kill(importing, signal.SIGTERM)
    server.wait_for_line(r"worker 1 .*killed by SIGTERM")
    (hold / "loaded").touch()
    until(lambda: server.status()["workers"]["ready"] == 1, "the next one serves", 20)


@pytest.mark.once
def test_a_worker_without_a_zygote_runs_its_hooks(said, tmp_path):
    """As after an upgrade of a program whose workers had none, until the new generation serves."""
    (tmp_path / "saying.py").write_text(SAYING_APP.format(said=str(said.file)))
    (tmp_path / "gunicorn.conf.py").write_text(ALL_HOOKS.format(said=str(said.file)))
    worker = subprocess.Popen(
        [PYTHON, "-B", BINARY.parent.parent / "python", "worker", "--attach", "@nobody", "--reactors", "1",
         "--workers", "1", "--threads", "1", "--target", "saying:app", "--chdir", tmp_path,
         "--gunicorn", tmp_path / "gunicorn.conf.py", "--gunicorn-name", "gunicorn.conf.py",
         "--gunicorn-folder", tmp_path, "--listen", "127.0.0.1:0", "--number", "1"])
    try:
        said.wait_for("post_worker_init")
    finally:
        worker.terminate()
        worker.wait(30)
    assert said.words() == ["post_fork True False", "import", "post_worker_init", "worker_exit True"]


@pytest.mark.once
def test_a_hook_that_hangs_has_its_stack_logged_and_the_zygote_is_another(serve_file, tmp_path):
    first = tmp_path / "first"
    server = serve_file(f"""
def child_exit(server, worker):
    import os, time
    if not os.path.exists({str(first)!r}):
        open({str(first)!r}, "w").close()
        time.sleep(1000)
""", "seen:app", environment={"ONEBOX_APP_BOOT_TIMEOUT": "5s"})
    zygote, worker = server.pids("zygote"), server.pids("app worker")
    os.kill(worker[0], signal.SIGKILL)
    server.wait_for_line(r'gunicorn\.conf\.py", line 6 in child_exit')
    until(lambda: server.pids("zygote") not in ([], zygote), "another zygote is there", 20)
    until(lambda: server.status()["workers"]["ready"] == 1, "it forks the worker", 20)
    assert server.pids("app worker") != worker
    assert server.get("/").status == 200


@pytest.mark.once
def test_a_zygote_that_does_not_fork_is_replaced(serve_file):
    server = serve_file("", "seen:app", environment={"ONEBOX_APP_BOOT_TIMEOUT": "5s"})
    zygote, worker = server.pids("zygote"), server.pids("app worker")
    os.kill(zygote[0], signal.SIGSTOP)
    os.kill(worker[0], signal.SIGKILL)
    until(lambda: server.pids("zygote") not in ([], zygote), "another zygote is there", 30)
    until(lambda: server.status()["workers"]["ready"] == 1, "it forks the worker", 20)


def test_on_reload_runs_in_the_zygote_that_serves(serve_file, said):
    server = serve_file(hooks_of(said, "def on_reload(server): say('on_reload', len(server.WORKERS))\n"),
                        workers=2)
    zygote = server.pids("zygote")[0]
    assert reload(server).returncode == 0
    assert said.lines() == [(zygote, "on_reload 2")]


@pytest.mark.once
def test_nworkers_changed_follows_the_load_and_a_reload_keeps_the_number(serve_file, said, hold):
    server = serve_file(hooks_of(said, "def nworkers_changed(server, new, old): say(new, old)\n"),
                        "faults:app", workers="auto", threads=1, environment={
                            "HOLD": str(hold), "ONEBOX_APP_WORKERS_MIN": "2",
                            "ONEBOX_APP_WORKERS_MAX": "3", "ONEBOX_APP_TIMEOUT": "100s",
                            "ONEBOX_APP_QUEUE_TIMEOUT": "100s"})
    assert said.words() == ["2 None"]
    connections = [server.connect().request("GET", f"/hold/waits{number}") for number in range(9)]
    until(lambda: said.words() == ["2 None", "3 2"], "there is one more", 60)
    for number in range(9):
        (hold / f"waits{number}.go").touch()
    assert all(connection.response().status == 200 for connection in connections)
    assert reload(server).returncode == 0
    until(lambda: said.words() == ["2 None", "3 2", "2 None", "3 2"], "the other zygote knows")
    assert [pid for pid, _ in said.lines()][-1] == server.pids("zygote")[-1]


def test_pre_exec_runs_at_an_upgrade(serve_file, said):
    server = serve_file(hooks_of(said, "def pre_exec(server): say('pre_exec')\n"))
    zygote = server.pids("zygote")[0]
    assert upgrade(server).returncode == 0
    assert said.lines() == [(zygote, "pre_exec")]


def test_a_zygote_that_died_is_another_master(serve_file, said):
    """Its workers live on, and the next one hears of their ends."""
    server = serve_file(hooks_of(said, """
def on_starting(server): say("on_starting")
def when_ready(server): say("when_ready")
def child_exit(server, worker): say("child_exit", worker.pid, worker.age)
"""))
    worker, zygote = server.pids("app worker"), server.pids("zygote")
    os.kill(zygote[0], signal.SIGKILL)
    said.wait_for("when_ready", 2)
    assert server.pids("app worker") == worker
    os.kill(worker[0], signal.SIGKILL)
    said.wait_for("child_exit")
    assert said.lines()[-1] == (server.pids("zygote")[0], f"child_exit {worker[0]} 1")
    assert said.words()[:-1] == ["on_starting", "when_ready"] * 2


@pytest.mark.parametrize("text, line, imports", [
    ("", None, "worker"), ("preload_app = False\n", None, "worker"), ("preload_app = True\n", None, "zygote"),
    ("preload_app = True\n", "off", "worker"), ("", "on", "zygote"), ("", "auto", "zygote"),
])
def test_who_imports_the_app(serve_file, said, tmp_path, text, line, imports):
    (tmp_path / "saying.py").write_text(SAYING_APP.format(said=str(said.file)))
    server = serve_file(text + hooks_of(said, "def post_fork(server, worker): say('post_fork')\n"),
                        "saying:app", chdir=tmp_path, workers=2,
                        arguments=["--preload", line] if line else [])
    imported = [pid for pid, words in said.lines() if words == "import"]
    if imports == "zygote":
        assert imported == server.pids("zygote")
        assert "preloaded in" in server.output()
    else:
        assert sorted(imported) == sorted(server.pids("app worker"))
        for pid in imported:
            assert [words for whose, words in said.lines() if whose == pid] == ["post_fork", "import"]
        assert "preloaded in" not in server.output()


def test_an_import_that_must_not_be_forked_leaves_the_hooks(serve_file, said, tmp_path):
    (tmp_path / "threaded.py").write_text(
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'ok']\n")
    server = serve_file(hooks_of(said, """
def on_starting(server): say("on_starting")
def when_ready(server): say("when_ready")
def post_fork(server, worker): say("post_fork")
def on_exit(server): say("on_exit")
"""), "threaded:app", chdir=tmp_path, arguments=["--preload", "auto"])
    server.wait_for_line("cannot be forked after its import")
    assert server.get("/").status == 200
    assert reload(server).returncode == 0
    said.wait_for("when_ready", 2)
    server.stop()
    assert said.words() == ["on_starting", "when_ready", "post_fork", "on_starting", "post_fork",
                            "when_ready", "on_exit"]


@pytest.mark.parametrize("preload", [False, True])
def test_hooks_and_greenlets(serve_file, said, preload):
    server = serve_file(f"worker_class = 'gevent'\npreload_app = {preload}\n" + hooks_of(said, """
def on_starting(server): say("on_starting")
def post_fork(server, worker):
    import gevent.monkey
    say("post_fork", gevent.monkey.is_module_patched("socket"))
def child_exit(server, worker): say("child_exit")
def on_exit(server): say("on_exit")
"""), "seen:app", threads=None)
    assert server.get("/").status == 200
    os.kill(server.pids("app worker")[0], signal.SIGKILL)
    said.wait_for("post_fork", 2)
    until(lambda: server.status()["workers"]["ready"] == 1, "the next worker serves", 20)
    server.stop()
    assert said.words() == ["on_starting", "post_fork True", "child_exit", "post_fork True", "child_exit",
                            "on_exit"]


# --- the access log, beside Gunicorn's ------------------------------------------

FORMAT = ('%(h)s|%(l)s|%(u)s|%(t)s|%(r)s|%(m)s|%(U)s|%(q)s|%(H)s|%(s)s|%(B)s|%(b)s|%(f)s|%(a)s|%(T)s|'
          '%(D)s|%(M)s|%(L)s|%(p)s|%({x-colour}i)s|%({X-Colour}i)s|%({content-type}o)s|%({none}i)s|'
          '%({none}o)s|%(nothing)s|100%%')
SHAPES = {3: r"\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]", 14: r"\d+", 15: r"\d+", 16: r"\d+",
          17: r"\d+\.\d{6}", 18: r"<\d+>"}  # times and pids: their form alone
REQUESTS = [
    ("GET", "/", []),
    ("GET", "/a%20b?c=d&e=%2F", ["X-Colour: blue"]),
    ("HEAD", "/head", []),
    ("POST", "/post?", ["User-Agent: probe/1.0", "Referer: http://a.example/b?c"]),
    ("DELETE", "/x/y", []),
    ("GET", "/empty", []),
]
APP = '''
def app(environ, start_response):
    environ["wsgi.input"].read()
    body = b"" if environ["PATH_INFO"] == "/empty" else b"hello, world\\n"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    if environ["REQUEST_METHOD"] == "HEAD":
        return []  # Gunicorn sends what an app gives it here, and counts it; Onebox sends nothing
    return [body]
'''


def lines_of(log, count):
    """Each a list of its fields; not those of the probes."""
    def whole():
        lines = log.read_text().splitlines(keepends=True) if log.is_file() else []
        return [line for line in lines if line.endswith("\n") and "/probe" not in line]
    until(lambda: len(whole()) >= count, f"{count} lines", 20)
    return [line.rstrip("\n").split("|") for line in whole()]


def ask_all(address):
    for method, target, fields in REQUESTS:
        with Connection(address) as connection:
            body = b"x=1" if method == "POST" else b""
            answer = connection.request(method, target, *fields, body=body).response(method)
            assert answer.status == 200


def test_access_log_lines_are_gunicorns(serve_file, tmp_path):
    (tmp_path / "plain.py").write_text(APP)
    gunicorns, ours = tmp_path / "gunicorn.log", tmp_path / "onebox.log"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = free.getsockname()
    gunicorn = subprocess.Popen(
        [PYTHON, "-B", "-m", "gunicorn", "-b", "%s:%d" % address, "--access-logformat", FORMAT,
         "--access-logfile", gunicorns, "plain:app"], cwd=tmp_path,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: answers(address), "Gunicorn answers", 30)
        ask_all(address)
        theirs = lines_of(gunicorns, len(REQUESTS))
    finally:
        gunicorn.terminate()
        gunicorn.wait(30)
    server = serve_file(f"access_log_format = '''{FORMAT}'''\n", "plain:app", chdir=tmp_path,
                        access_log=ours)
    ask_all(server.address)
    for (method, target, _), left, right in zip(REQUESTS, theirs, lines_of(ours, len(REQUESTS)),
                                                strict=True):
        assert len(left) == len(right)
        for number, (gunicorn_has, onebox_has) in enumerate(zip(left, right)):
            if number in SHAPES:
                assert re.fullmatch(SHAPES[number], gunicorn_has), (method, target, left)
                assert re.fullmatch(SHAPES[number], onebox_has), (method, target, right)
            else:
                assert onebox_has == gunicorn_has, (method, target, number, left, right)


def answers(address):
    try:
        with socket.create_connection(address, 1) as probe:
            probe.sendall(b"GET /probe HTTP/1.0\r\n\r\n")
            return probe.recv(10).startswith(b"HTTP")
    except OSError:
        time.sleep(0.05)
        return False


# --- a file that takes its time at a reload ----------------------------------

SLOW_FILE = """
import os, time
from pathlib import Path
HOLD = Path(os.environ["HOLD"])
with open(HOLD / "executed", "a") as file:
    print(os.getpid(), file=file)
if (HOLD / "slow").exists():
    print("half of it is read", flush=True)
    (HOLD / "reading").touch()
    while not (HOLD / "go").exists():
        time.sleep(0.005)
    exec((HOLD / "then").read_text())
timeout = 17
"""


def executions(hold):
    return [int(line) for line in (hold / "executed").read_text().split()]


@pytest.fixture
def slow_reload(serve_file, hold):
    """A server whose reload reads its gunicorn.conf.py until hold/go is there; and that reload."""
    (hold / "then").touch()
    server = serve_file(SLOW_FILE, environment={"HOLD": str(hold)})
    (hold / "executed").unlink()
    (hold / "slow").touch()
    with subprocess.Popen([BINARY, "reload", "--state", server.state], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as asker:
        until((hold / "reading").exists, "the file is executed anew")
        yield server, asker
        (hold / "go").touch()  # where the test has failed


def test_the_box_is_watched_over_while_the_file_is_read(slow_reload, hold):
    server, asker = slow_reload
    assert server.status()["reloading"]
    [worker] = server.pids("app worker")
    os.kill(worker, signal.SIGKILL)
    until(lambda: server.pids("app worker") not in ([worker], []), "another worker is there")
    until(lambda: server.status()["workers"]["ready"] == 1, "it is ready")
    assert server.get("/body/read").status == 200
    os.kill(server.pids("front")[0], signal.SIGKILL)
    until(lambda: server.status()["workers"]["ready"] == 1, "another front is there")
    assert server.get("/body/read").status == 200
    assert asker.poll() is None and len(executions(hold)) == 1, "it is still being read"
    (hold / "go").touch()
    assert asker.wait(60) == 0 and "generation 2 serves" in asker.stdout.read()
    assert len(executions(hold)) == 2, "once for the settings, once in the zygote"
    assert not server.status()["reloading"]


def test_a_file_that_fails_late_fails_the_reload_with_its_words(slow_reload, hold):
    server, asker = slow_reload
    (hold / "then").write_text("raise RuntimeError('not today')")
    (hold / "go").touch()
    assert asker.wait(60) == 1
    said = asker.stdout.read()
    assert "half of it is read" in said and "RuntimeError: not today" in said, said
    server.wait_for_line("reload has failed, generation 1 serves on")
    assert server.status()["generation"] == 1 and not server.status()["reloading"]


def test_who_asks_while_the_file_is_read_gets_the_next_reload(slow_reload, hold):
    server, asker = slow_reload
    with subprocess.Popen([BINARY, "reload", "--state", server.state], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as other:
        assert server.status()["reloading"]
        (hold / "go").touch()
        assert asker.wait(60) == 0 and "generation 2 serves" in asker.stdout.read()
        assert other.wait(60) == 0 and "generation 3 serves" in other.stdout.read()


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGKILL])
def test_a_box_that_ends_while_the_file_is_read_leaves_nothing(slow_reload, hold, sign):
    server, asker = slow_reload
    [reader] = executions(hold)
    assert reader in server.processes()
    begun = time.monotonic()
    if sign == signal.SIGTERM:
        server.stop()
        assert "the box is ending" in asker.stdout.read()
    else:
        server.process.kill()
        until(lambda: not server.processes(), "all that it has started ends with it")
        server.forget()
    assert time.monotonic() - begun < 15, "nobody waits for the file"
    assert asker.wait(60) == 1
