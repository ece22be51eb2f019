"""Does `onebox check` find what breaks on several workers, mend it, and leave correct code alone?

A row is an app: what it is, the rule, its source, and what the mended lines are. The line that is to
be found ends in `# HERE`; a source of several files is {name: text}."""
import json
import re
import shutil
import subprocess

import pytest

from onebox import BINARY, PYTHON, ROOT, onebox

FLASK = "from flask import Flask\napp = Flask(__name__)\n"
CACHE = FLASK + "from flask_caching import Cache\ncache = Cache(app)\n"
APSCHEDULER = FLASK + "from apscheduler.schedulers.background import BackgroundScheduler\n"
LIMITER = FLASK + "from flask_limiter import Limiter\n"

KEY, NOT_A_VIEW = "flask-caching-constant-key", "flask-caching-not-a-view"
TYPE, CACHES, LIMITS = "flask-caching-lower-case-type", "per-process-cache", "per-process-limits"
SECRET, SCHEDULER, EXECUTOR = "secret-key-per-process", "scheduler-in-worker", "scheduler-executor"
POOL = "sqlalchemy-pool-ignored"

FOUND = [
    # --- the roadmap, as written
    ("the roadmap's section 3: the prices of one country for all", KEY, """
CACHE_TYPE = 'RedisCache'
CACHE_REDIS_HOST = 'localhost'
CACHE_REDIS_PORT = 6379
CACHE_DEFAULT_TIMEOUT = 300  # 5 minutes

# Example usage
@cache.cached(timeout=60, key_prefix='market_prices') # HERE
def get_market_prices(country_id):
    # Database query here
    pass
""", ["@cache.memoize(timeout=60)"]),
    ("the roadmap's section 5: a pool that has none of these", POOL, """
SQLALCHEMY_POOL_SIZE = 20 # HERE
SQLALCHEMY_POOL_TIMEOUT = 30  # Seconds to wait for available connection
SQLALCHEMY_POOL_RECYCLE = 3600  # Recycle connections after 1 hour
SQLALCHEMY_MAX_OVERFLOW = 30  # Allow 30 extra connections during peak
""", ['SQLALCHEMY_ENGINE_OPTIONS = {"pool_size": 20, "pool_timeout": 30, "pool_recycle": 3600, '
      '"max_overflow": 30}']),
    ("the roadmap's section 7: an executor of concurrent.futures", EXECUTOR, """
from concurrent.futures import ThreadPoolExecutor

# Use thread pool for scheduler
scheduler = BackgroundScheduler(
    executors={
        'default': ThreadPoolExecutor(max_workers=6) # HERE
    }
)
""", ["import apscheduler.executors.pool",
      "        'default': apscheduler.executors.pool.ThreadPoolExecutor(max_workers=6)"]),

    # --- constant keys
    ("a view with a route variable", KEY, CACHE + """
@app.route("/countries/<int:country_id>")
@cache.cached(timeout=60, key_prefix="country") # HERE
def country(country_id):
    return str(country_id)
""", ["@cache.cached(timeout=60)"]),
    ("a route variable that a preprocessor takes", KEY, CACHE + """
@app.get("/<lang>/about")
@cache.cached(key_prefix="about") # HERE
def about():
    return "about"
""", ["@cache.cached()"]),
    ("arguments by position, and what memoize takes too", KEY, CACHE + """
@cache.cached(60, "prices", None, None, lambda answer: answer) # HERE
def prices(country):
    return country
""", ["@cache.memoize(timeout=60, response_filter=lambda answer: answer)"]),
    ("a method", KEY, CACHE + """
class Market:
    @cache.cached(timeout=5, key_prefix='prices') # HERE
    def prices(self, country: int, page=1):
        return country
""", ["    @cache.cached(timeout=5, make_cache_key=lambda self, country, page=1: "
      'f"prices:{country!r}:{page!r}")']),
    ("a method that is a view", KEY, CACHE + """
from flask.views import MethodView
class Country(MethodView):
    @cache.cached(timeout=5, key_prefix='country') # HERE
    def get(self, country_id):
        return country_id
""", ["    @cache.cached(timeout=5)"]),
    ("a static method", KEY, CACHE + """
class Market:
    @staticmethod
    @cache.cached(key_prefix='prices') # HERE
    def prices(country):
        return country
""", ["    @cache.memoize()"]),
    ("keyword-only and rest", KEY, CACHE + """
@cache.cached(key_prefix="x") # HERE
def f(*, a, **rest):
    return a
""", ["@cache.memoize()"]),
    ("a constant of the module", KEY, CACHE + """
PREFIX = "prices"
@cache.cached(key_prefix=PREFIX + "_v2") # HERE
def f(country):
    return country
""", ["@cache.memoize()"]),
    ("an f-string that is made once", KEY, CACHE + """
VERSION = 3
@cache.cached(key_prefix=f"prices-{VERSION}") # HERE
def f(country):
    return country
""", ["@cache.memoize()"]),
    ("another name by import", KEY, {"app.py": FLASK + """
from extensions import cache as store
@store.cached(key_prefix="x") # HERE
def f(a):
    return a
""", "extensions.py": "from flask_caching import Cache\ncache = Cache()\n"}, ["@store.memoize()"]),
    ("an async function", KEY, CACHE + """
@cache.cached(key_prefix="x") # HERE
async def f(a):
    return a
""", ["@cache.memoize()"]),
    ("a decorator of several lines", KEY, CACHE + """
@cache.cached( # HERE
    timeout=60,
    key_prefix="x",
)
def f(a):
    return a
""", ["@cache.memoize(timeout=60)"]),
    ("letters of several bytes before it", KEY, CACHE + """
@cache.cached(timeout=len("éüß"), key_prefix="ü") # HERE
def f(a):
    return a
""", ['@cache.memoize(timeout=len("éüß"))']),
    ("a cache that a factory is given", KEY, """
def register(app, cache):
    @cache.cached(key_prefix="x") # HERE
    def f(a):
        return a
""", ["    @cache.memoize()"]),

    # --- functions that are no view
    ("a function with a parameter, called", NOT_A_VIEW, CACHE + """
@cache.cached(timeout=60) # HERE
def prices(country):
    return country
def page():
    return prices(3)
""", ["@cache.memoize(timeout=60)"]),
    ("one without, called from another file", NOT_A_VIEW, {"views.py": """
from store import countries
def page():
    return countries()
""", "store.py": CACHE + """
@cache.cached(timeout=60) # HERE
def countries():
    return []
"""}, ['@cache.cached(timeout=60, key_prefix="countries")']),
    ("query_string is the path too", NOT_A_VIEW, CACHE + """
@cache.cached(query_string=True) # HERE
def prices(country):
    return country
print(prices(3))
""", ["@cache.memoize()"]),

    # --- names in lower case
    *[(f"CACHE_TYPE {name}", TYPE, f"""
from flask_caching import Cache
CACHE_TYPE = "{name}" # HERE
""", [f'CACHE_TYPE = "{cls}"']) for name, cls in (
        ("redis", "RedisCache"), ("filesystem", "FileSystemCache"), ("null", "NullCache"),
        ("memcached", "MemcachedCache"), ("saslmemcached", "SASLMemcachedCache"),
        ("uwsgi", "UWSGICache"), ("redissentinel", "RedisSentinelCache"),
        ("rediscluster", "RedisClusterCache"), ("flask_caching.backends.redis", "RedisCache"))],
    ("in a dict", TYPE, CACHE + """
app.config.from_mapping({"CACHE_TYPE": "redis"}) # HERE
""", ['app.config.from_mapping({"CACHE_TYPE": "RedisCache"})']),
    ("a file that is configuration alone", TYPE, """
CACHE_TYPE = "redis" # HERE
CACHE_REDIS_URL = "redis://localhost"
""", ['CACHE_TYPE = "RedisCache"']),
    ("the default of a variable that is not set", TYPE, CACHE + """
import os
app.config["CACHE_TYPE"] = os.environ.get("GAME_CACHE", "redis") # HERE
""", ['app.config["CACHE_TYPE"] = "RedisCache"']),

    # --- caches of one process
    ("given to Cache", CACHES, FLASK + """
from flask_caching import Cache
cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"}) # HERE
""", ['cache = Cache(app, config={"CACHE_TYPE": "onebox.flask_caching.OneboxCache"})']),
    ("by its old name", CACHES, FLASK + """
from flask_caching import Cache
cache = Cache(config={'CACHE_TYPE': 'simple'}) # HERE
""", ["cache = Cache(config={'CACHE_TYPE': \"onebox.flask_caching.OneboxCache\"})"]),
    ("by its whole name, in a class", CACHES, """
import flask_caching
class Config:
    CACHE_TYPE = "flask_caching.backends.SimpleCache" # HERE
class TestConfig(Config):
    CACHE_TYPE = "SimpleCache"
""", ['    CACHE_TYPE = "onebox.flask_caching.OneboxCache"']),
    ("app.config.update(CACHE_TYPE=...)", CACHES, CACHE + """
app.config.update(CACHE_TYPE="SimpleCache", X=1) # HERE
""", ['app.config.update(CACHE_TYPE="onebox.flask_caching.OneboxCache", X=1)']),
    ("behind a try that may fail", LIMITS, FLASK + """
import os
try:
    from flask_limiter import Limiter
except ImportError:
    Limiter = None
STORAGE = os.getenv("RATELIMIT_STORAGE_URI", "memory://")
limiter = Limiter(key, storage_uri=STORAGE) # HERE
""", ['limiter = Limiter(key, storage_uri="onebox://")']),
    ("a constant of the module", CACHES, CACHE + """
KIND = "SimpleCache"
app.config["CACHE_TYPE"] = KIND # HERE
""", ['app.config["CACHE_TYPE"] = "onebox.flask_caching.OneboxCache"']),
    ("what is taken where a variable is not set", CACHES, CACHE + """
import os
if os.environ.get("GAME_REDIS"):
    app.config["CACHE_TYPE"] = "RedisCache"
else:
    app.config["CACHE_TYPE"] = "SimpleCache" # HERE
""", ['    app.config["CACHE_TYPE"] = "onebox.flask_caching.OneboxCache"']),
    ("the game of the roadmap's stack", CACHES, CACHE + """
def cache_settings(env):
    if env.get("NATION_CACHE", "1") == "0":
        return {"CACHE_TYPE": "NullCache", "CACHE_NO_NULL_WARNING": True}
    if not env.get("NATION_REDIS_URL"):
        return {"CACHE_TYPE": "SimpleCache", "CACHE_DEFAULT_TIMEOUT": 300} # HERE
    return {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_URL": env["NATION_REDIS_URL"]}
""", ['        return {"CACHE_TYPE": "onebox.flask_caching.OneboxCache", '
      '"CACHE_DEFAULT_TIMEOUT": 300}']),
    ("production's branch", CACHES, CACHE + """
if app.debug:
    app.config["CACHE_TYPE"] = "NullCache"
else:
    app.config["CACHE_TYPE"] = "SimpleCache" # HERE
""", ['    app.config["CACHE_TYPE"] = "onebox.flask_caching.OneboxCache"']),
    ("cachelib's", CACHES, """
from cachelib import SimpleCache
cache = SimpleCache(500, 60) # HERE
""", ["from onebox.flask_caching import OneboxCache", "cache = OneboxCache(default_timeout=60)"]),
    ("cachelib's by its module", CACHES, """
import cachelib.simple
cache = cachelib.simple.SimpleCache(default_timeout=60) # HERE
""", ["cache = OneboxCache(default_timeout=60)"]),
    ("Django's", CACHES, """
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache", # HERE
        "LOCATION": "x",
    },
}
""", ['        "BACKEND": "onebox.django_cache.OneboxCache",']),

    # --- limits of one process
    ("no storage", LIMITS, LIMITER + """
limiter = Limiter(get_remote_address, app=app) # HERE
""", ['limiter = Limiter(get_remote_address, app=app, storage_uri="onebox://")']),
    ("no arguments", LIMITS, LIMITER + """
limiter = Limiter() # HERE
""", ['limiter = Limiter(storage_uri="onebox://")']),
    ("memory://", LIMITS, LIMITER + """
limiter = Limiter(get_remote_address, storage_uri="memory://", strategy="moving-window") # HERE
""", ['limiter = Limiter(get_remote_address, storage_uri="onebox://", strategy="moving-window")']),
    ("of several lines with a comma at the end", LIMITS, LIMITER + """
limiter = Limiter( # HERE
    get_remote_address,
    app=app,
)
""", ['    app=app, storage_uri="onebox://",']),
    *[(key, LIMITS, LIMITER + f"""
app.config["{key}"] = "memory://" # HERE
limiter = Limiter(get_remote_address, app=app)
""", [f'app.config["{key}"] = "onebox://"'])
      for key in ("RATELIMIT_STORAGE_URI", "RATELIMIT_STORAGE_URL")],

    # --- keys that each process draws
    ("app.secret_key", SECRET, FLASK + """
import os
app.secret_key = os.urandom(24) # HERE
""", ['app.secret_key = os.environ["SECRET_KEY"]']),
    ("in the factory, with a name for secrets", SECRET, """
import secrets as s
from flask import Flask
def create_app():
    app = Flask(__name__)
    app.config["SECRET_KEY"] = s.token_hex(16) # HERE
    return app
""", ["import os", '    app.config["SECRET_KEY"] = os.environ["SECRET_KEY"]']),
    ("as a keyword, with another name for os", SECRET, FLASK + """
import os as system
from uuid import uuid4
app.config.update(SECRET_KEY=str(uuid4())) # HERE
""", ['app.config.update(SECRET_KEY=system.environ["SECRET_KEY"])']),
    ("from_mapping", SECRET, FLASK + """
import os
app.config.from_mapping(DEBUG=False, SECRET_KEY=os.urandom(16).hex()) # HERE
""", ['app.config.from_mapping(DEBUG=False, SECRET_KEY=os.environ["SECRET_KEY"])']),
    ("class Config", SECRET, """
import os, base64
class Config:
    SECRET_KEY = base64.b64encode(os.urandom(32)).decode() # HERE
""", ['    SECRET_KEY = os.environ["SECRET_KEY"]']),
    ("Django's settings", SECRET, '''"""Settings."""
from __future__ import annotations
from django.core.management.utils import get_random_secret_key
SECRET_KEY = get_random_secret_key() # HERE
''', ["import os", 'SECRET_KEY = os.environ["SECRET_KEY"]']),
    ("letters by random", SECRET, """
import os, random, string
SECRET_KEY = "".join(random.choice(string.ascii_letters) for _ in range(50)) # HERE
""", ['SECRET_KEY = os.environ["SECRET_KEY"]']),
    ("by a name of its own", SECRET, FLASK + """
import os
key = os.urandom(24)
app.secret_key = key # HERE
""", ['app.secret_key = os.environ["SECRET_KEY"]']),
    ("by a name that is one of these keys itself", SECRET, FLASK + """
import os
SECRET_KEY = os.urandom(32) # HERE
app.config["SECRET_KEY"] = SECRET_KEY
""", ['SECRET_KEY = os.environ["SECRET_KEY"]']),
    ("where the variable is not set", SECRET, FLASK + """
import os
app.secret_key = os.environ.get("GAME_KEY") or os.urandom(24) # HERE
""", ['app.secret_key = os.environ["GAME_KEY"]']),
    ("as the default of a variable", SECRET, FLASK + """
import os, secrets
app.config["SECRET_KEY"] = os.getenv("GAME_KEY", secrets.token_hex()) # HERE
""", ['app.config["SECRET_KEY"] = os.environ["GAME_KEY"]']),
    ("in a dict that a function gives", SECRET, """
import os
def settings():
    return {"SECRET_KEY": os.urandom(9)} # HERE
""", ['    return {"SECRET_KEY": os.environ["SECRET_KEY"]}']),
    ("in a dict that is given to the app", SECRET, FLASK + """
import os
app.config.update({"SECRET_KEY": os.urandom(9)}) # HERE
""", ['app.config.update({"SECRET_KEY": os.environ["SECRET_KEY"]})']),
    ("for tokens", SECRET, FLASK + """
import os, secrets
app.config["JWT_SECRET_KEY"] = secrets.token_urlsafe() # HERE
""", ['app.config["JWT_SECRET_KEY"] = os.environ["JWT_SECRET_KEY"]']),

    # --- schedulers in workers
    ("at the top", SCHEDULER, APSCHEDULER + """
scheduler = BackgroundScheduler()
scheduler.start() # HERE
""", ["from onebox.apscheduler import BackgroundScheduler"]),
    ("in the factory, by a function of another file", SCHEDULER, {"app.py": """
from flask import Flask
def create_app():
    app = Flask(__name__)
    from jobs import start_jobs
    start_jobs(app)
    return app
""", "jobs.py": """
from apscheduler.schedulers.background import BackgroundScheduler
def start_jobs(app):
    scheduler = BackgroundScheduler(timezone="UTC")
    scheduler.start() # HERE
"""}, ["from onebox.apscheduler import BackgroundScheduler"]),
    ("by an import alone", SCHEDULER, {
        "app/__init__.py": FLASK + "from . import jobs\n", "app/jobs.py": """
from apscheduler.schedulers import background
scheduler = background.BackgroundScheduler()
scheduler.start() # HERE
"""}, ["import onebox.apscheduler", "scheduler = onebox.apscheduler.BackgroundScheduler()"]),
    ("the usual guard against the reloader", SCHEDULER, APSCHEDULER + """
import os
scheduler = BackgroundScheduler()
if not app.debug or os.environ.get("WERKZEUG_RUN_MAIN") == "true":
    scheduler.start() # HERE
""", ["from onebox.apscheduler import BackgroundScheduler"]),
    ("a guard of this process alone", SCHEDULER, APSCHEDULER + """
scheduler = BackgroundScheduler()
if not scheduler.running:
    scheduler.start() # HERE
""", ["from onebox.apscheduler import BackgroundScheduler"]),
    ("an import of several names", SCHEDULER, FLASK + """
from apscheduler.schedulers.background import BackgroundScheduler as Background, BlockingScheduler
scheduler = Background()
scheduler.start() # HERE
""", ["from onebox.apscheduler import BackgroundScheduler as Background",
      "from apscheduler.schedulers.background import BlockingScheduler"]),
    ("Flask-APScheduler", SCHEDULER, FLASK + """
from flask_apscheduler import APScheduler
scheduler = APScheduler(app=app)
scheduler.start() # HERE
""", ["import onebox.apscheduler",
      "scheduler = APScheduler(scheduler=onebox.apscheduler.BackgroundScheduler(), app=app)"]),
    ("Django's ready()", SCHEDULER, """
from apscheduler.schedulers.background import BackgroundScheduler
from django.apps import AppConfig
class GameConfig(AppConfig):
    def ready(self):
        scheduler = BackgroundScheduler()
        scheduler.start() # HERE
""", ["from onebox.apscheduler import BackgroundScheduler"]),
    ("made global in a function", SCHEDULER, APSCHEDULER + """
scheduler = None
def make():
    global scheduler
    scheduler = BackgroundScheduler()
make()
scheduler.start() # HERE
""", ["from onebox.apscheduler import BackgroundScheduler"]),

    # --- executors
    ("a dict with a name", EXECUTOR, """
from concurrent import futures
from apscheduler.schedulers.blocking import BlockingScheduler
executors = {"default": futures.ThreadPoolExecutor(20)} # HERE
scheduler = BlockingScheduler(executors=executors)
""", ["import apscheduler.executors.pool",
      'executors = {"default": apscheduler.executors.pool.ThreadPoolExecutor(max_workers=20)}']),
    ("add_executor", EXECUTOR, """
import concurrent.futures
from apscheduler.schedulers.blocking import BlockingScheduler
scheduler = BlockingScheduler()
scheduler.add_executor(concurrent.futures.ProcessPoolExecutor()) # HERE
""", ["scheduler.add_executor(apscheduler.executors.pool.ProcessPoolExecutor())"]),
    ("Flask-APScheduler's key", EXECUTOR, """
from concurrent.futures import ThreadPoolExecutor
class Config:
    SCHEDULER_EXECUTORS = {"default": ThreadPoolExecutor(5)} # HERE
""", ['    SCHEDULER_EXECUTORS = {"default": '
      'apscheduler.executors.pool.ThreadPoolExecutor(max_workers=5)}']),

    # --- pools
    ("into the options that are there", POOL, """
class Config:
    SQLALCHEMY_ENGINE_OPTIONS = {"pool_pre_ping": True}
    SQLALCHEMY_POOL_SIZE = 20 # HERE
""", ['    SQLALCHEMY_ENGINE_OPTIONS = {"pool_pre_ping": True, "pool_size": 20}']),
    ("app.config[...]", POOL, FLASK + """
app.config["SQLALCHEMY_POOL_SIZE"] = 20 # HERE
app.config["SQLALCHEMY_POOL_RECYCLE"] = 60 * 60
""", ['app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"pool_size": 20, "pool_recycle": 60 * 60}']),
    ("in a dict of one line", POOL, FLASK + """
app.config.update({"SQLALCHEMY_POOL_SIZE": 20, "A": 1, "SQLALCHEMY_MAX_OVERFLOW": 3}) # HERE
""", ['app.config.update({"SQLALCHEMY_ENGINE_OPTIONS": {"pool_size": 20, "max_overflow": 3}, '
      '"A": 1})']),
    ("as keywords, a line each", POOL, FLASK + """
import os
app.config.update(
    SQLALCHEMY_POOL_SIZE=int(os.environ.get("SQLALCHEMY_POOL_SIZE", "20")), # HERE
    SQLALCHEMY_POOL_TIMEOUT=3,
)
""", ['    SQLALCHEMY_ENGINE_OPTIONS={"pool_size": '
      'int(os.environ.get("SQLALCHEMY_POOL_SIZE", "20")), "pool_timeout": 3},']),
]

