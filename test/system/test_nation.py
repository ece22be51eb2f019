"""Does a real app pass its own acceptance test here, on every database, as it does on Gunicorn?"""
import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from pathlib import Path

import pytest

from databases import MariaDb, Redis, free_port
from onebox import PYTHON, ROOT, Onebox, marked
from wire import Connection, until

NATION = ROOT / "examples/nation"
CASES = 105


@pytest.fixture(scope="module", autouse=True)
def static_files():
    subprocess.run([PYTHON, NATION / "make_static.py"], check=True, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory):
    yield world({"NATION_RUN": str(tmp_path_factory.mktemp("nation"))})


@pytest.fixture(scope="module")
def mariadb_and_redis(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nation")
    with MariaDb(folder) as database, Redis(folder) as cache:
        yield world({"NATION_RUN": str(folder), **database.environment, **cache.environment})


def world(environment):
    """Seeds the database that the environment names."""
    subprocess.run([PYTHON, NATION / "seed_data.py", "--users", "1000", "--reset", "--indexes"],
                   env=whole(environment), check=True, stdout=subprocess.DEVNULL)
    return environment


def whole(environment):
    return {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment}


def accept(url):
    """Runs the acceptance test as a stranger would: in a process of its own, over HTTP."""
    result = subprocess.run(
        [PYTHON, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", NATION / "tests"],
        env=whole({"NATION_URL": url}), capture_output=True, text=True, timeout=120)
    print(result.stdout[-6_000:], file=sys.stderr)
    assert f"{CASES} passed" in result.stdout and result.returncode == 0


@contextlib.contextmanager
def gunicorn(environment, workers):
    port = free_port()
    process = subprocess.Popen(
        ["/usr/bin/gunicorn", "--bind", f"127.0.0.1:{port}", "--worker-class", "gthread",
         "--workers", str(workers), "--threads", "4", "--chdir", NATION, "app:create_app()"],
        env=whole(environment), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def answers():
        try:
            with Connection(("127.0.0.1", port)) as connection:
                return connection.get("/api/health").status == 200
        except OSError:
            return False
    try:
        until(answers, "Gunicorn is up")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def served(folder, environment, workers):
    """The game as `onebox run -c examples/nation/onebox.toml` serves it."""
    return Onebox(folder, arguments=["--config", NATION / "onebox.toml"], environment=environment,
                  workers=workers, chdir=None)


@pytest.mark.once
@pytest.mark.parametrize("workers", [1, 3])
def test_on_onebox_with_sqlite(sqlite, tmp_path, workers):
    with served(tmp_path, sqlite, workers) as running:
        accept(running.url)


@pytest.mark.once
@pytest.mark.parametrize("workers", [1, 3])
def test_on_onebox_with_mariadb_and_redis(mariadb_and_redis, tmp_path, workers):
    with served(tmp_path, mariadb_and_redis, workers) as running:
        accept(running.url)


@pytest.mark.once
@pytest.mark.parametrize("workers", [1, 3])
def test_on_gunicorn_with_sqlite(sqlite, workers):
    with gunicorn(sqlite, workers) as url:
        accept(url)


@pytest.mark.once
def test_on_gunicorn_with_mariadb_and_redis(mariadb_and_redis):
    with gunicorn(mariadb_and_redis, 3) as url:
        accept(url)


CTRL_C_IN_POPEN = """
import argparse, importlib.machinery, importlib.util, pathlib, signal, subprocess, sys

class Lock:
    \"\"\"Popen's own, with a Ctrl-C the moment it is held.\"\"\"
    def __init__(self, lock):
        self.lock, self.release, self.due = lock, lock.release, True
    def acquire(self, *arguments):
        held = self.lock.acquire(*arguments)
        if self.due:
            self.due = False
            signal.raise_signal(signal.SIGINT)
        return held
    def __enter__(self):
        self.acquire()
    def __exit__(self, *_):
        self.release()

class Popen(subprocess.Popen):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self._waitpid_lock = Lock(self._waitpid_lock)

loader = importlib.machinery.SourceFileLoader("demo", sys.argv[1])
demo = importlib.util.module_from_spec(importlib.util.spec_from_loader("demo", loader))
loader.exec_module(demo)
subprocess.Popen = Popen
sys.exit(demo.serve(argparse.Namespace(onebox=sys.argv[2], state=pathlib.Path(), port=0, more=[]), {}))
"""


def test_a_ctrl_c_at_any_moment_ends_the_demo(tmp_path):
    server = tmp_path / "server"
    server.write_text("#!/bin/sh\ntrap 'exit 0' TERM\nwhile :; do /bin/sleep 0.05; done\n")
    server.chmod(0o755)
    result = subprocess.run([PYTHON, "-B", "-c", CTRL_C_IN_POPEN, NATION / "demo", server],
                            env={**os.environ, "PYTHONPATH": str(NATION)}, timeout=20, check=False)
    assert result.returncode in (256 - signal.SIGTERM, 0)  # before its trap, or after


def working_in(folder):
    """The pids of the processes whose folder is in this one: Redis writes its title over the
    environment, and is known by its folder alone."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if Path(os.readlink(process / "cwd")).is_relative_to(folder):
                found.append(int(process.name))
        except OSError:  # it has ended
            continue
    return found


@pytest.mark.parametrize("servers", [
    pytest.param((), id="alone"),
    pytest.param(("--mysql", "--redis"), id="with servers", marks=pytest.mark.once)])
def test_the_demo_leaves_nothing(tmp_path, servers):
    """The first start makes the world, the second is a matter of seconds; Ctrl-C ends both."""
    port, mark, temporary = free_port(), f"ONEBOX_TEST={uuid.uuid4()}", tmp_path / "tmp"
    temporary.mkdir()

    def processes():
        return Onebox.describe({*marked(mark), *working_in(tmp_path)})
    for start in ("first", "second"):
        began = time.monotonic()
        process = subprocess.Popen(
            [NATION / "demo", "--users", "1000", "--port", str(port), "--state", tmp_path / "demo",
             "--onebox", os.environ.get("ONEBOX", ROOT / "build/release/bin/onebox"),
             "--workers", "1", "--admin", "off", *servers],
            cwd=ROOT, env=whole({**dict([mark.split("=")]), "TMPDIR": str(temporary)}),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            url = f"http://127.0.0.1:{port}"

            def answers():
                assert process.poll() is None, process.stdout.read()
                try:
                    return urllib.request.urlopen(f"{url}/api/health").status == 200
                except OSError:
                    return False
            until(answers, "the demo answers", 60)
            assert start == "first" or time.monotonic() - began < 15
            commands = b"\n".join(processes().values())
            assert (b"mariadbd " in commands, b"redis-server " in commands) \
                == ("--mysql" in servers, "--redis" in servers)
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=30)
            assert process.returncode == 0, said
            assert url in said and "player1" in said and "Ctrl-C" in said
            assert ("making a world" in said) == (start == "first")
        finally:
            process.kill()
            process.wait()
        assert not processes()
        assert not [path for path in tmp_path.rglob("*") if path.is_socket()]
        assert not [*temporary.iterdir()]
        with pytest.raises(OSError):
            Connection(("127.0.0.1", port), seconds=1)
