"""Do the game's six jobs and four tasks run on Onebox, at their times, once, and nothing of what was rolled back?"""
import contextlib
import csv
import json
import socket
import struct
import subprocess
import time
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from databases import MariaDb, Redis
from onebox import BINARY, PYTHON
from outside import Chain, Mailbox
from test_nation import NATION, served, whole, world
from wire import until

NFT_PRICE = 500_00
PRICES = 50 * 20  # of each resource in each country
JOBS = {  # name: how often, overlap, what is made up for after a time without the box
    "manage_elections": ("every 5 minutes", "skip", "one"),
    "manage_government_elections": ("every 5 minutes", "skip", "one"),
    "close_laws": ("every 10 minutes", "skip", "one"),
    "record_market_prices": ("at 04:00", "skip", "one"),
    "expire_wars": ("every 1 hour", "skip", "one"),
    "regenerate_nfts": ("every 1 hour", "queue", "all")}
PERIODS = {"manage_elections": 300, "manage_government_elections": 300, "close_laws": 600,
           "expire_wars": 3600, "regenerate_nfts": 3600}

pytestmark = pytest.mark.once


@pytest.fixture(scope="module", params=["mariadb", "sqlite"])
def game(request, tmp_path_factory):
    """The game with MariaDB, whose transactions hold their tasks, and with SQLite."""
    folder = tmp_path_factory.mktemp("nation")
    with play(folder, MariaDb(folder) if request.param == "mariadb" else None) as game:
        yield game


@pytest.fixture(scope="module")
def running(game):
    with served(game.folder, game.environment, 2) as running:
        wait_until_ready(game)
        yield running


@contextlib.contextmanager
def play(folder, database):
    with Chain() as chain, Mailbox() as mailbox, database or contextlib.nullcontext():
        yield Game(folder, chain, mailbox, world({
            "NATION_RUN": str(folder), "NATION_CHAIN_URL": chain.url, "NATION_SMTP": mailbox.address,
            **(database.environment if database else {})}))


class Game:
    def __init__(self, folder, chain, mailbox, environment):
        self.folder, self.chain, self.mailbox = folder, chain, mailbox
        self.environment = environment
        self.broker = folder / "state/data/broker"

    def has_outbox(self):
        return "ONEBOX_TASKS_OUTBOX" in self.environment

    def run(self, *command):
        """Beside the box, as an operator does."""
        return self.run_elsewhere(*command, ONEBOX_BROKER=str(self.broker),
                                  PYTHONPATH=str(BINARY.parent.parent / "python"))

    def run_elsewhere(self, *command, **variables):
        """Where Onebox is not installed."""
        result = subprocess.run([PYTHON, "-B", *command], env=whole({**self.environment, **variables}),
                                cwd=NATION, capture_output=True, text=True, timeout=100, check=False)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def script(self, text):
        """What it prints, read as JSON; in the app's context."""
        return json.loads(self.run("-c", SCRIPT + text))

    def number(self, statement):
        return self.script(f"say(int(db.session.scalar(text({statement!r}))))")

    def key_of(self, order):
        return self.script(f"say(db.session.scalar(text('select mint_key from nft_order where id = {order}')))")

    def count(self, table, condition="1 = 1"):
        return self.number(f"select count(*) from {table} where {condition}")

    def change(self, statement):
        self.script(f"db.session.execute(text({statement!r})); db.session.commit(); say(None)")


SCRIPT = """
import json
from sqlalchemy import text
from app import create_app, orders, tasks
from app.actions import transact
from app.extensions import db
create_app().app_context().push()
def say(value): print(json.dumps(value))
"""


def ask(game, op, **fields):
    """One question to the broker."""
    body = json.dumps({"op": op, "n": 1, **fields}).encode()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(game.broker))
        connection.sendall(struct.pack("<I", len(body)) + body)
        stream = connection.makefile("rb")
        answer = json.loads(stream.read(struct.unpack("<I", stream.read(4))[0]))
    assert "error" not in answer, answer
    return answer


class Player:
    cookie = ()

    def __init__(self, running, number):
        self.running, self.email = running, f"player{number}@nation.test"
        answer = self.post("/api/login", {"username": f"player{number}", "password": "nation"})
        self.cookie = ("Cookie: " + answer["Set-Cookie"].split(";")[0],)

    def post(self, path, body):
        return self.running.ask("POST", path, "Content-Type: application/json", *self.cookie,
                                body=json.dumps(body).encode())

    def get(self, path):
        answer = self.running.get(path, *self.cookie)
        assert answer.status == 200
        return json.loads(answer.body)

    def money(self):
        return self.get("/api/me")["money"]

    def order(self, kind="trade"):
        answer = self.post("/api/nfts/orders", {"nft_type": kind})
        assert answer.status == 202, answer.body
        return json.loads(answer.body)["order_id"]

    def wait_for_token(self, order):
        def token():
            return self.get(f"/api/nfts/orders/{order}")["token_id"]
        until(token, "the order is minted", 60)
        return token()


