"""Acceptance test of a Nation server, whatever it is made of: it only speaks HTTP.

    NATION_URL=http://127.0.0.1:18080 /usr/bin/python3 -m pytest -q examples/nation/tests

The server must hold the world of seed_data.py (at least 1,000 users) and run
without a work cooldown. May be repeated against the same data.
"""
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote

import pytest
import requests

URL = os.environ.get("NATION_URL", "http://127.0.0.1:18080").rstrip("/")
STATIC = Path(__file__).resolve().parent.parent / "static"
COUNTRIES, RESOURCES = 50, 20


class Client(requests.Session):
    """One browser: `client("GET", path)`, never following redirects."""

    def __call__(self, method, path, **options):
        return self.request(method, URL + path, timeout=30, allow_redirects=False, **options)

    def get_json(self, path, status=200):
        return self.check(self("GET", path), status)

    def post_json(self, path, body=None, status=200):
        return self.check(self("POST", path, json={} if body is None else body), status)

    @staticmethod
    def check(answer, status):
        assert answer.status_code == status, f"{answer.url}: {answer.status_code} {answer.text[:300]}"
        assert answer.headers["Content-Type"].startswith("application/json")
        return answer.json()

    def refused(self, path, body, code, status=409):
        assert self.post_json(path, body, status) == {"error": code}


anonymous = Client()
logged_in = {}


def player(number):
    """The client of player<number>, logged in once per test run."""
    if number not in logged_in:
        client = Client()
        assert client.post_json("/api/login", {"username": f"player{number}", "password": "nation"}) \
            == {"id": number, "username": f"player{number}"}
        logged_in[number] = client
    return logged_in[number]


def at_once(calls):
    """Run the calls at the same moment, each in its own thread; return their results."""
    barrier = threading.Barrier(len(calls))

    def run(call):
        barrier.wait()
        return call()
    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def sell(client, quantity, price):
    """Put some of the player's own goods on the market; return the listing's number."""
    item = next(item for item in client.get_json("/api/me")["inventory"]
                if item["quantity"] >= quantity)
    return client.post_json("/api/market/listings", {
        "resource_id": item["resource_id"], "quality": item["quality"],
        "quantity": quantity, "price": price}, 201)["listing_id"], item


def owned(client, item):
    return sum(mine["quantity"] for mine in client.get_json("/api/me")["inventory"]
               if (mine["resource_id"], mine["quality"]) == (item["resource_id"], item["quality"]))


def money(client):
    return client.get_json("/api/me")["money"]


# --- reading -----------------------------------------------------------------

@pytest.mark.parametrize("path, keys", [
    ("/api/countries/3", "id name code currency treasury tax_percent president_id population "
                         "citizens regions top_citizens"),
    ("/api/regions/9", "id name country_id country abundance resource population companies"),
    ("/api/market/listings/5", "id resource_id quality quantity price is_active seller_id seller "
                               "country_id"),
    ("/api/companies/4", "id name company_type quality country_id region_id owner_id owner stock "
                         "employees requirements"),
    ("/api/players/7", "id username experience level created_at base_wallet_address region_id "
                       "residence_id residence citizenship_id citizenship companies"),
])
def test_details(path, keys):
    found = anonymous.get_json(path)
    assert set(found) == set(keys.split())
    assert found["id"] == int(path.rsplit("/", 1)[1])


@pytest.mark.parametrize("path, length, keys", [
    ("/api/countries", COUNTRIES, "id name code currency"),
    ("/api/resources", RESOURCES, "id name kind base_price"),
    ("/api/market/prices/3", RESOURCES, "resource_id resource price supply demand average"),
    ("/api/market/history/3/4", None, "day price"),
    ("/api/market/listings", 20, "id resource_id quality quantity price is_active seller_id "
                                 "seller country_id"),
    ("/api/companies", 20, "id name company_type quality country_id region_id owner_id owner stock"),
    ("/api/leaderboards/wealth", 50, "id name score"),
    ("/api/leaderboards/experience", 50, "id name score"),
    ("/api/leaderboards/owners", 50, "id name score"),
    ("/api/leaderboards/countries", 50, "id name score"),
    ("/api/elections", 20, "id country_id status ends_at winner_id candidates"),
    ("/api/laws", 20, "id country_id title tax_percent status ends_at proposer_id votes_for "
                      "votes_against"),
    ("/api/wars", 20, "id status attacker_id attacker defender_id defender region_id region "
                      "attacker_score defender_score ends_at"),
])
def test_lists(path, length, keys):
    items = anonymous.get_json(path)["items"]
    assert length is None and items or len(items) == length
    assert all(set(item) == set(keys.split()) for item in items)