CORRECT = [
    # --- the decorator
    ("no parameters", CACHE + '@cache.cached(key_prefix="all")\ndef f():\n    return 1\nf()\n'),
    ("%s is the path",
     CACHE + '@app.get("/<x>")\n@cache.cached(key_prefix="v/%s")\ndef f(x):\n    return x\n'),
    ("a function makes the key",
     CACHE + "@cache.cached(key_prefix=lambda: key())\ndef f(a):\n    return a\n"),
    ("a function by name makes the key", CACHE + """
def key():
    return "x"
@cache.cached(key_prefix=key)
def f(a):
    return a
"""),
    ("make_cache_key",
     CACHE + '@cache.cached(key_prefix="x", make_cache_key=str)\ndef f(a):\n    return a\n'),
    ("query_string on a view", CACHE + """
@app.get("/list/<kind>")
@cache.cached(key_prefix="list", query_string=True)
def listing(kind):
    return kind
"""),
    ("memoize", CACHE + "@cache.memoize(60)\ndef f(a):\n    return a\nf(1)\n"),
    ("an answer that its parameters do not change", CACHE + """
@cache.cached(key_prefix="countries")
def resolve_countries(_, info):
    return all_countries()
@celery.task(bind=True)
@cache.cached(key_prefix="task")
def task(self):
    return self.name
"""),
    ("a parameter that asks for a new answer", CACHE + """
@cache.cached(key_prefix="rates", forced_update=lambda *_, **given: given.get("anew"))
def rates(anew=False):
    return load(anew)
"""),
    ("a page for all errors", CACHE + """
@app.errorhandler(404)
@cache.cached(key_prefix="not_found")
def not_found(error):
    return str(error), 404
"""),
    ("a method of self alone", CACHE + """
class Market:
    @cache.cached(key_prefix="prices")
    def prices(self):
        return 1
    @classmethod
    @cache.cached(key_prefix="all")
    def all(cls):
        return 2
"""),
    ("a view without route variables",
     CACHE + '@app.get("/")\n@cache.cached(60, "home")\ndef home():\n    return ""\n'),
    ("a view with its path as key",
     CACHE + '@app.get("/<x>")\n@cache.cached(60)\ndef f(x):\n    return x\n'),
    ("arguments that nobody knows",
     CACHE + 'args = {}\n@cache.cached(**args)\ndef f(a):\n    return a\n'),
    ("another library's cached",
     "from cachetools import cached\n@cached({}, key_prefix='x')\ndef f(a):\n    return a\n"),
    ("another library's cache", "@store.cached(key_prefix='x', ttl=60)\ndef f(a):\n    return a\n"),
    ("a class of the app's own", """
class Cache:
    def cached(self, key_prefix):
        return lambda f: f
cache = Cache()
@cache.cached(key_prefix="x")
def f(a):
    return a
"""),
    ("a view that add_url_rule names", CACHE + """
@cache.cached(60)
def page(x):
    return x
app.add_url_rule("/<x>", view_func=page)
def other():
    return page(3)
"""),
    ("a view that another file registers", {"views.py": CACHE + """
@cache.cached(60)
def page(x):
    return x
""", "urls.py": """
import views
from app import app
app.add_url_rule("/<x>", "p", views.page)
views.page(1)
"""}),
    ("a view that a text names", CACHE + """
@cache.cached(60)
def index(x):
    return x
lazy("views.index")
index(1)
"""),
    ("a name that lists have too",
     CACHE + "@cache.cached(60)\ndef index():\n    return 1\n[1].index(1)\n"),
    ("a decorator that may register it",
     CACHE + "@page('/x')\n@cache.cached(60)\ndef f(x):\n    return x\nf(1)\n"),

    # --- CACHE_TYPE
    ("classes by their names", CACHE + 'app.config["CACHE_TYPE"] = "RedisCache"\n'),
    ("Onebox's", CACHE + 'app.config["CACHE_TYPE"] = "onebox.flask_caching.OneboxCache"\n'),
    ("a backend of the app's own", CACHE + 'app.config["CACHE_TYPE"] = "game.redis"\n'),
    ("another thing of that name", """
CACHE_TYPE = "redis"
if CACHE_TYPE == "redis":
    import redis
"""),
    ("for development", CACHE + """
class DevelopmentConfig:
    CACHE_TYPE = "SimpleCache"
    SECRET_KEY = __import__("os").urandom(4)
class TestingConfig:
    CACHE_TYPE = "simple"
if app.debug:
    app.config["CACHE_TYPE"] = "SimpleCache"
if app.config["ENV"] != "production":
    app.config["CACHE_TYPE"] = "SimpleCache"
def create_app(test_config=None):
    if test_config is not None:
        app.config["CACHE_TYPE"] = "SimpleCache"
"""),
    ("a class that production overrides", CACHE + """
import os
class Config:
    CACHE_TYPE = "SimpleCache"
    SECRET_KEY = os.urandom(9)
    SQLALCHEMY_POOL_SIZE = 3
class ProductionConfig(Config):
    CACHE_TYPE = "RedisCache"
    SECRET_KEY = os.environ["KEY"]
    SQLALCHEMY_POOL_SIZE = SQLALCHEMY_MAX_OVERFLOW = None
    POOL = Config.SQLALCHEMY_POOL_SIZE
"""),
    ("settings that production overrides", {
        "settings/base.py": "import os\nSECRET_KEY = os.urandom(3)\n"
        'CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}\n',
        "settings/production.py": 'from .base import *\nSECRET_KEY = read("key")\nCACHES = {}\n'}),
    ("a file for development",
     {"settings/dev.py": 'import flask_caching\nCACHE_TYPE = "SimpleCache"\n',
                                "settings/local.py": "import os\nSECRET_KEY = os.urandom(4)\n"}),
    ("behind if __name__", CACHE + """
if __name__ == "__main__":
    app.config["CACHE_TYPE"] = "SimpleCache"
    app.secret_key = __import__("os").urandom(3)
    app.run()
"""),
    ("tests", {"tests/app.py": CACHE + 'app.config["CACHE_TYPE"] = "simple"\n',
               "test_app.py": CACHE + 'app.config["CACHE_TYPE"] = "simple"\n',
               "conftest.py": CACHE + 'app.config["CACHE_TYPE"] = "simple"\n'}),
    ("a variable that the operator sets", CACHE + """
import os
app.config["CACHE_TYPE"] = os.environ.get("SET_HERE", "SimpleCache")
if os.environ.get("SET_HERE"):
    app.config["CACHE_TYPE"] = "RedisCache"
else:
    app.config["CACHE_TYPE"] = "SimpleCache"
def settings():
    if "SET_HERE" in os.environ:
        return {"CACHE_TYPE": "RedisCache"}
    return {"CACHE_TYPE": "SimpleCache"}
"""),
    ("what the operator himself says", CACHE + """
import os
app.config["CACHE_TYPE"] = os.environ["KIND_HERE"]
"""),
    ("Django with Redis",
     'CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache"}}\n'),
    ("a class of that name", "class SimpleCache:\n    pass\ncache = SimpleCache()\n"),

    # --- limits
    ("Redis", LIMITER + 'limiter = Limiter(key, app=app, storage_uri="redis://localhost")\n'),
    ("the key of the configuration", LIMITER + """
app.config["RATELIMIT_STORAGE_URI"] = "redis://localhost"
limiter = Limiter(key, app=app)
"""),
    ("the key in another file", {"app.py": LIMITER + "limiter = Limiter(key)\n",
                                 "config.py": 'RATELIMIT_STORAGE_URL = "redis://x"\n'}),
    ("the key in a class that is named", {"app.py": LIMITER + """
limiter = Limiter(key)
app.config.from_object("settings.Config")
""", "settings.py": 'class Config:\n    RATELIMIT_STORAGE_URI = "redis://x"\n'}),
    ("a configuration that is no source",
     LIMITER + 'app.config.from_envvar("X")\nlimiter = Limiter(key, app=app)\n'),
    ("arguments that nobody knows", LIMITER + "more = {}\nlimiter = Limiter(key, **more)\n"),
    ("a variable without a default",
     LIMITER + 'import os\nLimiter(key, storage_uri=os.environ["SET_HERE"])\n'),
    ("switched off", LIMITER + "Limiter(key, enabled=False)\n"),
    ("another Limiter", "from aiolimiter import Limiter\nLimiter()\n"),

    # --- keys
    ("from the environment", FLASK + 'import os\napp.secret_key = os.environ["KEY"]\n'),
    ("from the environment, with a default that is never drawn",
     FLASK + 'import os\napp.secret_key = os.environ.get("SET_HERE") or os.urandom(3)\n'),
    ("from the environment, in a branch", FLASK + """
import os
if "SET_HERE" in os.environ:
    app.secret_key = os.environ["SET_HERE"]
else:
    app.secret_key = os.urandom(3)
"""),
    ("from the environment, in another form", FLASK + """
import os
KEY = "SET_HERE"
app.secret_key = bytes.fromhex(os.environ["SET_HERE"]) if "SET_HERE" in os.environ else os.urandom(8)
"""),
    ("a constant", FLASK + 'app.secret_key = "x"\n'),
    ("a function that may keep it", FLASK + """
import os
def kept(name, new):
    return new if first(name, new) else read(name)
app.secret_key = kept("key", os.urandom(24))
"""),
    ("kept in a file", FLASK + """
import os
from pathlib import Path
def kept(path):
    if not path.exists():
        path.write_bytes(os.urandom(24))
    return path.read_bytes()
app.secret_key = kept(Path("key"))
"""),
    ("kept in a file, without a function", FLASK + """
import os
try:
    key = open("key", "rb").read()
except FileNotFoundError:
    key = os.urandom(24)
    open("key", "wb").write(key)
app.secret_key = key
"""),
    ("drawn once and kept", FLASK + """
import os
key = os.urandom(24)
store(key)
app.secret_key = key
"""),
    ("a script that makes a key", {"a.py": """
import secrets
SECRET_KEY = secrets.token_hex()
print(f"SECRET_KEY={SECRET_KEY}")
""", "b.py": """
import json, secrets
json.dump({"SECRET_KEY": secrets.token_hex()}, open("config.json", "w"))
values = {"SECRET_KEY": secrets.token_hex()}
"""}),
    ("another random value",
     "import os, secrets\nTOKEN = secrets.token_hex()\nNONCE = os.urandom(3)\n"),

    # --- schedulers
    ("a process of its own", {"app.py": FLASK, "jobs.py": """
import time
from app import app
from apscheduler.schedulers.background import BackgroundScheduler
scheduler = BackgroundScheduler()
scheduler.start()
while True:
    time.sleep(1)
"""}),
    ("a process of its own that makes an app", APSCHEDULER + """
import time
scheduler = BackgroundScheduler()
scheduler.start()
while True:
    time.sleep(1)
"""),
    ("a function that is called behind if __name__", APSCHEDULER + """
def begin():
    scheduler = BackgroundScheduler()
    scheduler.start()
if __name__ == "__main__":
    begin()
    app.run()
"""),
    ("behind if __name__", APSCHEDULER + """
scheduler = BackgroundScheduler()
if __name__ == "__main__":
    scheduler.start()
"""),
    ("a function that nobody calls", APSCHEDULER + """
def start():
    scheduler = BackgroundScheduler()
    scheduler.start()
"""),
    ("a variable chooses the one process", APSCHEDULER + """
import os
scheduler = BackgroundScheduler()
if os.environ.get("RUN_JOBS") == "1":
    scheduler.start()
"""),
    ("a setting chooses the one process", APSCHEDULER + """
scheduler = BackgroundScheduler()
if app.config["RUN_JOBS"]:
    scheduler.start()
"""),
    ("a setting chooses it where the function is called", APSCHEDULER + """
def begin():
    scheduler = BackgroundScheduler()
    scheduler.start()
if app.config["RUN_JOBS"]:
    begin()
"""),
    ("a port chooses the one process", APSCHEDULER + """
import socket
scheduler = BackgroundScheduler()
try:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 47200))
except OSError:
    pass
else:
    scheduler.start()
"""),
    ("a lock chooses the one process", APSCHEDULER + """
import fcntl
scheduler = BackgroundScheduler()
lock = open("/tmp/lock", "w")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    scheduler.start()
except BlockingIOError:
    pass
"""),
    ("a return before it", """
from apscheduler.schedulers.background import BackgroundScheduler
from flask import Flask
def create_app(jobs=False):
    app = Flask(__name__)
    if not jobs:
        return app
    scheduler = BackgroundScheduler()
    scheduler.start()
    return app
"""),
    ("paused", APSCHEDULER + "scheduler = BackgroundScheduler()\nscheduler.start(paused=True)\n"),
    ("Onebox's", FLASK + "from onebox.apscheduler import BackgroundScheduler\n"
     "scheduler = BackgroundScheduler()\nscheduler.start()\n"),
    ("Django's reloader chooses", {"apps.py": """
import os
from apscheduler.schedulers.background import BackgroundScheduler
from django.apps import AppConfig
class GameConfig(AppConfig):
    def ready(self):
        if os.environ.get("RUN_MAIN") == "true":
            BackgroundScheduler().start()
"""}),
    ("a thread that starts", FLASK + "import threading\nt = threading.Thread()\nt.start()\n"),
    ("APScheduler's own executor", """
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
scheduler = BackgroundScheduler(
    executors={"default": ThreadPoolExecutor(6), "x": {"type": "threadpool"}})
"""),
    ("an executor for another use", """
from concurrent.futures import ThreadPoolExecutor
pool = ThreadPoolExecutor(6)
run(executors={"default": pool})
"""),

    # --- pools
    ("engine options", FLASK + 'app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"pool_size": 20}\n'),
    ("keys that the app reads itself", """
class Config:
    SQLALCHEMY_POOL_SIZE = 20
    SQLALCHEMY_ENGINE_OPTIONS = {"pool_size": SQLALCHEMY_POOL_SIZE}
"""),
    ("keys that another file reads", {"config.py": "SQLALCHEMY_POOL_SIZE = 20\n", "db.py": """
import config
engine = create_engine("x", pool_size=config.SQLALCHEMY_POOL_SIZE)
"""}),
    ("names of variables", 'import os\nsize = os.environ.get("SQLALCHEMY_POOL_SIZE")\n'),
    ("a table of names", 'OPTIONS = {"SQLALCHEMY_POOL_SIZE": "pool_size"}\n'),

    # --- what is left out
    ("virtual environments, hidden folders, packages of Node", {
        "app.py": FLASK, "env/pyvenv.cfg": "", "env/lib/x.py": CACHE + 'CACHE_TYPE = "simple"\n',
        ".hidden/x.py": "no (python", "node_modules/x.py": "no (python",
        "__pycache__/x.py": "no (python"}),
    ("nothing", {"empty.py": "", "only_a_comment.py": "# x"}),
]


