"""Does `--watch` serve what is saved, and show in the browser why it cannot be?"""
import html
import json
import os
import re
import shutil
import signal
import threading

import pytest

import onebox as onebox_module
from clients import reload, upgrade
from onebox import Onebox, onebox
from wire import Connection, until

APP = """
import os
from flask import Flask, render_template
from words import GREETING

app = Flask(__name__)

@app.get("/")
def hello():
    return GREETING

@app.get("/page")
def page():
    return render_template("page.html")

@app.post("/hold")
def hold():
    open(os.environ["HOLD"] + "/begun", "w").close()
    while not os.path.exists(os.environ["HOLD"] + "/go"):
        pass
    return GREETING
"""
BROKEN = 'GREETING = "<b>" + 1  # <script>\n'
AS_BROWSER = "Accept: text/html,application/xhtml+xml,*/*;q=0.8"
AS_PROGRAM = "Accept: application/json"


@pytest.fixture
def folder(tmp_path):
    """An app as one would begin it; what it says is in words.py."""
    made = tmp_path / "shop"
    (made / "templates").mkdir(parents=True)
    (made / "static").mkdir()
    (made / "app.py").write_text(APP)
    (made / "templates/page.html").write_text("<p>old page</p>")
    (made / "static/page.html").write_text("<p>static</p>")
    say(made, "one")
    return made


@pytest.fixture
def watched(serve, folder, hold):
    """watched(**options): a server that watches that app."""
    def start(*, arguments=(), **options):
        return serve("app:app", chdir=folder, environment={"HOLD": str(hold)},
                     arguments=["--watch", "--static", f"/static/={folder}/static", *arguments],
                     **options)
    return start


class Broken(Onebox):
    """A server whose app cannot be loaded: it is there when it says that it waits for a change."""

    def wait_for_line(self, pattern, seconds=20):
        return super().wait_for_line(pattern.replace("^  ready in", "^  watching its files"), seconds)


@pytest.fixture
def broken(folder, tmp_path_factory):
    """broken(): a server that began with an app that cannot be loaded."""
    servers = []

    def start(*arguments):
        (folder / "words.py").write_text(BROKEN)
        servers.append(Broken(tmp_path_factory.mktemp("onebox"), "app:app", chdir=folder, workers=2,
                              arguments=["--watch", *arguments]))
        servers[-1].start()
        return servers[-1]
    yield start
    for server in servers:
        server.stop()


def say(folder, greeting):
    (folder / "words.py").write_text(f"GREETING = {greeting!r}\n")


def text_of(running, path="/", *fields):
    return running.get(path, *fields).body.decode()


def until_it_says(running, greeting):
    until(lambda: text_of(running) == greeting, f"it says {greeting}")


def until_broken(running, *fields):
    return until(lambda: (answer := running.get("/", *fields)).status == 500 and answer, "a page")


def reloads(running):
    return [line for line in running.lines if "info: watch: " in line]


# --- what is saved is served --------------------------------------------------

@pytest.mark.parametrize("preload", ["auto", "off"])
def test_a_change_is_served(watched, folder, preload):
    running = watched(workers=2, arguments=["--preload", preload])
    assert text_of(running) == "one"
    say(folder, "two")
    until_it_says(running, "two")
    running.wait_for_line(r"watch: words\.py has changed$")
    assert running.status()["generation"] == 2


def write_template(folder):
    (folder / "templates/page.html").write_text("<p>new page</p>")


def write_in_a_new_folder(folder):
    (folder / "pages/deep").mkdir(parents=True)
    (folder / "pages/deep/__init__.py").write_text("GREETING = 'deep'\n")
    (folder / "words.py").write_text("from pages.deep import GREETING\n")


def replace_as_editors_do(folder):
    (folder / "words.py~").write_text("GREETING = 'renamed'\n")
    (folder / "words.py~").rename(folder / "words.py")


def move_a_folder_in(folder):
    new = folder.parent / "words"
    new.mkdir()
    (new / "__init__.py").write_text("GREETING = 'package'\n")  # goes before words.py
    new.rename(folder / "words")


