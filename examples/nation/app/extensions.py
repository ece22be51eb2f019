"""The Flask extensions, and the one way this app uses its cache."""
import sqlite3

from flask_caching import Cache
from flask_login import LoginManager
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import event
from sqlalchemy.engine import Engine

db = SQLAlchemy()
cache = Cache()
login_manager = LoginManager()


@event.listens_for(Engine, "connect")
def prepare_sqlite(connection, _):
    """Write-ahead log: readers go on while one process writes."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")


def cached(key, seconds, produce):
    """The cached value of `key`, or produce() kept for `seconds`.

    One look-up on a hit. (Flask-Caching's memoize() needs two, and the
    roadmap's @cache.cached(key_prefix='market_prices') gives every country the
    prices of the first one asked for.)
    """
    value = cache.get(key)
    if value is None:
        value = produce()
        cache.set(key, value, timeout=seconds)
    return value