def wait_until_ready(game):
    """Jobs and tasks are declared, and the outbox is there."""
    def is_ready():
        shown = ask(game, "queues")
        return len(ask(game, "jobs")["jobs"]) == len(JOBS) and shown["workers"] and \
            shown.get("outbox", {"state": "up"})["state"] == "up"
    until(is_ready, "the game's jobs are declared", 60)
    assert ("outbox" in ask(game, "queues")) == game.has_outbox()


# --- jobs


def test_jobs_stand_at_their_times(game, running):
    jobs = {job["name"]: job for job in ask(game, "jobs")["jobs"]}
    assert {name: (job["trigger"], job["overlap"], job["catch_up"]) for name, job in jobs.items()} == JOBS
    now = time.time()
    for name, seconds in PERIODS.items():
        assert jobs[name]["next"] % seconds == 0 and now - 5 < jobs[name]["next"] <= now + seconds
    prices = datetime.fromtimestamp(jobs["record_market_prices"]["next"], ZoneInfo("Europe/Berlin"))
    assert (prices.hour, prices.minute, prices.second) == (4, 0, 0)
    assert timedelta() < prices - datetime.now(prices.tzinfo) <= timedelta(hours=25)


def run_job(game, name):
    ask(game, "job_run", job=name)

    def ended():
        job = next(job for job in ask(game, "jobs")["jobs"] if job["name"] == name)
        return job["last"] and not (job["running"] or job["waiting"] or job["pending"]) and job["last"]
    last = until(ended, f"{name} has run", 60)
    assert last["outcome"] == "done", last["traceback"]


@pytest.mark.parametrize("name, table, status", [
    ("manage_elections", "election", "open"),
    ("manage_government_elections", "government_election", "open"),
    ("close_laws", "law", "open"), ("expire_wars", "war", "active")])
def test_jobs_end_what_is_over(game, running, name, table, status):
    now = datetime.utcnow().isoformat(" ", "seconds")
    is_left = f"status = '{status}' and ends_at < '{now}'"
    game.change(f"update {table} set status = '{status}' where ends_at < '{now}'")
    assert game.count(table, is_left) > 0
    run_job(game, name)
    assert game.count(table, is_left) == 0


def test_prices_are_recorded_once_a_day(game, running):
    game.change(f"delete from market_price_history where day >= '{datetime.utcnow().date()}'")
    for _ in range(2):
        run_job(game, "record_market_prices")
        assert game.count("market_price_history", f"day = '{datetime.utcnow().date()}'") == PRICES


def test_nfts_regain_durability_at_each_run(game, running):
    before = game.number("select sum(durability) from nft_inventory")
    run_job(game, "regenerate_nfts")
    assert game.number("select sum(durability) from nft_inventory") > before


# --- minting


def test_an_order_is_minted_once_though_answers_are_lost(game, running):
    player = Player(running, 3)
    money, owned = player.money(), len(player.get("/api/nfts")["items"])
    game.chain.losing = 2
    order = player.order("combat")
    token = player.wait_for_token(order)
    key = game.key_of(order)
    assert game.chain.asked.count(key) == 3 and token == game.chain.minted[key]["token_id"]
    assert player.money() == money - NFT_PRICE
    mine = player.get("/api/nfts")["items"]
    assert len(mine) == owned + 1 and [nft["nft_type"] for nft in mine if nft["token_id"] == token] == ["combat"]
    mail, = until(lambda: [mail for mail in game.mailbox.to(player.email) if token in mail.get_payload()],
                  "the player is told")
    assert mail["Subject"] == "Your NFT is minted"


def tasks_of(game, queue):
    """How many were enqueued, and how many attempts have failed."""
    found = [one for one in ask(game, "queues")["queues"] if one["name"] == queue]
    return sum(one["enqueued_total"] for one in found), sum(one["failed_total"] for one in found)


