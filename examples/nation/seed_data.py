#!/usr/bin/python3
"""Fill the database (or CSV files) with a world that depends only on its arguments.

    seed_data.py --users 20000 --reset --indexes
    seed_data.py --users 20000 --csv FOLDER   # for a server with its own store

Players are player1 ... playerN, all with the password "nation": one hash, made
once, as 20,000 of them would take an hour; checking it costs the usual time.
"""
import argparse
import csv
import datetime
import hashlib
import json
import random
import time
from itertools import islice
from pathlib import Path

from sqlalchemy import text

from app import create_app
from app.extensions import cache, db

HERE = Path(__file__).resolve().parent
FULL_USERS = 20_000
COUNTRIES, REGIONS_EACH, HISTORY_DAYS = 50, 8, 30
CHUNK = 5_000

RESOURCES = [  # name, kind, base price in cents
    ("Grain", "raw", 100), ("Iron ore", "raw", 150), ("Oil", "raw", 220), ("Timber", "raw", 90),
    ("Cotton", "raw", 110), ("Copper", "raw", 180), ("Sand", "raw", 60), ("Clay", "raw", 70),
    ("Fish", "raw", 130), ("Gold ore", "raw", 900), ("Bread", "product", 400),
    ("Steel", "product", 700), ("Fuel", "product", 800), ("Paper", "product", 350),
    ("Cloth", "product", 450), ("Wire", "product", 600), ("Glass", "product", 300),
    ("Brick", "product", 280), ("Weapon", "product", 2500), ("House", "product", 9000)]
REQUIREMENTS = {  # company type: (what it makes, {what one takes: how many})
    "bakery": (11, {1: 4}), "steelworks": (12, {2: 5, 3: 1}), "refinery": (13, {3: 4}),
    "papermill": (14, {4: 4}), "weaver": (15, {5: 4}), "wireworks": (16, {6: 3, 3: 1}),
    "glassworks": (17, {7: 5}), "brickworks": (18, {8: 4}), "armoury": (19, {12: 3, 16: 1}),
    "builder": (20, {18: 20, 17: 4, 4: 10})}
NFT_TYPES = ("production", "trade", "combat")
OFFICES = ("finance", "defence", "foreign affairs")
SYLLABLES = "ka lo mi ra ve so ta nu be di fo ga hi ja ke lu".split()


def name_of(number):
    """A pronounceable name, one per number."""
    digits = []
    number += 300
    while number:
        number, digit = divmod(number, len(SYLLABLES))
        digits.append(SYLLABLES[digit])
    return "".join(digits).capitalize()


def shared_password_hash():
    digest = hashlib.pbkdf2_hmac("sha256", b"nation", b"nationbenchsalt1", 260_000).hex()
    return f"pbkdf2:sha256:260000$nationbenchsalt1${digest}"


