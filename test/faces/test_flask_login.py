"""Does Flask-Login find its user in the cache, as a copy that nobody shares?"""
import unittest
import uuid

import flask
import flask_login

from onebox.flask_login import CachedUser, cached_user
from onebox.flask_session import Session, revoke_user
from processes import in_processes


class Row:
    """What an ORM would give."""

    def __init__(self, id, name):
        self.id, self.name, self.secret = id, name, object()


class CachedUsers(unittest.TestCase):
    def setUp(self):
        self.rows = {"1": Row(1, "Ada"), "2": Row(2, "Bob")}
        self.loads = []
        self.load_user = cached_user(self.load, fields=("id", "name"), namespace=uuid.uuid4().hex)

    def load(self, user_id):
        self.loads.append(user_id)
        return self.rows.get(user_id)

    def test_it_is_loaded_once(self):
        found = [self.load_user("1") for _ in range(3)]
        self.assertEqual(self.loads, ["1"])
        self.assertEqual([(user.id, user.name, user.get_id()) for user in found],
                         [(1, "Ada", "1")] * 3)
        self.assertTrue(found[0].is_authenticated and found[0].is_active)
        self.assertEqual(found[0], found[1])
        self.assertFalse(hasattr(found[0], "secret"), "only the fields that were named")

    def test_who_is_not_there_is_asked_for_again(self):
        self.assertEqual([self.load_user("3"), self.load_user("3")], [None, None])
        self.assertEqual(len(self.loads), 2)

    def test_forgotten_it_is_loaded_anew(self):
        self.load_user("1")
        self.rows["1"].name = "Ada L."
        self.assertEqual(self.load_user("1").name, "Ada")
        self.assertIs(self.load_user.forget(1), True)
        self.assertEqual(self.load_user("1").name, "Ada L.")

    def test_a_copy_is_not_changed(self):
        with self.assertRaisesRegex(AttributeError, "a copy"):
            self.load_user("1").name = "Eve"
        self.assertEqual(self.load_user("1").name, "Ada")

    def test_an_object_is_refused(self):
        for load, why in ((lambda id: Row(1, "Ada"), "name its fields"),
                          (lambda id: {"name": "Ada"}, "an `id`")):
            with self.assertRaisesRegex(TypeError, why):
                cached_user(load, namespace=uuid.uuid4().hex)("1")
        with self.assertRaises(TypeError):
            cached_user(self.load, fields=("id", "secret"), namespace=uuid.uuid4().hex)("1")

    def test_a_dict_and_a_class_of_one_s_own(self):
        class Mine(CachedUser):
            @property
            def shout(self):
                return self.name.upper()

        load_user = cached_user(lambda id: {"id": id, "name": "Ada", "is_active": False}, make=Mine,
                                namespace=uuid.uuid4().hex)
        self.assertEqual((load_user("1").shout, load_user("1").is_active), ("ADA", False))

    def test_with_flask_login_and_sessions_on_the_server(self):
        app = flask.Flask("test_flask_login")
        app.config.update(SECRET_KEY="of a test", SESSION_KEY_PREFIX=uuid.uuid4().hex)
        Session(app)
        flask_login.LoginManager(app).user_loader(self.load_user)

        @app.get("/login/<id>")
        def login(id):
            flask_login.login_user(CachedUser(vars(self.load_user(id))))
            return ""

        @app.get("/me")
        @flask_login.login_required
        def me():
            return flask_login.current_user.name

        @app.get("/logout")
        def logout():
            flask_login.logout_user()
            return ""

        ada, bob = app.test_client(), app.test_client()
        self.assertEqual(ada.get("/me").status_code, 401)
        ada.get("/login/1")
        bob.get("/login/2")
        self.assertEqual([ada.get("/me").text for _ in range(3)], ["Ada"] * 3)
        self.assertEqual(bob.get("/me").text, "Bob")
        self.assertEqual(sorted(self.loads), ["1", "2"])
        with app.app_context():
            revoke_user(1)
        self.assertEqual((ada.get("/me").status_code, bob.get("/me").text), (401, "Bob"))
        ada.get("/login/1")
        self.assertEqual(ada.get("/me").text, "Ada")
        ada.get("/logout")
        self.assertEqual(ada.get("/me").status_code, 401)

    def test_all_processes_load_it_once(self):
        def work(number):
            return [self.load_user("1").name for _ in range(200)], len(self.loads)

        results = in_processes(4, work)
        self.assertEqual([names for names, _ in results], [["Ada"] * 200] * 4)
        self.assertEqual(sum(loads for _, loads in results), 1)