def write(folder, source):
    for name, text in (source if isinstance(source, dict) else {"app.py": source}).items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def check(folder, *arguments, environment=None):
    return onebox("check", *arguments, cwd=folder, environment={
        "ONEBOX_APP_PYTHON": PYTHON, "ONEBOX_APP_ENV": "", **(environment or {})})  # no extension


def findings(folder, *arguments, workers=2, environment=None):
    said = check(folder, "--json", "--workers", workers, *arguments, environment=environment)
    assert said.returncode in (0, 1), said.stdout + said.stderr
    told = json.loads(said.stdout)
    assert said.returncode == bool(told["findings"]) and told["workers"] == workers
    return told["findings"]


def mended(text, edits):
    lines = text.split("\n")
    for edit in sorted(edits, key=lambda one: (one["line"], one["end_line"]), reverse=True):
        lines[edit["line"] - 1:edit["end_line"]] = edit["code"]
    return "\n".join(lines)


def line_to_find(folder):
    return next((str(file.relative_to(folder)), number)
                for file in sorted(folder.rglob("*.py"))
                for number, line in enumerate(file.read_text(encoding="utf-8").split("\n"), 1)
                if line.endswith("# HERE"))


@pytest.mark.parametrize(("rule", "source", "lines"), [row[1:] for row in FOUND],
                         ids=[f"{row[1]}: {row[0]}" for row in FOUND])
