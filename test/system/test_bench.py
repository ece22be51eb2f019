"""Does the benchmark measure what it is asked for, and leave nothing behind?"""
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from onebox import BINARY, ROOT
from wire import until

CELLS = "wsgi/onebox,wsgi/gunicorn-gthread,static/onebox,idle/onebox"


@pytest.fixture
def bench(tmp_path):
    """Starts bench/run, all its files in tmp_path, and says which of its processes live."""
    def start(*arguments):
        return subprocess.Popen(
            [ROOT / "bench/run", "--onebox", BINARY, "--out", tmp_path / "results", *arguments],
            env={**os.environ, "TMPDIR": str(tmp_path)}, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    return start


def processes_of(folder):
    """Those that were started with something in the folder: a log, a state, a socket."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if str(folder).encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                pass  # it has just ended, or is not ours
    return found


def test_cells_are_measured_and_written_down(bench, tmp_path):
    run = bench("--quick", "--seconds", "1", "--only", CELLS, "--name", "test")
    out, err = run.communicate(timeout=120)
    assert run.returncode == 0, err
    [result] = (tmp_path / "results").glob("*-test.md")
    text = result.read_text()
    assert text.strip() == out.strip()
    assert re.search(r"^\| onebox \| 1 x 4 threads; front: 1 reactor \| [\d.]+ us \|", text, re.M)
    assert re.search(r"^\| gunicorn-gthread \| 1 x 4 threads \| .*[\d.]+x\)", text, re.M)
    assert re.search(r"^\| onebox \| \d+ \| [\d.]+ \|", text, re.M), "the idle connections"
    assert "wrk --threads 1 --connections 64" in text
    assert "onebox-bench-" not in text, "commands are those of any machine"
    assert processes_of(tmp_path) == []
    assert not list(tmp_path.glob("onebox-bench-*"))


def test_ctrl_c_ends_all_that_was_started(bench, tmp_path):
    run = bench("--only", "wsgi/onebox", "--seconds", "60")
    until(lambda: len(processes_of(tmp_path)) > 3, "a server and its load run", 30)
    run.send_signal(signal.SIGINT)
    run.send_signal(signal.SIGTERM)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 130, err
    assert "Traceback" not in err and out == ""
    assert processes_of(tmp_path) == []
    assert not list(tmp_path.glob("onebox-bench-*"))


def test_a_cell_that_does_not_exist_is_named(bench):
    run = bench("--only", "wsgi/gunicron")
    _, err = run.communicate(timeout=30)
    assert run.returncode == 2 and "'wsgi/gunicron'" in err
