"""Does the database give up when the request that asked it has no time left?"""
import os
import subprocess
import time

import pytest

from databases import MariaDb
from onebox import APPS, PYTHON, ROOT


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    with MariaDb(tmp_path_factory.mktemp("database")) as running:
        yield running


@pytest.fixture
def queries(serve, database):
    return lambda timeout: serve("queries:app", arguments=["--timeout", timeout], threads=1,
                                 environment={"DB_URL": database.environment["NATION_DB_URL"]})


def test_a_query_ends_with_its_request(queries, database):
    running = queries("3s")
    began = time.monotonic()
    assert running.get("/sleep").status == 504, "not a 500: the app is told before its database is"
    assert running.get("/limit").status == 200, "the thread is free, and so is the connection"
    assert time.monotonic() - began < 20, "and not after the 30 s that it was to sleep"
    listed = subprocess.run(database.client("mariadb", "-e", "SHOW PROCESSLIST"), check=True,
                            capture_output=True, text=True).stdout
    assert "SLEEP(30)" not in listed
    assert running.metric("onebox_workers_stuck_total") == 0


def test_requests_with_the_same_time_cost_one_statement(queries):
    running = queries("20s")
    assert 19 < float(running.get("/limit").body) <= 20.7
    first = float(running.get("/limit").body)
    assert [float(running.get("/limit").body) for _ in range(5)] == [first] * 5


def test_a_lower_limit_of_the_operator_s_stays(queries):
    running = queries("20s")
    assert float(running.get("/limit/5").body) == 5


def test_outside_of_a_request_the_limit_is_the_session_s_own(queries):
    running = queries("20s")
    assert float(running.get("/limit").body) > 19
    assert float(running.get("/outside").body) == 0


def test_sqlite_has_none():
    result = subprocess.run(
        [PYTHON, "-c", "import onebox, sqlalchemy\n"
                       "engine = sqlalchemy.create_engine('sqlite://')\n"
                       "onebox.limit_queries(engine)\n"
                       "assert engine.connect().exec_driver_sql('SELECT 1').scalar() == 1\n"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "python"), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=APPS, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result
