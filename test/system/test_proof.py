"""Does the box keep what it promises of a worker's life when everything comes at once? The numbers
are `./do bench --only lifecycle`'s; test_reload, test_deadlines and test_lifecycle ask for each alone."""
import os
import signal
import subprocess
import threading

import pytest

from clients import Client, reload
from onebox import PYTHON, ROOT
from wire import until

NATION = ROOT / "examples/nation"
THREADS = 4


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The game's, on SQLite."""
    environment = {"NATION_RUN": str(tmp_path_factory.mktemp("nation"))}
    subprocess.run([PYTHON, NATION / "seed_data.py", "--users", "1000", "--reset", "--indexes"],
                   env={**os.environ, **environment}, check=True, stdout=subprocess.DEVNULL)
    return environment


def test_recycling_reloads_and_killed_workers_at_once_lose_nothing_of_the_game(serve, world):
    running = serve("app:create_app()", chdir=NATION, environment=world, workers=2, threads=THREADS,
                    toml="[app]\nrecycle_requests = 40\nrecycle_jitter = 20\n")
    gets = [Client(running, "GET", "/api/health") for _ in range(4)]
    posts = [Client(running, "POST", "/api/logout") for _ in range(2)]
    kills = 2
    for number in range(kills):
        assert reload(running).returncode == 0
        gone = running.pids("app worker")[number % 2]
        os.kill(gone, signal.SIGKILL)
        until(lambda: gone not in running.pids("app worker")
              and running.status()["workers"]["ready"] == 2, "another is there")
    until(lambda: running.metric("onebox_workers_started_total") > 15, "many have been replaced", 60)
    assert [client.end() for client in gets] == [[]] * 4
    lost = [failure for client in posts for failure in client.end()]
    assert set(lost) <= {502} and len(lost) <= kills * THREADS, lost
    assert all(client.answers > 20 for client in gets + posts)


def test_a_hundred_abandoned_requests_cost_the_next_one_no_more_than_one(serve, hold):
    running = serve("faults:app", environment={"HOLD": str(hold)}, workers=1, threads=1)
    for number in range(100):
        with running.connect() as leaving:
            leaving.request("GET", f"/hold/left{number}")
            until(lambda: list(hold.glob("left0.*")), "the first one runs")
            until(lambda: running.status()["queue"] == min(number, 1), "it is seen")
    until(lambda: running.status()["queue"] == 0, "all that waited have left")
    (hold / "left0.go").touch()
    assert running.get("/").status == 200
    assert len(list(hold.glob("left*.begun"))) == 1, "only what ran already was run"


LIMIT = 200  # MiB


def largest_of(running):
    """MiB of the largest process of the box."""
    sizes = []
    for pid in running.processes():
        try:
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
                sizes += [int(line.split()[1]) / 1024 for line in rollup if line.startswith("Pss:")]
        except OSError:
            pass  # it has just ended
    return max(sizes)


def test_a_leak_stays_near_its_limit(serve):
    """As fast as four clients can; what comes between two looks at a worker is the slack."""
    running = serve("leaks:app", workers=2,
                    toml=f'[app]\nmemory_soft = "{LIMIT * 3 // 4} MiB"\nmemory_hard = "{LIMIT} MiB"\n')
    most, ending = [0.0], threading.Event()

    def watch():
        while not ending.is_set():
            most[0] = max(most[0], largest_of(running))
            ending.wait(0.02)
    watching = threading.Thread(target=watch)
    watching.start()
    clients = [Client(running, path="/leak") for _ in range(4)]
    try:
        until(lambda: running.metric("onebox_workers_started_total") >= 8, "workers are replaced", 60)
    finally:
        failures = [client.end() for client in clients]
        ending.set()
        watching.join()
    assert failures == [[]] * 4
    assert running.metric("onebox_workers_died_total") == 0
    assert LIMIT * 3 // 4 < most[0] < 2 * LIMIT, most
