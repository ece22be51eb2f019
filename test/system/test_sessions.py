"""Do sessions outlive the box, however it ends, and those that were revoked not?"""
import contextlib
import os
import signal
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest

from clients import reload, upgrade
from onebox import Onebox
from wire import until


@pytest.fixture
def box(tmp_path_factory):
    """box(**options): a server in the same folder as the one before, which has ended."""
    folder = tmp_path_factory.mktemp("onebox")
    with contextlib.ExitStack() as servers:
        yield lambda **options: servers.enter_context(
            Onebox(folder, "shared:app", **{"workers": 2, **options}))


class Browser:
    def __init__(self, running):
        self.running, self.cookie = running, None

    def get(self, path):
        fields = [f"Cookie: {self.cookie}"] if self.cookie else []
        answer = self.running.get(path, *fields)
        assert answer.status == 200, answer
        for cookie in answer.all("set-cookie"):
            self.cookie = cookie.split(";")[0]
        return answer.body.decode()


def logged_in(running, user):
    browser = Browser(running)
    browser.get(f"/login/{user}")
    assert browser.get("/me") == str(user)
    return browser


def after(browsers, running):
    """Who they are for this server."""
    for browser in browsers:
        browser.running = running
    return [browser.get("/me") for browser in browsers]


@pytest.mark.parametrize("worker_class", ["threads", "gevent"])
def test_who_is_logged_in_still_is_after_a_restart(box, worker_class):
    first = box(worker_class=worker_class)
    with ThreadPoolExecutor(8) as threads:
        browsers = list(threads.map(lambda user: logged_in(first, user), range(40)))
        list(threads.map(lambda browser: browser.get("/put/color/blue"), browsers))
    first.stop()
    second = box(worker_class=worker_class)
    assert after(browsers, second) == [str(user) for user in range(40)]
    assert browsers[7].get("/kept/color") == "blue"
    assert "onebox: sessions" not in first.output() + second.output()
    [path] = (first.state / "data").glob("sessions-*.db")
    assert path.stat().st_mode & 0o777 == 0o600


def test_and_when_everything_was_killed(box):
    first = box()
    browsers = [logged_in(first, user) for user in range(5)]
    browsers[0].get("/revoke/3")
    first.kill()
    until(lambda: not first.processes(), "the kernel ends them")
    assert after(browsers, box()) == ["0", "1", "2", "None", "4"]


def test_what_was_revoked_stays_so(box):
    running = box()
    browsers = [logged_in(running, user) for user in ("7", "7", "8", "9")]
    assert browsers[2].get("/revoke-session/" + browsers[2].get("/sid")) == "True"
    browsers[0].get("/revoke/7")
    for _ in range(2):
        assert after(browsers, running) == ["None", "None", "None", "9"]
        running.stop()
        running = box()
    again = logged_in(running, "7")
    browsers[3].running = running
    browsers[3].get("/revoke-session/" + browsers[3].get("/sid"))
    assert after([*browsers, again], running) == ["None"] * 4 + ["7"]
    running.stop()
    assert after([*browsers, again], box()) == ["None"] * 4 + ["7"]


def test_what_is_revoked_before_it_was_asked_for_stays_so(box):
    """It lies on the disk alone then."""
    first = box()
    browsers = [logged_in(first, user) for user in ("7", "8", "9")]
    ids = [browser.get("/sid") for browser in browsers]
    first.stop()
    second = box()
    asks = Browser(second)
    assert asks.get("/revoke-session/" + ids[0]) == "True"
    asks.get("/revoke/8")
    assert after(browsers, second) == ["None", "None", "9"]
    second.stop()
    assert after(browsers, box()) == ["None", "None", "9"]


def test_workers_reloads_and_upgrades_go_on_with_the_same(box):
    running = box(worker_class="gevent")
    browsers = [logged_in(running, user) for user in range(3)]
    for pid in running.pids("app worker"):
        os.kill(pid, signal.SIGKILL)
    assert reload(running).returncode == 0
    browsers.append(logged_in(running, 3))
    assert upgrade(running).returncode == 0
    browsers.append(logged_in(running, 4))
    browsers[0].get("/revoke/1")
    assert after(browsers, running) == ["0", "None", "2", "3", "4"]
    running.stop()
    assert after(browsers, box()) == ["0", "None", "2", "3", "4"]


def test_a_disk_that_is_full(box):
    first = box()
    before = [logged_in(first, user) for user in ("7", "8", "9")]
    first.stop()
    second = box(environment={"FILE_BYTES_MAX": "40000"})
    users = [str(user) for user in range(100, 110)]
    new = [logged_in(second, user) for user in users]
    assert after(before + new, second) == ["7", "8", "9", *users]
    assert "onebox: sessions are in memory alone: " in second.output()
    lines = [line for line in second.lines if "sessions are in memory alone" in line]
    assert len(lines) < 4, lines
    before[0].get("/revoke/8")
    assert after(before + new, second) == ["7", "None", "9", *users]
    second.stop()
    third = box()
    assert after(before, third)[1] == "None", "whether it could be written there or not"
    logged_in(third, "5")


def test_a_file_that_is_damaged(box):
    first = box()
    browser = logged_in(first, 7)
    first.stop()
    path = first.state / "data/sessions-1.db"
    assert not path.with_name("sessions-1.db-wal").exists(), "all of it is in the file"
    path.write_bytes(b"\xff" * path.stat().st_size)
    second = box()
    assert after([browser], second) == ["None"]
    second.wait_for_line(
        r"sessions-1\.db: file is not a database; it is set aside, and .*sessions-2\.db begun")
    browsers = [logged_in(second, user) for user in range(5)]
    second.stop()
    assert after(browsers, box()) == ["0", "1", "2", "3", "4"]


def test_a_file_that_another_program_holds(box):
    first = box()
    browsers = [logged_in(first, user) for user in range(3)]
    holder = sqlite3.connect(first.state / "data/sessions-1.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    new = logged_in(first, 3)
    assert after([*browsers, new], first) == ["0", "1", "2", "3"]
    browsers[0].get("/revoke/1")
    assert after([*browsers, new], first) == ["0", "None", "2", "3"]
    holder.close()
    first.stop()
    assert after(browsers, box()) == ["0", "None", "2"], "written again when they were used"
