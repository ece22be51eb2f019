"""Every write: one transaction each, retried when the database breaks a deadlock.

Rows are locked in one order everywhere - listing or company, then users by id,
then the rest - and stock or money is only ever changed by a conditional UPDATE,
so that nothing can be sold twice or spent twice.
"""
import datetime

from sqlalchemy import select, text, update
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.exc import IntegrityError, OperationalError

from .extensions import cache, db
from .models import (Company, Election, ElectionCandidate, ElectionVote, Employment,
                     GovernmentElection, GovernmentVote, InventoryItem, Law, LawVote,
                     MarketListing, MarketTrade, NftInventory, User)
from .queries import bonus_key, nft_bonus

ATTEMPTS = 4
RETRY_ON = (1205, 1213)  # lock wait timeout, deadlock
EQUIPPED_AT_MOST = 5


class Refused(Exception):
    def __init__(self, code, status=409):
        super().__init__(code)
        self.code, self.status = code, status


def transact(work):
    """work() and a commit, as a whole or not at all."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            lock_sqlite()
            result = work()
            db.session.commit()
            return result
        except OperationalError as error:
            db.session.rollback()
            if attempt == ATTEMPTS or error.orig.args[0] not in RETRY_ON:
                raise
        except Exception:
            db.session.rollback()
            raise


def lock_sqlite():
    """SQLite has no row locks: the write lock is taken before the first read, so that what
    is read still holds when it is written, and waiting for it is the busy timeout's business."""
    if db.engine.dialect.name == "sqlite":
        db.session.execute(text("BEGIN IMMEDIATE"))


def changed(statement):
    return db.session.execute(
        statement.execution_options(synchronize_session=False)).rowcount == 1


def now():
    return datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0, tzinfo=None)


def move_money(user_id, cents):
    """Add `cents` (or take them, when negative), never below zero."""
    return changed(update(User).where(User.id == user_id, User.money + cents >= 0)
                   .values(money=User.money + cents))


def upsert(model, values, **changes):
    """INSERT the row, or make `changes` to the one that has its key already."""
    table = model.__table__
    if db.engine.dialect.name == "sqlite":
        statement = sqlite.insert(table).values(values).on_conflict_do_update(
            index_elements=list(table.primary_key.columns), set_=changes)
    else:
        statement = mysql.insert(table).values(values).on_duplicate_key_update(**changes)
    db.session.execute(statement)


def give_item(user_id, resource_id, quality, quantity):
    upsert(InventoryItem,
           {"user_id": user_id, "resource_id": resource_id, "quality": quality,
            "quantity": quantity},
           quantity=InventoryItem.__table__.c.quantity + quantity)


# --- the market --------------------------------------------------------------

def buy(buyer_id, listing_id, quantity):
    def work():
        listing = db.session.execute(
            select(MarketListing.seller_id, MarketListing.resource_id, MarketListing.quality,
                   MarketListing.price).where(MarketListing.id == listing_id)).first()
        if listing is None:
            raise Refused("not_found", 404)
        if listing.seller_id == buyer_id:
            raise Refused("own_listing")
        total = listing.price * quantity
        # MySQL assigns from left to right, standard SQL all at once: this order suits both.
        if not changed(update(MarketListing)
                       .where(MarketListing.id == listing_id,
                              MarketListing.is_active.is_(True),
                              MarketListing.quantity >= quantity)
                       .ordered_values((MarketListing.is_active,
                                        MarketListing.quantity > quantity),
                                       (MarketListing.quantity,
                                        MarketListing.quantity - quantity))):
            raise Refused("sold_out")
        for user_id, cents in sorted([(buyer_id, -total), (listing.seller_id, total)]):
            if not move_money(user_id, cents):
                raise Refused("insufficient_funds")
        give_item(buyer_id, listing.resource_id, listing.quality, quantity)
        db.session.add(MarketTrade(listing_id=listing_id, buyer_id=buyer_id,
                                   quantity=quantity, total=total, traded_at=now()))
        money = db.session.scalar(select(User.money).where(User.id == buyer_id))
        return {"listing_id": listing_id, "quantity": quantity, "total": total, "money": money}
    return transact(work)


def sell(seller_id, resource_id, quality, quantity, price):
    def work():
        if not changed(update(InventoryItem)
                       .where(InventoryItem.user_id == seller_id,
                              InventoryItem.resource_id == resource_id,
                              InventoryItem.quality == quality,
                              InventoryItem.quantity >= quantity)
                       .values(quantity=InventoryItem.quantity - quantity)):
            raise Refused("not_enough_items")
        country_id = db.session.scalar(
            select(User.country_of_residence_id).where(User.id == seller_id))
        listing = MarketListing(seller_id=seller_id, country_id=country_id,
                                resource_id=resource_id, quality=quality, quantity=quantity,
                                price=price, is_active=True, created_at=now())
        db.session.add(listing)
        db.session.flush()
        return {"listing_id": listing.id}
    return transact(work)