@pytest.mark.parametrize("change, path, text", [
    (write_template, "/page", "<p>new page</p>"),
    (write_in_a_new_folder, "/", "deep"),
    (replace_as_editors_do, "/", "renamed"),
    (move_a_folder_in, "/", "package"),
])
def test_any_way_to_change_it_is_seen(watched, folder, change, path, text):
    running = watched()
    change(folder)
    until(lambda: text_of(running, path) == text, "what has changed is served")


def test_a_file_that_was_removed_is_missed(watched, folder):
    running = watched()
    (folder / "words.py").unlink()
    assert b"No module named 'words'" in until_broken(running).body


def test_the_next_save_in_a_new_folder_is_seen_too(watched, folder):
    running = watched()
    write_in_a_new_folder(folder)
    until_it_says(running, "deep")
    (folder / "pages/deep/__init__.py").write_text("GREETING = 'deeper'\n")
    until_it_says(running, "deeper")


def test_what_does_not_matter_does_not_reload(watched, folder):
    (folder / "venv").mkdir()
    (folder / "venv/pyvenv.cfg").write_text("")
    (folder / ".git").mkdir()
    running = watched()
    for name in ("shop.db", "app.log", "words.py~", ".words.py.swp", "static/page.html", "venv/x.py",
                 ".git/config.json"):
        (folder / name).write_text("x")
    say(folder, "two")
    until_it_says(running, "two")
    assert len(reloads(running)) == 1 and "words.py has changed" in reloads(running)[0]
    assert running.status()["generation"] == 2


def test_many_saves_are_one_reload(watched, folder):
    running = watched()
    for number in range(50):
        (folder / f"part{number}.py").write_text(f"PART = {number}\n")
        say(folder, f"word{number}")
    until_it_says(running, "word49")
    changes = reloads(running)
    assert len(changes) <= 3, changes
    assert re.search(r"watch: \w+\.py and \d+ others have changed$", changes[0])


def test_a_change_during_a_reload_leads_to_another(watched, folder, hold):
    running = watched()
    (folder / "words.py").write_text(
        f"import os, time\nopen({str(hold / 'importing')!r}, 'w').close()\n"
        f"while not os.path.exists({str(hold / 'go')!r}): time.sleep(0.01)\n"
        "GREETING = 'two'\n")
    until((hold / "importing").exists, "the import begins")
    say(folder, "three")
    until(lambda: len(reloads(running)) == 2, "the second change is seen")
    assert text_of(running) == "one", "make before break"
    (hold / "go").touch()
    until_it_says(running, "three")
    assert running.status()["generation"] == 3


def test_a_request_that_runs_is_finished_by_the_code_it_began_with(watched, folder, hold):
    running = watched()
    with running.connect() as connection:
        connection.request("POST", "/hold", body=b"x")
        until((hold / "begun").exists, "it runs")
        say(folder, "two")
        until_it_says(running, "two")
        (hold / "go").touch()
        assert connection.response().body == b"one"


