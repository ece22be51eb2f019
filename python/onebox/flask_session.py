"""Sessions of Flask that lie on the server: the browser has a signed id, and nothing else.

    from onebox.flask_session import Session

    Session(app)

`flask.session` is then as ever, holds what it ever held, and can do more:

    session.user = user.id      # ties it to a user (Flask-Login does, by itself)
    session.regenerate()        # another id for the same session
    revoke(session.sid)         # this session is no more, wherever it is used
    revoke_user(user.id)        # and none of this user's, in constant time

When the session becomes another user's, or nobody's, it gets another id by itself: one that was
known before the login is worth nothing after it. A request that has not changed the session does
not write it, and none makes anew what has been revoked meanwhile. They survive the end of the box, in
its folder `data`. The settings are Flask's own
(SESSION_COOKIE_*, PERMANENT_SESSION_LIFETIME, SESSION_REFRESH_EACH_REQUEST: whether each request
lets it last anew) and Flask-Session's SESSION_PERMANENT, SESSION_USE_SIGNER (True unless told) and
SESSION_KEY_PREFIX.
"""
from __future__ import annotations

import hashlib
import time
from typing import Any

from flask import Flask, current_app
from flask.json.tag import TaggedJSONSerializer
from flask.sessions import SecureCookieSession, SessionInterface
from itsdangerous import BadSignature, Signer

from onebox.sessions import Found, Sessions

_USUAL_PREFIX = "session:"
_PERMANENT = "_permanent"  # where Flask keeps it, in the session


class ServerSession(SecureCookieSession):
    """A dict that knows whether it has been changed. As with Flask's own, a change within a value
    is not seen: set `session.modified = True`."""

    def __init__(self, initial: dict[str, Any] | None = None, *, sid: str | None = None,
                 permanent: bool = True, found: Found | None = None) -> None:
        super().__init__(initial)
        self.sid = sid  # None until it is saved for the first time
        self.new = found is None
        self._permanent_unless_told = permanent
        self._found = found
        self._began = time.monotonic()
        self._regenerate = self._stays = False

    def regenerate(self) -> None:
        """The id of before is worth nothing once this request has been answered."""
        self._regenerate = self.modified = True

    @property
    def user(self) -> str | None:
        """Whose it is: what was set here, or what Flask-Login has set."""
        user = dict.get(self, "_user", dict.get(self, "_user_id"))
        return None if user is None else str(user)

    @user.setter
    def user(self, user: Any) -> None:
        if user is None:
            self.pop("_user", None)
        else:
            self["_user"] = str(user)

    @property
    def permanent(self) -> bool:
        return dict.get(self, _PERMANENT, self._permanent_unless_told)

    @permanent.setter
    def permanent(self, permanent: bool) -> None:
        self[_PERMANENT] = bool(permanent)

    def __bool__(self) -> bool:
        return bool(self.keys() - {_PERMANENT})


