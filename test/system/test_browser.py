"""Does the game play in a real browser, over HTTPS and HTTP/2, with a certificate that the box has got for itself?"""
import os
import re
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from browser import Browser
from onebox import PYTHON, Onebox
from pebble import Pebble, free_ports
from test_nation import NATION, whole, world
from wire import until

pytestmark = pytest.mark.once

NAME = "game.example"


@pytest.fixture
def game(tmp_path_factory):
    """The game at NAME, the authority that knows it, and its port for https."""
    folder = tmp_path_factory.mktemp("nation")
    subprocess.run([PYTHON, NATION / "make_static.py"], check=True, stdout=subprocess.DEVNULL)
    environment = {**whole(world({"NATION_RUN": str(folder)})), "NATION_BACKGROUND": "0"}
    http, https = free_ports(2)
    with Pebble(tmp_path_factory.mktemp("pebble"), http=http, tls=https) as authority:
        toml = (NATION / "onebox.toml").read_text().replace('dir = "static"', f'dir = "{NATION}/static"')
        with Onebox(tmp_path_factory.mktemp("onebox"), toml=toml + authority.options(NAME), environment=environment,
                    listen=(f"127.0.0.1:{http}", f"https://127.0.0.1:{https}"), chdir=NATION) as running:
            yield running, authority, https


def shows_it(https, root):
    """Whether the front has taken the certificate that was obtained."""
    try:
        with socket.create_connection(("127.0.0.1", https), timeout=10) as plain:
            ssl.create_default_context(cafile=root).wrap_socket(plain, server_hostname=NAME).close()
    except ssl.SSLCertVerificationError:
        return False
    return True


def test_chromium_plays_the_game_over_https_and_http2(game, tmp_path):
    """PICTURE=FILE.png keeps what it shows."""
    running, authority, https = game
    (tmp_path / "root.pem").write_text(authority.root())
    until(lambda: shows_it(https, tmp_path / "root.pem"), "the box shows its certificate", 60)
    browser = Browser(tmp_path / "browser", tmp_path / "root.pem")
    login = browser.form(f"https://{NAME}:{https}/login?next=/countries/3/market", username="player1",
                         password="nation")
    picture = Path(os.environ.get("PICTURE", tmp_path / "game.png")).resolve()
    page = browser.visit(login, picture)
    assert '<a href="/me" data-player="1">player1</a>' in page, "a script has filled the name in"
    assert "Iron ore" in page and 'href="/login"' not in page
    assert picture.read_bytes().startswith(b"\x89PNG")
    asked = [line for line in running.access_log.read_text().splitlines() if "Chrome" in line]
    protocols = {re.search(r'"[A-Z]+ (\S+) (HTTP/\S+)"', line)[2] for line in asked}
    assert len(asked) >= 7 and protocols == {"HTTP/2.0"}, protocols
    assert any("GET /api/me " in line for line in asked)


def test_chromium_trusts_nobody_else(game, tmp_path):
    running, authority, https = game
    (tmp_path / "root.pem").write_text(authority.root())
    until(lambda: shows_it(https, tmp_path / "root.pem"), "the box shows its certificate", 60)
    browser = Browser(tmp_path / "browser", authority.ca)  # which signs for the authority's own server, and no more
    assert "Iron ore" not in browser.visit(f"https://{NAME}:{https}/countries/3/market")
    assert "Chrome" not in running.access_log.read_text()
