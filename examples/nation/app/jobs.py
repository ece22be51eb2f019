"""The six scheduler jobs of the roadmap's section 7, and their times.

Onebox calls each once for the box; beside another server ../jobs.py does. Each returns how many rows it
changed. Where nothing else is said, a job whose run before has not ended is left out (overlap="skip"), and
of what was missed while the box was down, one run is made up for (catch_up="one"): the next run, or that
one, finds all that is overdue.
"""
import datetime

from sqlalchemy import desc, func, insert, literal, select, update

from .actions import now, transact
from .background import job
from .extensions import db
from .models import (Country, CountryMarketItem, Election, ElectionVote, GovernmentElection,
                     GovernmentVote, Law, LawVote, MarketPriceHistory, NftInventory, Region, War)

GAME_TIME = "Europe/Berlin"  # its players' clock, whatever the machine's is; their peak is 21:00
ELECTION_LASTS = datetime.timedelta(days=30)
NFT_REGAINS, NFT_FULL = 5, 100


def overdue(model, status):
    return db.session.scalars(
        select(model).where(model.status == status, model.ends_at <= now())
        .with_for_update()).all()


def most_votes(choice, condition):
    return db.session.scalar(
        select(choice).where(condition).group_by(choice)
        .order_by(desc(func.count()), choice).limit(1))


@job(every="5 minutes", timeout=240)
def manage_elections():
    """Close presidential elections that are over, and announce the next ones."""
    def work():
        closing = overdue(Election, "open")
        for election in closing:
            election.status = "closed"
            election.winner_id = most_votes(ElectionVote.candidate_id,
                                            ElectionVote.election_id == election.id)
            if election.winner_id:
                db.session.get(Country, election.country_id).president_id = election.winner_id
            db.session.add(Election(country_id=election.country_id, status="open",
                                    ends_at=now() + ELECTION_LASTS))
        return len(closing)
    return transact(work)


@job(every="5 minutes", timeout=240)
def manage_government_elections():
    """The same for the elections of ministers."""
    def work():
        closing = overdue(GovernmentElection, "open")
        for election in closing:
            election.status = "closed"
            election.winner_id = most_votes(
                GovernmentVote.nominee_id,
                GovernmentVote.government_election_id == election.id)
            db.session.add(GovernmentElection(
                country_id=election.country_id, office=election.office, status="open",
                ends_at=now() + ELECTION_LASTS))
        return len(closing)
    return transact(work)


# Far from the peak, and on the same day in UTC, which is what is recorded. Late is better than not at all: a
# day that has passed cannot be recorded any more.
@job(at="04:00", tz=GAME_TIME, timeout=600, retries=3)
def record_market_prices():
    """Write today's price of every resource in every country, once a day."""
    def work():
        today = now().date()
        recorded = select(MarketPriceHistory.country_id).where(
            MarketPriceHistory.country_id == CountryMarketItem.country_id,
            MarketPriceHistory.resource_id == CountryMarketItem.resource_id,
            MarketPriceHistory.day == today).exists()
        return db.session.execute(
            insert(MarketPriceHistory).from_select(
                ["country_id", "resource_id", "day", "price"],
                select(CountryMarketItem.country_id, CountryMarketItem.resource_id,
                       literal(today), CountryMarketItem.price).where(~recorded))).rowcount
    return transact(work)


@job(every="10 minutes", timeout=300)
def close_laws():
    """Count the votes of laws that are over; a passed law sets its country's tax."""
    def work():
        closing = overdue(Law, "open")
        for law in closing:
            votes = dict(db.session.execute(
                select(LawVote.in_favour, func.count()).where(LawVote.law_id == law.id)
                .group_by(LawVote.in_favour)).all())
            passed = votes.get(True, 0) > votes.get(False, 0)
            law.status = "passed" if passed else "rejected"
            if passed:
                db.session.get(Country, law.country_id).tax_percent = law.tax_percent
        return len(closing)
    return transact(work)


@job(every="1 hour", timeout=600)
def expire_wars():
    """End wars whose time is up; an attacker who is ahead takes the region."""
    def work():
        ending = overdue(War, "active")
        for war in ending:
            war.status = "ended"
            if war.attacker_score > war.defender_score:
                db.session.get(Region, war.region_id).country_id = war.attacker_id
        return len(ending)
    return transact(work)


# Every hour counts for the players: also those that the box was down, and one that came while the last ran.
@job(every="1 hour", timeout=600, overlap="queue", catch_up="all")
def regenerate_nfts():
    """Give every worn NFT some durability back."""
    durability = NftInventory.durability
    return transact(lambda: db.session.execute(
        update(NftInventory).where(durability < NFT_FULL)
        .values(durability=db.case((durability > NFT_FULL - NFT_REGAINS, NFT_FULL),
                                   else_=durability + NFT_REGAINS))
        .execution_options(synchronize_session=False)).rowcount)
