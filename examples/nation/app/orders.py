"""Ordering an NFT: it is paid for at once, and minted when the chain has time."""
import secrets

from sqlalchemy import select

from .actions import Refused, move_money, now, transact
from .background import enqueue, has_tasks
from .extensions import db
from .models import NftOrder
from .queries import first
from .tasks import mint_nft

NFT_TYPES = ("production", "trade", "combat")
NFT_PRICE = 500_00


def order_nft(user_id, nft_type):
    if not has_tasks():
        raise Refused("no_minting_here", 503)
    return transact(lambda: place(user_id, nft_type))


def place(user_id, nft_type):
    """In a transaction: money, order and task are of it, and come to pass together or not at all."""
    if not move_money(user_id, -NFT_PRICE):
        raise Refused("insufficient_funds")
    order = NftOrder(user_id=user_id, nft_type=nft_type, mint_key=secrets.token_hex(16),
                     ordered_at=now())
    db.session.add(order)
    db.session.flush()
    enqueue(mint_nft, order.id, key=f"mint-{order.mint_key}")
    return {"order_id": order.id, "nft_type": nft_type, "token_id": None}


def order(user_id, order_id):
    """`token_id` is None until it is minted."""
    return first(
        select(NftOrder.id.label("order_id"), NftOrder.nft_type, NftOrder.token_id)
        .where(NftOrder.id == order_id, NftOrder.user_id == user_id))