def test_the_configuration_is_watched_and_files_that_are_named(serve, folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    prices = tmp_path / "elsewhere/prices.txt"
    prices.write_text("7")
    (folder / "words.py").write_text(f"GREETING = open({str(prices)!r}).read()\n")
    text = f'[app]\nwatch = true\nwatch_files = ["{prices}"]\n'
    running = serve("app:app", chdir=folder, toml=text)
    prices.write_text("8")
    until_it_says(running, "8")
    (running.folder / "onebox.toml").write_text(text + '[front]\nserver_name = "mine"\n')
    until(lambda: running.get("/")["Server"] == "mine", "the front has its new name")
    (running.folder / "onebox.toml").write_text(text + "threads = 'many'\n")
    assert "expected a whole number" in html.unescape(until_broken(running).body.decode())
    (running.folder / "onebox.toml").write_text("[app]\nwatch = false\n")
    until_it_says(running, "8")
    prices.write_text("9")
    assert reload(running).returncode == 0
    assert text_of(running) == "9"
    assert len(reloads(running)) == 4, "nothing is watched any more"


def test_a_folder_that_is_replaced_as_a_whole_is_found_again(watched, folder):
    running = watched()
    shutil.copytree(folder, folder.parent / "next")
    say(folder.parent / "next", "two")
    folder.rename(folder.parent / "before")
    (folder.parent / "next").rename(folder)
    until_it_says(running, "two")
    say(folder, "three")
    until_it_says(running, "three")


# --- what cannot be loaded ----------------------------------------------------

@pytest.mark.parametrize("preload", ["auto", "off"])
def test_an_app_that_breaks_is_answered_for_until_it_is_whole(watched, folder, preload):
    running = watched(workers=2, arguments=["--preload", preload])
    (folder / "words.py").write_text(BROKEN)
    page = until_broken(running, AS_BROWSER)
    assert page["Content-Type"] == "text/html; charset=utf-8"
    assert page["Cache-Control"] == "no-store"
    text = page.body.decode()
    assert "GREETING = &quot;&lt;b&gt;&quot; + 1  # &lt;script&gt;" in text
    assert "TypeError: can only concatenate str" in text and "app:app could not be loaded" in text
    assert text.count("<script>") == 1, "the page's own"

    answer = running.ask("POST", "/hold", AS_PROGRAM, body=b"x" * 100_000)
    assert answer.status == 500 and answer["Content-Type"] == "application/problem+json"
    told = json.loads(answer.body)
    assert told["error"] == "the app cannot be loaded"
    assert 'GREETING = "<b>" + 1  # <script>' in told["traceback"]
    assert told["request_id"] == answer["X-Request-ID"]

    assert running.get("/static/page.html").body == b"<p>static</p>"
    running.wait_for_line("the reload has failed, the front shows why: app:app could not be loaded")
    say(folder, "mended")
    until_it_says(running, "mended")
    assert running.get("/")["X-Onebox-Broken"] is None


def test_the_page_loads_anew_when_the_app_is_whole_or_broken_otherwise(watched, folder):
    """What its script asks each second, and compares."""
    running = watched()
    (folder / "words.py").write_text(BROKEN)
    page = until_broken(running)
    mark = page["X-Onebox-Broken"]
    script = re.search(r"<script>(.*)</script>", page.body.decode(), re.DOTALL)[1]
    assert 'fetch(location.href, {method: "HEAD", cache: "no-store", redirect: "manual"})' in script
    assert f'if (answer.headers.get("X-Onebox-Broken") !== "{mark}") location.reload();' in script

    def ask():
        return running.ask("HEAD", "/")["X-Onebox-Broken"]
    assert ask() == mark
    (folder / "words.py").write_text("GREETING = nobody\n")
    until(lambda: ask() not in (mark, None), "another page")
    assert "NameError" in text_of(running)
    say(folder, "mended")
    until(lambda: ask() is None, "the app itself")


def test_connections_stay_open_over_the_page(watched, folder):
    running = watched()
    with running.connect() as connection:
        assert connection.get("/").body == b"one"
        (folder / "words.py").write_text(BROKEN)
        until(lambda: connection.get("/").status == 500, "the page")
        assert connection.request("POST", "/hold", body=b"x").response().status == 500
        assert connection.request("HEAD", "/").response("HEAD").status == 500
        say(folder, "mended")
        until(lambda: connection.get("/").body == b"mended", "the app")


def test_another_front_shows_the_page_too(watched, folder):
    running = watched(toml="[front]\nreactors = 2\n")
    (folder / "words.py").write_text(BROKEN)
    mark = until_broken(running)["X-Onebox-Broken"]
    front, = running.pids("front")
    os.kill(front, signal.SIGKILL)
    until(lambda: running.pids("front") not in ([front], []), "the next front")
    assert {until_broken(running)["X-Onebox-Broken"] for _ in range(4)} == {mark}
    say(folder, "mended")
    until_it_says(running, "mended")


def test_a_long_story_ends_with_what_matters(watched, folder):
    running = watched()
    (folder / "words.py").write_text("for i in range(900): print('-' * 200, i)\n" + BROKEN)
    text = until_broken(running).body.decode()
    assert "TypeError: can only concatenate str" in text and " 899\n" in text
    assert "- 0\n" not in text and len(text) < 80_000


def test_without_watch_the_old_code_serves_on(serve, folder):
    running = serve("app:app", chdir=folder)
    (folder / "words.py").write_text(BROKEN)
    assert reload(running).returncode == 1
    running.wait_for_line("generation 1 serves on")
    assert text_of(running) == "one"


# --- broken from the start ----------------------------------------------------

@pytest.mark.parametrize("preload", ["auto", "off"])
def test_a_start_that_fails_waits_for_a_change(broken, folder, preload):
    running = broken("--preload", preload)
    assert "TypeError" in until_broken(running).body.decode()
    assert running.status()["phase"] == "broken"
    until(lambda: running.pids("app worker") == [], "no worker is left")
    assert sum("TypeError" in line for line in running.lines) == 1, "one story"
    (folder / "words.py").write_text("GREETING = nobody\n")
    until(lambda: "NameError" in text_of(running), "it is still broken, and why has changed")
    say(folder, "mended")
    until_it_says(running, "mended")
    assert running.status()["phase"] == "serving"


def test_who_waits_for_an_app_that_begins_to_load_gets_the_page(broken, folder, hold):
    (folder / "app.py").write_text(
        f"import os, time\nopen({str(hold / 'importing')!r}, 'w').close()\n"
        f"while not os.path.exists({str(hold / 'go')!r}): time.sleep(0.01)\n" + APP)
    started = []
    starting = threading.Thread(target=lambda: started.append(broken()))
    starting.start()
    until((hold / "importing").exists, "the import begins")
    box = onebox_module.running[-1]
    port = re.search(r"http://127.0.0.1:(\d+)", box.wait_for_line("^onebox [0-9]"))[1]
    with Connection(("127.0.0.1", int(port))) as connection:
        connection.request("GET", "/")
        until(lambda: box.status()["queue"] == 1, "it waits")
        (hold / "go").touch()
        answer = connection.response()
    assert answer.status == 500 and b"TypeError" in answer.body
    starting.join(60)


def test_a_start_that_fails_is_ended_by_a_signal(broken):
    running = broken()
    running.stop(signal.SIGINT)
    assert running.process.returncode == 0


def test_a_reload_by_hand_begins_anew_and_an_upgrade_is_refused(broken):
    running = broken()
    assert "its app cannot be loaded" in upgrade(running).stderr
    answer = reload(running)
    assert answer.returncode == 1 and "TypeError" in answer.stderr


# --- how it is asked for ------------------------------------------------------

@pytest.mark.once
@pytest.mark.parametrize("arguments, environment, open_to", [
    (["--watch"], {}, None),
    ([], {"ONEBOX_APP_WATCH": "true"}, None),
    (["--watch", "--listen", "0.0.0.0:80", "--listen", "127.0.0.1:81"], {}, "0.0.0.0:80"),
])
def test_that_it_is_for_development_is_said(tmp_path, arguments, environment, open_to):
    result = onebox("run", "app:app", *arguments, "--print-config", cwd=tmp_path,
                    environment=environment)
    assert result.returncode == 0 and "\nwatch = true " in result.stdout
    assert "app.watch is for development" in result.stderr
    assert ("on other machines too" in result.stderr) == bool(open_to)
    assert open_to is None or result.stderr.rstrip().endswith(open_to)


@pytest.mark.once
def test_nothing_is_said_without_it(tmp_path):
    result = onebox("run", "app:app", "--watch=false", "--print-config", cwd=tmp_path,
                    environment={"ONEBOX_APP_WATCH": "true"})
    assert result.returncode == 0 and result.stderr == ""