def test_country_has_its_own_regions_prices_and_history():
    three, four = (anonymous.get_json(f"/api/countries/{number}") for number in (3, 4))
    assert len(three["regions"]) == 8 and three["regions"] != four["regions"]
    prices = [anonymous.get_json(f"/api/market/prices/{number}") for number in (3, 4, 3)]
    assert [answer["country_id"] for answer in prices] == [3, 4, 3]
    assert prices[0]["items"] != prices[1]["items"], "all countries get the same prices"
    assert [item["resource_id"] for item in prices[0]["items"]] == list(range(1, RESOURCES + 1))
    days = [line["day"] for line in anonymous.get_json("/api/market/history/3/4")["items"]]
    assert len(days) >= 30 and days == sorted(days)


def test_listings_are_filtered_sorted_and_paged():
    pages = [anonymous.get_json(f"/api/market/listings?resource=3&quality=2&page={page}")["items"]
             for page in (1, 2)]
    items = pages[0] + pages[1]
    assert {(item["resource_id"], item["quality"], item["is_active"]) for item in items} \
        == {(3, 2, True)}
    assert [item["price"] for item in items] == sorted(item["price"] for item in items)
    assert len({item["id"] for item in items}) == len(items)


def test_companies_are_filtered():
    by_country = anonymous.get_json("/api/companies?country=3")["items"]
    assert by_country and {item["country_id"] for item in by_country} == {3}
    by_type = anonymous.get_json("/api/companies?type=bakery&page=1")["items"]
    assert by_type and {item["company_type"] for item in by_type} == {"bakery"}
    bakery = anonymous.get_json(f"/api/companies/{by_type[0]['id']}")
    assert bakery["requirements"] == [{"output_id": 11, "output": "Bread", "input_id": 1,
                                       "input": "Grain", "amount": 4}]


def test_leaderboards_are_sorted():
    for kind in ("wealth", "experience", "owners", "countries"):
        scores = [line["score"] for line in anonymous.get_json(f"/api/leaderboards/{kind}")["items"]]
        assert scores == sorted(scores, reverse=True) and scores[0] > 0


def test_player_is_found_by_wallet():
    seven = anonymous.get_json("/api/players/7")
    assert anonymous.get_json(f"/api/players/by-wallet/{seven['base_wallet_address']}") == seven
    assert not {"password_hash", "email", "money"} & set(seven)


@pytest.mark.parametrize("path", [
    "/api/countries/51", "/api/regions/9999", "/api/companies/99999999", "/api/players/99999999",
    "/api/market/listings/99999999", "/api/market/prices/51", "/api/market/history/1/99",
    "/api/leaderboards/nonsense", "/api/players/by-wallet/0x0", "/api/nonsense"])
def test_unknown_things(path):
    assert anonymous.get_json(path, 404) == {"error": "not_found"}


@pytest.mark.parametrize("path, code", [
    ("/api/market/listings?resource=x", "bad_resource"), ("/api/market/listings?page=0", "bad_page"),
    ("/api/market/listings?quality=-1", "bad_quality"), ("/api/companies?country=1e3", "bad_country"),
    ("/api/laws?country=", "bad_country")])
def test_bad_queries(path, code):
    assert anonymous.get_json(path, 400) == {"error": code}


def test_wrong_method():
    assert anonymous("POST", "/api/countries").status_code == 405


# --- pages -------------------------------------------------------------------

