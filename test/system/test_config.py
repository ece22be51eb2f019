"""Is each mistake answered at once, with its place and its mend, and is nothing silently ignored?"""
import re

import pytest

from onebox import APPS, PYTHON, onebox


def check(tmp_path, toml="", *arguments, environment=None):
    """`onebox run --check-config` on that file."""
    config = tmp_path / "onebox.toml"
    config.write_text(toml)
    return onebox("run", "targets:app", "--chdir", APPS, "--python", PYTHON, "--config", config,
                  "--state", tmp_path / "state", *arguments, "--check-config",
                  environment=environment)


def test_a_right_file_is_said_to_be_right(tmp_path):
    result = check(tmp_path, '[app]\nworkers = 2\n[front]\nlisten = ["127.0.0.1:0"]\n')
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("toml, line, words", [
    ("[app]\nworkres = 2\n", 2, ["workres", "workers"]),
    ("[app]\nworkers = 2\n\n[frnt]\nlisten = []\n", 4, ["frnt", "front"]),
    ("[front]\nbody_byte_max = 5\n", 2, ["body_byte_max", "body_bytes_max"]),
    ("[app]\nworkers = 'many'\n", 2, ["workers", "many"]),
    ("[app]\nworkers = -1\n", 2, ["workers", "-1"]),
    ("[app]\nthreads = 0\n", 2, ["threads", "0"]),
    ("[app]\nthreads = [1]\n", 2, ["threads"]),
    ("[app]\ntimeout = '30 parsecs'\n", 2, ["timeout", "30 parsecs"]),
    ("[front]\nbody_bytes_max = '5 apples'\n", 2, ["body_bytes_max", "5 apples"]),
    ("[front]\nlisten = ['nowhere']\n", 2, ["listen", "nowhere"]),
    ("[front]\nlisten = ['127.0.0.1:99999']\n", 2, ["listen", "99999"]),
    ("[front]\ntrusted_proxies = ['10.0.0.0/33']\n", 2, ["trusted_proxies", "10.0.0.0/33"]),
    ("[compression]\ncodings = ['gzip', 'lzma']\n", 2, ["codings", "lzma"]),
    ("[compression]\nenabled = 'yes please'\n", 2, ["enabled"]),
    ("[static]\n'static/' = '.'\n", 2, ["static/"]),
    ("[static]\n'/static/' = { dri = '.' }\n", 2, ["dri", "dir"]),
    ("[static]\n'/static/' = { dir = '/nowhere/at/all' }\n", 2, ["/nowhere/at/all"]),
    ("[static]\n'/a/../b/' = '.'\n", 2, ["/a/../b/", '"/b/"']),
    ('[front]\nserver_name = "a\\r\\nSet-Cookie: b"\n', 2, ["server_name"]),
    ("[front]\nlisten = ['127.0.0.1:80', '127.0.0.1:80']\n", 2, ["twice", "127.0.0.1:80"]),
    ("[front]\nlisten = ['127.0.0.1:80']\n[admin]\nlisten = '127.0.0.1:80'\n", 2, ["admin.listen"]),
    ("[log]\naccess = '/nowhere/at/all/access.log'\n", 2, ["/nowhere/at/all"]),
    ("[log]\nerror = '/nowhere/at/all/error.log'\n", 2, ["/nowhere/at/all"]),
    ("[log]\nerror = 'off'\n", 2, ["off", "log.level"]),
    ("[app]\nlisten = ['*:80']\n", 2, ["listen", "belongs to [front]"]),
    ("workers = 3\n", 1, ["workers", "belongs to [app]"]),
    ("[log]\nlevel = 'loud'\n", 2, ["level", "loud"]),
    ("[admin]\nlisten = 5\n", 2, ["listen"]),
    ("[app]\nworkers = 2\nworkers = 3\n", 3, ["workers"]),
    ("[app\nworkers = 2\n", 1, []),
    ("state = 5\n", 1, ["state"]),
])
def test_a_mistake_in_the_file_is_named_with_its_line(tmp_path, toml, line, words):
    result = check(tmp_path, toml)
    assert result.returncode != 0
    assert re.search(rf"onebox\.toml:{line}\b", result.stderr), result.stderr
    assert all(word in result.stderr for word in words), result.stderr


def test_every_mistake_is_named_at_once(tmp_path):
    result = check(tmp_path, "[app]\nworkres = 2\nthraeds = 3\n[front]\nlisen = []\n")
    assert all(word in result.stderr for word in ("workres", "thraeds", "lisen")), result.stderr


@pytest.mark.parametrize("arguments, words", [
    (["--wrokers", "2"], ["--wrokers", "--workers"]), (["--workers", "many"], ["--workers", "many"]),
    (["--workers"], ["--workers"]), (["--listen", "nowhere"], ["--listen", "nowhere"]),
    (["--static", "/static/"], ["--static"]), (["--env", "NOVALUE"], ["--env", "NOVALUE"]),
    (["--timeout", "soon"], ["--timeout", "soon"]), (["two", "three"], ["two"]),
    (["--workers", "3", "--workers", "4"], ["--workers", "once"]), (["--help=x"], ["--help", "no value"]),
    (["--watch=maybe"], ["--watch", "maybe"]), (["-w", "3"], ["-w", "--workers"])])