def test_it_finds_and_mends(tmp_path, rule, source, lines):
    write(tmp_path, source)
    found = [one for one in findings(tmp_path) if one["rule"] == rule]
    assert [(one["file"], one["line"]) for one in found] == [line_to_find(tmp_path)], found
    file = tmp_path / found[0]["file"]
    text = mended(file.read_text(encoding="utf-8"), found[0]["mend"])
    bare = [line.removesuffix(" # HERE") for line in text.split("\n")]
    assert [line for line in lines if line not in bare] == [], text
    compile(text, str(file), "exec")
    file.write_text(text, encoding="utf-8")
    left = [one for one in findings(tmp_path) if one["rule"] == rule]
    assert left == [], f"{text}\n{left}"


@pytest.mark.parametrize("source", [row[1] for row in CORRECT], ids=[row[0] for row in CORRECT])
def test_correct_code_is_left_alone(tmp_path, source):
    write(tmp_path, source)
    variables = {"SET_HERE": "1", "KIND_HERE": "SimpleCache"}
    assert findings(tmp_path, environment=variables) == []


def test_the_game_has_nothing(tmp_path):
    assert findings(ROOT / "examples/nation") == []


def test_one_worker_may_keep_things_to_itself(tmp_path):
    write(tmp_path, APSCHEDULER + LIMITER + 'from flask_caching import Cache\n'
          'cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})\nlimiter = Limiter(key)\n'
          "scheduler = BackgroundScheduler()\nscheduler.start()\n")
    assert {one["rule"] for one in findings(tmp_path)} == {CACHES, LIMITS, SCHEDULER}
    assert findings(tmp_path, workers=1) == []


