"""Does the benchmark measure what it is asked for, and leave nothing behind?"""
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from onebox import BINARY, ROOT
from wire import until

pytestmark = pytest.mark.once

CELLS = "wsgi/onebox,wsgi/gunicorn-gthread,static/onebox,idle/onebox"


@pytest.fixture
def folder():
    """Short of name: a unix socket's path has 107 bytes at most."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        yield Path(name)


@pytest.fixture
def bench(folder):
    """Starts bench/run with all its files in the folder; what has not ended is ended."""
    started = []

    def start(*arguments):
        started.append(subprocess.Popen(
            [ROOT / "bench/run", "--onebox", BINARY, "--out", folder / "results", *arguments],
            env={**os.environ, "TMPDIR": str(folder)}, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True))
        return started[-1]

    yield start
    for run in started:
        if run.poll() is None:
            run.terminate()
            print(*run.communicate(timeout=60))


def processes_of(folder):
    """Those that were started with the folder in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if str(folder).encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                pass  # it has just ended, or is not ours
    return found


def test_cells_are_measured_and_written_down(bench, folder):
    run = bench("--quick", "--seconds", "1", "--only", CELLS, "--name", "test")
    out, err = run.communicate(timeout=120)
    assert run.returncode == 0, err
    [result] = (folder / "results").glob("*-test.md")
    text = result.read_text()
    assert text.strip() == out.strip()
    assert re.search(r"^\| onebox \| 1 x 4 threads; front: 1 reactor \| [\d.]+ us \|", text, re.M)
    assert re.search(r"^\| gunicorn-gthread \| 1 x 4 threads \| .*[\d.]+x\)", text, re.M)
    assert re.search(r"^\| onebox \| \d+ \| [\d.]+ \|", text, re.M), "the idle connections"
    assert "wrk --threads 1 --connections 64" in text
    assert "onebox-bench-" not in text, "commands are those of any machine"
    assert processes_of(folder) == []
    assert not list(folder.glob("onebox-bench-*"))


def test_a_trial_of_the_lifecycle_is_measured_beside_a_peer(bench, folder):
    run = bench("--quick", "--only", "lifecycle/onebox,lifecycle/gunicorn-gthread", "--trials",
                "memory", "--name", "trials")
    _, err = run.communicate(timeout=110)
    assert run.returncode == 0, err
    [result] = (folder / "results").glob("*-trials.md")
    text = result.read_text()
    assert re.search(r"^\| onebox \| [\d.]+ \| [\d.]+ \| app worker \d+, front \d+", text, re.M)
    assert re.search(r"^\| gunicorn-gthread \| [\d.]+ \| [\d.]+ \| gunicorn \d+ \|", text, re.M)
    assert re.search(r"^\| memory: PSS, onebox / gunicorn-gthread \| <= 0.5 \| [\d.]+ \|", text, re.M)
    assert "### A request that never ends" not in text
    assert processes_of(folder) == []


def test_a_slow_database_is_shown_in_parts(bench, folder):
    run = bench("--quick", "--only", "overload/onebox-auto", "--name", "overload")
    _, err = run.communicate(timeout=110)
    assert run.returncode == 0, err
    [result] = (folder / "results").glob("*-overload.md")
    text = result.read_text()
    for part in ("before", "slow", "after"):
        assert re.search(rf"^\| onebox-auto \| {part} \| [\d.]+ \| [\d.]+ m?s \|", text, re.M), part
    assert "# onebox.toml: concurrency = \"auto\"" in text
    assert "slow: median answer, auto / fixed | <= 0.8 | not measured" in text
    assert processes_of(folder) == []