@pytest.mark.parametrize("path, marks", [
    ("/", ['data-page="home"', "<h1>The world</h1>", 'href="/countries/50"']),
    ("/login", ['data-page="login"', 'name="username"', 'name="password"']),
    ("/players/7", ['data-page="player" data-id="7"', "<h1>player7</h1>"]),
    ("/countries/3", ['data-page="country" data-id="3"', 'href="/regions/17"']),
    ("/countries/3/market", ['data-page="market" data-id="3"', "Iron ore", "House"]),
    ("/regions/9", ['data-page="region" data-id="9"', 'href="/countries/2"']),
    ("/companies?country=3", ['data-page="companies"', 'href="/companies/']),
    ("/companies/4", ['data-page="company" data-id="4"', "One unit takes"]),
    ("/listings?resource=3&quality=2", ['data-page="listings"', 'data-buy="']),
    ("/leaderboards", ['data-page="leaderboards"', "wealth", "owners"]),
    ("/elections?country=4", ['data-page="elections"', "for everybody"]),
    ("/laws?country=2", ['data-page="laws"', "Set the tax"]),
    ("/wars", ['data-page="wars"', "Attacker"]),
])
def test_pages(path, marks):
    for client in (anonymous, player(1)):  # whose page it is fills a script in
        answer = client("GET", path)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].lower() == "text/html; charset=utf-8"
        assert answer.text.startswith("<!doctype html>") and answer.text.rstrip().endswith("</html>")
        for mark in marks + ['href="/login"', "/static/style.css", "/static/who.js"]:
            assert mark in answer.text, mark
        assert "data-player" not in answer.text


def test_personal_pages():
    text = player(1)("GET", "/me").text
    assert 'data-page="me" data-id="1"' in text and "<h2>Inventory</h2>" in text
    assert 'data-page="nfts"' in player(1)("GET", "/me/nfts").text


def test_unknown_page_and_head():
    assert anonymous("GET", "/players/99999999").status_code == 404
    assert anonymous("GET", "/nonsense").status_code == 404
    head = anonymous("HEAD", "/wars")
    assert head.status_code == 200 and head.content == b""


# --- sessions ----------------------------------------------------------------

@pytest.mark.parametrize("method, path", [
    ("GET", "/api/me"), ("GET", "/api/nfts"), ("GET", "/api/nfts/bonus"), ("GET", "/api/employment"),
    ("POST", "/api/work"), ("POST", "/api/market/listings"), ("POST", "/api/market/listings/5/buy"),
    ("POST", "/api/nfts/1/equip"), ("POST", "/api/elections/1/vote"), ("POST", "/api/laws/1/vote"),
    ("POST", "/api/government-elections/1/vote")])
def test_login_required(method, path):
    assert Client.check(anonymous(method, path, json={}), 401) == {"error": "login_required"}


@pytest.mark.parametrize("body", [
    {"username": "player1", "password": "wrong"}, {"username": "nobody", "password": "nation"},
    {"username": "player1"}, {"username": ["player1"], "password": 5}, [1], "x"])
def test_bad_login(body):
    client = Client()
    assert client.post_json("/api/login", body, 401) == {"error": "bad_credentials"}
    assert not client.cookies
    client.get_json("/api/me", 401)


def test_login_and_logout_by_form():
    client = Client()
    answer = client("GET", "/me")
    assert answer.status_code == 302
    assert unquote(answer.headers["Location"]).endswith("/login?next=/me")
    answer = client("POST", "/login", data={"username": "player2", "password": "wrong"})
    assert answer.status_code == 401 and "Wrong name or password" in answer.text
    answer = client("POST", "/login?next=/wars", data={"username": "player2", "password": "nation"})
    assert answer.status_code == 303 and answer.headers["Location"].endswith("/wars")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie
    assert client.get_json("/api/me")["username"] == "player2"
    assert client("POST", "/logout").status_code == 303
    client.get_json("/api/me", 401)


def test_login_leads_nowhere_else():
    for target in ("//evil.test/", "https://evil.test/", "/\\evil.test"):
        answer = Client()("POST", "/login", params={"next": target},
                          data={"username": "player2", "password": "nation"})
        assert answer.status_code == 303 and answer.headers["Location"].endswith("/me")


def test_forged_cookie():
    name, value = next(iter(player(1).cookies.items()))
    for forged in (value[:-3] + ("AAA" if value[-3:] != "AAA" else "BBB"), "x" + value, "", "x" * 3000):
        answer = requests.get(URL + "/api/me", headers={"Cookie": f"{name}={forged}"}, timeout=30)
        assert answer.status_code == 401


def test_sessions_do_not_mix():
    numbers = list(range(1, 9)) * 5
    for number in set(numbers):
        player(number)
    cookies = {number: player(number).cookies.get_dict() for number in set(numbers)}

    def who(number):
        return requests.get(URL + "/api/me", cookies=cookies[number], timeout=30).json()["id"]
    assert at_once([lambda number=number: who(number) for number in numbers]) == numbers