def test_the_old_name_of_a_simple_cache_is_told_of_one_worker_too(tmp_path):
    write(tmp_path, CACHE + 'app.config["CACHE_TYPE"] = "simple"\n')
    assert [one["rule"] for one in findings(tmp_path, workers=1)] == [TYPE]


@pytest.mark.parametrize(("comment", "found"), [
    (f"# onebox: ignore[{SECRET}]", 0), (f"# why  # onebox: ignore[{KEY}, {SECRET}]", 0),
    (f"# onebox: ignore[{KEY}]", 1), ("# onebox: ignore", 1), ("# onebox: ignore[]", 1)])
def test_a_comment_keeps_its_line_from_being_told(tmp_path, comment, found):
    write(tmp_path, f"{FLASK}import os\napp.secret_key = os.urandom(3)  {comment}\n")
    assert len(findings(tmp_path)) == found


def test_the_text_has_the_place_the_rule_the_reason_and_both_lines(tmp_path):
    write(tmp_path, CACHE + "\n@cache.cached(timeout=60, key_prefix='market_prices')\n"
          "def get_market_prices(country_id):\n    return country_id\n")
    said = check(tmp_path, "--workers", "4")
    assert said.returncode == 1 and said.stderr == ""
    assert said.stdout == """\
app.py:6:2: error flask-caching-constant-key: get_market_prices() has the one entry "market_prices", \
whatever country_id is
    Flask-Caching takes a key_prefix without %s as the whole key: the first answer is given to all who \
ask, for anything, until it expires.
    -    6  @cache.cached(timeout=60, key_prefix='market_prices')
    +    6  @cache.memoize(timeout=60)

1 finding in 1 file, for 4 workers
"""


