"""Are sessions on the server what flask.session ever was, and can they be ended from here?"""
import datetime
import re
import time
import unittest
import uuid
from unittest import mock

import flask
from flask.sessions import SessionInterface
from markupsafe import Markup

from onebox import sessions
from onebox.cache import CacheError
from onebox.flask_session import Session, revoke, revoke_user
from processes import in_processes


def make_app(**config):
    app = flask.Flask("test_flask_session")
    app.config.update({"SECRET_KEY": "of a test", "SESSION_KEY_PREFIX": uuid.uuid4().hex, **config})
    Session(app)

    @app.get("/set/<key>/<value>")
    def put(key, value):
        flask.session[key] = value
        return str(flask.session.sid)

    @app.get("/get/<key>")
    def get(key):
        return str(flask.session.get(key))

    @app.get("/all")
    def everything():
        return dict(flask.session)

    @app.get("/sid")
    def sid():
        return str(flask.session.sid)

    @app.get("/clear")
    def clear():
        flask.session.clear()
        return ""

    @app.get("/user/<name>")
    def user(name):
        flask.session.user = None if name == "None" else name
        return ""

    @app.get("/regenerate")
    def regenerate():
        flask.session.regenerate()
        return ""

    @app.get("/in-between")
    def in_between():
        for each in app.config["IN_BETWEEN"]:
            each()
        return ""

    @app.get("/nothing")
    def nothing():
        return ""

    return app


def cookie_of(answer):
    """The Set-Cookie header; "" where there is none."""
    return answer.headers.get("Set-Cookie", "")


def value_of(answer):
    return re.match("session=([^;]*)", cookie_of(answer))[1]


def with_cookie(app, value):
    """A client that sends this cookie."""
    class Client:
        def get(self, path):
            return app.test_client(use_cookies=False).get(
                path, headers={"Cookie": f"session={value}"})
    return Client()


