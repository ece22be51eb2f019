"""Settings, all taken from the environment.

The names and defaults are those of the roadmap (sections 3 and 5). What the game keeps -
its SQLite file, its file cache - lies in the state folder NATION_RUN.
"""
import os
from pathlib import Path

from sqlalchemy.pool import QueuePool

SQLITE_BUSY_SECONDS = 30  # how long a write waits for another process's write


def from_environment(env=os.environ):
    state = state_folder(env)
    url = env.get("NATION_DB_URL") or f"sqlite:///{state}/nation.sqlite"
    settings = {
        "SECRET_KEY": env.get("NATION_SECRET", "bench-only-secret"),
        "SESSION_COOKIE_SAMESITE": "Lax",
        # Whose page it is: filled in by static/who.js, so that a page is the same for all. With
        # "page" the template prints it, and each player needs a page of his own.
        "NAME_IN_PAGES": env.get("NATION_NAMES", "script") == "page",
        "SEND_FILE_MAX_AGE_DEFAULT": 30 * 24 * 3600,
        "SQLALCHEMY_DATABASE_URI": url,
        "SQLALCHEMY_ENGINE_OPTIONS": engine_options(url, env),
        # Seconds between two work actions of one player; 0 keeps a load test repeatable.
        "WORK_COOLDOWN": int(env.get("NATION_WORK_COOLDOWN", "0")),
    }
    settings.update(cache_settings(state, env))
    settings.update(task_settings(state, env))
    return settings


def task_settings(state, env):
    """The servers outside that tasks speak to, and Redis, by which Celery is reached where it runs them."""
    redis = env["NATION_REDIS_URL"].rsplit("/", 1)[0] if env.get("NATION_REDIS_URL") else None
    return {
        "CHAIN_URL": env.get("NATION_CHAIN_URL", "http://127.0.0.1:18545"),
        "SMTP": env.get("NATION_SMTP", "127.0.0.1:12525"),
        "REPORTS": env.get("NATION_REPORTS") or str(state),
        "CELERY_BROKER": redis and f"{redis}/1",
        "CELERY_BACKEND": redis and f"{redis}/2",
    }


def state_folder(env):
    """NATION_RUN, else the folder that ./do demo uses."""
    home = env.get("XDG_STATE_HOME") or Path.home() / ".local/state"
    return Path(env.get("NATION_RUN") or Path(home) / "onebox-demo")


def engine_options(url, env):
    """Flask-SQLAlchemy 3 ignores SQLALCHEMY_POOL_*; it wants them as engine options."""
    if url.startswith("sqlite"):
        # SQLAlchemy 1.4 would open the file, and read its schema, again for every request.
        return {"poolclass": QueuePool,
                "connect_args": {"timeout": SQLITE_BUSY_SECONDS, "check_same_thread": False}}
    return {
        "pool_size": int(env.get("SQLALCHEMY_POOL_SIZE", "20")),
        "pool_timeout": int(env.get("SQLALCHEMY_POOL_TIMEOUT", "30")),
        "pool_recycle": int(env.get("SQLALCHEMY_POOL_RECYCLE", "3600")),
        "max_overflow": int(env.get("SQLALCHEMY_MAX_OVERFLOW", "30")),
    }


def cache_settings(state, env):
    """Redis where there is one, else Onebox's where that serves, else files: each is one cache for all
    processes."""
    if env.get("NATION_CACHE", "1") == "0":
        return {"CACHE_TYPE": "NullCache", "CACHE_NO_NULL_WARNING": True}
    if env.get("NATION_REDIS_URL"):
        return {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_URL": env["NATION_REDIS_URL"],
                "CACHE_DEFAULT_TIMEOUT": 300}
    if served_by_onebox():
        return {"CACHE_TYPE": "onebox.flask_caching.OneboxCache", "CACHE_DEFAULT_TIMEOUT": 300}
    # Threshold 0: no count of the files is kept, which several processes would get wrong.
    return {"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": str(state / "cache"),
            "CACHE_THRESHOLD": 0, "CACHE_DEFAULT_TIMEOUT": 300}


def served_by_onebox():
    try:
        from onebox.cache import Cache
    except ImportError:  # another server, a script, a test
        return False
    return Cache().shared