# --- the market --------------------------------------------------------------

def test_sell_and_buy_move_goods_and_money():
    seller, buyer = player(1), player(2)
    listing, item = sell(seller, 10, 150)
    before = money(seller), money(buyer), owned(buyer, item)
    bought = buyer.post_json(f"/api/market/listings/{listing}/buy", {"quantity": 4})
    assert bought == {"listing_id": listing, "quantity": 4, "total": 600, "money": before[1] - 600}
    assert (money(seller), money(buyer)) == (before[0] + 600, before[1] - 600)
    assert owned(buyer, item) == before[2] + 4
    left = anonymous.get_json(f"/api/market/listings/{listing}")
    assert (left["quantity"], left["is_active"], left["seller_id"]) == (6, True, 1)
    trade = buyer.get_json("/api/me")["trades"][0]
    assert (trade["listing_id"], trade["quantity"], trade["total"]) == (listing, 4, 600)


@pytest.mark.parametrize("stock, buyers, each", [(5, 20, 1), (10, 8, 3), (1, 16, 1)])
def test_concurrent_buys_never_oversell(stock, buyers, each):
    seller, clients = player(1), [player(number) for number in range(2, 2 + buyers)]
    listing, item = sell(seller, stock, 100)
    had, earned = [owned(client, item) for client in clients], money(seller)
    spent = [money(client) for client in clients]
    answers = at_once([
        lambda client=client: client("POST", f"/api/market/listings/{listing}/buy",
                                     json={"quantity": each}) for client in clients])
    won = [answer.status_code == 200 for answer in answers]
    assert sum(won) == stock // each
    assert all(answer.status_code == 200 or (answer.status_code, answer.json()) ==
               (409, {"error": "sold_out"}) for answer in answers)
    rest = stock - stock // each * each
    left = anonymous.get_json(f"/api/market/listings/{listing}")
    assert (left["quantity"], left["is_active"]) == (rest, rest > 0)
    assert money(seller) == earned + 100 * (stock - rest)
    for client, bought, before, purse in zip(clients, won, had, spent):
        assert owned(client, item) == before + each * bought
        assert money(client) == purse - 100 * each * bought


def test_players_buying_from_each_other_at_once():
    """Opposite transfers: where rows are locked in no fixed order, these deadlock."""
    pair = player(3), player(4)
    total = money(pair[0]) + money(pair[1])
    listings = [sell(client, 10, 70)[0] for client in pair]
    answers = at_once([
        lambda client=client, listing=listing: client(
            "POST", f"/api/market/listings/{listing}/buy", json={"quantity": 1}).status_code
        for client, listing in [(pair[0], listings[1]), (pair[1], listings[0])] * 8])
    assert answers == [200] * 16
    assert money(pair[0]) + money(pair[1]) == total


def test_refused_buys_change_nothing():
    seller, buyer = player(1), player(2)
    listing, _ = sell(seller, 2, 10 ** 12)
    before = money(buyer)
    buyer.refused(f"/api/market/listings/{listing}/buy", {"quantity": 1}, "insufficient_funds")
    buyer.refused(f"/api/market/listings/{listing}/buy", {"quantity": 3}, "sold_out")
    seller.refused(f"/api/market/listings/{listing}/buy", {"quantity": 1}, "own_listing")
    buyer.refused("/api/market/listings/99999999/buy", {"quantity": 1}, "not_found", 404)
    for quantity in (0, -1, 1.5, "1", True, None, 10 ** 9, 10 ** 30):
        buyer.refused(f"/api/market/listings/{listing}/buy", {"quantity": quantity},
                      "bad_quantity", 400)
    assert money(buyer) == before
    assert anonymous.get_json(f"/api/market/listings/{listing}")["quantity"] == 2


def test_broken_bodies():
    for body in (b"", b"{", b"[1]", b"null", b'{"quantity": 1', b"\xff\xfe"):
        answer = player(2)("POST", "/api/market/listings/5/buy", data=body,
                           headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()) == (400, {"error": "bad_quantity"})