def test_a_mistake_on_the_line_is_named(tmp_path, arguments, words):
    result = check(tmp_path, "", *arguments)
    assert result.returncode != 0
    assert all(word in result.stderr for word in words), result.stderr


@pytest.mark.parametrize("target, words", [
    ("app:create(x", "not closed"), (":app", "no module"), ("app/app:app", "set apart by points"),
    ("app:", "nothing behind the colon")])
def test_a_target_that_can_be_none_is_refused_before_the_start(target, words):
    result = onebox("run", target, "--python", PYTHON, "--check-config")
    assert result.returncode == 2 and words in result.stderr, result.stderr


def test_an_interpreter_that_is_not_there_is_refused_before_the_start():
    result = onebox("run", "app:app", "--python", "/nope", "--check-config")
    assert result.returncode == 2 and "/nope is not there" in result.stderr, result.stderr


def test_a_mistake_in_a_variable_is_named(tmp_path):
    result = check(tmp_path, environment={"ONEBOX_APP_WORKERS": "many"})
    assert result.returncode != 0 and "ONEBOX_APP_WORKERS" in result.stderr
    result = check(tmp_path, environment={"ONEBOX_APP_WORKRES": "2"})
    assert result.returncode != 0 and "ONEBOX_APP_WORKRES" in result.stderr


def test_a_file_that_is_not_there_is_named(tmp_path):
    result = onebox("run", "targets:app", "--config", tmp_path / "none.toml", "--check-config")
    assert result.returncode != 0 and "none.toml" in result.stderr


def test_a_folder_in_place_of_the_file_is_named(tmp_path):
    result = onebox("run", "targets:app", "--config", tmp_path, "--check-config")
    assert result.returncode == 2 and f"{tmp_path}: Is a directory" in result.stderr, result.stderr


def test_an_unknown_command_is_answered_with_the_nearest():
    result = onebox("rnu")
    assert result.returncode != 0 and "rnu" in result.stderr and "run" in result.stderr


def settings(result):
    """--print-config as {name: the rest of its line}."""
    assert result.returncode == 0, result.stderr
    found = {}
    for line in result.stdout.splitlines():
        match = re.match(r"\s*([\w.]+)\s*=\s*(.*)", line)
        if match:
            found.setdefault(match[1].rpartition(".")[2], match[2])  # [app] stands before the others
    return found


def test_each_setting_says_where_it_came_from(tmp_path):
    """The line over the variable over the file over the default."""
    toml = "[app]\nworkers = 2\nthreads = 3\ntimeout = '7s'\n"
    found = settings(check(tmp_path, toml, "--workers", "5", "--print-config", environment={
        "ONEBOX_APP_WORKERS": "4", "ONEBOX_APP_THREADS": "6"}))
    for name, value, source in (("workers", "5", "--workers"), ("threads", "6", "ONEBOX_APP_THREADS"),
                                ("timeout", "7", "onebox.toml:4"), ("queue_max", "", "default")):
        assert value in found[name] and source in found[name], (name, found[name])


def test_what_is_printed_is_a_file_that_says_the_same(tmp_path):
    """With all that a folder and a route have, each key by the line that says it."""
    first = check(tmp_path, "[static]\n'/a/' = { dir = '.', max_age = 60 }\n[[route]]\npath = '/x'\n",
                  "--print-config").stdout
    for line in ('max_age = "1m" # onebox.toml:2', "follow_links = false # default",
                 'path = "/x" # onebox.toml:4', 'timeout = "30s" # as app.timeout'):
        assert line in re.sub(" +", " ", first.replace(f"{tmp_path}/", "")), first
    again = check(tmp_path, first, "--print-config").stdout
    values = [re.sub(" +# .*", "", text) for text in (first, again)]
    assert values[0] == values[1]


@pytest.mark.parametrize("bounds, workers, name", [
    ("workers_min = 7\nworkers_max = 8", 7, "workers_min"),
    ("workers_min = 1\nworkers_max = 1", 1, "workers_max")])
def test_a_bound_that_moves_the_plan_is_named_as_its_reason(serve, bounds, workers, name):
    running = serve("targets:app", workers=None, toml=f"[app]\n{bounds}\n")
    said = rf"{workers} workers? .*app\.{name}; the plan is \d+ for \d+ "
    assert re.search(said, running.output()), running.output()
    status = onebox("status", "--state", running.state).stdout
    assert f"app.{name}; the plan is " in status, status


def test_help_names_every_flag():
    result = onebox("run", "--help")
    assert result.returncode == 0
    for flag in ("listen", "admin", "workers", "threads", "static", "python", "chdir", "env", "state",
                 "timeout", "access-log", "error-log", "check-config", "print-config", "config"):
        assert f"--{flag}" in result.stdout, flag


def test_version():
    assert re.match(r"onebox \d+\.\d+\.\d+\n", onebox("--version").stdout)


def test_the_file_of_the_folder_is_found(serve, tmp_path):
    (tmp_path / "onebox.toml").write_text('[app]\ntarget = "inside:app"\nchdir = "."\n')
    (tmp_path / "inside.py").write_text((APPS / "targets.py").read_text())
    running = serve("inside:app", chdir=tmp_path)
    assert running.get("/").body == b"app"
    result = onebox("run", "--print-config", "--python", PYTHON, cwd=tmp_path)
    assert "inside:app" in result.stdout, result.stdout + result.stderr
