"""Does the program itself change under its clients without one of them noticing?"""
import os
import shutil
import signal
import subprocess

import pytest

from onebox import BINARY
from clients import Client, reload, upgrade, version_of
from wire import until


@pytest.fixture
def installed(tmp_path):
    """A program of the test's own, which it may replace as a package's upgrade does."""
    program = tmp_path / "installed/bin/onebox"
    program.parent.mkdir(parents=True)
    shutil.copy(BINARY, program)
    (program.parent.parent / "python").symlink_to(BINARY.parent.parent / "python")
    return program


def replace(program, source=None, text=None):
    """As a package manager does it: another file under the same name."""
    new = program.with_suffix(".new")
    if source:
        shutil.copy(source, new)
    else:
        new.write_text(text)
        new.chmod(0o755)
    new.rename(program)


@pytest.mark.parametrize("reactors", [(1, 3), *(pytest.param(counts, marks=pytest.mark.once)
                                                for counts in ((1, 1), (3, 1)))])
def test_an_upgrade_loses_no_request_and_keeps_the_process(versioned, installed, hold, reactors):
    running = versioned(program=installed, workers=2, toml=f"[front]\nreactors = {reactors[0]}\n")
    clients = [Client(running, method) for method in ("GET", "POST", "GET", "POST")]
    before = {role: running.pids(role) for role in ("front", "zygote", "app worker")}
    for number in range(3):
        replace(installed, source=BINARY)
        (running.folder / "onebox.toml").write_text(f"[front]\nreactors = {reactors[1]}\n")
        (hold / "version").write_text(f"version{number}")
        result = upgrade(running)
        assert result.returncode == 0, result
        assert version_of(running.get("/")) == f"version{number}"
    assert [client.end() for client in clients] == [[]] * 4
    assert all(client.answers > 20 for client in clients)
    until(lambda: len(running.pids("front")) == 1 and len(running.pids("app worker")) == 2,
          "what was before has left")
    for role, pids in before.items():
        assert not set(pids) & set(running.pids(role)), role
    assert running.process.poll() is None, "it is the same process"


def test_another_program_that_ends_well_is_not_taken(versioned, installed):
    running = versioned(program=installed, workers=1)
    replace(installed, source="/bin/true")
    result = upgrade(running)
    assert result.returncode == 1 and "is no onebox" in result.stderr, result
    assert version_of(running.get("/")) == "one"


def test_a_signal_upgrades_too(versioned, installed, hold):
    running = versioned(program=installed, workers=1)
    (hold / "version").write_text("two")
    running.process.send_signal(signal.SIGUSR2)
    until(lambda: version_of(running.get("/")) == "two", "the successor serves")
    running.wait_for_line("takes the place of the program before")


@pytest.mark.parametrize("text, words", [
    ("#!/bin/sh\necho 'it needs a newer system'; exit 1\n", "it needs a newer system"),
    ("no program at all", "would not start"),
])
def test_a_program_that_would_not_start_changes_nothing(versioned, installed, hold, text, words):
    running = versioned(program=installed, workers=1)
    before = running.pids("app worker")
    replace(installed, text=text)
    result = upgrade(running)
    assert result.returncode == 1 and words in result.stderr, result
    assert running.pids("app worker") == before
    assert version_of(running.get("/")) == "one"
    replace(installed, source=BINARY)
    assert upgrade(running).returncode == 0


@pytest.fixture
def slow_check(versioned, installed, hold):
    """A server whose successor says whether it would start when hold/go is there; and the upgrade."""
    running = versioned(program=installed, workers=1)
    replace(installed, text=f"#!/bin/sh\ntouch {hold}/checking\n"
                            f"while [ ! -e {hold}/go ]; do sleep 0.01; done\n"
                            "echo 'it is too old'; exit 1\n")
    with subprocess.Popen([BINARY, "upgrade", "--state", running.state], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as asker:
        until((hold / "checking").exists, "the successor is asked")
        yield running, asker
        (hold / "go").touch()  # where the test has failed


def test_the_box_is_watched_over_while_its_successor_is_asked(slow_check, hold):
    running, asker = slow_check
    before = running.pids("app worker")
    os.kill(before[0], signal.SIGKILL)
    until(lambda: running.pids("app worker") not in (before, []), "another worker is there")
    assert version_of(running.get("/")) == "one"
    assert asker.poll() is None
    (hold / "go").touch()
    assert asker.wait(60) == 1 and "it is too old" in asker.stdout.read()


def test_a_reload_goes_before_an_upgrade_whose_successor_is_asked(slow_check, installed, hold):
    running, asker = slow_check
    (hold / "version").write_text("two")
    assert reload(running).returncode == 0
    assert version_of(running.get("/")) == "two"
    assert asker.poll() is None
    (hold / "go").touch()
    assert asker.wait(60) == 1


def test_who_asks_while_a_successor_is_asked_means_what_lies_there_now(slow_check, installed, hold):
    running, asker = slow_check
    replace(installed, source=BINARY)
    (hold / "version").write_text("two")
    running.process.send_signal(signal.SIGUSR2)
    assert running.status()["phase"] == "serving"
    (hold / "go").touch()
    assert asker.wait(60) == 0, asker.stdout.read()
    assert version_of(running.get("/")) == "two"


def test_a_box_that_ends_while_its_successor_is_asked_leaves_nothing(slow_check):
    running, asker = slow_check
    running.stop()
    assert asker.wait(60) == 1 and "the box is ending" in asker.stdout.read()


def test_an_app_that_cannot_be_loaded_leaves_the_old_one_serving(versioned, installed, hold):
    running = versioned(program=installed, workers=2)
    (hold / "import").write_text("raise RuntimeError('not today')")
    result = upgrade(running)
    assert result.returncode == 1 and "not today" in result.stderr, result
    assert {version_of(running.get("/")) for _ in range(20)} == {"one"}
    os.kill(running.pids("app worker")[0], signal.SIGKILL)
    until(lambda: running.status()["workers"]["ready"] == 2, "it is still watched over")
    (hold / "import").unlink()
    (hold / "version").write_text("two")
    assert upgrade(running).returncode == 0
    assert version_of(running.get("/")) == "two"


def test_a_request_that_runs_is_finished_by_the_program_before(versioned, installed, hold):
    running = versioned(program=installed, workers=1)
    with running.connect() as connection:
        connection.request("POST", "/hold/long", body=b"x")
        until((hold / "long.begun").exists, "the request runs")
        (hold / "version").write_text("two")
        assert upgrade(running).returncode == 0
        assert version_of(running.get("/")) == "two"
        (hold / "long.go").touch()
        assert version_of(connection.response()) == "one"
    until(lambda: len(running.pids("front")) == 1, "the old front leaves")
