"""Two players of a game whose pages are shared: does either ever see a byte of the other's?"""
import random
import re
import sqlite3
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
import requests

from onebox import PYTHON, Onebox
from test_nation import NATION, whole, world

pytestmark = pytest.mark.once

SHARED = ["/", "/countries/3", "/countries/3/market", "/regions/9", "/leaderboards", "/listings", "/companies",
          "/companies/4", "/elections", "/laws", "/wars", "/login", "/api/countries", "/api/countries/3", "/api/regions/9",
          "/api/resources", "/api/market/prices/3", "/api/market/history/3/4", "/api/leaderboards/wealth",
          "/api/market/listings", "/api/companies/4", "/api/elections", "/static/style.css"]
PERSONAL = ["/me", "/me/nfts", "/api/me", "/api/nfts", "/api/nfts/bonus", "/api/employment"]
ROUNDS = 4


@dataclass(frozen=True)
class Player:
    """One of two who are nobody's neighbours: what is his alone stands in no list of the game."""
    id: int
    username: str
    email: str
    money: int  # in cents
    wallet: str

    def marks(self):
        """What may be in his own pages alone, as they write it."""
        return [self.username, self.email, self.wallet, str(self.money), f"{self.money / 100:,.2f}"]


PLAYERS = [
    Player(900_001, "zz-Quillfeather", "quill@mark-one.test", 87_654_321, "0x" + "a1" * 20),
    Player(900_002, "zz-Brambleknot", "bramble@mark-two.test", 12_345_678, "0x" + "b2" * 20)]

# How the names come into the pages, and which of the game's routes keep answers.
VARIANTS = {
    "as it ships": ("script", lambda route: True),
    "its names in its pages, the shared JSON kept": ("page", lambda route: 'path = "/api/' in route),
    "its names in its pages, and those kept all the same": ("page", lambda route: True),
    "nothing kept": ("page", lambda route: False),
}


@pytest.fixture(scope="module")
def nation(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nation")
    subprocess.run([PYTHON, NATION / "make_static.py"], check=True, stdout=subprocess.DEVNULL)
    environment = world({"NATION_RUN": str(folder)})
    with sqlite3.connect(folder / "nation.sqlite") as database:
        for player in PLAYERS:
            database.execute("""
                INSERT INTO user (id, username, email, password_hash, base_wallet_address, country_of_residence_id,
                                  citizenship_country_id, region_id, money, experience, created_at)
                SELECT ?, ?, ?, password_hash, ?, 50, 50, region_id, ?, 0, created_at FROM user WHERE id = 50""",
                             (player.id, player.username, player.email, player.wallet, player.money))
    database.close()
    return environment


@pytest.fixture
def game(request, nation, tmp_path):
    names, keeps = VARIANTS[request.param]
    parts = re.split(r"^(?=\[)", (NATION / "onebox.toml").read_text(), flags=re.M)
    toml = "".join(part for part in parts if not part.startswith("[[route]]") or keeps(part))
    environment = {**whole(nation), "NATION_NAMES": names, "NATION_BACKGROUND": "0"}
    toml = toml.replace('dir = "static"', f'dir = "{NATION}/static"')
    with Onebox(tmp_path, toml=toml, environment=environment, workers=2, chdir=NATION) as running:
        yield running


class Browser(requests.Session):
    """A player's, who is logged in and looks for what is not his in all that he is sent."""

    def __init__(self, url, player):
        super().__init__()
        self.url, self.player = url, player
        self.others = [mark for one in PLAYERS if one != player for mark in one.marks()]
        answer = self.post(f"{url}/login", {"username": player.username, "password": "nation"}, allow_redirects=False)
        assert answer.status_code == 303
        self.statuses = []

    def look(self, path, *fields):
        answer = self.get(self.url + path, timeout=30, allow_redirects=False, headers=dict(fields))
        assert answer.status_code == 200 or (path, answer.status_code) == ("/api/employment", 404), answer.text
        everything = answer.text + str(answer.headers)
        for mark in self.others:
            assert mark not in everything, f"{self.player.username} sees {mark!r} in {path}"
        assert "Set-Cookie" not in answer.headers or "/me" in path or "/api/" not in path
        self.statuses.append((path, answer.headers.get("Cache-Status", "")))
        return answer

    def look_around(self, seed):
        paths = SHARED + PERSONAL
        random.Random(seed).shuffle(paths)
        for path in paths:
            self.look(path)


def kept_answers(*browsers):
    return {path for browser in browsers for path, status in browser.statuses if "hit" in status}


@pytest.mark.parametrize("game", VARIANTS, indirect=True)
def test_no_player_ever_sees_a_byte_of_the_others(game):
    first, second = [Browser(game.url, player) for player in PLAYERS]
    for one, other in ((first, second), (second, first)):
        for path in SHARED + PERSONAL:  # each is the first to ask for what is not kept yet, in one of the orders
            for browser in (one, other):
                browser.look(path)
    with ThreadPoolExecutor(4) as pool:  # both at once, each in an order of its own
        list(pool.map(lambda number: (first, second)[number % 2].look_around(number), range(2 * ROUNDS)))
    for browser in (first, second):
        me = browser.look("/api/me").json()
        assert (me["username"], me["email"], me["money"]) \
            == (browser.player.username, browser.player.email, browser.player.money)
        page = browser.look("/me").text
        for mark in (browser.player.username, browser.player.wallet, f"{browser.player.money / 100:,.2f}"):
            assert mark in page, "what is looked for is there, where it belongs"
    assert not kept_answers(first, second) & set(PERSONAL)


@pytest.mark.parametrize("game", ["as it ships"], indirect=True)
def test_the_pages_are_kept_and_one_for_all(game):
    stranger = requests.Session()
    first, second = [Browser(game.url, player) for player in PLAYERS]
    for browser in (first, second):
        for path in SHARED:
            browser.look(path)
    kept = kept_answers(second)
    assert {"/", "/countries/3", "/countries/3/market", "/regions/9", "/leaderboards", "/api/market/prices/3"} <= kept
    assert not kept & {"/listings", "/api/market/listings", "/api/elections", "/companies/4", "/login"}, "always fresh"
    for path in kept:
        assert first.look(path).content == second.look(path).content \
            == stranger.get(game.url + path, timeout=30).content


@pytest.mark.parametrize("game", ["its names in its pages, and those kept all the same"], indirect=True)
def test_a_name_in_a_page_is_kept_for_nobody(game):
    """A route that ignores the session: what is kept was made without it, for nobody in particular."""
    first = Browser(game.url, PLAYERS[0])
    for _ in range(2):
        assert PLAYERS[0].username not in first.look("/countries/3").text
    assert PLAYERS[0].username in first.look("/wars").text, "which no route keeps"