def test_the_paced_client_tells_what_became_of_each_request(monkeypatch, folder):
    """Of ten, one is not answered, one cut off, one refused by the app, and one told to close."""
    monkeypatch.syspath_prepend(ROOT / "bench")
    from harness.load import Pace
    answers = {2: b"HTTP/1.1 200 OK\r\nContent-", 4: b"", 6: b"HTTP/1.1 503 Full\r\nContent-Length: 0",
               8: b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0"}
    asked = []

    def serve(listener):
        while len(asked) < 10:
            one = listener.accept()[0]
            with one:
                while data := one.recv(1 << 16):
                    asked.append(data.split()[0])
                    number = len(asked)
                    if number == 4:
                        one.recv(1)  # until the client gives up
                        break
                    one.sendall(answers.get(number, b"HTTP/1.1 200 OK\r\nContent-Length: 0"))
                    if number == 2:
                        break
                    one.sendall(b"\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=serve, args=(listener,), daemon=True)
        serving.start()
        paced = Pace(rate=10, count=10, asks=("GET:/", "POST:/x"), connections=1, timeout=0.5).run(
            f"http://127.0.0.1:{listener.getsockname()[1]}", folder / "pacer.log")
        serving.join(10)
    assert asked == [b"GET", b"POST"] * 5
    assert paced.outcomes == {"GET": {"200": 5}, "POST": {"200": 2, "reset": 1, "timeout": 1, "503": 1}}
    assert paced.lost("GET") == 0 and paced.lost("POST") == 3 and paced.unsent == 0
    assert paced.longest >= 0.5, "what waited behind it counts from when it was due"


def test_ctrl_c_ends_all_that_was_started(bench, folder):
    run = bench("--only", "wsgi/onebox", "--seconds", "60")
    until(lambda: len(processes_of(folder)) > 3, "a server and its load run", 30)
    run.send_signal(signal.SIGINT)
    run.send_signal(signal.SIGTERM)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 130, err
    assert "Traceback" not in err and out == ""
    assert processes_of(folder) == []
    assert not list(folder.glob("onebox-bench-*"))


def test_wrk_is_understood(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "bench")
    from harness.load import parse_wrk
    counted = parse_wrk("""\
  Latency Distribution
     50%  812.00us
     75%    1.14s\x20
     90%    2.33s\x20
     99%   19.90s\x20
  24240 requests in 1.00m, 1.05GB read
  Socket errors: connect 1, read 2, write 3, timeout 41
  Non-2xx or 3xx responses: 7
Requests/sec:    404.00
""")
    assert (counted.requests, counted.seconds, counted.p50, counted.p99) == (24240, 60, 812e-6, 19.9)
    assert (counted.errors, counted.timeouts, counted.refused) == (6, 41, 7)
    assert counted.bytes_read == 1.05 * 2**30


def test_h2load_is_understood(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "bench")
    from harness.load import parse_h2load
    counted = parse_h2load("""\
finished in 4.10s, 24240.00 req/s, 1.05MB/s
requests: 99000 total, 99800 started, 99000 done, 98990 succeeded, 10 failed, 3 errored, 2 timeout
status codes: 98990 2xx, 0 3xx, 0 4xx, 7 5xx
traffic: 1.05MB (1101005) total, 300KB (307200) headers (space savings 90%), 700KB (716800) data
                     min         max         mean         sd        +/- sd
time for request:      812us        16ms         2ms       100us    80.00%
""")
    assert (counted.requests, counted.seconds, counted.bytes_read) == (98990, 4.1, 1101005)
    assert (counted.errors, counted.refused, counted.timeouts) == (3, 7, 2)
    assert (counted.p50, counted.p99) == (2e-3, 16e-3), "the mean and the longest"


def test_what_a_front_does_is_measured_beside_nginx(bench, folder):
    run = bench("--quick", "--seconds", "1", "--only", "compress", "--name", "front")
    _, err = run.communicate(timeout=110)
    assert run.returncode == 0, err
    [result] = (folder / "results").glob("*-front.md")
    text = result.read_text()
    assert len(re.findall(r"^\| onebox \| 1 reactor; gzip \d, brotli \d \| [\d.]+ us \|", text, re.M)) == 2
    assert len(re.findall(r"^\| nginx \| 1 worker; gzip on; .* \|.*[\d.]+x\)", text, re.M)) == 2
    assert re.search(r"^\| brotli, level \d: CPU, onebox / nginx \| <= 1 \| [\d.]+ \|", text, re.M)
    assert processes_of(folder) == []


def test_a_cell_that_does_not_exist_is_named(bench):
    run = bench("--only", "wsgi/gunicron")
    _, err = run.communicate(timeout=30)
    assert run.returncode == 2 and "'wsgi/gunicron'" in err


def test_the_queue_is_measured_beside_celery(bench, folder):
    run = bench("--quick", "--seconds", "0.1", "--only", "queue/onebox,queue/celery-everysec", "--name", "queue")
    _, err = run.communicate(timeout=110)
    assert run.returncode == 0, err
    [result] = (folder / "results").glob("*-queue.md")
    text = result.read_text()
    for server in ("onebox", "celery-everysec"):
        assert len(re.findall(rf"^\| {server} \| [\d,.]+ .*us", text, re.M)) == 2, "on the disk, and in memory"
    assert "onebox-bench-" not in text, "commands are those of any machine"
    assert processes_of(folder) == []
