"""An app whose workers share what they know: a cache, limits, sessions and a user."""
import os
import resource
import signal
import time
import uuid

import flask
import flask_caching
import flask_limiter
from flask_limiter.util import get_remote_address

import onebox.limits  # it registers onebox://
from onebox.flask_session import Session, revoke, revoke_user

if "FILE_BYTES_MAX" in os.environ:  # as of a disk that is full
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, 2 * (int(os.environ["FILE_BYTES_MAX"]),))
app = flask.Flask(__name__)
app.config.update(SECRET_KEY="of a test", CACHE_TYPE="onebox.flask_caching.OneboxCache")
cache = flask_caching.Cache(app)
limiter = flask_limiter.Limiter(get_remote_address, app=app, strategy="moving-window",
                                storage_uri="onebox://")
assert onebox.limits.OneboxStorage.STORAGE_SCHEME == ["onebox"]
Session(app)


@app.after_request
def say_who(response):
    response.headers["X-Worker"] = str(os.getpid())
    return response


@app.get("/limited")
@limiter.limit("7 per hour")
def limited():
    time.sleep(0.02)  # so that the other worker has some too
    return "fine"


@app.get("/made")
@cache.cached(timeout=60)
def made():
    return uuid.uuid4().hex


@app.get("/count")
def count():
    time.sleep(0.005)
    return str(cache.cache.inc("count"))


@app.get("/login/<user>")
def login(user):
    flask.session.user = user
    return ""


@app.get("/me")
def me():
    time.sleep(0.005)
    return str(flask.session.user)


@app.get("/revoke-session/<sid>")
def revoke_session(sid):
    return str(revoke(sid))


@app.get("/sid")
def sid():
    return str(flask.session.sid)


@app.get("/put/<key>/<value>")
def put(key, value):
    flask.session[key] = value
    return ""


@app.get("/kept/<key>")
def kept(key):
    return str(flask.session.get(key))


@app.get("/revoke/<user>")
def revoke_all(user):
    revoke_user(user)
    return ""