def test_nothing_found_is_said(tmp_path):
    write(tmp_path, FLASK)
    said = check(tmp_path, "app.py", "--workers", "2")
    assert (said.returncode, said.stdout) == (0, "nothing found in 1 file, for 2 workers\n")


@pytest.mark.parametrize(("text", "place"), [
    (b"import os\nx = (1,\n", "broken.py:2:5: '(' was never closed"),
    (b"print 'x'\n", "broken.py:1:1: Missing parentheses in call to 'print'"),
    (b"x = '\xff'\n", "broken.py:1:"),
    (b"# coding: nothing\n", "broken.py:1:1: unknown encoding"),
    (b"x = 1\0", "broken.py:1:"),
    (b"(" * 5000, "broken.py:1:"),
    (b"import os\nSECRET_KEY = " + b"os.sep + " * 2000 + b"os.urandom(3)\n",
     "broken.py:1:1: it is nested"),
    (b"x = " + b"-" * 100000 + b"1\n", "broken.py:1:")])
def test_a_file_that_cannot_be_parsed_is_told_and_the_others_are_checked(tmp_path, text, place):
    write(tmp_path, FLASK + "import os\napp.secret_key = os.urandom(3)\n")
    (tmp_path / "broken.py").write_bytes(text)
    said = check(tmp_path)
    assert said.returncode == 2, said.stdout + said.stderr
    assert said.stderr.startswith(f"onebox: {place}"), said.stderr
    assert f"read with {PYTHON}" in said.stderr and SECRET in said.stdout
    told = json.loads(check(tmp_path, "--json").stdout)
    assert [one["file"] for one in told["unreadable"]] == ["broken.py"]