def test_an_order_that_is_rolled_back_mints_nothing(game, running):
    enqueued, failed = tasks_of(game, "chain")
    money = Player(running, 4).money()
    undone = game.script("""
orders.place(4, "trade")
key = db.session.scalar(text("select mint_key from nft_order order by id desc limit 1"))
db.session.rollback()
say(key)
""")
    poor = Player(running, 5)
    game.change("update user set money = 0 where id = 5")
    refused = poor.post("/api/nfts/orders", {"nft_type": "trade"})
    assert (refused.status, json.loads(refused.body)) == (409, {"error": "insufficient_funds"})
    after = Player(running, 4)
    kept = after.order()  # what was left behind would be taken before it
    after.wait_for_token(kept)
    assert tasks_of(game, "chain") == (enqueued + 1, failed)
    assert after.money() == money - NFT_PRICE
    assert undone not in game.chain.asked and game.count("nft_order", f"mint_key = '{undone}'") == 0


def test_what_is_no_order_is_refused(running):
    player = Player(running, 6)
    for wrong in ({}, {"nft_type": "house"}, {"nft_type": []}, []):
        answer = player.post("/api/nfts/orders", wrong)
        assert (answer.status, json.loads(answer.body)) == (400, {"error": "bad_nft_type"})
    assert running.get("/api/nfts/orders/1").status == 401
    assert player.get("/api/me")["money"] > 0


# --- mail, report and bulk work


def test_mail_that_is_put_off_arrives_once(game, running):
    game.mailbox.refusing = 1
    task = game.script("say(tasks.send_email.delay(7, 'Hello', 'From the nation.').id)")
    ended = ask(game, "wait", id=task, seconds=15)["task"]
    assert ended["state"] == "done" and ended["attempts"] == 2
    mail, = game.mailbox.to("player7@nation.test")
    assert mail["Subject"] == "Hello" and mail["Message-ID"].startswith(f"<onebox-{task}-")


def test_the_report_is_made_of_parts(game, running):
    path = game.run("-m", "flask", "--app", "app", "economy-report").strip()
    with open(path, newline="") as file:
        lines = [*csv.DictReader(file)]
    assert len(lines) == 50 and sum(int(line["citizens"]) for line in lines) == 1000
    assert sum(int(line["companies"]) for line in lines) == game.count("company")
    assert sum(int(line["listings"]) for line in lines) == game.count("market_listing")


def test_bulk_work_says_how_far_it_is(game, running):
    game.change("update country_market_item set price = 1")
    said = game.run("-m", "flask", "--app", "app", "reprice-markets").split()
    offered = game.count("country_market_item", "price > 1")
    assert said[-2:] == [str(offered), "prices"] and offered > 100
    task = game.script("say(tasks.reprice_markets.delay().id)")
    assert ask(game, "wait", id=task, seconds=20)["task"]["progress"] == 1


# --- the box is not there


@pytest.mark.parametrize("game", ["mariadb"], indirect=True)
def test_an_order_that_no_box_has_seen_is_minted_when_there_is_one(game, running):
    """The outbox is the app's own table: what is committed waits in it, whoever is down."""
    running.stop()
    running.lines.clear()
    order = game.script("say(orders.order_nft(9, 'trade')['order_id'])")
    key = game.key_of(order)
    assert key not in game.chain.asked and game.count("onebox_outbox") == 1
    running.start()
    Player(running, 9).wait_for_token(order)
    assert game.chain.asked.count(key) == 1
    until(lambda: game.count("onebox_outbox") == 0, "the outbox is empty")


# --- beside another server


@pytest.fixture
def celery(tmp_path):
    """The game with SQLite, and with Celery's worker as what runs its tasks."""
    with Redis(tmp_path) as redis, Chain() as chain, Mailbox() as mailbox:
        environment = world({"NATION_RUN": str(tmp_path), "NATION_CHAIN_URL": chain.url,
                             "NATION_SMTP": mailbox.address, **redis.environment})
        process = subprocess.Popen(
            [PYTHON, "-B", "-m", "celery", "-A", "tasks", "worker", "--pool", "solo", "--loglevel", "WARNING"],
            env=whole(environment), cwd=NATION, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield Game(tmp_path, chain, mailbox, environment)
        finally:
            process.terminate()
            process.wait(30)


def test_celery_and_apscheduler_run_the_same(celery):
    """What Onebox is compared with."""
    token, address, report, prices = celery.run_elsewhere("tasks.py").split()
    assert token == "T-" + celery.chain.asked[0][:16] and address == "player1@nation.test" and int(prices) > 100
    assert Path(report).read_text().startswith("country,")
    assert len(until(lambda: celery.mailbox.to(address)[1:], "the other mail")) == 1
    done = celery.run_elsewhere("jobs.py", *JOBS).split()
    assert done[::2] == [*JOBS] and all(int(rows) > 0 for rows in done[1::2])
