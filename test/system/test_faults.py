"""What do the others get when the disk is full, descriptors run out, or clients are slow?"""
import os
import re
import resource
import subprocess
import time
from pathlib import Path

import pytest

from onebox import Onebox
from wire import Connection, until


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def set_limit(pid, what, limit):
    resource.prlimit(pid, what, (limit, resource.prlimit(pid, what)[1]))


def test_a_log_that_cannot_be_written_loses_lines_and_nothing_else(serve):
    running = serve("seen:app", access_log="/dev/full")
    for _ in range(20):
        assert running.get("/").status == 200
    until(lambda: any("lost" in name or "dropped" in name
                      for name, value in running.metrics().items() if value > 0),
          "the lines that are lost are counted")


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of 1 MiB; where no disk can be mounted, the process may write as much."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder],
                             capture_output=True, check=False).returncode == 0
    yield folder, mounted
    if mounted:
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_body_that_the_disk_cannot_hold_is_503(small_disk, tmp_path):
    disk, mounted = small_disk
    with Onebox(disk, "seen:app", toml='[front]\nbody_memory_max = "64K"\n',
                access_log=tmp_path / "access.log") as running:
        if not mounted:
            set_limit(running.pids("front")[0], resource.RLIMIT_FSIZE, 1 << 20)
        assert running.ask("POST", "/", body=b"x" * 200_000).status == 200
        with running.connect() as connection:
            connection.request("POST", "/", "Content-Length: 3000000")
            try:
                connection.send(b"x" * 3_000_000)
            except (BrokenPipeError, ConnectionResetError):
                pass  # refused before the end
            assert connection.response().status == 503
        assert running.get("/").status == 200
        until(lambda: running.ask("POST", "/", body=b"x" * 200_000).status == 200,
              "the room is there again")


