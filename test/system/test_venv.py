"""Does an app run in the Python that it was made for?"""
import json
import subprocess

import pytest

from onebox import onebox

APP = """
import json, sys
import only_here

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"prefix": sys.prefix, "found": only_here.FOUND}).encode()]
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder with an app, and two venvs that differ in a package the app needs."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "project.py").write_text(APP)
    for name in (".venv", "other"):
        subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", folder / name], check=True)
        packages = next((folder / name).glob("lib/python3*/site-packages"))
        (packages / "only_here.py").write_text(f"FOUND = {name!r}\n")
    return folder


def served_by(running):
    return json.loads(running.get("/").body)


def test_the_venv_in_the_folder_is_found(serve, project):
    running = serve("project:app", python=None, chdir=project,
                    environment={"VIRTUAL_ENV": ""})
    assert served_by(running) == {"prefix": str(project / ".venv"), "found": ".venv"}


def test_the_active_venv_is_used_before_the_one_in_the_folder(serve, project):
    running = serve("project:app", python=None, chdir=project,
                    environment={"VIRTUAL_ENV": str(project / "other")})
    assert served_by(running)["found"] == "other"


def test_the_command_line_is_used_before_both(serve, project):
    running = serve("project:app", python=project / ".venv/bin/python", chdir=project,
                    environment={"VIRTUAL_ENV": str(project / "other")})
    assert served_by(running)["found"] == ".venv"


def test_the_site_packages_of_debian_are_seen_where_the_venv_says_so(serve, tmp_path):
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", "--system-site-packages",
                    tmp_path / ".venv"], check=True)
    (tmp_path / "project.py").write_text(
        "import sys\nimport flask\napp = flask.Flask(__name__)\n"
        "app.get('/')(lambda: sys.prefix)\n")
    running = serve("project:app", python=None, chdir=tmp_path, environment={"VIRTUAL_ENV": ""})
    assert running.get("/").body.decode() == str(tmp_path / ".venv")


def test_a_python_that_is_not_there_is_named(tmp_path):
    result = onebox("run", "targets:app", "--python", tmp_path / "none", "--listen", "127.0.0.1:0",
                    "--admin", "off", "--state", tmp_path / "state")
    assert result.returncode == 2 and str(tmp_path / "none") in result.stderr