# --- work and NFTs -----------------------------------------------------------

def work_shift(user_id, cooldown):
    bonus = nft_bonus(user_id)["production"]

    def work():
        job = db.session.execute(
            select(Employment.id, Employment.company_id, Employment.salary,
                   Employment.last_worked_at, Company.quality)
            .join(Company, Employment.company_id == Company.id)
            .where(Employment.user_id == user_id, Employment.is_active.is_(True))).first()
        if job is None:
            raise Refused("not_employed")
        ready = now() - datetime.timedelta(seconds=cooldown)
        if cooldown and job.last_worked_at and job.last_worked_at > ready:
            raise Refused("too_tired")
        produced = 10 * job.quality * (100 + bonus) // 100
        if not changed(update(Company)
                       .where(Company.id == job.company_id, Company.balance >= job.salary)
                       .values(balance=Company.balance - job.salary,
                               stock=Company.stock + produced)):
            raise Refused("employer_cannot_pay")
        changed(update(User).where(User.id == user_id)
                .values(money=User.money + job.salary, experience=User.experience + 1))
        shift = update(Employment).where(Employment.id == job.id)
        if cooldown:  # asked again under the company's lock: two shifts at once count as one
            shift = shift.where(Employment.last_worked_at.is_(None)
                                | (Employment.last_worked_at <= ready))
        if not changed(shift.values(days_worked=Employment.days_worked + 1,
                                    last_worked_at=now())):
            raise Refused("too_tired")
        return {"company_id": job.company_id, "salary": job.salary, "produced": produced}
    return transact(work)


def equip(user_id, nft_id, wanted):
    def work():
        owner = db.session.scalar(
            select(NftInventory.user_id).where(NftInventory.id == nft_id))
        if owner != user_id:
            raise Refused("not_found", 404)
        # The owner's row is the lock that keeps two requests from passing the limit together.
        db.session.execute(select(User.id).where(User.id == user_id).with_for_update())
        equipped = db.session.scalars(
            select(NftInventory.id).where(NftInventory.user_id == user_id,
                                          NftInventory.is_equipped.is_(True))
            .with_for_update()).all()
        if wanted and nft_id not in equipped and len(equipped) >= EQUIPPED_AT_MOST:
            raise Refused("too_many_equipped")
        changed(update(NftInventory).where(NftInventory.id == nft_id)
                .values(is_equipped=wanted))
    transact(work)
    cache.delete(bonus_key(user_id))
    return {"nft_id": nft_id, "is_equipped": wanted, "bonus": nft_bonus(user_id)}


# --- votes -------------------------------------------------------------------

def require_vote_allowed(model, ballot_id, voter_id):
    ballot = db.session.execute(
        select(model.country_id, model.status, model.ends_at)
        .where(model.id == ballot_id)).first()
    if ballot is None:
        raise Refused("not_found", 404)
    if ballot.status != "open" or ballot.ends_at <= now():
        raise Refused("voting_closed")
    citizenship = db.session.scalar(
        select(User.citizenship_country_id).where(User.id == voter_id))
    if citizenship != ballot.country_id:
        raise Refused("not_a_citizen", 403)
    return ballot.country_id


def cast(vote):
    db.session.add(vote)
    try:
        db.session.flush()
    except IntegrityError:
        raise Refused("already_voted")


def vote_election(voter_id, election_id, candidate_id):
    def work():
        require_vote_allowed(Election, election_id, voter_id)
        if not db.session.get(ElectionCandidate, (election_id, candidate_id)):
            raise Refused("not_a_candidate")
        cast(ElectionVote(election_id=election_id, voter_id=voter_id,
                          candidate_id=candidate_id))
        return {"election_id": election_id, "candidate_id": candidate_id}
    return transact(work)


def vote_government(voter_id, election_id, nominee_id):
    def work():
        country_id = require_vote_allowed(GovernmentElection, election_id, voter_id)
        if db.session.scalar(select(User.citizenship_country_id)
                             .where(User.id == nominee_id)) != country_id:
            raise Refused("not_a_candidate")
        cast(GovernmentVote(government_election_id=election_id, voter_id=voter_id,
                            nominee_id=nominee_id))
        return {"government_election_id": election_id, "nominee_id": nominee_id}
    return transact(work)


def vote_law(voter_id, law_id, in_favour):
    """One vote per citizen, which may be changed as long as the law is open."""
    def work():
        require_vote_allowed(Law, law_id, voter_id)
        upsert(LawVote, {"law_id": law_id, "user_id": voter_id, "in_favour": in_favour},
               in_favour=in_favour)
        return {"law_id": law_id, "in_favour": in_favour}
    return transact(work)
