"""Are the frameworks of Debian 12, and one that only a venv has, served to curl, requests and wrk,
and does the validator of PEP 3333 find nothing to say about us while it sits between the two?"""
import importlib.util
import re
import shutil
import subprocess

import pytest
import requests

import onebox

FRAMEWORKS = ["flask", "django", "bottle", "falcon", "pyramid", "venv"]


def in_a_venv(folder):
    """Makes a project whose framework is in its venv alone: Bottle, under another name."""
    text = (onebox.APPS / "hello_bottle.py").read_text()
    text = text.replace("from bottle import", "from only_here import")
    (folder / "hello_venv.py").write_text(text.replace("from Bottle", "from Venv"))
    subprocess.run([onebox.PYTHON, "-m", "venv", "--without-pip", "--system-site-packages",
                    folder / ".venv"], check=True)  # the system's for gevent
    packages = next(folder.glob(".venv/lib/python3*/site-packages"))
    shutil.copy(importlib.util.find_spec("bottle").origin, packages / "only_here.py")
    return {"python": None, "chdir": folder, "environment": {"VIRTUAL_ENV": ""}}


@pytest.fixture(scope="module", params=[(name, app, worker_class) for name in FRAMEWORKS
                                        for app, worker_class in (("app", "threads"),
                                                                  ("validated", "threads"),
                                                                  ("validated", "gevent"))],
                ids="-".join)
def framework(request, tmp_path_factory):
    name, app, worker_class = request.param
    more = in_a_venv(tmp_path_factory.mktemp("project")) if name == "venv" else {}
    with onebox.Onebox(tmp_path_factory.mktemp("onebox"), f"hello_{name}:{app}",
                       worker_class=worker_class, **more) as running:
        running.hello = f"Hello from {name.capitalize()}"
        yield running
        complaints = [line for line in running.lines if "AssertionError" in line]
        assert not complaints, running.output()


def curl(*arguments):
    return subprocess.run(["curl", "--silent", "--show-error", "--fail", "--max-time", "20",
                           *arguments], capture_output=True, check=True).stdout


def test_curl_gets_a_page_a_file_and_a_stream(framework):
    assert curl(framework.url).decode() == framework.hello
    assert curl(f"{framework.url}/file") == b"x" * 100_000
    assert curl("--compressed", f"{framework.url}/stream").split() \
        == [b"%d" % number for number in range(1000)]


def test_curl_sends_a_form_and_a_file(framework, tmp_path):
    upload = tmp_path / "upload"
    upload.write_bytes(b"u" * 300_000)
    form = ("--form", "name=Ada", "--form", f"file=@{upload}")
    expected = {b'"name":"Ada"', b'"size":300000'}
    for more in ((), ("--http1.0",), ("--header", "Transfer-Encoding: chunked"),
                 ("--header", "Expect: 100-continue")):
        answer = curl(*form, *more, f"{framework.url}/form").replace(b" ", b"")
        assert all(part in answer for part in expected), (more, answer)


def test_requests_keeps_its_session(framework):
    with requests.Session() as session:
        for _ in range(3):
            assert session.get(framework.url, timeout=20).text == framework.hello
        answer = session.post(f"{framework.url}/form", data={"name": "Ada"}, timeout=20)
        assert answer.json() == {"name": "Ada", "size": 0}
        answer = session.post(f"{framework.url}/form", data={"name": "Ada"}, timeout=20,
                              files={"file": b"u" * 1000})
        assert answer.json() == {"name": "Ada", "size": 1000}
        assert session.get(f"{framework.url}/nowhere", timeout=20).status_code == 404


def test_wrk_finds_no_error(framework):
    report = subprocess.run(["wrk", "--threads", "1", "--connections", "16", "--duration", "1s",
                             framework.url], capture_output=True, text=True, check=True).stdout
    assert int(re.search(r"(\d+) requests in", report)[1]) > 100, report
    assert "Non-2xx" not in report and "Socket errors" not in report, report
