"""Fixtures of the system tests."""
import contextlib

import pytest

import onebox


@pytest.fixture
def serve(tmp_path_factory):
    """serve(target, **options): a server of the test's own, ended and checked after it."""
    with contextlib.ExitStack() as servers:
        yield lambda *target, **options: servers.enter_context(
            onebox.Onebox(tmp_path_factory.mktemp("onebox"), *target, **options))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failing test shows what the servers have said."""
    report = (yield).get_result()
    if report.failed:
        for server in onebox.running:
            report.sections.append((f"onebox {server.process.pid}", server.output()[-20_000:]))
            if server.access_log.is_file():
                report.sections.append(("access log", server.access_log.read_text()[-3_000:]))
