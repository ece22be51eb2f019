"""Does the game pass its acceptance test on a current MySQL, with a current Python and Flask, and does
that database give up when a request has no time left?"""
import subprocess
import time

import pytest

from databases import MariaDb, Redis
from onebox import ROOT, Onebox
from test_nation import NATION, accept, whole

PYTHON = ROOT / "build/beyond/python/python3"
MYSQL = ROOT / "build/beyond/mysql"
MESSAGES = f"--lc-messages-dir={MYSQL / 'root/usr/share/mysql'}"


class MySql(MariaDb):
    """The same server in another make: only how it is installed and started differs."""

    name = "mysql"

    def install(self):
        if not (self.folder / "data").exists():
            subprocess.run([MYSQL / "mysqld", "--no-defaults", *self.options, MESSAGES,
                            "--initialize-insecure"], check=True, stderr=subprocess.DEVNULL)

    def command(self):
        return [MYSQL / "mysqld", "--no-defaults", *self.options, f"--port={self.port}",
                "--bind-address=127.0.0.1", "--socket=mysql.sock", "--mysqlx=OFF",
                "--secure-file-priv=NULL", MESSAGES, "--disable-log-bin"]

    def client(self, name, *arguments):
        name, *more = super().client(name, *arguments)
        return [MYSQL / {"mariadb": "mysql", "mariadb-admin": "mysqladmin"}[name], *more]


@pytest.fixture(scope="module")
def mysql(tmp_path_factory):
    with MySql(tmp_path_factory.mktemp("mysql")) as database:
        yield database.environment


@pytest.fixture(scope="module")
def mysql_and_redis(mysql, tmp_path_factory):
    folder = tmp_path_factory.mktemp("nation")
    with Redis(folder) as cache:
        environment = {"NATION_RUN": str(folder), **mysql, **cache.environment}
        subprocess.run([PYTHON, NATION / "make_static.py"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([PYTHON, NATION / "seed_data.py", "--users", "1000", "--reset", "--indexes"],
                       env=whole(environment), check=True, stdout=subprocess.DEVNULL)
        yield environment


def test_the_game_on_a_current_mysql_and_python(mysql_and_redis, tmp_path):
    with Onebox(tmp_path, arguments=["--config", NATION / "onebox.toml"], chdir=None, workers=2,
                environment=mysql_and_redis, python=PYTHON) as running:
        accept(running.url)


@pytest.fixture
def queries(serve, mysql):
    return lambda timeout: serve(
        "queries:app", arguments=["--timeout", timeout], threads=1, python=PYTHON,
        environment={"DB_URL": mysql["NATION_DB_URL"], "LIMIT": "max_execution_time"})


def test_a_query_ends_with_its_request(queries):
    running = queries("3s")
    began = time.monotonic()
    assert running.get("/sleep").status == 504
    assert running.get("/limit").status == 200, "the thread is free, and so is the connection"
    assert time.monotonic() - began < 20, "and not after the 30 s that it was to sleep"
    assert running.metric("onebox_workers_stuck_total") == 0


def test_the_limit_is_what_a_request_has_left_in_milliseconds(queries):
    running = queries("20s")
    assert 19_000 < int(running.get("/limit").body) <= 20_700, "the app is told before its database is"
    assert int(running.get("/limit/5").body) == 5000, "a lower one of the operator's stays"
    assert int(running.get("/outside").body) == 0
