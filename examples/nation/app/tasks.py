"""The four background tasks of the roadmap's section 8.

On Onebox its task workers run them; beside another server Celery does (../tasks.py). Each may be tried
more than once: what may not happen twice is made so that a second time changes nothing.
"""
import csv
import json
import os
import smtplib
import urllib.request
from email.message import EmailMessage
from pathlib import Path

from flask import current_app
from sqlalchemy import func, select, update

from .actions import changed, now, transact
from .background import current, enqueue, progress, task
from .extensions import cache, db
from .models import (Company, Country, CountryMarketItem, MarketListing, NftInventory, NftOrder,
                     User)
from .queries import bonus_key

COUNTRIES_AT_ONCE = 10  # in one part of the report
ANSWER_SECONDS = 30
FIGURES = "country citizens money companies stock listings offered".split()


# --- minting -----------------------------------------------------------------

@task(queue="chain", retries=20, backoff=(1, 2, 600), timeout=60)
def mint_nft(order_id):
    """Have the chain mint what an order has paid for, and put it into the player's inventory. The chain
    knows the key of what it has minted before; the order knows its token."""
    order = db.session.execute(
        select(NftOrder.user_id, NftOrder.nft_type, NftOrder.token_id, NftOrder.mint_key,
               User.base_wallet_address)
        .join(User, NftOrder.user_id == User.id).where(NftOrder.id == order_id)).one()
    db.session.rollback()  # hold no connection while the chain answers
    if order.token_id:
        return order.token_id
    minted = ask_chain("mint", order.base_wallet_address, order.nft_type, order.mint_key)

    def work():
        if not changed(update(NftOrder).where(NftOrder.id == order_id, NftOrder.token_id.is_(None))
                       .values(token_id=minted["token_id"])):
            return  # another attempt has come first
        db.session.add(NftInventory(
            user_id=order.user_id, nft_type=order.nft_type, token_id=minted["token_id"],
            bonus_percent=minted["bonus_percent"], durability=100, is_equipped=False,
            minted_at=now()))
        enqueue(send_email, order.user_id, "Your NFT is minted",
                f"{minted['token_id']}, for {order.nft_type}: +{minted['bonus_percent']} %",
                key=f"minted-{order.mint_key}")
    transact(work)
    cache.delete(bonus_key(order.user_id))
    return minted["token_id"]


def ask_chain(method, *parameters):
    request = urllib.request.Request(
        current_app.config["CHAIN_URL"],
        json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}).encode(),
        {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
        return json.load(answer)["result"]


# --- mail --------------------------------------------------------------------

@task(queue="mail", retries=8, timeout=60, no_retry_for=smtplib.SMTPRecipientsRefused)
def send_email(user_id, subject, body):
    """A mail that is sent twice, since the first time's end was lost, has the same Message-ID: by that
    mailboxes know it."""
    address = db.session.scalar(select(User.email).where(User.id == user_id))
    db.session.rollback()
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "game@nation.test", address, subject
    if run := current():
        message["Message-ID"] = f"<{run.dedupe_key()}@nation.test>"
    message.set_content(body)
    host, port = current_app.config["SMTP"].rsplit(":", 1)
    with smtplib.SMTP(host, int(port), timeout=ANSWER_SECONDS) as server:
        server.send_message(message)
    return address


# --- the report --------------------------------------------------------------

def economy_report():
    """Begin the report: its parts side by side, then the file. What is returned is that one's Result."""
    from onebox import group
    countries = country_ids()
    parts = [countries[at:at + COUNTRIES_AT_ONCE]
             for at in range(0, len(countries), COUNTRIES_AT_ONCE)]
    return group((country_figures.s(part) for part in parts), callback=write_report.s()).delay()


@task(queue="reports", retries=3, timeout=300)
def country_figures(countries):
    """A line for each: its people and their money, companies and their stock, and goods on offer."""
    def per_country(column, *values):
        return {row[0]: [int(value) for value in row[1:]] for row in db.session.execute(
            select(column, *values).where(column.in_(countries)).group_by(column))}
    people = per_country(User.citizenship_country_id, func.count(), func.sum(User.money))
    firms = per_country(Company.country_id, func.count(), func.sum(Company.stock))
    offers = per_country(MarketListing.country_id, func.count(), func.sum(MarketListing.quantity))
    return [[name, *people.get(number, (0, 0)), *firms.get(number, (0, 0)),
             *offers.get(number, (0, 0))]
            for number, name in db.session.execute(
                select(Country.id, Country.name).where(Country.id.in_(countries))
                .order_by(Country.id))]


@task(queue="reports", retries=3, timeout=60)
def write_report(parts):
    """The old report is there until the new one is whole."""
    path = Path(current_app.config["REPORTS"]) / "economy.csv"
    unfinished = path.with_suffix(".new")
    with open(unfinished, "w", newline="") as file:
        csv.writer(file).writerows([FIGURES, *(line for part in parts for line in part)])
    os.replace(unfinished, path)
    return str(path)


def country_ids():
    return db.session.scalars(select(Country.id).order_by(Country.id)).all()


# --- bulk work ---------------------------------------------------------------

@task(queue="bulk", unique=True, retries=3, timeout=1800)
def reprice_markets():
    """Set every country's prices to the mean of what is on offer there: a transaction for each, so that no
    player waits for all of them, and what was done stays done."""
    countries, prices = country_ids(), 0
    db.session.rollback()
    for done, country_id in enumerate(countries, 1):
        prices += transact(lambda: reprice(country_id))
        progress(done / len(countries))
    return prices


def reprice(country_id):
    offered = {resource: (int(price), int(supply)) for resource, price, supply in db.session.execute(
        select(MarketListing.resource_id, func.avg(MarketListing.price / MarketListing.quality),
               func.sum(MarketListing.quantity))
        .where(MarketListing.country_id == country_id, MarketListing.is_active.is_(True))
        .group_by(MarketListing.resource_id))}
    changes = [{"id": item.id, "price": offered[item.resource_id][0],
                "supply": offered[item.resource_id][1], "updated_at": now()}
               for item in db.session.scalars(
                   select(CountryMarketItem).where(CountryMarketItem.country_id == country_id))
               if item.resource_id in offered]
    db.session.bulk_update_mappings(CountryMarketItem, changes)
    return len(changes)