def test_nobody_sells_what_he_has_not():
    client = player(5)
    item = client.get_json("/api/me")["inventory"][0]
    offer = {key: item[key] for key in ("resource_id", "quality")}
    client.refused("/api/market/listings", {**offer, "quantity": item["quantity"] + 1, "price": 1},
                   "not_enough_items")
    for name, value in (("quantity", 0), ("price", 0), ("quality", 6), ("resource_id", "1")):
        client.refused("/api/market/listings", {**offer, "quantity": 1, "price": 1, name: value},
                       f"bad_{name}", 400)
    assert owned(client, item) == item["quantity"]


# --- work and NFTs -----------------------------------------------------------

def test_concurrent_work_is_all_paid():
    client = player(6)
    job, me = client.get_json("/api/employment"), client.get_json("/api/me")
    stock = anonymous.get_json(f"/api/companies/{job['company_id']}")["stock"]
    shifts = at_once([lambda: client.post_json("/api/work")] * 8)
    assert {(shift["company_id"], shift["salary"]) for shift in shifts} \
        == {(job["company_id"], job["salary"])}
    after = client.get_json("/api/me")
    assert after["money"] == me["money"] + 8 * job["salary"]
    assert after["experience"] == me["experience"] + 8
    assert after["employment"]["days_worked"] == job["days_worked"] + 8
    assert anonymous.get_json(f"/api/companies/{job['company_id']}")["stock"] \
        == stock + sum(shift["produced"] for shift in shifts)


def test_no_job_no_pay():
    player(10).refused("/api/work", {}, "not_employed")
    assert player(10).get_json("/api/employment", 404) == {"error": "not_found"}


def expected_bonus(nfts):
    bonus = {"production": 0, "trade": 0, "combat": 0}
    for nft in nfts:
        if nft["is_equipped"]:
            bonus[nft["nft_type"]] += nft["bonus_percent"] * nft["durability"] // 100
    return {kind: min(percent, 50) for kind, percent in bonus.items()}


def test_equipping_changes_the_bonus_at_once():
    client = next(player(number) for number in range(1, 200)
                  if player(number).get_json("/api/nfts")["items"])
    nfts = client.get_json("/api/nfts")["items"]
    nft = nfts[0]
    for equipped in (not nft["is_equipped"], nft["is_equipped"]):
        answer = client.post_json(f"/api/nfts/{nft['id']}/equip", {"equipped": equipped})
        now = client.get_json("/api/nfts")["items"]
        assert now == [{**one, "is_equipped": equipped} if one["id"] == nft["id"] else one
                       for one in nfts]
        assert answer == {"nft_id": nft["id"], "is_equipped": equipped, "bonus": expected_bonus(now)}
        assert client.get_json("/api/nfts/bonus") == expected_bonus(now)
        assert client.get_json("/api/me")["bonus"] == expected_bonus(now)
    stranger = next(player(number) for number in (1, 2)
                    if nft["id"] not in [one["id"] for one in
                                         player(number).get_json("/api/nfts")["items"]])
    stranger.refused(f"/api/nfts/{nft['id']}/equip", {"equipped": True}, "not_found", 404)
    client.refused(f"/api/nfts/{nft['id']}/equip", {"equipped": 1}, "bad_equipped", 400)


# --- votes -------------------------------------------------------------------

def open_ballots(path, key="items"):
    """Per country in random order: its number and its open ballots."""
    for country in random.sample(range(1, COUNTRIES + 1), COUNTRIES):
        found = anonymous.get_json(f"{path}?country={country}")[key]
        yield country, [ballot for ballot in found if ballot["status"] == "open"
                        and ballot.get("candidates", True)]