def test_a_log_that_nobody_reads_any_more_loses_lines_and_nothing_else(tmp_path):
    """As with `onebox run 2>&1 | head`."""
    running = Onebox(tmp_path, "answers:app")
    running.popen_options = {}
    process = subprocess.Popen([*map(str, running.command)], env=running.environment, cwd=tmp_path,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        said = ""
        while "ready in" not in said:
            said += process.stdout.readline()
        process.stdout.close()
        address = ("127.0.0.1", int(re.search(r"http://127.0.0.1:(\d+)", said)[1]))
        with Connection(address) as connection:
            for _ in range(3):
                assert connection.get("/raises/ValueError").status == 500
                assert connection.get("/iterable/list").body == b"one two three"
    finally:
        process.terminate()
        assert process.wait(30) == 0


def test_without_descriptors_connections_wait_and_nothing_spins(serve):
    running = serve("seen:app", workers=1)
    front = running.pids("front")[0]
    used = len(os.listdir(f"/proc/{front}/fd"))
    set_limit(front, resource.RLIMIT_NOFILE, used + 20)
    connections = [running.connect() for _ in range(60)]
    for connection in connections:
        connection.request("GET", "/")
    served = [connection for connection in connections[:10] if connection.response().status == 200]
    assert len(served) == 10, "those that are in are served"
    before = cpu_seconds(front)
    began = time.monotonic()
    until(lambda: time.monotonic() - began > 1, "a second passes")
    assert cpu_seconds(front) - before < 0.5, "the front spins"
    for connection in connections:
        connection.close()
    until(lambda: running.get("/").status == 200, "the next ones are served")
    assert running.metrics()['onebox_limits_total{limit="descriptors"}'] > 0


def test_half_sent_requests_cost_no_thread(serve):
    """200 of them against 2 threads: the server that gives each a thread is out."""
    running = serve("seen:app", workers=1, threads=2)
    half = [running.connect().send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nx")
            for _ in range(200)]
    began = time.monotonic()
    for _ in range(50):
        assert running.get("/").status == 200
    assert time.monotonic() - began < 10
    for connection in half:
        connection.close()


def test_clients_that_do_not_read_cost_no_thread(serve):
    running = serve("answers:app", workers=1, threads=2)
    slow = [running.connect().request("GET", "/large/5000000") for _ in range(20)]
    for connection in slow:
        connection.head()
    for _ in range(20):
        assert running.get("/iterable/list").status == 200
    assert slow[7].exactly(5_000_000) == b"x" * 5_000_000
    for connection in slow:
        connection.close()


def test_one_budget_holds_all_buffers(serve):
    """What does not fit gets 503; what came before is served."""
    running = serve("seen:app", toml='[front]\nbuffer_bytes_max = "4M"\nbody_memory_max = "1M"\n'
                                     'body_bytes_max = "1M"\n')
    held = []
    for _ in range(20):
        connection = running.connect()
        connection.request("POST", "/", "Content-Length: 900000").send(b"x" * 899_999)
        held.append(connection)
    statuses = []
    for connection in held:
        try:
            connection.send(b"x")
            statuses.append(connection.response().status)
        except OSError:
            statuses.append(503)
        connection.close()
    assert set(statuses) <= {200, 503} and 503 in statuses and 200 in statuses, statuses
    until(lambda: running.ask("POST", "/", body=b"x" * 900_000).status == 200, "there is room again")


def test_of_an_answer_that_its_client_does_not_take_a_worker_gives_so_much_and_waits(serve):
    running = serve("answers:app", workers=1, threads=1, toml='[front]\nanswer_ahead_max = "1M"\n')
    with running.connect() as slow, running.connect() as next_one:
        slow.request("GET", "/large/40000000").head()
        next_one.request("GET", "/iterable/list")
        until(lambda: running.metric("onebox_queue_length") == 1, "the thread is not free")
        slow.exactly(40_000_000)
        assert next_one.response().status == 200


def test_half_heads_and_pipelined_requests_are_in_the_budget(serve):
    running = serve("seen:app", toml='[front]\nbuffer_bytes_max = "1M"\n')
    half = b"GET / HTTP/1.1\r\nHost: test\r\nX-Long: " + b"x" * 30_000
    held = [running.connect().send(half) for _ in range(60)]
    until(lambda: running.metrics().get('onebox_limits_total{limit="buffer_bytes_max"}'), "one is refused")
    statuses = []
    for connection in held:
        try:
            statuses.append(connection.send(b"\r\n\r\n").response().status)
        except OSError:  # it was refused, and closed
            statuses.append(503)
        connection.close()
    assert set(statuses) == {200, 503}, statuses
    until(lambda: running.metric("onebox_buffer_bytes") == 0, "all is given back")
    assert running.get("/").status == 200


def test_who_pipelines_more_than_there_is_room_for_has_what_was_asked_first(serve, hold):
    running = serve("faults:app", environment={"HOLD": str(hold)},
                    toml='[front]\nbuffer_bytes_max = "1M"\nbody_memory_max = "64K"\n')
    ahead = b"GET /hello HTTP/1.1\r\nHost: test\r\nX-Long: " + b"x" * 28_000 + b"\r\n\r\n"
    held = []
    for number in range(60):  # what is not read with the first one waits in the socket, and costs nothing
        first = f"GET /hold/{number} HTTP/1.1\r\nHost: test\r\n\r\n".encode()
        held.append(running.connect().send(first + 2 * ahead))
    until(lambda: running.metrics().get('onebox_limits_total{limit="buffer_bytes_max"}'), "no more fits")
    for number in range(60):
        (hold / f"{number}.go").touch()
    assert all(connection.response().status == 200 for connection in held)
    for connection in held:
        connection.close()
    until(lambda: running.metric("onebox_buffer_bytes") == 0, "all is given back")


def test_an_idle_client_that_stops_reading_is_let_go(serve):
    running = serve("answers:app", toml='[front]\nwrite_timeout = "1s"\n')
    with running.connect() as stuck:
        stuck.request("GET", "/endless/stuck").head()
        until(lambda: b"stuck" in running.get("/remembered/closed").body, "its iterable is closed")
