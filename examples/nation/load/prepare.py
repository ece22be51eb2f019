#!/usr/bin/python3
"""Write what a load run needs: session cookies, the requests of 1000 players, plain URLs.

    NATION_URL=http://127.0.0.1:8000 NATION_RUN=FOLDER load/prepare.py --users 20000

    cookies.txt   line N: the Cookie header of player N, from a login just made
    mix.tsv       player, method, path, body: requests in random, repeatable order
    mix-names.tsv the same, and what pages ask for whose player's name is filled in by a script
    urls.txt      the GET requests that need no session, as URLs, for other tools
    static.txt    URLs of the static files
"""
import argparse
import json
import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

COUNTRIES, REGIONS, RESOURCES, LAWS_EACH = 50, 400, 20, 5
AGENT = {"User-Agent": "nation-load"}  # Flask-Login ties a session to it: wrk must send the same


def a_listing_page(rng):
    return f"resource={rng.randint(1, RESOURCES)}&quality={rng.randint(1, 5)}"


def buy(who, country, size, rng):
    listing = rng.randint(1, size["listings"] - 1)
    listing += listing % 30 == 0  # every thirtieth is sold out
    return "POST", f"/api/market/listings/{listing}/buy", {"quantity": 1}


def vote(who, country, size, rng):
    law = (country - 1) * LAWS_EACH + rng.randint(2, LAWS_EACH)  # the first is overdue
    return "POST", f"/api/laws/{law}/vote", {"in_favour": rng.random() < 0.5}


# Shares in percent of all requests. `c` is a country: in half of them the player's own.
SHARED_CACHED = [  # the roadmap caches these
    (12, lambda c, size, rng: f"/countries/{c}"),
    (12, lambda c, size, rng: f"/countries/{c}/market"),
    (12, lambda c, size, rng: f"/api/market/prices/{c}"),
    (6, lambda c, size, rng: "/"),
    (5, lambda c, size, rng: f"/regions/{rng.randint(1, REGIONS)}"),
    (4, lambda c, size, rng: "/leaderboards"),
    (2, lambda c, size, rng: f"/api/leaderboards/{rng.choice(['wealth', 'experience'])}"),
    (2, lambda c, size, rng: f"/api/market/history/{c}/{rng.randint(1, RESOURCES)}"),
]
SHARED_FRESH = [  # the same for everybody, but read from the database each time
    (5, lambda c, size, rng: f"/listings?{a_listing_page(rng)}"),
    (3, lambda c, size, rng: f"/api/market/listings?{a_listing_page(rng)}"),
    (3, lambda c, size, rng: f"/companies/{rng.randint(1, size['companies'])}"),
    (2, lambda c, size, rng: f"/players/{rng.randint(1, size['users'])}"),
    (1, lambda c, size, rng: f"/elections?country={c}"),
    (1, lambda c, size, rng: f"/laws?country={c}"),
]
PERSONAL = [(8, "/me"), (4, "/api/me"), (3, "/me/nfts"), (3, "/api/nfts/bonus"),
            (2, "/api/employment")]
WRITES = [(6, buy), (3, lambda *_: ("POST", "/api/work", {})), (1, vote)]


def pick(table, rng):
    return rng.choices([entry for _, entry in table], [share for share, _ in table])[0]


def mix(count, players, size):
    """`count` requests: (player, method, path, body, whether it needs the session)."""
    rng = random.Random("nation load")
    kinds = [(sum(share for share, _ in table), table)
             for table in (SHARED_CACHED, SHARED_FRESH, PERSONAL, WRITES)]
    assert sum(share for share, _ in kinds) == 100
    for _ in range(count):
        table = pick(kinds, rng)
        who = rng.randint(1, players)
        while table in (PERSONAL, WRITES) and who % 10 == 0:  # every tenth has no job
            who = rng.randint(1, players)
        own = (who - 1) % COUNTRIES + 1
        country = own if rng.random() < 0.5 else rng.randint(1, COUNTRIES)
        if table is WRITES:
            method, path, body = pick(table, rng)(who, own, size, rng)
            yield who, method, path, json.dumps(body), True
        elif table is PERSONAL:
            yield who, "GET", pick(table, rng), "", True
        else:
            yield who, "GET", pick(table, rng)(country, size, rng), "", False


def with_names(requests_made):
    """As browsers make them where a script fills the name in: it asks once in half an hour of a tab, with pauses of
    7 s once in 250 requests. Here a fifth of the players do so, once each: that is one request in 100."""
    asked = set()
    for request in requests_made:
        yield request
        who, method, path = request[:3]
        if who % 5 == 0 and who not in asked and method == "GET" and not path.startswith("/api/"):
            asked.add(who)
            yield who, "GET", "/api/me", "", True


def tabbed(request):
    return "\t".join(map(str, request[:4]))


def log_in(url, number):
    answer = requests.post(f"{url}/api/login", headers=AGENT, timeout=60,
                           json={"username": f"player{number}", "password": "nation"})
    answer.raise_for_status()
    return "; ".join(f"{name}={value}" for name, value in answer.cookies.items())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default=os.environ.get("NATION_URL", "http://127.0.0.1:18080"))
    parser.add_argument("--out", type=Path,
                        default=Path(os.environ.get("NATION_RUN", "/tmp/nation-run")) / "load")
    parser.add_argument("--players", type=int, default=1000, help="how many log in")
    parser.add_argument("--users", type=int, default=20_000, help="as given to seed_data.py")
    parser.add_argument("--requests", type=int, default=20_000)
    arguments = parser.parse_args()
    scale = arguments.users / 20_000
    size = {"users": arguments.users, "companies": max(20, round(5_000 * scale)),
            "listings": max(100, round(60_000 * scale))}
    static = Path(__file__).resolve().parent.parent / "static"

    arguments.out.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(4) as pool:
        cookies = list(pool.map(lambda number: log_in(arguments.url, number),
                                range(1, arguments.players + 1)))
    requests_made = list(mix(arguments.requests, arguments.players, size))
    for name, lines in (
            ("cookies.txt", cookies),
            ("mix.tsv", map(tabbed, requests_made)),
            ("mix-names.tsv", map(tabbed, with_names(requests_made))),
            ("urls.txt", (arguments.url + line[2] for line in requests_made if not line[4])),
            ("static.txt", (f"{arguments.url}/static/{path.relative_to(static).as_posix()}"
                            for path in sorted(static.rglob("*.*"))))):
        (arguments.out / name).write_text("".join(f"{line}\n" for line in lines))
    print(f"{len(cookies)} sessions, {len(requests_made)} requests: {arguments.out}")


if __name__ == "__main__":
    main()