def citizens(country):
    numbers = [country + COUNTRIES * number for number in range(1000 // COUNTRIES)]
    return random.sample(numbers, len(numbers))


def tally(election_id, country):
    election = next(one for one in anonymous.get_json(f"/api/elections?country={country}")["items"]
                    if one["id"] == election_id)
    return {candidate["id"]: candidate["votes"] for candidate in election["candidates"]}


def test_one_vote_per_election_even_at_once():
    for country, ballots in open_ballots("/api/elections"):
        # The last to end comes first, so it is not one of the overdue ones.
        election = ballots[0]
        candidate = election["candidates"][1]["id"]
        path, vote = f"/api/elections/{election['id']}/vote", {"candidate_id": candidate}
        for number in citizens(country)[:5]:
            before = tally(election["id"], country)
            answers = at_once([lambda: player(number)("POST", path, json=vote)] * 4)
            codes = sorted(answer.status_code for answer in answers)
            assert set(codes) <= {200, 409} and codes.count(200) <= 1
            added = codes.count(200)
            assert tally(election["id"], country) == {**before, candidate: before[candidate] + added}
            player(number).refused(path, vote, "already_voted")
            if added:
                stranger = player(country % COUNTRIES + 1)
                stranger.refused(path, vote, "not_a_citizen", 403)
                player(number).refused(path, {"candidate_id": 10 ** 9}, "not_a_candidate")
                return
    pytest.fail("found nobody who had not voted yet")


def test_overdue_and_unknown_elections_take_no_votes():
    player(1).refused("/api/elections/2/vote", {"candidate_id": 1}, "voting_closed")
    player(1).refused("/api/elections/99999999/vote", {"candidate_id": 1}, "not_found", 404)
    player(1).refused("/api/elections/1/vote", {"candidate_id": "1"}, "bad_candidate_id", 400)


def test_a_law_vote_may_be_changed():
    country, laws = next(open_ballots("/api/laws"))
    number = citizens(country)[0]
    path = f"/api/laws/{laws[0]['id']}/vote"

    def counts():
        law = next(one for one in anonymous.get_json(f"/api/laws?country={country}")["items"]
                   if one["id"] == laws[0]["id"])
        return law["votes_for"], law["votes_against"]
    assert player(number).post_json(path, {"in_favour": True}) \
        == {"law_id": laws[0]["id"], "in_favour": True}
    votes_for, votes_against = counts()
    at_once([lambda: player(number).post_json(path, {"in_favour": False})] * 4)
    assert counts() == (votes_for - 1, votes_against + 1)
    player(country % COUNTRIES + 1).refused(path, {"in_favour": True}, "not_a_citizen", 403)
    player(number).refused(path, {"in_favour": "yes"}, "bad_in_favour", 400)


def test_government_votes():
    for country, ballots in open_ballots("/api/elections", "government"):
        election = ballots[0]
        path = f"/api/government-elections/{election['id']}/vote"
        number = citizens(country)[0]
        answer = player(number)("POST", path, json={"nominee_id": country})
        player(number).refused(path, {"nominee_id": country}, "already_voted")
        if answer.status_code == 200:
            stranger = country % COUNTRIES + 1
            player(stranger).refused(path, {"nominee_id": country}, "not_a_citizen", 403)
            return
    pytest.fail("found nobody who had not voted yet")


# --- static files ------------------------------------------------------------

TYPES = {".css": ("text/css",), ".js": ("text/javascript", "application/javascript"),
         ".png": ("image/png",)}


def static_files():
    return sorted(path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*")
                  if path.suffix in TYPES)


@pytest.mark.parametrize("name", static_files())
def test_static_file(name):
    content = (STATIC / name).read_bytes()
    path = f"/static/{name}"
    for encoding in ("identity", "gzip"):
        answer = anonymous("GET", path, headers={"Accept-Encoding": encoding})
        assert answer.status_code == 200 and answer.content == content
        assert answer.headers["Content-Type"].split(";")[0] in TYPES[Path(name).suffix]
        assert "max-age=2592000" in answer.headers["Cache-Control"]
        assert "public" in answer.headers["Cache-Control"]
        if encoding == "identity":
            assert "Content-Encoding" not in answer.headers
    plain = {"Accept-Encoding": "identity"}
    tag = anonymous("GET", path, headers=plain).headers["ETag"]
    again = anonymous("GET", path, headers={**plain, "If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    part = anonymous("GET", path, headers={**plain, "Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, content[10:20])
    head = anonymous("HEAD", path, headers=plain)
    assert (head.status_code, int(head.headers["Content-Length"])) == (200, len(content))


@pytest.mark.parametrize("path", [
    "/static/none.css", "/static/../app/config.py", "/static/%2e%2e/app/config.py",
    "/static/..%2fapp/config.py", "/static/gen/../../app/config.py", "/static//etc/passwd",
    "/static/%00style.css"])
def test_no_other_file_is_served(path):
    request = requests.Request("GET", URL).prepare()
    request.url = URL + path  # as it stands: requests would tidy it up
    answer = Client().send(request, timeout=30)
    assert answer.status_code in (400, 403, 404)
    assert b"SQLALCHEMY" not in answer.content and b"root:" not in answer.content