def test_a_path_that_is_not_there_is_told(tmp_path):
    said = check(tmp_path, "nowhere.py")
    assert said.returncode == 2
    assert said.stderr.startswith("onebox: nowhere.py: No such file or directory")


def test_files_and_folders_are_named_as_they_were_asked_for(tmp_path):
    for name in ("a/app.py", "b/app.py", "c.py"):
        write(tmp_path, {name: FLASK + "import os\napp.secret_key = os.urandom(3)\n"})
    assert [one["file"] for one in findings(tmp_path, "b", "c.py")] == ["b/app.py", "c.py"]
    assert [one["file"] for one in findings(tmp_path, tmp_path / "a")] == [f"{tmp_path}/a/app.py"]


def test_other_line_ends_and_a_mark_at_the_beginning(tmp_path):
    (tmp_path / "app.py").write_bytes(b"\xef\xbb\xbfimport os\r\nSECRET_KEY = os.urandom(3)\r\n")
    assert [(one["line"], one["column"]) for one in findings(tmp_path)] == [(2, 1)]


def test_the_app_is_not_imported(tmp_path):
    write(tmp_path, "raise SystemExit(7)\n")
    assert findings(tmp_path) == []


def test_workers_and_variables_are_those_of_run(tmp_path):
    write(tmp_path, CACHE + "import os\n"
          'app.config["CACHE_TYPE"] = os.environ.get("GAME_CACHE", "SimpleCache")\n')
    assert "for 2 workers" in check(tmp_path, "--workers", "2").stdout
    (tmp_path / "onebox.toml").write_text("[app]\nworkers = 7\n")
    assert "7 workers have 7 caches" in check(tmp_path).stdout
    (tmp_path / "onebox.toml").write_text("[app]\nworkers = 1\n")
    assert "nothing found" in check(tmp_path).stdout
    (tmp_path / "onebox.toml").write_text("[app]\nworkers_max = 1\nworkers_min = 1\n")
    assert "nothing found in 1 file, for 1 worker\n" in check(tmp_path).stdout
    (tmp_path / "onebox.toml").write_text('[app]\nenv = { GAME_CACHE = "RedisCache" }\n')
    assert "nothing found" in check(tmp_path).stdout


def test_a_variable_that_is_empty_is_as_none(tmp_path):
    write(tmp_path, FLASK + "import os\napp.secret_key = os.environ.get('GAME_KEY') or os.urandom(3)\n")
    assert findings(tmp_path, environment={"GAME_KEY": "x"}) == []
    assert len(findings(tmp_path, environment={"GAME_KEY": ""})) == 1


def test_an_import_that_is_there_is_not_added(tmp_path):
    write(tmp_path, "import apscheduler.executors.pool\n"
          "from concurrent.futures import ThreadPoolExecutor\n"
          'scheduler = BackgroundScheduler(executors={"default": ThreadPoolExecutor()})\n')
    [found] = findings(tmp_path)
    assert [edit["line"] for edit in found["mend"]] == [3]