class OneboxSessionInterface(SessionInterface):
    serializer = TaggedJSONSerializer()
    salt = "onebox.flask_session"

    def __init__(self, config: dict[str, Any]) -> None:
        prefix = config.get("SESSION_KEY_PREFIX", _USUAL_PREFIX)
        self.sessions = Sessions("" if prefix == _USUAL_PREFIX else prefix)

    def open_session(self, app: Flask, request: Any) -> ServerSession | None:
        signer = self._signer(app)
        if signer is None and self._signs(app):
            return None  # Flask says then that there is no secret key
        permanent = bool(app.config.get("SESSION_PERMANENT", True))
        sid = _read(request.cookies.get(self.get_cookie_name(app)), signer)
        found = self.sessions.find(sid) if sid else None
        if found is None:
            return ServerSession(permanent=permanent)
        return ServerSession(self.serializer.loads(found.text), sid=sid, permanent=permanent,
                             found=found)

    def save_session(self, app: Flask, session: Any, response: Any) -> None:
        if session.accessed:
            response.vary.add("Cookie")
        if not session:
            if session.modified:
                self._end(app, session, response)
            return
        refresh = app.config["SESSION_REFRESH_EACH_REQUEST"]
        ttl = app.permanent_session_lifetime.total_seconds()
        if session.modified:
            there = self._save(session, ttl)
        elif session.sid and refresh:
            there = self.sessions.touch(session.sid, ttl, session._found)
        else:
            return
        if not there:
            self._end(app, session, response)
        elif session.modified or session.permanent:
            self._set_cookie(app, session, response)

    def _save(self, session: ServerSession, ttl: float) -> bool:
        """Whether it is kept."""
        found, user, sid = session._found, session.user, session.sid
        text = self.serializer.dumps(dict(session))
        same_user = found is not None and found.user == user
        if found is not None and same_user and not session._stays:
            mark = found.mark
        elif user is None:
            mark = None
        else:
            mark = self.sessions.mark(user, session._began)
            if mark is None:
                return False
        if sid and same_user and not session._regenerate:
            return self.sessions.save(sid, text, user=user, mark=mark, ttl=ttl)
        was_there = self.sessions.revoke(sid) if sid else True
        if same_user and not was_there and not session._stays:
            return False
        created = self.sessions.create(text, user=user, mark=mark, ttl=ttl)
        session.sid = created or session.sid
        return created is not None

    def _end(self, app: Flask, session: ServerSession, response: Any) -> None:
        if session.sid:
            self.sessions.revoke(session.sid)
        response.delete_cookie(self.get_cookie_name(app), **self._cookie(app))
        response.vary.add("Cookie")

    def _set_cookie(self, app: Flask, session: ServerSession, response: Any) -> None:
        signer = self._signer(app)
        value = signer.sign(session.sid or "").decode() if signer else session.sid
        response.set_cookie(self.get_cookie_name(app), value,
                            expires=self.get_expiration_time(app, session), **self._cookie(app))
        response.vary.add("Cookie")

    def _cookie(self, app: Flask) -> dict[str, Any]:
        how = {"domain": self.get_cookie_domain(app), "path": self.get_cookie_path(app),
               "secure": self.get_cookie_secure(app), "samesite": self.get_cookie_samesite(app),
               "httponly": self.get_cookie_httponly(app)}
        if hasattr(self, "get_cookie_partitioned"):  # Flask 3.1
            how["partitioned"] = self.get_cookie_partitioned(app)
        return how

    @staticmethod
    def _signs(app: Flask) -> bool:
        return bool(app.config.get("SESSION_USE_SIGNER", True))

    def _signer(self, app: Flask) -> Signer | None:
        if not self._signs(app) or not app.secret_key:
            return None
        # The last one signs; all of them are believed.
        keys = [*(app.config.get("SECRET_KEY_FALLBACKS") or ()), app.secret_key]
        return Signer(keys, salt=self.salt, key_derivation="hmac", digest_method=hashlib.sha256)


class Session:
    """Session(app), or Session() and then init_app(app)."""

    def __init__(self, app: Flask | None = None) -> None:
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        kind = app.config.setdefault("SESSION_TYPE", "onebox")
        if kind != "onebox":
            raise ValueError(f'SESSION_TYPE is {kind!r}: of these sessions it is "onebox"')
        app.session_interface = OneboxSessionInterface(app.config)


def revoke(session_id: str) -> bool:
    """Whether there was such a session of the current app; there is none any more."""
    return _interface().sessions.revoke(session_id)


def revoke_user(user: Any, *, but: Any = None) -> None:
    """Ends all sessions of a user; `but` one, as of who asks for it: it gets another id.

    In constant time. It also meets who is about to log in: a request that has begun before makes no
    session of this user's."""
    interface = _interface()
    lifetime = current_app.permanent_session_lifetime.total_seconds()
    interface.sessions.revoke_user(str(user), lifetime)
    if but is not None:
        but.regenerate()
        but._stays, but._began = True, time.monotonic()


def _interface() -> OneboxSessionInterface:
    interface = current_app.session_interface
    if not isinstance(interface, OneboxSessionInterface):
        raise RuntimeError("this app's sessions are not of onebox.flask_session: Session(app)")
    return interface


def _read(cookie: str | None, signer: Signer | None) -> str | None:
    """The id that a cookie says; None where it is not one that we have signed."""
    if not cookie or signer is None:
        return cookie
    try:
        return signer.unsign(cookie).decode()
    except (BadSignature, UnicodeError):
        return None
