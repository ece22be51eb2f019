"""Does an app that moves from Gunicorn with its gunicorn.conf.py find what its file speaks of?"""
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from onebox import PYTHON, ROOT, Onebox, StartFailed
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


def child_exit(server, worker):
    server.log.info("child_exit of %s", worker.pid)
'''


@pytest.fixture
def serve_file(serve, tmp_path):
    """serve_file(text, target): a server with that gunicorn.conf.py."""
    def start(text, target="answers:app", **options):
        file = tmp_path / "gunicorn.conf.py"
        file.write_text(text, encoding="utf-8")
        return serve(target, arguments=["-c", file], **options)
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
    assert said == ["post_fork", "post_worker_init", "pre_request", "post_request", "worker_exit",
                    "child_exit"], server.output()
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


def test_dead_workers_leave_no_prometheus_files(serve_file, tmp_path):
    metrics = tmp_path / "metrics"
    metrics.mkdir()
    server = serve_file(f'''
import os

def post_fork(server, worker):
    open(os.path.join("{metrics}", f"gauge_live_{{worker.pid}}.db"), "w").close()

def child_exit(server, worker):
    os.remove(os.path.join("{metrics}", f"gauge_live_{{worker.pid}}.db"))
''', workers=2)
    assert len(list(metrics.iterdir())) == 2
    server.stop()
    assert not list(metrics.iterdir())


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