def test_a_file_of_variables_is_read_as_the_app_reads_it(tmp_path):
    source = FLASK + "import os\napp.secret_key = os.environ.get('GAME_KEY') or os.urandom(3)\n"
    (tmp_path / ".env").write_text("export GAME_KEY='x'\n")
    write(tmp_path, source)
    assert len(findings(tmp_path)) == 1  # nothing loads it
    write(tmp_path, "from dotenv import load_dotenv\nload_dotenv()\n" + source)
    assert findings(tmp_path) == []


def test_files_that_are_not_named_are_followed(tmp_path):
    write(tmp_path, {"app.py": LIMITER + "from game.settings import Config\n"
                     "app.config.from_object(Config)\nlimiter = Limiter(key)\nfrom game import jobs\n",
                     "other.py": LIMITER + 'app.config.from_object("game.settings.Config")\n'
                     "limiter = Limiter(key)\n",
                     "game/__init__.py": "",
                     "game/settings.py": 'class Config:\n    RATELIMIT_STORAGE_URI = "redis://x"\n',
                     "game/jobs.py":
                     "from apscheduler.schedulers.background import BackgroundScheduler\nscheduler = BackgroundScheduler()\nscheduler.start()\n"})
    assert [(one["file"], one["rule"]) for one in findings(tmp_path, "app.py")] == [
        ("game/jobs.py", SCHEDULER)]
    assert findings(tmp_path, "other.py") == []


def test_the_folder_is_that_of_the_app(tmp_path):
    write(tmp_path, {"game/app.py": FLASK + "import os\napp.secret_key = os.urandom(3)\n",
                     "other.py": "(\n"})
    (tmp_path / "onebox.toml").write_text('[app]\nchdir = "game"\n')
    assert [one["file"] for one in findings(tmp_path)] == ["game/app.py"]


def test_the_python_is_that_of_the_app(tmp_path):
    write(tmp_path, FLASK)
    python = tmp_path / "venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\necho \"venv $2\"\nexec {PYTHON} \"$@\"\n")
    python.chmod(0o755)
    said = onebox("check", cwd=tmp_path, environment={"VIRTUAL_ENV": ""})
    assert said.stdout.startswith("venv check\nnothing found"), said.stdout + said.stderr


@pytest.mark.parametrize(("words", "mistake"), [
    (["--jsno"], "--jsno: there is no such option; did you mean --json?"),
    (["--workers", "many"], "--workers: expected "),
    (["-w", "3"], "-w: there is no such option; Gunicorn's -w is --workers here"),
    (["-c", "nowhere.toml"], "nowhere.toml: No such file")])
def test_mistakes_on_the_line(tmp_path, words, mistake):
    said = check(tmp_path, *words)
    assert said.returncode == 2 and mistake in said.stderr, said.stderr


def test_help_and_the_page_of_rules():
    said = onebox("check", "--help")
    assert said.returncode == 0 and "--workers N|auto" in said.stdout and "--json" in said.stdout
    assert "onebox check [PATH...]" in onebox("help").stdout
    page = onebox("reference", "check", environment={"ONEBOX_APP_PYTHON": PYTHON})
    assert page.stdout == (ROOT / "docs/use/check-rules.md").read_text(encoding="utf-8"), (
        "renew it: build/release/bin/onebox reference check > docs/use/check-rules.md")


def test_a_reader_who_leaves_early_sees_no_traceback(tmp_path):
    for number in range(3000):
        write(tmp_path, {f"m{number}.py": "import os\nSECRET_KEY = os.urandom(3)\n"})
    said = subprocess.run(f"{BINARY} check | head -n 1", shell=True, cwd=tmp_path, text=True,
                          capture_output=True, timeout=120)
    assert re.match(r"m0\.py:2:1: error secret-key", said.stdout) and said.stderr == ""


def test_it_runs_without_the_program(tmp_path):
    write(tmp_path, FLASK)
    said = subprocess.run([PYTHON, "-m", "onebox.check", "app.py"], cwd=tmp_path, capture_output=True,
                          text=True, timeout=60,
                          env={"PYTHONPATH": str(ROOT / "python"), "PYTHONDONTWRITEBYTECODE": "1"})
    assert said.stdout == "nothing found in 1 file, for 2 workers\n"


RUNS = FLASK + """
from flask_caching import Cache
cache = Cache(app, config={"CACHE_TYPE": "FileSystemCache", "CACHE_DIR": "kept"})
"""


@pytest.mark.parametrize(("source", "before", "after"), [
    (RUNS + """
@cache.cached(key_prefix="prices")
def prices(country):
    return country
with app.test_request_context():
    print(prices(1), prices(2), prices(1))
""", "1 1 1", "1 2 1"),
    (RUNS + """
class Market:
    @cache.cached(60, "prices")
    def prices(self, country, page=1):
        return f"{country}.{page}"
with app.test_request_context():
    market = Market()
    print(market.prices(1), market.prices(2), market.prices(1, page=2), market.prices(country=2))
""", "1.1 1.1 1.1 1.1", "1.1 2.1 1.2 2.1"),
    (RUNS + """
@app.get("/<x>")
@cache.cached(key_prefix="page")
def page(x):
    return x
print(app.test_client().get("/a").text, app.test_client().get("/b").text)
""", "a a", "a b"),
    (RUNS + """
@cache.cached()
def prices(country):
    return country
with app.test_request_context():
    print(prices(1), prices(2))
""", "1 1", "1 2"),
    ("""
from apscheduler.schedulers.background import BackgroundScheduler
from concurrent.futures import ThreadPoolExecutor
scheduler = BackgroundScheduler(executors={"default": ThreadPoolExecutor(3)}, timezone="UTC")
scheduler.start()
print(scheduler.running)
""", "TypeError: Expected executor instance or dict", "True"),
    (FLASK + """
from flask_sqlalchemy import SQLAlchemy
app.config["SQLALCHEMY_DATABASE_URI"] = "mysql+pymysql://nobody@localhost/none"
app.config["SQLALCHEMY_POOL_SIZE"] = 20
app.config["SQLALCHEMY_MAX_OVERFLOW"] = 0
db = SQLAlchemy(app)
with app.app_context():
    print(db.engine.pool.size(), db.engine.pool._max_overflow)
""", "5 10", "20 0")], ids=["function", "method", "view", "not a view", "executor",
                                                      "pool"])
def test_what_it_says_is_so_with_the_packages_themselves(tmp_path, source, before, after):
    def said():
        ran = subprocess.run([PYTHON, "-B", "app.py"], cwd=tmp_path, capture_output=True, text=True,
                             timeout=60)
        return ran.stdout + ran.stderr
    write(tmp_path, source)
    assert before in said()
    [found] = findings(tmp_path)
    write(tmp_path, mended(source, found["mend"]))
    shutil.rmtree(tmp_path / "kept", ignore_errors=True)
    assert said().strip() == after
