"""Does the box keep what it promises of a worker's life when everything comes at once? The numbers
are `./do bench --only lifecycle`'s; test_reload, test_deadlines and test_lifecycle ask for each alone."""
import os
import re
import signal
from pathlib import Path

from clients import Client, reload
from wire import until

THREADS = 4


def test_recycling_reloads_and_killed_workers_at_once_lose_nothing(serve, hold):
    running = serve("faults:app", environment={"HOLD": str(hold)}, workers=2, threads=THREADS,
                    toml="[app]\nrecycle_requests = 40\nrecycle_jitter = 20\n")
    gets = [Client(running, "GET") for _ in range(2)]
    posts = [Client(running, "POST") for _ in range(2)]
    kills = 3
    for number in range(kills):
        assert reload(running).returncode == 0
        with running.connect() as held:
            held.request("GET", f"/hold/{number}")
            [begun] = until(lambda: [*hold.glob(f"{number}.*.begun")], "it runs")
            os.kill(int(begun.suffixes[0][1:]), signal.SIGKILL)
            until(lambda: len([*hold.glob(f"{number}.*.begun")]) == 2, "it runs again")
            (hold / f"{number}.go").touch()
            assert held.response().status == 200
    until(lambda: running.metric("onebox_workers_started_total") > 10, "many have been replaced", 60)
    assert [client.end() for client in gets] == [[]] * 2
    lost = [failure for client in posts for failure in client.end()]
    assert set(lost) <= {502} and len(lost) <= kills * THREADS, lost
    assert all(client.answers > 20 for client in gets + posts)


def test_a_hundred_abandoned_requests_cost_the_next_one_no_more_than_one(serve, hold):
    running = serve("faults:app", environment={"HOLD": str(hold)}, workers=1, threads=1,
                    toml='[app]\ntimeout = "100s"\nqueue_timeout = "100s"\n')
    leaving = [running.connect().request("GET", f"/hold/left{number}") for number in range(100)]
    until(lambda: running.status()["queue"] == 99, "one runs, the others wait")
    for connection in leaving:
        connection.close()
    until(lambda: running.status()["queue"] == 0, "all that waited are out of the queue")
    [begun] = hold.glob("*.begun")
    (hold / f"{begun.name.partition('.')[0]}.go").touch()
    assert running.get("/").status == 200
    assert list(hold.glob("*.begun")) == [begun], "only what ran already was run"


LIMIT, STEP = 120, 20  # MiB


def own_of(running):
    """MiB that each app worker shares with nobody, by its pid."""
    sizes = {}
    for pid in running.pids("app worker"):
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:  # it has just ended
            continue
        sizes[pid] = sum(map(int, re.findall(r"^Private_\w+: +(\d+)", rollup, re.MULTILINE))) / 1024
    return sizes


def known_of(running):
    """What the supervisor has seen of each worker when it looked last, by its pid; None while one ends."""
    workers = [one for one in running.status()["processes"] if one["role"] == "app worker"]
    if any(one["state"] != "ready" for one in workers):
        return None
    return {one["pid"]: one["memory"] for one in workers}


def test_a_leak_stays_near_its_limit(serve):
    """What leaks between two looks at a worker is the slack: here two steps, for a look may come within
    one."""
    running = serve("leaks:app", workers=2,
                    toml=f'[app]\nmemory_soft = "{LIMIT * 3 // 4} MiB"\nmemory_hard = "{LIMIT} MiB"\n')
    most = 0.0
    while running.metric("onebox_workers_started_total") < 6:
        before, known = own_of(running), until(lambda: known_of(running), "all are ready")
        for _ in range(STEP):
            assert running.get("/leak").status == 200
        now = own_of(running)
        most = max(most, *now.values())
        grown = {pid for pid in now if now[pid] > before.get(pid, 0) + 1}

        def seen():
            found = known_of(running)
            return found and all(found.get(pid) != known.get(pid, 0) for pid in grown)
        until(seen, "the supervisor has looked")
    assert running.metric("onebox_workers_died_total") == 0
    assert LIMIT // 3 < most < LIMIT + 2 * STEP, most