class World:
    """One generator method per table, in the order in which rows may be inserted."""

    def __init__(self, users, today):
        scale = users / FULL_USERS
        self.users = users
        self.companies = max(20, round(5_000 * scale))
        self.listings = max(100, round(60_000 * scale))
        self.nfts = max(100, round(50_000 * scale))
        self.today = datetime.datetime.combine(today, datetime.time())

    def tables(self):
        for method in (self.country, self.resource, self.region, self.production_requirement,
                       self.user, self.company, self.employment, self.inventory_item,
                       self.nft_inventory, self.country_market_item, self.market_listing,
                       self.market_trade, self.market_price_history, self.election,
                       self.election_candidate, self.election_vote, self.government_election,
                       self.government_vote, self.law, self.law_vote, self.war):
            name = method.__name__
            yield db.metadata.tables[name], method(random.Random(f"nation {name}"))

    def days(self, number):
        return self.today + datetime.timedelta(days=number)

    # Who belongs where: plain arithmetic, so that other tables can refer to it.

    def citizenship(self, user_id):
        return (user_id - 1) % COUNTRIES + 1

    def citizen(self, country_id, number):
        """The number-th citizen of a country (from 0), wrapping around."""
        of_country = (self.users - country_id) // COUNTRIES + 1
        return country_id + COUNTRIES * (number % of_country)

    # --- the world

    def country(self, rng):
        for i in range(1, COUNTRIES + 1):
            code = chr(65 + i // 26) + chr(65 + i % 26)
            yield dict(id=i, name=name_of(i), code=code + "N", currency=code + "C",
                       treasury=rng.randrange(10 ** 8, 10 ** 10),
                       tax_percent=rng.randrange(5, 25), president_id=self.citizen(i, 0))

    def resource(self, rng):
        for i, (name, kind, price) in enumerate(RESOURCES, 1):
            yield dict(id=i, name=name, kind=kind, base_price=price)

    def region(self, rng):
        for i in range(1, COUNTRIES * REGIONS_EACH + 1):
            yield dict(id=i, country_id=(i - 1) // REGIONS_EACH + 1, name=name_of(1000 + i),
                       resource_id=rng.randrange(1, 11), abundance=rng.randrange(50, 151))

    def production_requirement(self, rng):
        number = 0
        for company_type, (output, inputs) in REQUIREMENTS.items():
            for resource, amount in inputs.items():
                number += 1
                yield dict(id=number, company_type=company_type, output_id=output,
                           input_id=resource, amount=amount)

    # --- players and companies

    def user(self, rng):
        password_hash = shared_password_hash()
        for i in range(1, self.users + 1):
            at_home = rng.random() < 0.8
            country = self.citizenship(i) if at_home else rng.randrange(1, COUNTRIES + 1)
            yield dict(
                id=i, username=f"player{i}", email=f"player{i}@nation.test",
                password_hash=password_hash, base_wallet_address=f"0x{rng.getrandbits(160):040x}",
                country_of_residence_id=country, citizenship_country_id=self.citizenship(i),
                region_id=(country - 1) * REGIONS_EACH + rng.randrange(1, REGIONS_EACH + 1),
                money=rng.randrange(10 ** 8, 5 * 10 ** 8), experience=int(rng.paretovariate(1) * 50),
                created_at=self.days(-rng.randrange(1, 700)))

    def company(self, rng):
        kinds = list(REQUIREMENTS)
        for i in range(1, self.companies + 1):
            region = rng.randrange(1, COUNTRIES * REGIONS_EACH + 1)
            yield dict(id=i, name=f"{name_of(5000 + i)} {kinds[i % len(kinds)]}",
                       owner_id=rng.randrange(1, self.users + 1),
                       country_id=(region - 1) // REGIONS_EACH + 1, region_id=region,
                       company_type=kinds[i % len(kinds)], quality=rng.randrange(1, 6),
                       balance=10 ** 11, stock=rng.randrange(0, 10_000))

    def employment(self, rng):
        employed = (i for i in range(1, self.users + 1) if i % 10)  # every tenth has no job
        for number, user_id in enumerate(employed, 1):
            yield dict(id=number, user_id=user_id, company_id=rng.randrange(1, self.companies + 1),
                       salary=rng.randrange(1_000, 10_000), is_active=True,
                       days_worked=rng.randrange(0, 300), last_worked_at=self.days(-1))

    def inventory_item(self, rng):
        for user_id in range(1, self.users + 1):
            for resource_id in sorted(rng.sample(range(1, len(RESOURCES) + 1), 3)):
                yield dict(user_id=user_id, resource_id=resource_id, quality=1,
                           quantity=rng.randrange(500, 2_000))

    def nft_inventory(self, rng):
        equipped = {}
        for i in range(1, self.nfts + 1):
            user_id = rng.randrange(1, self.users + 1)
            wears = rng.random() < 0.4 and equipped.get(user_id, 0) < 4
            equipped[user_id] = equipped.get(user_id, 0) + wears
            yield dict(id=i, user_id=user_id, nft_type=rng.choice(NFT_TYPES),
                       token_id=f"N-{i:08d}", bonus_percent=rng.randrange(1, 16),
                       durability=rng.randrange(40, 101), is_equipped=wears,
                       minted_at=self.days(-rng.randrange(1, 300)))

    # --- markets

    def country_market_item(self, rng):
        number = 0
        for country_id in range(1, COUNTRIES + 1):
            for resource_id, (_, _, price) in enumerate(RESOURCES, 1):
                number += 1
                yield dict(id=number, country_id=country_id, resource_id=resource_id,
                           price=int(price * rng.uniform(0.8, 1.2)),
                           supply=rng.randrange(1_000, 100_000),
                           demand=rng.randrange(1_000, 100_000), updated_at=self.today)

    def market_listing(self, rng):
        for i in range(1, self.listings + 1):
            resource_id, quality = rng.randrange(1, len(RESOURCES) + 1), rng.randrange(1, 6)
            price = RESOURCES[resource_id - 1][2] * quality
            sold = i % 30 == 0
            yield dict(id=i, seller_id=rng.randrange(1, self.users + 1),
                       country_id=rng.randrange(1, COUNTRIES + 1), resource_id=resource_id,
                       quality=quality, quantity=0 if sold else rng.randrange(500, 5_000),
                       price=int(price * rng.uniform(0.7, 1.4)), is_active=not sold,
                       created_at=self.days(-rng.randrange(1, 30)))

    def market_trade(self, rng):
        for i in range(1, self.users + 1):
            yield dict(id=i, listing_id=rng.randrange(1, self.listings + 1),
                       buyer_id=rng.randrange(1, self.users + 1), quantity=rng.randrange(1, 50),
                       total=rng.randrange(100, 100_000), traded_at=self.days(-1))

    def market_price_history(self, rng):
        for country_id in range(1, COUNTRIES + 1):
            for resource_id, (_, _, price) in enumerate(RESOURCES, 1):
                for day in range(-HISTORY_DAYS, 0):
                    yield dict(country_id=country_id, resource_id=resource_id,
                               day=self.days(day).date(), price=int(price * rng.uniform(0.8, 1.2)))

    # --- politics: per country one open election, one overdue, one long closed

    def election(self, rng):
        for country_id in range(1, COUNTRIES + 1):
            for number, (status, ends) in enumerate([("open", 10), ("open", -1), ("closed", -30)]):
                yield dict(id=(country_id - 1) * 3 + number + 1, country_id=country_id,
                           status=status, ends_at=self.days(ends),
                           winner_id=self.citizen(country_id, 0) if status == "closed" else None)

    def election_candidate(self, rng):
        for election_id in range(1, COUNTRIES * 3 + 1):
            for number in range(4):
                yield dict(election_id=election_id,
                           user_id=self.citizen((election_id - 1) // 3 + 1, number),
                           slogan=f"More {rng.choice(RESOURCES)[0].lower()} for everybody")

    def election_vote(self, rng):
        for election_id in range(1, COUNTRIES * 3 + 1):
            country_id = (election_id - 1) // 3 + 1
            for number in range(4, 14):
                yield dict(election_id=election_id, voter_id=self.citizen(country_id, number),
                           candidate_id=self.citizen(country_id, rng.randrange(4)))

    def government_election(self, rng):
        for country_id in range(1, COUNTRIES + 1):
            for number, office in enumerate(OFFICES):
                yield dict(id=(country_id - 1) * 3 + number + 1, country_id=country_id,
                           office=office, status="open", winner_id=None,
                           ends_at=self.days(-1 if number == 2 else 10))

    def government_vote(self, rng):
        for election_id in range(1, COUNTRIES * 3 + 1):
            country_id = (election_id - 1) // 3 + 1
            for number in range(5):
                yield dict(government_election_id=election_id,
                           voter_id=self.citizen(country_id, number),
                           nominee_id=self.citizen(country_id, rng.randrange(4)))

    def law(self, rng):
        for i in range(1, COUNTRIES * 5 + 1):  # of five laws in a country, the first is overdue
            country_id, tax = (i - 1) // 5 + 1, rng.randrange(5, 25)
            yield dict(id=i, country_id=country_id, proposer_id=self.citizen(country_id, i),
                       title=f"Set the tax to {tax} percent", tax_percent=tax, status="open",
                       ends_at=self.days(-1 if i % 5 == 1 else 10))

    def law_vote(self, rng):
        for law_id in range(1, COUNTRIES * 5 + 1):
            for number in range(min(20, self.users // COUNTRIES)):
                yield dict(law_id=law_id, user_id=self.citizen((law_id - 1) // 5 + 1, number),
                           in_favour=rng.random() < 0.6)

    def war(self, rng):
        for i in range(1, 31):
            region = rng.randrange(1, COUNTRIES * REGIONS_EACH + 1)
            defender = (region - 1) // REGIONS_EACH + 1
            yield dict(id=i, attacker_id=defender % COUNTRIES + 1, defender_id=defender,
                       region_id=region, status="active", ends_at=self.days(-1 if i % 6 == 0 else 10),
                       attacker_score=rng.randrange(10 ** 6), defender_score=rng.randrange(10 ** 6))


def chunks(rows):
    rows = iter(rows)
    while chunk := list(islice(rows, CHUNK)):
        yield chunk


def fill_database(world):
    counts = {}
    with db.engine.begin() as connection:
        if connection.dialect.name == "mysql":
            connection.execute(text("SET foreign_key_checks = 0, unique_checks = 0"))
        for table, rows in world.tables():
            counts[table.name] = 0
            for chunk in chunks(rows):
                connection.execute(table.insert(), chunk)
                counts[table.name] += len(chunk)
        if connection.dialect.name == "mysql":
            connection.execute(text("SET foreign_key_checks = 1, unique_checks = 1"))
    return counts


def fill_csv(world, folder):
    folder.mkdir(parents=True, exist_ok=True)
    counts = {}
    for table, rows in world.tables():
        with open(folder / f"{table.name}.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, [column.name for column in table.columns])
            writer.writeheader()
            counts[table.name] = 0
            for row in rows:
                writer.writerow({key: int(value) if isinstance(value, bool) else value
                                 for key, value in row.items()})
                counts[table.name] += 1
    return counts


def create_indexes():
    script = "\n".join(line for line in (HERE / "indexes.sql").read_text().splitlines()
                       if not line.startswith("--"))
    with db.engine.begin() as connection:
        for statement in filter(None, map(str.strip, script.split(";"))):
            connection.execute(text(statement))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=FULL_USERS, help="at least 1000")
    parser.add_argument("--today", type=datetime.date.fromisoformat,
                        default=datetime.datetime.now(datetime.timezone.utc).date(),
                        help="the day all dates are counted from (default: today)")
    parser.add_argument("--reset", action="store_true", help="drop all tables first")
    parser.add_argument("--indexes", action="store_true", help="run indexes.sql as well")
    parser.add_argument("--csv", type=Path, help="write CSV files there, touch no database")
    arguments = parser.parse_args()
    if arguments.users < 1000:
        parser.error("--users must be at least 1000")

    world, started = World(arguments.users, arguments.today), time.perf_counter()
    if arguments.csv:
        counts = fill_csv(world, arguments.csv)
    else:
        with create_app().app_context():
            if arguments.reset:
                db.drop_all()
            db.create_all()
            counts = fill_database(world)
            if arguments.indexes:
                create_indexes()
            cache.clear()  # what it holds is of the world before
    print(json.dumps({"rows": counts, "total": sum(counts.values()),
                      "seconds": round(time.perf_counter() - started, 1)}))


if __name__ == "__main__":
    main()
