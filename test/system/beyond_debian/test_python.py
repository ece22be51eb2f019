"""Does Onebox work with a Python and frameworks that are newer than Debian 12's?"""
import json
import subprocess

import pytest

from onebox import APPS, ROOT, shared

PYTHON = ROOT / "build/beyond/python/python3"
NATION = ROOT / "examples/nation"

server = shared("answers:app", python=PYTHON)


def version():
    return subprocess.run([PYTHON, "-c", "import platform; print(platform.python_version())"],
                          capture_output=True, text=True, check=True).stdout.strip()


def test_the_python_is_the_one_that_was_asked_for(serve, tmp_path):
    (tmp_path / "which.py").write_text(
        "import platform\n\ndef app(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
        "    return [platform.python_version().encode()]\n")
    running = serve("which:app", python=PYTHON, chdir=tmp_path)
    assert running.get("/").body.decode() == version()
    assert version() >= "3.14"


@pytest.mark.parametrize("path, body", [
    ("/iterable/list", b"one two three"), ("/iterable/generator", b"one two three"),
    ("/write", b"one two three")])
def test_wsgi_works_as_in_the_older_one(server, path, body):
    answer = server.get(path)
    assert (answer.status, answer.body) == (200, body)


def test_large_bodies_and_files_are_whole(server):
    assert server.get("/large/3000000").body == b"x" * 3_000_000
    assert server.get("/file/real").body == (APPS / "answers.py").read_bytes()


def test_the_input_is_read(server):
    answer = server.ask("POST", "/body/readlines", body=b"a\nb")
    assert answer.body == b"[b'a\\n', b'b']"


def test_an_error_is_a_500(server):
    assert server.get("/raises/SystemExit").status == 500
    server.wait_for_line("SystemExit: a secret of the app")


@pytest.mark.parametrize("name", ["flask", "django"])
@pytest.mark.parametrize("app", ["app", "validated"])
def test_current_frameworks(serve, name, app):
    running = serve(f"hello_{name}:{app}", python=PYTHON)
    assert running.get("/").body.decode() == f"Hello from {name.capitalize()}"
    answer = running.ask("POST", "/form", "Content-Type: application/x-www-form-urlencoded",
                         body=b"name=Ada")
    assert json.loads(answer.body) == {"name": "Ada", "size": 0}


def test_an_app_in_a_venv_of_it(serve, tmp_path):
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", tmp_path / ".venv"], check=True)
    (tmp_path / "project.py").write_text(
        "import sys\n\ndef app(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
        "    return [sys.prefix.encode()]\n")
    running = serve("project:app", python=None, chdir=tmp_path, environment={"VIRTUAL_ENV": ""})
    assert running.get("/").body.decode() == str(tmp_path / ".venv")
