"""Fixtures of the system tests."""
import contextlib

import pytest

import onebox


def pytest_configure(config):
    config.addinivalue_line("markers", "once: asks what one build can answer: the one that ships")


@pytest.fixture
def serve(tmp_path_factory):
    """serve(target, **options): a server of the test's own, ended and checked after it."""
    with contextlib.ExitStack() as servers:
        yield lambda *target, **options: servers.enter_context(
            onebox.Onebox(tmp_path_factory.mktemp("onebox"), *target, **options))


@pytest.fixture
def hold(tmp_path):
    """The folder through which an app and its test speak: files say what has begun and may go on."""
    folder = tmp_path / "hold"
    folder.mkdir()
    return folder


@pytest.fixture
def versioned(serve, hold):
    """versioned(**options): a server of versions.py, whose version is "one" at first."""
    (hold / "version").write_text("one")
    return lambda **options: serve("versions:app", environment={"HOLD": str(hold)}, **options)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failing test shows what the servers have said."""
    report = (yield).get_result()
    if report.failed:
        for server in onebox.running:
            report.sections.append((f"onebox {server.process.pid}", server.output()[-20_000:]))
            if server.access_log.is_file():
                report.sections.append(("access log", server.access_log.read_text()[-3_000:]))