class Sessions(unittest.TestCase):
    def setUp(self):
        self.app = make_app()
        self.client = self.app.test_client()
        self.kept = self.app.session_interface.sessions

    def sid(self, client=None):
        return (client or self.client).get("/sid").text

    def test_it_keeps_what_it_was_given(self):
        first = self.client.get("/set/name/Ada")
        self.assertEqual(self.client.get("/get/name").text, "Ada")
        self.assertNotIn("Ada", cookie_of(first))
        self.assertEqual(self.app.test_client().get("/get/name").text, "None")

    def test_all_that_flask_s_sessions_take(self):
        values = {"tuple": (1, (2,)), "bytes": b"\0\xff", "uuid": uuid.uuid4(), "text": "é",
                  "when": datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
                  "markup": Markup("<b>"), "list": [1, None, 2.5, True, {"a": (1,)}],
                  "big": 10 ** 30}
        with self.client.session_transaction() as session:
            session.update(values)
        with self.client.session_transaction() as session:
            self.assertEqual({key: session[key] for key in values}, values)
            self.assertEqual({key: type(session[key]) for key in values},
                             {key: type(value) for key, value in values.items()})

    def test_what_it_does_not_take_is_an_error(self):
        with self.assertRaises(TypeError):
            with self.client.session_transaction() as session:
                session["a"] = object()

    def test_the_cookie_is_as_flask_s_settings_say(self):
        cookie = cookie_of(self.client.get("/set/a/1"))
        self.assertIn("HttpOnly", cookie)
        self.assertIn("Expires=", cookie)
        app = make_app(SESSION_COOKIE_NAME="sid", SESSION_COOKIE_SECURE=True,
                       SESSION_COOKIE_SAMESITE="Lax", SESSION_COOKIE_PATH="/set",
                       SESSION_COOKIE_DOMAIN="example.org", SESSION_PERMANENT=False)
        cookie = cookie_of(app.test_client().get("/set/a/1", base_url="https://example.org"))
        for part in ("sid=", "Secure", "SameSite=Lax", "Path=/set", "Domain=example.org"):
            self.assertIn(part, cookie)
        self.assertNotIn("Expires", cookie)

    if hasattr(SessionInterface, "get_cookie_partitioned"):  # Flask 3.1 has it
        def test_a_partitioned_cookie(self):
            self.app.config.update(SESSION_COOKIE_PARTITIONED=True, SESSION_COOKIE_SECURE=True)
            self.assertIn("Partitioned", cookie_of(self.client.get("/set/a/1")))

    def test_an_empty_session_leaves_no_trace(self):
        before = self.kept._cache.figures()["entries_kept"]
        answer = self.client.get("/nothing")
        self.assertEqual((cookie_of(answer), answer.headers.get("Vary")), ("", None))
        answer = self.client.get("/get/a")
        self.assertEqual((cookie_of(answer), answer.headers.get("Vary")), ("", "Cookie"))
        answer = self.meanwhile(lambda: setattr(flask.session, "permanent", True))
        self.assertNotIn("Expires", cookie_of(answer).replace("Expires=Thu, 01 Jan 1970", ""))
        self.assertEqual(self.kept._cache.figures()["entries_kept"], before)

    def test_emptied_it_is_gone_and_so_is_the_cookie(self):
        value = value_of(self.client.get("/set/a/1"))
        self.assertIn("Max-Age=0", cookie_of(self.client.get("/clear")))
        self.assertEqual(with_cookie(self.app, value).get("/get/a").text, "None")

    def test_an_id_that_is_forged_or_unknown_is_a_new_session(self):
        value = value_of(self.client.get("/set/a/1"))
        sid = self.sid()
        self.assertTrue(value.startswith(sid + "."))
        for forged in (sid, sid + ".", value[:-1], value + "x", "x" + value, "", ".", "x" * 4000,
                       "\u00e9.\u00e9", self.app.session_interface._signer(make_app(
                           SECRET_KEY="another")).sign(sid).decode()):
            with self.subTest(forged):
                client = with_cookie(self.app, forged)
                self.assertEqual(client.get("/get/a").text, "None")
                self.assertNotIn(sid, cookie_of(client.get("/set/b/2")))
        unknown = self.app.session_interface._signer(self.app).sign("chosen by the client").decode()
        answer = with_cookie(self.app, unknown).get("/set/b/2")
        self.assertNotIn("chosen", cookie_of(answer), "an id is never taken from a client")

    def test_without_a_signer_the_id_is_the_cookie(self):
        app = make_app(SESSION_USE_SIGNER=False, SECRET_KEY=None)
        client = app.test_client()
        value = value_of(client.get("/set/a/1"))
        self.assertEqual(self.sid(client), value)
        self.assertEqual(with_cookie(app, "unknown").get("/get/a").text, "None")

    def test_without_a_secret_key_there_is_no_session(self):
        app = make_app(SECRET_KEY=None)
        app.testing = True
        with self.assertRaisesRegex(RuntimeError, "secret"):
            app.test_client().get("/set/a/1")

    def test_an_older_key_is_believed_and_replaced(self):
        value = value_of(self.client.get("/set/a/1"))
        self.app.config.update(SECRET_KEY="a newer one")
        self.assertEqual(with_cookie(self.app, value).get("/get/a").text, "None")
        self.app.config.update(SECRET_KEY_FALLBACKS=["of a test"])
        answer = with_cookie(self.app, value).get("/get/a")
        self.assertEqual(answer.text, "1")
        del self.app.config["SECRET_KEY_FALLBACKS"]
        self.assertEqual(with_cookie(self.app, value_of(answer)).get("/get/a").text, "1")

    def test_it_ends_with_its_time(self):
        self.app.permanent_session_lifetime = datetime.timedelta(seconds=1)
        value = value_of(self.client.get("/set/a/1"))
        self.assertEqual(with_cookie(self.app, value).get("/get/a").text, "1")
        time.sleep(1.1)
        self.assertEqual(with_cookie(self.app, value).get("/get/a").text, "None")

    def left(self, sid):
        return self.kept._cache.lookup(sessions._key(sid))[1]

    def test_each_request_lets_it_last_anew_where_that_is_asked(self):
        for refresh in (True, False):
            self.app.config["SESSION_REFRESH_EACH_REQUEST"] = refresh
            self.app.permanent_session_lifetime = datetime.timedelta(seconds=100)
            client = self.app.test_client()
            client.get("/set/a/1")
            sid = self.sid(client)
            self.app.permanent_session_lifetime = datetime.timedelta(seconds=1000)
            answer = client.get("/nothing")
            self.assertEqual(bool(cookie_of(answer)), refresh)
            self.assertEqual(self.left(sid) > 900, refresh)

    def test_what_is_not_changed_is_not_written(self):
        """So of two requests at the same time, one that only reads does not undo the other's."""
        self.client.get("/set/a/1")
        other = with_cookie(self.app, value_of(self.client.get("/set/a/1")))
        self.meanwhile(lambda: flask.session["a"], lambda: other.get("/set/a/2"))
        self.assertEqual(self.client.get("/get/a").text, "2")

    # --- ids

    def test_another_id_for_the_same_session(self):
        old = value_of(self.client.get("/set/a/1"))
        new = value_of(self.client.get("/regenerate"))
        self.assertNotEqual(old, new)
        self.assertEqual(self.client.get("/get/a").text, "1")
        self.assertEqual(with_cookie(self.app, old).get("/get/a").text, "None")

    def test_who_logs_in_or_out_gets_another_id(self):
        ids = [value_of(self.client.get(path)) for path in
               ("/set/a/1", "/user/ada", "/user/ada", "/user/bob", "/user/None")]
        self.assertEqual(ids[1], ids[2], "nobody else's")
        self.assertEqual(len(set(ids)), 4)
        for old in ids[:4]:
            self.assertEqual(with_cookie(self.app, old).get("/get/a").text, "None")
        self.assertEqual(self.client.get("/get/a").text, "1")

    def test_the_memory_does_not_say_the_id(self):
        self.client.get("/set/a/1")
        self.assertIsNone(self.kept._cache.get(("session", self.sid())))
        self.assertIsNotNone(self.kept._cache.get(sessions._key(self.sid())))

    # --- revoking

    def revoke(self, sid):
        with self.app.app_context():
            return revoke(sid)

    def revoke_user(self, user):
        with self.app.app_context():
            revoke_user(user)

    def test_one_session_is_revoked(self):
        other = self.app.test_client()
        for client in (self.client, other):
            client.get("/set/a/1")
        self.assertIs(self.revoke(self.sid()), True)
        self.assertEqual(self.client.get("/get/a").text, "None")
        self.assertEqual(other.get("/get/a").text, "1")
        self.assertIs(self.revoke("none such"), False)

    def test_all_of_a_user_s_are_revoked(self):
        clients = {name: self.app.test_client() for name in ("7 one", "7 two", "8", "70")}
        for name, client in clients.items():
            client.get(f"/user/{name.split()[0]}")
            client.get(f"/set/a/{name}")
        with self.client.session_transaction() as session:
            session["a"] = "nobody's"
        self.revoke_user(7)
        self.assertEqual([client.get("/get/a").text for client in (*clients.values(), self.client)],
                         ["None", "None", "8", "70", "nobody's"])
        clients["7 one"].get("/user/7")  # logged in again
        clients["7 one"].get("/set/a/again")
        self.assertEqual(clients["7 one"].get("/get/a").text, "again")
        self.assertEqual(clients["7 two"].get("/get/a").text, "None")
        self.revoke_user("7")
        self.assertEqual(clients["7 one"].get("/get/a").text, "None")

    def test_one_of_them_may_stay(self):
        other = self.app.test_client()
        for client in (self.client, other):
            client.get("/user/7")
            client.get("/set/a/1")
        self.meanwhile(lambda: revoke_user(flask.session.user, but=flask.session))
        self.assertEqual((self.client.get("/get/a").text, other.get("/get/a").text), ("1", "None"))

    def meanwhile(self, *does):
        """A request that does all of this."""
        self.app.config["IN_BETWEEN"] = does
        return self.client.get("/in-between")

    def test_a_request_does_not_make_anew_what_was_revoked_meanwhile(self):
        changes = {
            "write": lambda: flask.session.update(b=2),
            "regenerate": lambda: flask.session.regenerate(),
            "read": lambda: flask.session.get("a"),
        }
        for how, change in changes.items():
            for user in (False, True):
                with self.subTest(how, user=user):
                    self.client = self.app.test_client()
                    self.client.get("/user/7")
                    self.client.get("/set/a/1")
                    sid = self.sid()
                    self.meanwhile(change, lambda: revoke_user(7) if user else revoke(sid))
                    self.assertEqual(self.client.get("/get/a").text, "None")

    def test_who_logs_in_while_all_is_revoked_is_not_let_in(self):
        """His password may be the one that is being changed."""
        self.meanwhile(lambda: setattr(flask.session, "user", 7), lambda: revoke_user(7))
        self.assertEqual(self.client.get("/get/_user").text, "None")
        self.client.get("/user/7")
        self.assertEqual(self.client.get("/get/_user").text, "7")

    def test_a_lock_that_is_stuck_logs_nobody_out_and_lets_nobody_in(self):
        """get() of the cache finds nothing then."""
        self.client.get("/user/7")
        sid = self.sid()
        self.revoke_user(7)
        cache = self.kept._cache
        for hidden in ("session", "user"):
            def get(key, hidden=hidden):
                return None if key[0] == hidden else type(cache).get(cache, key)
            with self.subTest(hidden), mock.patch.object(cache, "get", get):
                self.assertRaises(CacheError, self.kept.find, sid)
                self.assertIsNone(self.kept.find("not there"))
        self.assertIsNone(self.kept.find(sid))

    # --- settings

    def test_apps_are_apart_by_their_prefix(self):
        value = value_of(self.client.get("/set/a/1"))
        self.assertEqual(with_cookie(make_app(), value).get("/get/a").text, "None")
        same = make_app(SESSION_KEY_PREFIX=self.app.config["SESSION_KEY_PREFIX"])
        self.assertEqual(with_cookie(same, value).get("/get/a").text, "1")

    def test_another_kind_of_sessions_is_refused(self):
        self.assertRaisesRegex(ValueError, "redis", make_app, SESSION_TYPE="redis")
        app = flask.Flask("plain", static_folder=None)
        with app.app_context():
            self.assertRaisesRegex(RuntimeError, "onebox.flask_session", revoke, "x")

    def test_permanent_as_told(self):
        app = make_app(SESSION_PERMANENT=False)

        @app.get("/remember")
        def remember():
            flask.session.permanent = True
            flask.session["a"] = 1
            return ""

        self.assertNotIn("Expires", cookie_of(app.test_client().get("/set/a/1")))
        self.assertIn("Expires", cookie_of(app.test_client().get("/remember")))

    # --- processes

    def test_sessions_are_not_evicted(self):
        self.client.get("/set/a/1")
        for i in range(1500):
            self.kept._cache.set(i, b"x" * 100_000)
        self.assertEqual(self.client.get("/get/a").text, "1")

    def test_each_process_sees_the_same_sessions(self):
        value = value_of(self.client.get("/set/a/1"))

        def work(number):
            client = with_cookie(self.app, value)
            mine = self.app.test_client()
            mine.get(f"/user/{number}")
            seen = [client.get("/get/a").text for _ in range(100)]
            mine.get(f"/set/mine/{number}")
            return set(seen), value_of(mine.get(f"/set/more/{number}"))

        results = in_processes(4, work)
        for number, (seen, cookie) in enumerate(results):
            self.assertEqual(seen, {"1"})
            self.assertEqual(with_cookie(self.app, cookie).get("/get/mine").text, str(number))
        self.revoke_user(2)
        self.assertEqual(
            [with_cookie(self.app, cookie).get("/get/mine").text for _, cookie in results],
            ["0", "1", "None", "3"])

    def test_an_id_is_nobody_else_s(self):
        ids = in_processes(4, lambda number: [self.kept.create("{}", ttl=60) for _ in range(500)])
        self.assertEqual(len(set(sum(ids, []))), 2000)
