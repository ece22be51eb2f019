#!/usr/bin/python3
"""The four background tasks of the roadmap's section 8, for Celery + Redis.

    celery -A tasks worker        runs them (bench/peers/up.sh --tasks)
    python3 tasks.py              queues one of each and prints the results
"""
import csv
import json
import os
import smtplib
import urllib.request
from email.message import EmailMessage
from pathlib import Path

from celery import Celery
from sqlalchemy import func, select

from app import create_app
from app.actions import now, transact
from app.config import state_folder
from app.extensions import cache, db
from app.models import Company, Country, CountryMarketItem, MarketListing, NftInventory, User
from app.queries import bonus_key

REDIS = os.environ.get("NATION_REDIS_URL", "redis://127.0.0.1:6379/0").rsplit("/", 1)[0]
CHAIN = os.environ.get("NATION_CHAIN_URL", "http://127.0.0.1:18545")
SMTP = os.environ.get("NATION_SMTP", "127.0.0.1:12525")
REPORTS = Path(os.environ.get("NATION_REPORTS") or state_folder(os.environ))

celery = Celery("nation", broker=f"{REDIS}/1", backend=f"{REDIS}/2")
flask_app = create_app()


def task(function):
    """A Celery task that runs inside the app's context, or plainly when called."""
    def run(*arguments):
        with flask_app.app_context():
            return function(*arguments)
    return celery.task(run, name=function.__name__)


@task
def mint_nft(user_id, nft_type):
    """Have the chain mint a token, then put it into the player's inventory."""
    address = db.session.scalar(select(User.base_wallet_address).where(User.id == user_id))
    db.session.rollback()  # hold no connection while the chain answers
    request = urllib.request.Request(
        CHAIN, json.dumps({"jsonrpc": "2.0", "id": 1, "method": "mint",
                           "params": [address, nft_type]}).encode(),
        {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        minted = json.load(answer)["result"]

    def work():
        db.session.add(NftInventory(
            user_id=user_id, nft_type=nft_type, token_id=minted["token_id"],
            bonus_percent=minted["bonus_percent"], durability=100, is_equipped=False,
            minted_at=now()))
    transact(work)
    cache.delete(bonus_key(user_id))
    return minted["token_id"]


@task
def send_email(user_id, subject, body):
    address = db.session.scalar(select(User.email).where(User.id == user_id))
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "game@nation.test", address, subject
    message.set_content(body)
    host, port = SMTP.rsplit(":", 1)
    with smtplib.SMTP(host, int(port), timeout=30) as server:
        server.send_message(message)
    return address


@task
def economy_report():
    """One CSV line per country: people, wealth, companies and goods on offer."""
    def per_country(column, *values):
        return {row[0]: row[1:] for row in db.session.execute(
            select(column, *values).group_by(column))}
    people = per_country(User.citizenship_country_id, func.count(), func.sum(User.money))
    firms = per_country(Company.country_id, func.count(), func.sum(Company.stock))
    offers = per_country(MarketListing.country_id, func.count(), func.sum(MarketListing.quantity))
    path = REPORTS / "economy.csv"
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow("country citizens money companies stock listings offered".split())
        for country_id, name in db.session.execute(
                select(Country.id, Country.name).order_by(Country.id)):
            writer.writerow([name, *people.get(country_id, (0, 0)),
                             *firms.get(country_id, (0, 0)), *offers.get(country_id, (0, 0))])
    return str(path)


@task
def reprice_markets():
    """Bulk work: set every country's prices to the mean of what is on offer there."""
    def work():
        offered = {(country, resource): (int(price), int(supply))
                   for country, resource, price, supply in db.session.execute(
                       select(MarketListing.country_id, MarketListing.resource_id,
                              func.avg(MarketListing.price / MarketListing.quality),
                              func.sum(MarketListing.quantity))
                       .where(MarketListing.is_active.is_(True))
                       .group_by(MarketListing.country_id, MarketListing.resource_id))}
        changes = []
        for item in db.session.scalars(select(CountryMarketItem)):
            if (item.country_id, item.resource_id) in offered:
                price, supply = offered[item.country_id, item.resource_id]
                changes.append({"id": item.id, "price": price, "supply": supply,
                                "updated_at": now()})
        db.session.bulk_update_mappings(CountryMarketItem, changes)
        return len(changes)
    return transact(work)


def main():
    queued = [mint_nft.delay(1, "production"), send_email.delay(1, "Hello", "From the nation."),
              economy_report.delay(), reprice_markets.delay()]
    for result in queued:
        print(result.get(timeout=60))


if __name__ == "__main__":
    main()
